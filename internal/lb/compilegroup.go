package lb

import (
	"cmp"
	"errors"
	"fmt"

	"fairlead/internal/lb/probe"
)

// addGroup checks a target group and files it.
func (t *Table) addGroup(spec Group) error {
	if t.byID[spec.ID] != nil {
		return errors.New("appears twice")
	}
	g := &group{Group: spec, index: len(t.groups)}
	g.Version = cmp.Or(g.Version, HTTP1)
	g.Algorithm = cmp.Or(g.Algorithm, RoundRobin)
	g.MinHealthy = cmp.Or(g.MinHealthy, 1)
	g.Stickiness.Duration = cmp.Or(g.Stickiness.Duration, defaultStickiness)
	t.groups = append(t.groups, g)
	t.byID[g.ID] = g
	if g.Lambda {
		return compileFunction(g, &spec)
	}
	return errors.Join(
		noFunction(g), oneOf("protocol", g.Protocol, HTTP, HTTPS),
		oneOf("protocol version", g.Version, HTTP1, HTTP2, GRPC),
		oneOf("algorithm", g.Algorithm, RoundRobin, LeastOutstanding, WeightedRandom),
		checkStickiness(g), checkSlowStart(g), checkTargets(g), compileCheck(g),
	)
}

func checkStickiness(g *group) error {
	s := g.Stickiness
	err := errors.Join(
		oneOf("stickiness", s.Type, NoStickiness, LBCookie, AppCookie),
		inRange("stickiness duration", s.Duration, minStickiness, maxStickiness),
	)
	switch {
	case s.Type == NoStickiness:
	case s.Type == AppCookie && s.Cookie == "":
		err = errors.Join(err, errors.New("app_cookie stickiness needs the name of a cookie"))
	case g.SameZoneOnly:
		err = errors.Join(err, errors.New("stickiness with cross-zone load balancing off"))
	case g.Algorithm == WeightedRandom:
		err = errors.Join(err, errors.New("stickiness with weighted_random"))
	}
	return err
}

func checkSlowStart(g *group) error {
	if g.SlowStart == 0 {
		return nil
	}
	if g.Algorithm != RoundRobin {
		return fmt.Errorf("slow start with %s", g.Algorithm)
	}
	return inRange("slow start", g.SlowStart, minSlowStart, maxSlowStart)
}

func checkTargets(g *group) error {
	seen := map[TargetKey]bool{}
	for _, t := range g.Targets {
		k := TargetKey{Group: g.ID, ID: t.ID, Port: t.Port}
		if seen[k] {
			return fmt.Errorf("target %s port %d appears twice", t.ID, t.Port)
		}
		seen[k] = true
		if !t.Addr.IsValid() || t.Addr.Port() == 0 {
			return fmt.Errorf("target %s port %d has no address", t.ID, t.Port)
		}
	}
	return nil
}

// compileCheck fills in the defaults of the health check, as documented for target groups of
// Application Load Balancers.
func compileCheck(g *group) (err error) {
	h := g.HealthCheck
	path, matcher := "/", "200"
	if g.Version == GRPC {
		path, matcher = "/AWS.ALB/healthcheck", "12"
	}
	g.check = probe.Check{
		Protocol: string(cmp.Or(h.Protocol, g.Protocol)), Version: string(g.Version),
		Path: cmp.Or(h.Path, path), Port: h.Port,
		Interval:           cmp.Or(h.Interval, probe.DefaultInterval),
		Timeout:            cmp.Or(h.Timeout, probe.DefaultTimeout),
		HealthyThreshold:   cmp.Or(h.HealthyThreshold, probe.DefaultHealthy),
		UnhealthyThreshold: cmp.Or(h.UnhealthyThreshold, probe.DefaultUnhealthy),
		Node:               g.Node, Source: g.Source,
	}
	if g.check.Matcher, err = probe.ParseMatcher(cmp.Or(h.Matcher, matcher)); err != nil {
		return err
	}
	return g.check.Validate()
}
