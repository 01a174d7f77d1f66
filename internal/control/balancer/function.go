package balancer

import (
	"fmt"

	"fairlead/internal/elb"
	"fairlead/internal/lb"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// functions lists the targets of a group of a function.
func (c *compiler) functions(r state.Reader, g row.TargetGroup) (targets []lb.Target) {
	for t := range row.Targets.Scan(r, g.ARN+"|") {
		f, ok := elb.FunctionOf(t.ID)
		if !ok || c.lambda == "" {
			continue
		}
		targets = append(targets, lb.Target{
			ID:         t.ID,
			Function:   lb.Function{Endpoint: c.lambda, Name: f.Name, Qualifier: f.Qualifier},
			LastHealth: c.health[lb.TargetKey{Group: g.ARN, ID: t.ID}],
		})
	}
	return targets
}

// notInvoked says which groups have a function that a process started without an endpoint cannot
// invoke.
func (c *compiler) notInvoked(groups []lb.Group) (notes []string) {
	for _, g := range groups {
		if g.Lambda && c.lambda == "" {
			notes = append(notes, fmt.Sprintf("target group %s: its function cannot be invoked without "+
				"--lambda-endpoint", g.ID))
		}
	}
	return notes
}
