package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
)

// rolloutsVar says how many rolling deployments TestNoRequestIsLost makes in a row; a few by default,
// to keep the suite short.
const (
	rolloutsVar     = "FAIRLEAD_ROLLOUTS"
	defaultRollouts = 3
)

// TestNoRequestIsLost keeps 500 requests per second on the web service while it is deployed again and
// again, scaled out and in, and loses a task to StopTask and one to its health check.
func TestNoRequestIsLost(t *testing.T) {
	s := start(t).bringUp(nil)
	s.drainFor("30")
	s.endGrace()
	rollouts := defaultRollouts
	if n, err := strconv.Atoi(os.Getenv(rolloutsVar)); err == nil {
		rollouts = n
	}
	t.Run("rolling deployments", func(t *testing.T) {
		l := s.site.begin(t)
		for range rollouts {
			before := s.taskIDs()
			s.in(t).update(func(in *ecs.UpdateServiceInput) { in.ForceNewDeployment = true })
			s.in(t).replaced(before)
		}
		l.finish(t)
	})
	t.Run("scale out and in", func(t *testing.T) {
		l := s.site.begin(t)
		for _, n := range []int32{10, 2} {
			s.in(t).update(func(in *ecs.UpdateServiceInput) { in.DesiredCount = &n })
			s.in(t).steady(int(n), 1)
		}
		l.finish(t)
	})
	t.Run("StopTask", func(t *testing.T) {
		l := s.site.begin(t)
		victim := s.taskOf(webService)
		must(s.ecs.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: new(cluster), Task: &victim}))(t)
		s.in(t).gone(victim)
		s.in(t).steady(2, 1)
		l.finish(t)
	})
	t.Run("an unhealthy task is replaced", func(t *testing.T) {
		l := s.site.begin(t)
		victim := s.taskOf(webService)
		s.in(t).sicken(victim)
		s.in(t).gone(victim)
		s.in(t).steady(2, 1)
		l.finish(t)
	})
}

// update changes the web service.
func (s *stack) update(change func(*ecs.UpdateServiceInput)) {
	s.t.Helper()
	in := &ecs.UpdateServiceInput{Cluster: new(cluster), Service: new(webService)}
	change(in)
	must(s.ecs.UpdateService(s.t.Context(), in))(s.t)
}

// replaced waits until the web service is steady with none of the tasks that it had.
func (s *stack) replaced(before map[string]bool) {
	s.t.Helper()
	eventually(s.t, "all tasks are new", func() error {
		for _, service := range s.status().Services {
			for _, task := range service.Tasks {
				if service.Name == webService && before[task.ID] {
					return fmt.Errorf("task %s is %s", task.ID, task.Status)
				}
			}
		}
		return s.isSteady(2, 1)
	})
}

// sicken makes the task's /health fail; it still answers everything else.
func (s *stack) sicken(task string) {
	s.t.Helper()
	eni := detail(s.t, s.describeTask(task), "networkInterfaceId")
	inside := clientIn(s.t, s.eniNamespace(eni))
	resp, err := inside.Get("http://127.0.0.1/health/fail")
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("the task cannot be made sick: %v, %v", resp, err)
	}
	resp.Body.Close()
}

// gone waits until the task is in no list any more.
func (s *stack) gone(task string) {
	s.t.Helper()
	eventually(s.t, "the task is gone", func() error {
		if s.taskIDs()[task] {
			return fmt.Errorf("task %s is there", task)
		}
		return nil
	})
}
