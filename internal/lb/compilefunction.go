package lb

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"fairlead/internal/lb/lambda"
	"fairlead/internal/lb/probe"
)

// Defaults of the health checks of functions (ALB guide, "Enable health checks"; the thresholds by
// the API reference).
const (
	functionInterval  = 35 * time.Second
	functionTimeout   = 30 * time.Second
	functionThreshold = 5 // both
)

// compileFunction checks a group whose target is a function; spec is what was said of it.
func compileFunction(g *group, spec *Group) error {
	var errs []error
	for _, c := range []struct {
		said bool
		what string
	}{
		{spec.Protocol != "" || spec.Version != "", "protocol"},
		{spec.Algorithm != "", "algorithm"},
		{spec.Stickiness.Type != NoStickiness, "stickiness"},
		{spec.SlowStart != 0, "slow start"},
		{spec.SameZoneOnly, "cross-zone load balancing off"},
		{spec.MinHealthy != 0 || spec.MinHealthyPercent != 0, "thresholds of unhealthy-state routing"},
		{spec.HealthCheck.Protocol != "" || spec.HealthCheck.Port != 0, "address of health checks"},
	} {
		if c.said {
			errs = append(errs, fmt.Errorf("%s of a function", c.what))
		}
	}
	if len(g.Targets) > 1 {
		errs = append(errs, fmt.Errorf("%d functions, limit is 1", len(g.Targets)))
	}
	for _, t := range g.Targets {
		if t.Addr.IsValid() || t.Port != 0 {
			errs = append(errs, errors.New("a function with an address"))
		}
		errs = append(errs, t.Function.Validate())
	}
	return errors.Join(append(errs, compileFunctionCheck(g))...)
}

// noFunction checks that a group of addresses has nothing that belongs to functions.
func noFunction(g *group) error {
	if g.MultiValueHeaders {
		return errors.New("multi-value headers without a function")
	}
	for _, t := range g.Targets {
		if t.Function != (lambda.Function{}) {
			return fmt.Errorf("target %s is a function, the group is not for functions", t.ID)
		}
	}
	return nil
}

// compileFunctionCheck fills in the defaults of the health check.
func compileFunctionCheck(g *group) (err error) {
	h := g.HealthCheck
	g.check = probe.Check{
		Protocol: probe.Function, MultiValue: g.MultiValueHeaders, Path: cmp.Or(h.Path, "/"),
		Interval:           cmp.Or(h.Interval, functionInterval),
		Timeout:            cmp.Or(h.Timeout, functionTimeout),
		HealthyThreshold:   cmp.Or(h.HealthyThreshold, functionThreshold),
		UnhealthyThreshold: cmp.Or(h.UnhealthyThreshold, functionThreshold),
	}
	if g.check.Matcher, err = probe.ParseMatcher(cmp.Or(h.Matcher, "200")); err != nil {
		return err
	}
	return g.check.Validate()
}
