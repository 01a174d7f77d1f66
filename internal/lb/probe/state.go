package probe

import "fmt"

// The states of a target, with the names of AWS.
const (
	Initial     = "initial"
	Healthy     = "healthy"
	Unhealthy   = "unhealthy"
	Draining    = "draining"
	Unused      = "unused"
	Unavailable = "unavailable"
)

// Verdict is a state with its reason and description, both literally as AWS has them.
type Verdict struct{ State, Reason, Description string }

// The verdicts that do not come from an answer.
var (
	Registering = Verdict{Initial, "Elb.RegistrationInProgress",
		"Target registration is in progress"}
	Checking = Verdict{Initial, "Elb.InitialHealthChecking",
		"Initial health checks in progress"}
	Passing = Verdict{State: Healthy}
	Failing = Verdict{Unhealthy, "Target.FailedHealthChecks", "Health checks failed"}

	Deregistered = Verdict{Draining, "Target.DeregistrationInProgress",
		"Target deregistration is in progress"}
	NotInUse = Verdict{Unused, "Target.NotInUse",
		"Target group is not configured to receive traffic from the load balancer"}
	Disabled = Verdict{Unavailable, "Target.HealthCheckDisabled", "Health checks are disabled"}
)

// Result is what came of one probe.
type Result struct {
	OK      bool
	Failure Verdict // for a probe that failed
}

// Success is the result of a probe that the target passed.
var Success = Result{OK: true}

// failed is the result of a probe without a usable answer.
var failed = Result{Failure: Failing}

// timedOut is the result of a probe without an answer in time.
var timedOut = Result{Failure: Verdict{Unhealthy, "Target.Timeout", "Request timed out"}}

// mismatch is the result of a probe that was answered with a code that the matcher does not have.
func mismatch(code int) Result {
	return Result{Failure: Verdict{Unhealthy, "Target.ResponseCodeMismatch",
		fmt.Sprintf("Health checks failed with these codes: [%d]", code)}}
}

// Machine turns results into the state of a target: the first success makes a new target healthy,
// after that it takes as many in a row as the thresholds say.
type Machine struct {
	Verdict
	passes, fails int // in a row
}

// Observe takes a result and says whether the verdict has changed.
func (m *Machine) Observe(r Result, c *Check) bool {
	before := m.Verdict
	if r.OK {
		m.passes, m.fails = m.passes+1, 0
		if m.State == Initial || m.passes >= c.HealthyThreshold {
			m.Verdict = Passing
		}
		return m.Verdict != before
	}
	m.passes, m.fails = 0, m.fails+1
	if m.State == Unhealthy || m.fails >= c.UnhealthyThreshold {
		m.Verdict = r.Failure
	}
	return m.Verdict != before
}
