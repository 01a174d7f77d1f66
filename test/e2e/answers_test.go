package e2e

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// answers is what the API says of everything, by call.
func (c clients) answers(t *testing.T) map[string]string {
	t.Helper()
	ctx := t.Context()
	all := map[string]string{}
	note := func(call string, out any) {
		raw, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		all[call] = string(raw)
	}
	note("ListCertificates", must(c.acm.ListCertificates(ctx, &acm.ListCertificatesInput{}))(t))
	note("ListRoles", must(c.iam.ListRoles(ctx, &iam.ListRolesInput{}))(t))
	note("DescribeVpcs", must(c.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{}))(t))
	note("DescribeSubnets", must(c.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{}))(t))
	note("DescribeSecurityGroups", must(c.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{}))(t))
	note("DescribeRouteTables", must(c.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{}))(t))
	note("DescribeInternetGateways",
		must(c.ec2.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{}))(t))
	note("DescribeNetworkInterfaces",
		must(c.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{}))(t))
	c.noteBalancing(t, note)
	c.noteContainers(t, note)
	return all
}

func (c clients) noteBalancing(t *testing.T, note func(string, any)) {
	t.Helper()
	ctx := t.Context()
	balancers := must(c.elb.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{}))(t)
	note("DescribeLoadBalancers", balancers)
	for _, lb := range balancers.LoadBalancers {
		listeners := must(c.elb.DescribeListeners(ctx, &elb.DescribeListenersInput{
			LoadBalancerArn: lb.LoadBalancerArn,
		}))(t)
		note("DescribeListeners "+*lb.LoadBalancerName, listeners)
		for _, l := range listeners.Listeners {
			note("DescribeRules "+*l.ListenerArn,
				must(c.elb.DescribeRules(ctx, &elb.DescribeRulesInput{ListenerArn: l.ListenerArn}))(t))
		}
	}
	groups := must(c.elb.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{}))(t)
	note("DescribeTargetGroups", groups)
	for _, g := range groups.TargetGroups {
		note("DescribeTargetHealth "+*g.TargetGroupName,
			must(c.elb.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{
				TargetGroupArn: g.TargetGroupArn,
			}))(t))
	}
}

func (c clients) noteContainers(t *testing.T, note func(string, any)) {
	t.Helper()
	ctx := t.Context()
	note("ListTaskDefinitions", must(c.ecs.ListTaskDefinitions(ctx, &ecs.ListTaskDefinitionsInput{}))(t))
	clusters := must(c.ecs.ListClusters(ctx, &ecs.ListClustersInput{}))(t).ClusterArns
	note("DescribeClusters", must(c.ecs.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: clusters}))(t))
	for _, cl := range clusters {
		services := must(c.ecs.ListServices(ctx, &ecs.ListServicesInput{Cluster: &cl}))(t).ServiceArns
		if len(services) > 0 {
			note("DescribeServices "+idOf(cl), must(c.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{
				Cluster: &cl, Services: services,
			}))(t))
		}
		for _, status := range []types.DesiredStatus{types.DesiredStatusRunning, types.DesiredStatusStopped} {
			tasks := must(c.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &cl, DesiredStatus: status}))(t)
			if len(tasks.TaskArns) > 0 {
				note("DescribeTasks "+idOf(cl)+" "+string(status),
					must(c.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{
						Cluster: &cl, Tasks: tasks.TaskArns,
					}))(t))
			}
		}
	}
}

// sameAnswers fails the test for every call that is not answered as it was.
func sameAnswers(t *testing.T, now, before map[string]string) {
	t.Helper()
	for call := range before {
		if now[call] != before[call] {
			t.Errorf("%s answers\n%s\nwant, as before,\n%s", call, now[call], before[call])
		}
	}
	for call := range now {
		if before[call] == "" {
			t.Errorf("%s is asked for, which was not before", call)
		}
	}
}
