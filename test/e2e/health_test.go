package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// TestHealth makes one of two tasks sick, by its own address, and follows what becomes of it.
func TestHealth(t *testing.T) {
	s := start(t).bringUp(nil)
	s.endGrace()
	before := s.taskIDs()
	sick := s.taskOf(webService)
	task := s.describeTask(sick)
	address := detail(t, task, "privateIPv4Address")
	inside := clientIn(t, s.eniNamespace(detail(t, task, "networkInterfaceId")))
	if resp, err := inside.Get("http://127.0.0.1/health/fail"); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the task cannot be made sick: %v, %v", resp, err)
	}
	s.awaitUnhealthy(address)
	s.getsNoRequests(sick)
	s.awaitReplacement(sick)
	s.toldReplacement(sick, before)
}

// endGrace sets the grace period to none, which is no new deployment.
func (s *stack) endGrace() {
	s.t.Helper()
	out := must(s.ecs.UpdateService(s.t.Context(), &ecs.UpdateServiceInput{
		Cluster: new(cluster), Service: new(webService), HealthCheckGracePeriodSeconds: new(int32(0)),
	}))(s.t)
	if n := len(out.Service.Deployments); n != 1 {
		s.t.Errorf("a change of the grace period makes %d deployments, want 1", n)
	}
}

func (s *stack) describeTask(id string) types.Task {
	s.t.Helper()
	out := must(s.ecs.DescribeTasks(s.t.Context(), &ecs.DescribeTasksInput{
		Cluster: new(cluster), Tasks: []string{id},
	}))(s.t)
	if len(out.Tasks) != 1 {
		s.t.Fatalf("task %s is not described: %+v", id, out.Failures)
	}
	return out.Tasks[0]
}

// health is what DescribeTargetHealth says of an address of the web service.
func (s *stack) health(address string) *elbtypes.TargetHealth {
	s.t.Helper()
	out := must(s.elb.DescribeTargetHealth(s.t.Context(), &elb.DescribeTargetHealthInput{
		TargetGroupArn: new(s.groupARN("twtech-web")),
	}))(s.t)
	for _, d := range out.TargetHealthDescriptions {
		if *d.Target.Id == address {
			return d.TargetHealth
		}
	}
	return nil
}

func (s *stack) awaitUnhealthy(address string) {
	s.t.Helper()
	var h *elbtypes.TargetHealth
	eventually(s.t, "the target is unhealthy", func() error {
		if h = s.health(address); h == nil || h.State == elbtypes.TargetHealthStateEnumHealthy {
			return fmt.Errorf("it is %+v", h)
		}
		return nil
	})
	const text = "Health checks failed with these codes: [500]"
	if h.State != elbtypes.TargetHealthStateEnumUnhealthy ||
		h.Reason != elbtypes.TargetHealthReasonEnumResponseCodeMismatch || deref(h.Description) != text {
		s.t.Errorf("the target is %s, %s: %s", h.State, h.Reason, deref(h.Description))
	}
}

// getsNoRequests sends more requests than one of two targets could be missed by.
func (s *stack) getsNoRequests(task string) {
	s.t.Helper()
	client := s.site.client(s.t, false, false)
	for range 50 {
		e, _, err := ask(client, "https://www.twtech.test/")
		if err != nil {
			s.t.Fatal(err)
		}
		if e.Task == task {
			s.t.Fatalf("the unhealthy task %s gets a request", task)
		}
	}
}

func (s *stack) awaitReplacement(sick string) {
	s.t.Helper()
	eventually(s.t, "the task is replaced", func() error {
		if s.taskIDs()[sick] {
			return fmt.Errorf("task %s is still there", sick)
		}
		return s.isSteady(2, 1)
	})
	task := s.describeTask(sick)
	reason := "Task failed ELB health checks in (target-group " + s.groupARN("twtech-web") + ")"
	if *task.LastStatus != "STOPPED" || task.StopCode != types.TaskStopCodeServiceSchedulerInitiated ||
		deref(task.StoppedReason) != reason {
		s.t.Errorf("the sick task is %s by %s: %s", *task.LastStatus, task.StopCode, deref(task.StoppedReason))
	}
	if h := s.health(detail(s.t, task, "privateIPv4Address")); h != nil {
		s.t.Errorf("the sick task is still registered: %+v", h)
	}
}

// toldReplacement reads the service's events, which tell it in AWS's words and in this order.
func (s *stack) toldReplacement(sick string, before map[string]bool) {
	s.t.Helper()
	var fresh string
	for id := range s.taskIDs() {
		if !before[id] {
			fresh = id
		}
	}
	group := regexp.QuoteMeta("(target-group " + s.groupARN("twtech-web") + ")")
	want := []string{
		`has reached a steady state\.`,
		`\(task ` + sick + `\) \(port 80\) is unhealthy in ` + group +
			` due to \(reason Health checks failed with these codes: \[500\]\)`,
		`has stopped 1 running tasks: \(task ` + sick + `\)\.`,
		`deregistered 1 targets in ` + group,
		`has begun draining connections on 1 tasks\.`,
		`has reached a steady state\.`,
	}
	eventually(s.t, "the events tell the replacement", func() error { return s.told(webService, want...) })
	started := `has started 1 tasks: \(task ` + fresh + `\)\.`
	if err := s.told(webService, started, `registered 1 targets in `+group); err != nil {
		s.t.Error(err)
	}
}

// told looks for events in this order, with others between. The texts are regular expressions for
// what follows "(service NAME) ", or "(service NAME, taskSet ID) ".
func (s *stack) told(service string, want ...string) error {
	out := must(s.ecs.DescribeServices(s.t.Context(), &ecs.DescribeServicesInput{
		Cluster: new(cluster), Services: []string{service},
	}))(s.t)
	var events []string
	for _, e := range slices.Backward(out.Services[0].Events) {
		events = append(events, *e.Message)
	}
	next := 0
	for _, event := range events {
		if next < len(want) && match(service, want[next], event) {
			next++
		}
	}
	if next == len(want) {
		return nil
	}
	return fmt.Errorf("no event %s, in order, among\n\t%s", want[next], strings.Join(events, "\n\t"))
}

func match(service, want, event string) bool {
	prefix := `^\(service ` + service + `(, taskSet ecs-svc/\d+)?\) `
	return regexp.MustCompile(prefix + want + `$`).MatchString(event)
}
