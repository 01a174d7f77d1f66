package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/row"
)

// settled is a world whose first deployment has reached the steady state; its events are forgotten.
func settled(t *testing.T, desired, minimum, maximum int) *World {
	t.Helper()
	w := New(1, desired, minimum, maximum, Sound)
	if !w.Run(time.Hour, w.Steady) {
		t.Fatalf("no steady state: %v%s", w.Broken, w.story())
	}
	w.Events = nil
	return w
}

// told are the texts of the events, with ids of tasks and deployments by their role.
func (w *World) told(names ...string) (texts []string) {
	r := strings.NewReplacer(names...)
	for _, e := range w.Events {
		texts = append(texts, r.Replace(e.Text))
	}
	return texts
}

// wantStory compares the events with what AWS writes.
func wantStory(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("events:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// run runs the world until it is steady.
func run(t *testing.T, w *World) {
	t.Helper()
	if !w.Run(2*time.Hour, w.Steady) {
		t.Fatalf("no steady state: %v%s", w.Broken, w.story())
	}
}

// TestRolloutStory is the first measured rollout of the reference: one task, 100/200, ALB.
func TestRolloutStory(t *testing.T) {
	w := settled(t, 1, 100, 200)
	old := w.Primary().ID
	id := w.Deploy(Sound).ID
	run(t, w)
	wantStory(t, w.told(old, "OLD", id, "NEW"), []string{
		"(service s) has started 1 tasks: (task t4).",
		"(service s) registered 1 targets in (target-group group)",
		"(service s) has stopped 1 running tasks: (task t2).",
		"(service s) deregistered 1 targets in (target-group group)",
		"(service s, taskSet OLD) has begun draining connections on 1 tasks.",
		"(service s) (deployment NEW) deployment completed.",
		"(service s) has reached a steady state.",
	})
	if got := w.Primary().RolloutReason; got != "ECS deployment "+id+" completed." {
		t.Errorf("the reason is %q", got)
	}
	if w.Records[0].Status != ecs.ServiceDeploymentStatusSUCCESSFUL ||
		w.Primary().Record.Status != ecs.ServiceDeploymentStatusSUCCESSFUL {
		t.Errorf("records: %v, %v", w.Records[0].Status, w.Primary().Record.Status)
	}
}

// TestUnhealthyStory is the second one: a target of two turns unhealthy, and its replacement is
// healthy before it is stopped.
func TestUnhealthyStory(t *testing.T) {
	w := settled(t, 2, 100, 200)
	w.Tasks[0].SetHealth(false)
	w.Memory.Steady = false
	run(t, w)
	wantStory(t, w.told(), []string{
		"(service s) has started 1 tasks: (task t4).",
		"(service s) registered 1 targets in (target-group group)",
		"(service s) (task t2) (port 80) is unhealthy in (target-group group) due to " +
			"(reason Health checks failed with these codes: [503])",
		"(service s) has stopped 1 running tasks: (task t2).",
		"(service s) deregistered 1 targets in (target-group group)",
		"(service s, taskSet ecs-svc/1001) has begun draining connections on 1 tasks.",
		"(service s) has reached a steady state.",
	})
	stopped := w.Tasks[0]
	if stopped.StoppedReason != "Task failed ELB health checks in (target-group group)" ||
		stopped.StopCode != ecs.TaskStopCodeServiceSchedulerInitiated {
		t.Errorf("%s: %s", stopped.StopCode, stopped.StoppedReason)
	}
}

// TestServingNeverDips: no rollout with room to move has fewer tasks in service than are wanted.
func TestServingNeverDips(t *testing.T) {
	for _, c := range []struct{ desired, minimum, maximum, floor int }{
		{1, 100, 200, 1}, {2, 100, 200, 2}, {4, 100, 125, 4}, {10, 100, 150, 10},
		{4, 50, 200, 4}, {4, 50, 100, 2}, {4, 0, 200, 4}, {3, 34, 100, 2},
	} {
		w := settled(t, c.desired, c.minimum, c.maximum)
		w.Deploy(Sound)
		lowest := c.desired
		done := func() bool {
			lowest = min(lowest, w.Serving())
			return w.Steady()
		}
		if !w.Run(time.Hour, done) {
			t.Fatalf("%+v: no steady state: %v%s", c, w.Broken, w.story())
		}
		if lowest < c.floor {
			t.Errorf("%+v: down to %d tasks in service", c, lowest)
		}
	}
}

// TestBrokenImageRollsBack: whatever way an image is broken, the circuit breaker goes back to the
// last deployment, which serves all the while.
func TestBrokenImageRollsBack(t *testing.T) {
	for name, broken := range map[string]Image{
		"cannot start":  {Start: time.Second, FailStart: true},
		"exits":         {Start: time.Second, Healthy: time.Minute, Exit: time.Second, Stop: time.Second},
		"never healthy": {Start: time.Second, Healthy: time.Second, Sick: true, Drain: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 2, 100, 200)
			w.Breaker(true)
			run(t, w)
			w.Events = nil
			old, id := w.Primary(), w.Deploy(broken).ID
			lowest := 2
			w.Run(time.Hour, func() bool { lowest = min(lowest, w.Serving()); return w.Steady() })
			if !w.Steady() || w.Primary() != old || lowest < 2 {
				t.Fatalf("primary %s, steady %v, down to %d%s", w.Primary().ID, w.Steady(), lowest, w.story())
			}
			if old.RolloutReason != "ECS deployment circuit breaker: rollback completed." {
				t.Errorf("reason %q", old.RolloutReason)
			}
			record := w.Records[0]
			if record.Deployment != id || record.Status != ecs.ServiceDeploymentStatusROLLBACKSUCCESSFUL ||
				*record.Rollback.ServiceRevisionArn != old.Revision ||
				record.Breaker.Status != ecs.ServiceDeploymentRollbackMonitorsStatusTRIGGERED ||
				*record.Breaker.FailureCount < 3 || *record.Breaker.Threshold != 3 {
				t.Errorf("record %+v", record)
			}
			texts := w.told(old.ID, "OLD", id, "NEW")
			failed := slices.Index(texts, "(service s) (deployment NEW) deployment failed: tasks failed to start.")
			if failed < 0 || texts[failed+1] != "(service s) rolling back to deployment OLD." {
				t.Errorf("events:\n%s", strings.Join(texts, "\n"))
			}
		})
	}
}

