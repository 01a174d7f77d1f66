package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// TestBrokenImageRollsBack deploys task definitions that cannot work, with the circuit breaker on: each
// is rolled back by itself, and the tasks that serve go on serving without a failed request.
func TestBrokenImageRollsBack(t *testing.T) {
	s := start(t).bringUp(nil)
	s.update(func(in *ecs.UpdateServiceInput) {
		in.DeploymentConfiguration = &types.DeploymentConfiguration{
			DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: true},
		}
		in.HealthCheckGracePeriodSeconds = new(int32(0))
	})
	for name, breakIt := range map[string]func(*types.ContainerDefinition){
		"the container exits": func(c *types.ContainerDefinition) { c.Command = []string{"--exit", "1"} },
		"it is never healthy": func(c *types.ContainerDefinition) {
			c.Environment = append(c.Environment, types.KeyValuePair{Name: new("FAIL_HEALTH"), Value: new("true")})
		},
		"the image cannot be pulled": func(c *types.ContainerDefinition) { c.Image = new("127.0.0.1:1/no/such:image") },
	} {
		t.Run(name, func(t *testing.T) { s.in(t).rollsBack(breakIt) })
	}
}

func (s *stack) rollsBack(breakIt func(*types.ContainerDefinition)) {
	s.t.Helper()
	good, before := s.service(), s.taskIDs()
	l := s.site.begin(s.t)
	s.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = new(s.broken(breakIt)) })
	bad := *s.service().Deployments[0].Id
	eventually(s.t, "the deployment is rolled back", func() error { return s.isBack(good) })
	l.finish(s.t)
	s.steady(2, 1)
	for id := range s.taskIDs() {
		if !before[id] {
			s.t.Errorf("task %s is new", id)
		}
	}
	s.toldRollback(bad, *good.Deployments[0].Id, "tasks failed to start.")
}

// isBack tells whether the web service is what it was, by its only deployment.
func (s *stack) isBack(good types.Service) error {
	service := s.service()
	d := service.Deployments[0]
	if len(service.Deployments) != 1 || *d.Id != *good.Deployments[0].Id ||
		d.RolloutState != types.DeploymentRolloutStateCompleted {
		return fmt.Errorf("%d deployments, the first %s is %s", len(service.Deployments), *d.Id, d.RolloutState)
	}
	return nil
}

// toldRollback looks for what ECS says of a rollback, among the events and the service deployments.
func (s *stack) toldRollback(bad, good, why string) {
	s.t.Helper()
	var messages []string
	for _, e := range s.service().Events {
		messages = append(messages, *e.Message)
	}
	all := strings.Join(messages, "\n")
	for _, want := range []string{
		fmt.Sprintf("(service %s) (deployment %s) deployment failed: %s", webService, bad, why),
		fmt.Sprintf("(service %s) rolling back to deployment %s.", webService, good),
	} {
		if !strings.Contains(all, want) {
			s.t.Errorf("no event says %q; there are:\n%s", want, all)
		}
	}
	out := must(s.ecs.ListServiceDeployments(s.t.Context(), &ecs.ListServiceDeploymentsInput{
		Cluster: new(cluster), Service: new(webService),
		Status: []types.ServiceDeploymentStatus{types.ServiceDeploymentStatusRollbackSuccessful},
	}))(s.t)
	if len(out.ServiceDeployments) == 0 {
		s.t.Error("no service deployment is ROLLBACK_SUCCESSFUL")
	}
}

func (s *stack) service() types.Service {
	s.t.Helper()
	out := must(s.ecs.DescribeServices(s.t.Context(), &ecs.DescribeServicesInput{
		Cluster: new(cluster), Services: []string{webService},
	}))(s.t)
	return out.Services[0]
}

// broken registers the web service's task definition with a change that breaks it.
func (s *stack) broken(breakIt func(*types.ContainerDefinition)) string {
	s.t.Helper()
	have := must(s.ecs.DescribeTaskDefinition(s.t.Context(), &ecs.DescribeTaskDefinitionInput{
		TaskDefinition: s.service().TaskDefinition,
	}))(s.t).TaskDefinition
	breakIt(&have.ContainerDefinitions[0])
	out := must(s.ecs.RegisterTaskDefinition(s.t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: have.Family, Cpu: have.Cpu, Memory: have.Memory, NetworkMode: have.NetworkMode,
		RequiresCompatibilities: have.RequiresCompatibilities, ExecutionRoleArn: have.ExecutionRoleArn,
		ContainerDefinitions: have.ContainerDefinitions,
	}))(s.t)
	return *out.TaskDefinition.TaskDefinitionArn
}
