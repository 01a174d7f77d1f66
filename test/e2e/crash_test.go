package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
)

// TestKill kills Fairlead, which must lose nothing: at every step of building the stack, in its
// steady state, with a task that dies meanwhile, during a rolling update and during the removal.
func TestKill(t *testing.T) {
	f := start(t)
	before := takeInventory(t, f.tag())
	s := f.bringUp(func(string) { f.restart() })
	s.site.flows(t)
	s.site.checkRouting(t)
	t.Run("steady", s.killSteady)
	t.Run("a task dies meanwhile", s.killWithTask)
	t.Run("rolling update", s.killRolling)
	t.Run("SIGTERM", s.terminate)
	s.killRemoval()
	s.nothingRuns()
	eventually(t, "the devices are gone", func() error { return before.difference(t, f.tag()) })
}

// restart kills Fairlead and starts it again.
func (f *fairlead) restart() {
	f.t.Helper()
	f.kill()
	f.launch()
}

// killSteady expects the same answers of the API and the same processes, which have gone on all the
// time, and traffic by the same tasks.
func (s *stack) killSteady(t *testing.T) {
	s = s.in(t)
	s.keepsRunning(s.kill)
}

// terminate ends Fairlead by SIGTERM, which leaves tasks running.
func (s *stack) terminate(t *testing.T) {
	s = s.in(t)
	s.keepsRunning(s.end)
}

func (s *stack) keepsRunning(end func()) {
	s.t.Helper()
	const steady = `has reached a steady state\.`
	for _, service := range []string{webService, apiService} {
		eventually(s.t, service+" tells its steady state", func() error { return s.told(service, steady) })
	}
	answers, pids, tasks := s.answers(s.t), s.pids(), s.taskIDs()
	task := s.describeTask(s.taskOf(webService))
	inside := clientIn(s.t, s.eniNamespace(detail(s.t, task, "networkInterfaceId")))
	end()
	if _, _, err := ask(inside, "http://127.0.0.1/"); err != nil {
		s.t.Errorf("the task does not answer while Fairlead is down: %v", err)
	}
	s.launch()
	sameAnswers(s.t, s.answers(s.t), answers)
	s.site.flows(s.t)
	s.site.checkRouting(s.t)
	s.probedTwice()
	if got := s.pids(); !maps.Equal(got, pids) {
		s.t.Errorf("the processes are %v, want, as before, %v", got, pids)
	}
	if got := s.taskIDs(); !maps.Equal(got, tasks) {
		s.t.Errorf("the tasks are %v, want, as before, %v", got, tasks)
	}
}

// probedTwice waits until every task has seen two more health checks.
func (s *stack) probedTwice() {
	s.t.Helper()
	count := func() int {
		out := must(s.logs.FilterLogEvents(s.t.Context(), &cloudwatchlogs.FilterLogEventsInput{
			LogGroupName: new("/ecs/twtech"), FilterPattern: new(`"GET /health "`),
		}))(s.t)
		return len(out.Events)
	}
	from, want := count(), 2*len(s.taskIDs())
	eventually(s.t, "the tasks are probed", func() error {
		if n := count() - from; n < want {
			return fmt.Errorf("%d probes, want %d", n, want)
		}
		return nil
	})
}

// killWithTask kills a container while Fairlead is down, which notices it and replaces the task.
func (s *stack) killWithTask(t *testing.T) {
	s = s.in(t)
	dead, tasks := s.taskOf(webService), s.taskIDs()
	pid := s.pid(dead)
	s.kill()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.launch()
	eventually(t, "the dead task is replaced", func() error {
		if s.taskIDs()[dead] {
			return fmt.Errorf("task %s is still there", dead)
		}
		return s.isSteady(2, 1)
	})
	task := s.describeTask(dead)
	if code := task.Containers[0].ExitCode; task.StopCode != types.TaskStopCodeEssentialContainerExited ||
		code == nil || *code != 137 {
		t.Errorf("the dead task ended by %s with %v", task.StopCode, task.Containers[0])
	}
	delete(tasks, dead)
	now := s.taskIDs()
	for id := range tasks {
		if !now[id] {
			t.Errorf("task %s was replaced too", id)
		}
	}
}

// killRolling kills Fairlead again and again while it rolls out another image.
func (s *stack) killRolling(t *testing.T) {
	s = s.in(t)
	old := must(s.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{
		TaskDefinition: new("twtech-web"),
	}))(t).TaskDefinition
	old.ContainerDefinitions[0].Image = new("fairlead/hello:v2")
	def := must(s.ecs.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: old.Family, Cpu: old.Cpu, Memory: old.Memory, NetworkMode: old.NetworkMode,
		RequiresCompatibilities: old.RequiresCompatibilities, ExecutionRoleArn: old.ExecutionRoleArn,
		ContainerDefinitions: old.ContainerDefinitions,
	}))(t)
	must(s.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{
		Cluster: new(cluster), Service: new(webService),
		TaskDefinition: def.TaskDefinition.TaskDefinitionArn,
	}))(t)
	s.restart()
	for _, look := range []func(types.Deployment) int32{
		func(d types.Deployment) int32 { return d.PendingCount },
		func(d types.Deployment) int32 { return d.RunningCount },
	} {
		eventually(t, "the update goes on", func() error { return s.counts(look) })
		s.restart()
	}
	s.steady(2, 1)
	s.site.flows(t)
	client := s.site.client(t, false, true)
	for range 10 {
		if e, _, err := ask(client, "https://www.twtech.test/"); err != nil || e.Version != "v2" {
			t.Fatalf("version %q answers (%v), want v2", e.Version, err)
		}
	}
}

// counts looks at the web service's PRIMARY deployment. One that is completed passes too.
func (s *stack) counts(look func(types.Deployment) int32) error {
	out := must(s.ecs.DescribeServices(s.t.Context(), &ecs.DescribeServicesInput{
		Cluster: new(cluster), Services: []string{webService},
	}))(s.t)
	for _, d := range out.Services[0].Deployments {
		if *d.Status == "PRIMARY" && (look(d) > 0 || d.RolloutState == types.DeploymentRolloutStateCompleted) {
			return nil
		}
	}
	return fmt.Errorf("the deployments are %+v", out.Services[0].Deployments)
}

// killRemoval deletes everything that runs and kills Fairlead in the middle of it.
func (s *stack) killRemoval() {
	s.t.Helper()
	ctx := s.t.Context()
	for _, service := range []string{webService, apiService} {
		must(s.ecs.DeleteService(ctx, &ecs.DeleteServiceInput{
			Cluster: new(cluster), Service: &service, Force: new(true),
		}))(s.t)
		s.restart()
	}
	for _, lb := range must(s.elb.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{}))(s.t).LoadBalancers {
		must(s.elb.DeleteLoadBalancer(ctx, &elb.DeleteLoadBalancerInput{
			LoadBalancerArn: lb.LoadBalancerArn,
		}))(s.t)
		s.restart()
	}
	eventually(s.t, "the services are gone", func() error {
		if n := len(s.status().Services); n > 0 {
			return fmt.Errorf("%d services", n)
		}
		return nil
	})
	s.reset()
}

// reset removes every resource.
func (f *fairlead) reset() {
	f.t.Helper()
	resp, err := http.Post(f.url("reset"), "", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		f.t.Fatalf("reset answers %s", resp.Status)
	}
}
