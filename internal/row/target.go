package row

import (
	"strconv"
	"time"

	"fairlead/internal/state"
)

// Target is one registration in a target group: the same address with another port is another
// target. Written by RegisterTargets and DeregisterTargets, by the API and by the ECS task controller.
type Target struct {
	TargetGroup  string    `json:"targetGroup"` // ARN
	ID           string    `json:"id"`          // address or instance id
	Port         int       `json:"port"`
	Zone         string    `json:"zone,omitempty"`
	RegisteredAt time.Time `json:"registeredAt"`
	// DrainingSince is set by deregistration; the balancer controller deletes the row once the
	// target is drained (idle, or the deregistration delay over).
	DrainingSince *time.Time `json:"drainingSince,omitempty"`
}

// Key returns the row's key.
func (t Target) Key() string { return TargetKey(t.TargetGroup, t.ID, t.Port) }

// TargetKey returns the key of a target and of its health.
func TargetKey(group, id string, port int) string {
	return group + "|" + id + "|" + strconv.Itoa(port)
}

// Targets is the table of registrations. Scan with prefix group+"|" lists a group's targets.
// Index: draining ("yes" once deregistered).
var Targets = state.NewTable("elb.target", Target.Key,
	state.Index[Target]{Name: "draining", Keys: func(t Target) []string {
		if t.DrainingSince == nil {
			return nil
		}
		return []string{"yes"}
	}},
)

// TargetHealth is what the probes of the data plane saw last. Writer: balancer controller.
type TargetHealth struct {
	TargetGroup string    `json:"targetGroup"`
	ID          string    `json:"id"`
	Port        int       `json:"port"`
	State       string    `json:"state"`                 // elbv2 TargetHealthStateEnum
	Reason      string    `json:"reason,omitempty"`      // e.g. Target.ResponseCodeMismatch
	Description string    `json:"description,omitempty"` // AWS's sentence for the reason
	Since       time.Time `json:"since"`
}

// Key returns the row's key, equal to that of its Target.
func (h TargetHealth) Key() string { return TargetKey(h.TargetGroup, h.ID, h.Port) }

// TargetHealths is the table of target health.
var TargetHealths = state.NewTable("elb.health", TargetHealth.Key)
