package e2e

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"fairlead/examples/ecs-fargate-alb/apply"
)

// Names of the stack that package apply builds.
const (
	cluster    = "twtech"
	webService = "twtech-web-app"
	apiService = "twtech-api"
)

// clients are unmodified AWS SDK clients of one account and region.
type clients struct {
	acm        *acm.Client
	cloudwatch *cloudwatch.Client
	ec2        *ec2.Client
	ecs        *ecs.Client
	elb        *elb.Client
	iam        *iam.Client
	logs       *cloudwatchlogs.Client
	sts        *sts.Client
}

// clients of the default account in us-east-1.
func (p *process) clients() clients { return p.clientsOf("us-east-1", "test", "test") }

func (p *process) clientsOf(region, key, secret string) clients {
	c := aws.Config{
		Region: region, BaseEndpoint: new("http://" + p.api),
		Credentials: credentials.NewStaticCredentialsProvider(key, secret, ""),
	}
	return clients{
		acm: acm.NewFromConfig(c), cloudwatch: cloudwatch.NewFromConfig(c),
		ec2: ec2.NewFromConfig(c), ecs: ecs.NewFromConfig(c),
		elb: elb.NewFromConfig(c), iam: iam.NewFromConfig(c), logs: cloudwatchlogs.NewFromConfig(c),
		sts: sts.NewFromConfig(c),
	}
}

// must returns the output of a call and fails the test when the call failed.
func must[T any](out T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// stack is the example, applied with the AWS SDK, which takes a second instead of Terraform's half
// minute.
type stack struct {
	*fairlead
	clients
	site *site
	dir  string // of the certificate
}

// bringUp applies the stack and waits until it is steady. step is called before each step of the
// applier and may be nil.
func (f *fairlead) bringUp(step func(string)) *stack {
	f.t.Helper()
	s := &stack{fairlead: f, clients: f.clients(), dir: f.t.TempDir()}
	f.certificate(s.dir)
	name, err := apply.Stack(f.t.Context(), apply.Config{
		Endpoint: "http://" + f.api, Region: "us-east-1", CertificateDir: s.dir, Log: step,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	s.site = visit(f.t, s.dir, name)
	s.drainFor("1")
	f.steady(2, 1)
	return s
}

// in is the same stack for a subtest.
func (s *stack) in(t *testing.T) *stack {
	c := *s
	c.fairlead = s.fairlead.in(t)
	return &c
}

// drainFor sets the deregistration delay of both target groups, in seconds.
func (s *stack) drainFor(seconds string) {
	s.t.Helper()
	for _, group := range []string{"twtech-web", "twtech-api"} {
		must(s.elb.ModifyTargetGroupAttributes(s.t.Context(), &elb.ModifyTargetGroupAttributesInput{
			TargetGroupArn: new(s.groupARN(group)), Attributes: []elbtypes.TargetGroupAttribute{
				{Key: new("deregistration_delay.timeout_seconds"), Value: &seconds},
			},
		}))(s.t)
	}
}

func (s *stack) groupARN(name string) string {
	s.t.Helper()
	out := must(s.elb.DescribeTargetGroups(s.t.Context(), &elb.DescribeTargetGroupsInput{
		Names: []string{name},
	}))(s.t)
	return *out.TargetGroups[0].TargetGroupArn
}

// steady waits until both services have their tasks, all healthy, and no others.
func (f *fairlead) steady(web, api int) {
	f.t.Helper()
	eventually(f.t, "the services are steady", func() error { return f.isSteady(web, api) })
}

func (f *fairlead) isSteady(web, api int) error {
	want := map[string]int{webService: web, apiService: api}
	services := f.status().Services
	if len(services) != len(want) {
		return fmt.Errorf("%d services, want %d", len(services), len(want))
	}
	for _, s := range services {
		if s.Running != want[s.Name] || len(s.Tasks) != s.Running || s.Rollout != "COMPLETED" {
			return fmt.Errorf("%s: %d running of %d tasks, want %d; rollout %s", s.Name, s.Running,
				len(s.Tasks), want[s.Name], s.Rollout)
		}
		for _, task := range s.Tasks {
			if len(task.Targets) != 1 || task.Targets[0].State != "healthy" {
				return fmt.Errorf("%s: task %s has targets %+v", s.Name, task.ID, task.Targets)
			}
		}
	}
	return nil
}

// taskIDs are the tasks of all services.
func (f *fairlead) taskIDs() map[string]bool {
	f.t.Helper()
	ids := map[string]bool{}
	for _, s := range f.status().Services {
		for _, task := range s.Tasks {
			ids[task.ID] = true
		}
	}
	return ids
}

// taskOf is a task of a service.
func (f *fairlead) taskOf(service string) string {
	f.t.Helper()
	for _, s := range f.status().Services {
		if s.Name == service && len(s.Tasks) > 0 {
			return s.Tasks[0].ID
		}
	}
	f.t.Fatalf("service %s has no task", service)
	return ""
}
