package sim

import (
	"testing"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/row"
)

// TestBreakerCountsUpToItsThreshold: a deployment fails with the attempt that reaches the threshold,
// and the threshold follows the desired count.
func TestBreakerCountsUpToItsThreshold(t *testing.T) {
	for _, c := range []struct {
		kind           ecs.ThresholdType
		value          int32
		desired, later int // the desired count, and what it is scaled to during the deployment
		want           int32
	}{
		{ecs.ThresholdTypeCOUNT, 1, 4, 4, 1},
		{ecs.ThresholdTypeCOUNT, 7, 1, 1, 7},
		{ecs.ThresholdTypeUNBOUNDEDPERCENT, 25, 4, 8, 2},
		{ecs.ThresholdTypeBOUNDEDPERCENT, 100, 4, 6, 6},
		{ecs.ThresholdTypeBOUNDEDPERCENT, 1, 4, 4, 3},
	} {
		w := settled(t, c.desired, 100, 200)
		w.Breaker(true)
		w.Service.Configuration.DeploymentCircuitBreaker.ThresholdConfiguration =
			&ecs.ThresholdConfiguration{Type: c.kind, Value: &c.value}
		id := w.Deploy(Image{FailStart: true, Start: time.Second}).ID
		w.Scale(c.later)
		w.Run(24*time.Hour, func() bool { return w.Primary().ID != id })
		record := w.rollout(id).Record.Breaker
		if *record.Threshold != c.want || *record.FailureCount < c.want ||
			*record.FailureCount >= c.want+int32(c.later) ||
			record.Status != ecs.ServiceDeploymentRollbackMonitorsStatusTRIGGERED {
			t.Errorf("%s %d of %d tasks: %d failures of %d, %s", c.kind, c.value, c.later,
				*record.FailureCount, *record.Threshold, record.Status)
		}
	}
}

// TestBreakerThatNeverForgets: two tasks fail before another is healthy and two after. With
// resetOnHealthyTask false that makes four, else two, and the threshold is three.
func TestBreakerThatNeverForgets(t *testing.T) {
	for _, reset := range []bool{false, true} {
		w := New(1, 2, 100, 200, Sound)
		w.Breaker(false)
		w.Service.Configuration.DeploymentCircuitBreaker.ResetOnHealthyTask = &reset
		w.Run(6*time.Second, func() bool { return len(w.Tasks) == 2 })
		sound := w.Tasks[0]
		for n := range 4 {
			if n == 2 {
				w.Run(time.Minute, func() bool { return sound.Notes.Healthy })
			}
			w.Run(time.Minute, func() bool { return w.young(sound) != nil })
			if task := w.young(sound); task != nil {
				task.Exit()
			}
			w.Run(time.Millisecond, func() bool { return false })
		}
		p := w.Primary()
		if failed := p.RolloutState == ecs.DeploymentRolloutStateFAILED; failed == reset {
			t.Errorf("resetOnHealthyTask %v: %s after %d failures%s", reset, p.RolloutState,
				p.FailedTasks, w.story())
		}
	}
}

// young is a task other than the given one that runs and is not known to be healthy yet.
func (w *World) young(other *Task) *Task {
	for _, t := range w.Tasks {
		if t != other && t.kept() && t.LastStatus == row.TaskRunning && t.health == initial {
			return t
		}
	}
	return nil
}
