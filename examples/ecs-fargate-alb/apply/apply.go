// Package apply builds the stack of the directory above with the AWS SDK for Go, for machines
// without Terraform. It makes the same resources with the same settings.
package apply

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// Config says where to build and with which certificate.
type Config struct {
	Endpoint       string // of Fairlead, e.g. http://127.0.0.1:4566
	Region         string
	CertificateDir string            // of cert.pem, key.pem and chain.pem
	Log            func(step string) // may be nil
}

// stack holds the clients and what has been made so far.
type stack struct {
	cfg  Config
	ec2  *ec2.Client
	elb  *elb.Client
	acm  *acm.Client
	iam  *iam.Client
	logs *cloudwatchlogs.Client
	ecs  *ecs.Client

	vpc                string
	subnets            []string
	lbGroup            string
	taskGroup          string
	certificate        string
	balancer           string // ARN
	dnsName            string
	webGroup, apiGroup string // target groups
	role               string
}

// Stack builds everything and returns the load balancer's DNS name.
func Stack(ctx context.Context, cfg Config) (string, error) {
	s := newStack(cfg)
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"VPC, subnets, internet gateway, routes", s.network},
		{"security groups", s.securityGroups},
		{"certificate", s.importCertificate},
		{"load balancer and target groups", s.loadBalancer},
		{"listeners and rules", s.listeners},
		{"log group and execution role", s.logsAndRole},
		{"cluster, task definitions, services", s.services},
	}
	for _, step := range steps {
		if cfg.Log != nil {
			cfg.Log(step.name)
		}
		if err := step.do(ctx); err != nil {
			return "", fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return s.dnsName, nil
}

func newStack(cfg Config) *stack {
	c := aws.Config{
		Region: cfg.Region, BaseEndpoint: &cfg.Endpoint,
		Credentials: credentials.NewStaticCredentialsProvider("fairlead", "fairlead", ""),
	}
	return &stack{
		cfg: cfg, ec2: ec2.NewFromConfig(c), elb: elb.NewFromConfig(c), acm: acm.NewFromConfig(c),
		iam: iam.NewFromConfig(c), logs: cloudwatchlogs.NewFromConfig(c), ecs: ecs.NewFromConfig(c),
	}
}
