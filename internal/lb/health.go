package lb

import "time"

// HealthState is the state of a target.
type HealthState string

// The states of a target, with the names of AWS. Empty is used for "not known".
const (
	Initial     HealthState = "initial"
	Healthy     HealthState = "healthy"
	Unhealthy   HealthState = "unhealthy"
	Draining    HealthState = "draining"
	Unused      HealthState = "unused"
	Unavailable HealthState = "unavailable"
)

// TargetHealth is the health of a target. Reason and Description are the texts of AWS; healthy has
// neither.
type TargetHealth struct {
	TargetKey
	State       HealthState
	Reason      string // such as Target.ResponseCodeMismatch
	Description string // such as Health checks failed with these codes: [500]
	Since       time.Time
}