func TestBreakerWithoutRollbackLeavesTheOldTasks(t *testing.T) {
	w := settled(t, 2, 100, 200)
	w.Breaker(false)
	run(t, w)
	bad := w.Deploy(Image{FailStart: true, Start: time.Second})
	w.Run(time.Hour, func() bool { return false })
	if bad.RolloutState != ecs.DeploymentRolloutStateFAILED || w.Serving() != 2 || len(w.Rollouts) != 2 ||
		bad.Record.Status != ecs.ServiceDeploymentStatusSTOPPED {
		t.Errorf("%s, %d in service%s", bad.RolloutState, w.Serving(), w.story())
	}
}

// TestHealthyTaskEndsTheFailures: only failures in a row count.
func TestHealthyTaskEndsTheFailures(t *testing.T) {
	w := New(1, 2, 100, 200, Sound)
	w.Run(6*time.Second, func() bool { return false })
	w.Tasks[0].Exit()
	w.Run(2*time.Second, func() bool { return false })
	if n := w.Primary().FailedTasks; n != 1 {
		t.Fatalf("%d failed tasks after a crash", n)
	}
	w.Run(8*time.Second, func() bool { return false })
	p := w.Primary()
	if w.Serving() != 1 || p.FailedTasks != 0 || p.RolloutState != ecs.DeploymentRolloutStateINPROGRESS {
		t.Errorf("%d in service, %d failed, %s", w.Serving(), p.FailedTasks, p.RolloutState)
	}
}

func TestFirstDeploymentCannotRollBack(t *testing.T) {
	w := New(1, 2, 100, 200, Image{FailStart: true, Start: time.Second})
	w.Breaker(true)
	w.Run(time.Hour, func() bool { return false })
	if p := w.Primary(); p.RolloutState != ecs.DeploymentRolloutStateFAILED || w.Kept() != 0 {
		t.Errorf("%s%s", p.RolloutState, w.story())
	}
}

func TestStopDeploymentRollsBackWithoutBreaker(t *testing.T) {
	w := settled(t, 2, 100, 200)
	old := w.Primary()
	slow := Sound
	slow.Start = time.Hour
	bad := w.Deploy(slow)
	w.Run(time.Minute, func() bool { return false })
	bad.Record.StopAsked = ecs.StopServiceDeploymentStopTypeROLLBACK
	w.changed()
	run(t, w)
	if w.Primary() != old || w.Records[0].Status != ecs.ServiceDeploymentStatusROLLBACKSUCCESSFUL {
		t.Errorf("record %s%s", w.Records[0].Status, w.story())
	}
}

