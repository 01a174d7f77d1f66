package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// TestContainerdIsKilled kills the private containerd and containers while 500 requests per second
// go through the load balancer.
func TestContainerdIsKilled(t *testing.T) {
	s := start(t).bringUp(nil)
	s.drainFor("30")
	s.endGrace()
	t.Run("containerd", func(t *testing.T) { s.in(t).killContainerd() })
	t.Run("containerd, and a container meanwhile", func(t *testing.T) {
		s := s.in(t)
		s.loseContainer(func(pid int) {
			kill(t, s.containerdPid())
			kill(t, pid)
		})
	})
	t.Run("a container", func(t *testing.T) {
		s.in(t).loseContainer(func(pid int) { kill(t, pid) })
	})
}

// killContainerd expects the same tasks in the same processes, and no failed request, neither then
// nor in a deployment by the containerd that Fairlead started in its place.
func (s *stack) killContainerd() {
	s.t.Helper()
	l := s.site.begin(s.t)
	tasks, pids, old := s.taskIDs(), s.pids(), s.containerdPid()
	kill(s.t, old)
	eventually(s.t, "containerd is started again", func() error {
		if now := s.containerdPid(); now == old || now == 0 {
			return fmt.Errorf("process %d is named", now)
		}
		return nil
	})
	s.probedTwice()
	if got := s.pids(); !maps.Equal(got, pids) {
		s.t.Errorf("the processes are %v, want, as before, %v", got, pids)
	}
	if got := s.taskIDs(); !maps.Equal(got, tasks) {
		s.t.Errorf("the tasks are %v, want, as before, %v", got, tasks)
	}
	s.update(func(in *ecs.UpdateServiceInput) { in.ForceNewDeployment = true })
	s.replaced(tasks)
	l.finish(s.t)
}

// containerdPid is what the private containerd's pid file says; 0 while it is being written.
func (s *stack) containerdPid() int {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(s.containerdSocket()), "containerd.pid"))
	if err != nil {
		s.t.Fatal(err)
	}
	if len(text) == 0 {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		s.t.Fatal(err)
	}
	return pid
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill process %d: %v", pid, err)
	}
}

// loseContainer ends a task's process in some way. The task is replaced, and only it. The only
// requests that may fail, with the load balancer's own status, are those that were inside it and
// cannot be repeated; whatever is sent to its address before its end is noticed goes elsewhere.
func (s *stack) loseContainer(lose func(pid int)) {
	s.t.Helper()
	s.steady(2, 1)
	dead, tasks := s.taskOf(webService), s.taskIDs()
	pid := s.pid(dead)
	l := s.site.begin(s.t)
	lose(pid)
	s.gone(dead)
	l.settle()
	failed := l.failed()
	s.steady(2, 1)
	if task := s.describeTask(dead); task.StopCode != types.TaskStopCodeEssentialContainerExited ||
		task.Containers[0].ExitCode == nil || *task.Containers[0].ExitCode != 137 {
		s.t.Errorf("the dead task ended by %s with %+v", task.StopCode, task.Containers[0])
	}
	now := s.taskIDs()
	for id := range tasks {
		if id != dead && !now[id] {
			s.t.Errorf("task %s was replaced too", id)
		}
	}
	l.stop()
	s.t.Logf("of %d requests failed: %v", l.total(), failed)
	if after := l.failed(); !maps.Equal(after, failed) {
		s.t.Errorf("requests went on failing after the dead task was gone: %v", after)
	}
	for what := range failed {
		if what != "status 502" {
			s.t.Errorf("a request failed by %q", what)
		}
	}
}
