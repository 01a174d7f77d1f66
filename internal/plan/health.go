package plan

import (
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/api/elbv2"
	"fairlead/internal/row"
)

// Health is what the scheduler thinks of a task that is to run.
type Health int

// The order is the one in which superfluous tasks are stopped.
const (
	Starting  Health = iota // not RUNNING yet
	Unhealthy               // failed a check after its grace period
	Waiting                 // RUNNING, but not known to be healthy
	Healthy
)

// verdict is a task's health, and when it may change with nothing but time; bad is the first check
// that fails, whether or not the task is still in its grace period.
type verdict struct {
	health Health
	until  time.Time
	bad    badCheck
}

// badCheck is a failed check: of a target, or of the containers if target is zero.
type badCheck struct {
	failed bool
	target row.TargetHealth
}

// judgeTask decides when a task counts as healthy: with load balancers when every target is, with
// container health checks when they say so, with both when both do, with neither when it has been
// RUNNING for SettleTime. A failed check counts after the grace period only.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service_definition_parameters.html
func judgeTask(t Task, checked bool, grace time.Duration, now time.Time) verdict {
	if t.LastStatus != row.TaskRunning || t.StartedAt == nil {
		return verdict{health: Starting}
	}
	good, bad := judgeChecks(t, checked)
	switch end := t.StartedAt.Add(grace); {
	case bad.failed && now.Before(end):
		return verdict{health: Waiting, until: end, bad: bad}
	case bad.failed:
		return verdict{health: Unhealthy, bad: bad}
	case !good:
		return verdict{health: Waiting}
	}
	settled := t.StartedAt.Add(SettleTime)
	if !checked && len(t.Registered) == 0 && now.Before(settled) {
		return verdict{health: Waiting, until: settled}
	}
	return verdict{health: Healthy}
}

// judgeChecks tells whether all checks that there are pass, or the first that fails. A target of
// which nothing is known yet neither passes nor fails.
func judgeChecks(t Task, checked bool) (good bool, bad badCheck) {
	good = len(t.Targets) == len(t.Registered)
	for _, target := range t.Targets {
		switch target.State {
		case string(elbv2.TargetHealthStateEnumHealthy), string(elbv2.TargetHealthStateEnumUnavailable):
		case string(elbv2.TargetHealthStateEnumUnhealthy):
			return false, badCheck{failed: true, target: target}
		default:
			good = false
		}
	}
	if !checked {
		return good, bad
	}
	switch ecs.HealthStatus(t.HealthStatus) {
	case ecs.HealthStatusHEALTHY:
		return good, bad
	case ecs.HealthStatusUNHEALTHY:
		return false, badCheck{failed: true}
	}
	return false, bad
}