func TestNoRoomToMoveIsTold(t *testing.T) {
	w := settled(t, 1, 100, 100)
	w.Deploy(Sound)
	w.Run(5*time.Hour, func() bool { return false })
	wantStory(t, w.told(), []string{"(service s) was unable to stop or start tasks during a deployment " +
		"because of the service deployment configuration. Update the minimumHealthyPercent or " +
		"maximumPercent value and try again."})
}

func TestScaleInTakesFromTheFullerZone(t *testing.T) {
	w := settled(t, 4, 100, 200)
	w.Tasks[0].Zone, w.Tasks[0].Network.Subnet = "b", "subnet-b" // one in a, three in b
	w.Scale(2)
	run(t, w)
	zones := map[string]int{}
	for _, task := range w.Tasks {
		if task.kept() {
			zones[task.Zone]++
		}
	}
	if zones["a"] != 1 || zones["b"] != 1 {
		t.Errorf("left by zone: %v", zones)
	}
}

func TestProtectedTasksStay(t *testing.T) {
	w := settled(t, 2, 100, 200)
	for _, task := range w.Tasks {
		task.Protection = new(w.Now.Add(time.Hour))
	}
	w.Scale(1)
	w.Run(50*time.Minute, func() bool { return false })
	if w.Kept() != 2 {
		t.Fatalf("%d tasks kept%s", w.Kept(), w.story())
	}
	if !strings.Contains(w.Events[0].Text, "unable to scale in. Reason: The number of protected tasks") {
		t.Errorf("event %q", w.Events[0].Text)
	}
	run(t, w)
	if w.Kept() != 1 {
		t.Errorf("%d tasks kept after the protection ended", w.Kept())
	}
}

// TestScaleInKeepsTheMinimum: a protected task that is not healthy stays, and no healthy one goes in
// its place. (Found by seed 1261 of TestScheduler.)
func TestScaleInKeepsTheMinimum(t *testing.T) {
	w := settled(t, 1, 100, 200)
	w.Scale(2)
	w.Run(6*time.Second, func() bool { return false })
	young := w.young(nil)
	young.Protection = new(w.Now.Add(time.Hour))
	w.Scale(1)
	w.Run(2*time.Second, func() bool { return false })
	if w.Broken != nil || w.Kept() != 2 {
		t.Fatalf("%d tasks kept, %v%s", w.Kept(), w.Broken, w.story())
	}
	run(t, w) // the young one is healthy now, and the other goes
	if w.Kept() != 1 || !young.kept() {
		t.Errorf("%d tasks kept%s", w.Kept(), w.story())
	}
}

func TestFailingStartsAreThrottled(t *testing.T) {
	w := settled(t, 1, 100, 200)
	w.Deploy(Image{FailStart: true, Start: time.Second})
	w.Run(time.Hour, func() bool { return false })
	texts := w.told()
	if n := count(texts, "has started 1 tasks"); n < 10 || n > 15 {
		t.Errorf("%d starts in an hour", n)
	}
	if n := count(texts, "is unable to consistently start tasks successfully."); n != 1 {
		t.Errorf("told %d times that tasks cannot be started", n)
	}
	if w.Serving() != 1 {
		t.Errorf("%d in service", w.Serving())
	}
}

func count(texts []string, part string) (n int) {
	for _, text := range texts {
		if strings.Contains(text, part) {
			n++
		}
	}
	return n
}

func TestDeletedServiceEndsWhenItsTasksHave(t *testing.T) {
	w := settled(t, 3, 100, 200)
	w.Tasks[0].Protection = new(w.Now.Add(time.Hour))
	w.Delete()
	gone := func() bool { return w.Service.Status == row.ServiceInactive }
	if !w.Run(10*time.Minute, gone) || len(w.Tasks) != 0 || len(w.Rollouts) != 0 {
		t.Errorf("%s with %d tasks and %d deployments", w.Service.Status, len(w.Tasks), len(w.Rollouts))
	}
}

func TestGracePeriodHoldsTheReaction(t *testing.T) {
	for _, checked := range []bool{false, true} {
		image := Sound
		image.Sick = true
		w := New(1, 1, 100, 200, image)
		w.Balanced, w.Checked = !checked, checked
		w.Service.GracePeriod = new(int32(300))
		w.changed()
		w.Run(4*time.Minute, func() bool { return false })
		if w.Kept() != 1 {
			t.Errorf("checked %v: %d tasks in the grace period", checked, w.Kept())
		}
		w.Run(2*time.Minute, func() bool { return false })
		if w.Kept() != 2 {
			t.Errorf("checked %v: %d tasks after it, no replacement", checked, w.Kept())
		}
	}
}

