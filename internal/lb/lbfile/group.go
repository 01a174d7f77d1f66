package lbfile

import (
	"errors"
	"fmt"
	"net/netip"

	"fairlead/internal/lb"
)

// TargetGroup is a set of targets.
type TargetGroup struct {
	ID              string      `json:"id" doc:"unique name"`
	Type            string      `json:"type,omitempty" doc:"ip (default), or lambda: the one target is a function, and nothing about protocol, algorithm, stickiness or slow start is said"`
	MultiValue      bool        `json:"multi_value_headers,omitempty" doc:"for lambda: all values of a header or parameter, not the last one"`
	Protocol        string      `json:"protocol,omitempty" doc:"HTTP (default) or HTTPS"`
	ProtocolVersion string      `json:"protocol_version,omitempty" doc:"HTTP1 (default), HTTP2 or GRPC"`
	Algorithm       string      `json:"algorithm,omitempty" doc:"round_robin (default), least_outstanding_requests or weighted_random"`
	Stickiness      string      `json:"stickiness,omitempty" doc:"lb_cookie or app_cookie"`
	StickySeconds   int         `json:"stickiness_seconds,omitempty" doc:"86400 by default"`
	StickyCookie    string      `json:"stickiness_cookie,omitempty" doc:"the application's cookie, for app_cookie"`
	SlowStart       int         `json:"slow_start_seconds,omitempty" doc:"30 to 900; 0 is off"`
	Targets         []Target    `json:"targets,omitempty"`
	HealthCheck     HealthCheck `json:"health_check,omitzero"`
}

// Target is one target.
type Target struct {
	Address   string `json:"address,omitempty" doc:"IP:port"`
	Endpoint  string `json:"endpoint,omitempty" doc:"for lambda: where the Lambda Invoke API is served, such as http://127.0.0.1:9000"`
	Function  string `json:"function,omitempty" doc:"for lambda: name or ARN of the function; that of the runtime interface emulator is called function"`
	Qualifier string `json:"qualifier,omitempty" doc:"for lambda: a version or an alias"`
	Draining  bool   `json:"draining,omitempty" doc:"gets no new requests"`
}

// HealthCheck says how targets are probed.
type HealthCheck struct {
	Disabled           bool   `json:"disabled,omitempty"`
	Enabled            bool   `json:"enabled,omitempty" doc:"for lambda, where checks are off by default: every check is an invocation"`
	Protocol           string `json:"protocol,omitempty" doc:"HTTP, HTTPS or TCP; the group's by default"`
	Port               uint16 `json:"port,omitempty" doc:"the target's by default"`
	Path               string `json:"path,omitempty" doc:"/ by default"`
	Interval           int    `json:"interval_seconds,omitempty" doc:"30 by default, 35 for lambda"`
	Timeout            int    `json:"timeout_seconds,omitempty" doc:"5 by default, 30 for lambda"`
	HealthyThreshold   int    `json:"healthy_threshold,omitempty" doc:"5 by default"`
	UnhealthyThreshold int    `json:"unhealthy_threshold,omitempty" doc:"2 by default, 5 for lambda"`
	Matcher            string `json:"matcher,omitempty" doc:"such as 200-299"`
}

func (g *TargetGroup) spec() (lb.Group, error) {
	h := g.HealthCheck
	out := lb.Group{
		ID: g.ID, Protocol: lb.Protocol(g.Protocol), Version: lb.ProtocolVersion(g.ProtocolVersion),
		Algorithm: lb.Algorithm(g.Algorithm), SlowStart: seconds(g.SlowStart),
		Stickiness: lb.Stickiness{Type: lb.StickinessType(g.Stickiness),
			Duration: seconds(g.StickySeconds), Cookie: g.StickyCookie},
		HealthCheck: lb.HealthCheck{Disabled: h.Disabled, Protocol: lb.Protocol(h.Protocol),
			Port: h.Port, Path: h.Path, Interval: seconds(h.Interval), Timeout: seconds(h.Timeout),
			HealthyThreshold: h.HealthyThreshold, UnhealthyThreshold: h.UnhealthyThreshold,
			Matcher: h.Matcher},
	}
	switch g.Type {
	case "", "ip":
		return out, g.addAddresses(&out)
	case "lambda":
		return out, g.addFunction(&out)
	}
	return out, fmt.Errorf("type %q is not one of ip and lambda", g.Type)
}

// addAddresses makes out a group of addresses.
func (g *TargetGroup) addAddresses(out *lb.Group) error {
	if out.Protocol == "" {
		out.Protocol = lb.HTTP
	}
	out.MultiValueHeaders = g.MultiValue
	var errs []error
	if g.HealthCheck.Enabled {
		errs = append(errs, errors.New("health_check.enabled is for lambda; the others are probed"))
	}
	for _, t := range g.Targets {
		addr, err := netip.ParseAddrPort(t.Address)
		errs = append(errs, err)
		out.Targets = append(out.Targets, lb.Target{ID: addr.Addr().String(), Port: addr.Port(),
			Addr: addr, Function: t.function(), Draining: t.Draining})
	}
	return errors.Join(errs...)
}

// addFunction makes out a group of a function. Compile refuses what does not belong there.
func (g *TargetGroup) addFunction(out *lb.Group) error {
	out.Lambda, out.MultiValueHeaders = true, g.MultiValue
	var errs []error
	if g.HealthCheck.Enabled && g.HealthCheck.Disabled {
		errs = append(errs, errors.New("health_check is both enabled and disabled"))
	}
	out.HealthCheck.Disabled = !g.HealthCheck.Enabled
	for _, t := range g.Targets {
		if t.Address != "" {
			errs = append(errs, fmt.Errorf("target has the address %s, the group is for a function", t.Address))
		}
		out.Targets = append(out.Targets, lb.Target{ID: t.Function, Function: t.function(),
			Draining: t.Draining})
	}
	return errors.Join(errs...)
}

func (t *Target) function() lb.Function {
	return lb.Function{Endpoint: t.Endpoint, Name: t.Function, Qualifier: t.Qualifier}
}
