package apply

import (
	"context"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/service/acm"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

func (s *stack) importCertificate(ctx context.Context) error {
	var parts [3][]byte
	for i, name := range []string{"cert.pem", "key.pem", "chain.pem"} {
		raw, err := os.ReadFile(filepath.Join(s.cfg.CertificateDir, name))
		if err != nil {
			return err
		}
		parts[i] = raw
	}
	out, err := s.acm.ImportCertificate(ctx, &acm.ImportCertificateInput{
		Certificate: parts[0], PrivateKey: parts[1], CertificateChain: parts[2],
	})
	if err != nil {
		return err
	}
	s.certificate = *out.CertificateArn
	return nil
}

func (s *stack) loadBalancer(ctx context.Context) error {
	out, err := s.elb.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{
		Name: new("twtech-alb"), Subnets: s.subnets, SecurityGroups: []string{s.lbGroup},
	})
	if err != nil {
		return err
	}
	s.balancer, s.dnsName = *out.LoadBalancers[0].LoadBalancerArn, *out.LoadBalancers[0].DNSName
	if s.webGroup, err = s.targetGroup(ctx, "twtech-web"); err != nil {
		return err
	}
	s.apiGroup, err = s.targetGroup(ctx, "twtech-api")
	return err
}

func (s *stack) targetGroup(ctx context.Context, name string) (string, error) {
	out, err := s.elb.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
		Name: &name, Protocol: types.ProtocolEnumHttp, Port: new(int32(80)), VpcId: &s.vpc,
		TargetType: types.TargetTypeEnumIp, HealthCheckPath: new("/health"),
		HealthCheckIntervalSeconds: new(int32(5)), HealthCheckTimeoutSeconds: new(int32(2)),
		HealthyThresholdCount: new(int32(2)), UnhealthyThresholdCount: new(int32(2)),
		Matcher: &types.Matcher{HttpCode: new("200")},
	})
	if err != nil {
		return "", err
	}
	arn := out.TargetGroups[0].TargetGroupArn
	_, err = s.elb.ModifyTargetGroupAttributes(ctx, &elb.ModifyTargetGroupAttributesInput{
		TargetGroupArn: arn, Attributes: []types.TargetGroupAttribute{
			{Key: new("deregistration_delay.timeout_seconds"), Value: new("30")},
		},
	})
	return *arn, err
}

func (s *stack) listeners(ctx context.Context) error {
	_, err := s.elb.CreateListener(ctx, &elb.CreateListenerInput{
		LoadBalancerArn: &s.balancer, Port: new(int32(80)), Protocol: types.ProtocolEnumHttp,
		DefaultActions: []types.Action{{
			Type: types.ActionTypeEnumRedirect,
			RedirectConfig: &types.RedirectActionConfig{
				Port: new("443"), Protocol: new("HTTPS"),
				StatusCode: types.RedirectActionStatusCodeEnumHttp301,
			},
		}},
	})
	if err != nil {
		return err
	}
	https, err := s.elb.CreateListener(ctx, &elb.CreateListenerInput{
		LoadBalancerArn: &s.balancer, Port: new(int32(443)), Protocol: types.ProtocolEnumHttps,
		SslPolicy:      new("ELBSecurityPolicy-2016-08"),
		Certificates:   []types.Certificate{{CertificateArn: &s.certificate}},
		DefaultActions: forward(s.webGroup),
	})
	if err != nil {
		return err
	}
	listener := https.Listeners[0].ListenerArn
	if err := s.rule(ctx, listener, 10, types.RuleCondition{
		Field:             new("path-pattern"),
		PathPatternConfig: &types.PathPatternConditionConfig{Values: []string{"/api/*"}},
	}); err != nil {
		return err
	}
	return s.rule(ctx, listener, 20, types.RuleCondition{
		Field:            new("host-header"),
		HostHeaderConfig: &types.HostHeaderConditionConfig{Values: []string{"admin.*"}},
	})
}

func (s *stack) rule(ctx context.Context, listener *string, priority int32, c types.RuleCondition) error {
	_, err := s.elb.CreateRule(ctx, &elb.CreateRuleInput{
		ListenerArn: listener, Priority: &priority, Conditions: []types.RuleCondition{c},
		Actions: forward(s.apiGroup),
	})
	return err
}

func forward(group string) []types.Action {
	return []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &group}}
}