func TestThreeDeploymentsAtOnce(t *testing.T) {
	w := settled(t, 4, 100, 200)
	w.Deploy(Sound)
	w.Run(7*time.Second, func() bool { return false })
	w.Deploy(Sound)
	if len(w.Rollouts) != 3 {
		t.Fatalf("%d deployments", len(w.Rollouts))
	}
	run(t, w)
	if w.Records[len(w.Records)-1].Status != ecs.ServiceDeploymentStatusSUCCESSFUL &&
		w.Records[0].Status != ecs.ServiceDeploymentStatusSTOPPED {
		t.Errorf("records %v%s", w.Records, w.story())
	}
}

// TestZonesAreEvenedOut moves a task, the new one first.
func TestZonesAreEvenedOut(t *testing.T) {
	w := settled(t, 3, 100, 200)
	for _, task := range w.Tasks {
		task.Zone, task.Network.Subnet = "b", "subnet-b"
	}
	w.Service.Rebalancing = ecs.AvailabilityZoneRebalancingENABLED
	w.changed()
	lowest := 3
	w.Run(time.Hour, func() bool { lowest = min(lowest, w.Serving()); return w.Steady() })
	if lowest < 3 || !w.Steady() {
		t.Errorf("down to %d in service, steady %v%s", lowest, w.Steady(), w.story())
	}
	wantStory(t, w.told(), []string{
		"service (s) is not AZ balanced with 0 tasks in a, and 3 in b. AZ Rebalancing in progress.",
		"s has started 1 tasks in a to AZ Rebalance: t5.",
		"(service s) registered 1 targets in (target-group group)",
		"s has stopped 1 running tasks in b due to AZ rebalancing: t2.",
		"service (s) is AZ balanced with 1 tasks in a, and 2 in b.",
		"(service s) deregistered 1 targets in (target-group group)",
		"(service s, taskSet ecs-svc/1001) has begun draining connections on 1 tasks.",
		"(service s) has reached a steady state.",
	})
}

// TestProtectedTasksAreNotMoved: nothing is started in the thin zone while no task may leave the full
// one, and the zones are evened out when the protection ends.
func TestProtectedTasksAreNotMoved(t *testing.T) {
	w := settled(t, 3, 100, 200)
	for _, task := range w.Tasks {
		task.Zone, task.Network.Subnet = "b", "subnet-b"
		task.Protection = new(w.Now.Add(time.Hour))
	}
	w.Service.Rebalancing = ecs.AvailabilityZoneRebalancingENABLED
	w.changed()
	w.Run(50*time.Minute, func() bool { return false })
	wantStory(t, w.told(w.Primary().ID, "ID"), []string{
		"service (s) was unable to AZ Rebalance because ID was unable to scale in due to The number of " +
			"protected tasks are more than the desired count of tasks.",
		"(service s) has reached a steady state.",
	})
	w.Run(time.Hour, func() bool { return false })
	if got := w.told(); !slices.Contains(got, "service (s) is AZ balanced with 1 tasks in a, and 2 in b.") {
		t.Errorf("events:\n%s", strings.Join(got, "\n"))
	}
}

// TestMoverThatDies ends the rebalancing, which then begins anew.
func TestMoverThatDies(t *testing.T) {
	w := settled(t, 3, 100, 200)
	for _, task := range w.Tasks {
		task.Zone, task.Network.Subnet = "b", "subnet-b"
	}
	w.Service.Rebalancing = ecs.AvailabilityZoneRebalancingENABLED
	w.changed()
	w.Run(7*time.Second, func() bool { return false })
	w.task("task/" + w.Memory.Moving).Exit()
	w.Run(time.Hour, func() bool { return false })
	got := w.told()
	if n := count(got, "service (s) stopped AZ Rebalancing."); n != 1 {
		t.Errorf("told %d times that the rebalancing has stopped:\n%s", n, strings.Join(got, "\n"))
	}
	if n := count(got, "is AZ balanced with 1 tasks in a"); n != 1 {
		t.Errorf("balanced %d times:\n%s", n, strings.Join(got, "\n"))
	}
}

// TestSteadyStateIsRepeated every six hours.
func TestSteadyStateIsRepeated(t *testing.T) {
	w := settled(t, 1, 100, 200)
	w.Run(25*time.Hour, func() bool { return false })
	wantStory(t, w.told(), slices.Repeat([]string{"(service s) has reached a steady state."}, 4))
}
