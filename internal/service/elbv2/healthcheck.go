package elbv2

import (
	"cmp"
	"strconv"
	"strings"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/row"
)

// trafficPort means that a target is probed on the port that it is registered with.
const trafficPort = "traffic-port"

// Ranges of the codes that a health check may accept.
const (
	minHTTPCode, maxHTTPCode = 200, 499
	minGRPCCode, maxGRPCCode = 0, 99
)

// newHealthCheck returns the health check of a new group: what is given over the defaults, see
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
func newHealthCheck(g row.TargetGroup, in *api.CreateTargetGroupInput) (row.HealthCheck, error) {
	g.HealthCheck = row.HealthCheck{
		Enabled: true, Protocol: "HTTP", Port: trafficPort, Path: "/",
		IntervalSeconds: 30, TimeoutSeconds: 5, HealthyThreshold: 5, UnhealthyThreshold: 2,
		HTTPCode: "200",
	}
	switch {
	case g.OfFunction():
		g.HealthCheck = functionHealthCheck()
	case g.ProtocolVersion == "GRPC":
		g.HealthCheck.Path = "/AWS.ALB/healthcheck"
		g.HealthCheck.HTTPCode, g.HealthCheck.GRPCCode = "", "12" // UNIMPLEMENTED
	}
	return modifyHealthCheck(g, &api.ModifyTargetGroupInput{
		HealthCheckEnabled: in.HealthCheckEnabled, HealthCheckProtocol: in.HealthCheckProtocol,
		HealthCheckPort: in.HealthCheckPort, HealthCheckPath: in.HealthCheckPath,
		HealthCheckIntervalSeconds: in.HealthCheckIntervalSeconds,
		HealthCheckTimeoutSeconds:  in.HealthCheckTimeoutSeconds,
		HealthyThresholdCount:      in.HealthyThresholdCount,
		UnhealthyThresholdCount:    in.UnhealthyThresholdCount, Matcher: in.Matcher,
	})
}

// modifyHealthCheck returns the group's health check with what is given changed. Ranges that the
// model states are checked before the handler.
func modifyHealthCheck(g row.TargetGroup, in *api.ModifyTargetGroupInput) (row.HealthCheck, error) {
	h := g.HealthCheck
	h.Enabled = aws.Or(in.HealthCheckEnabled, h.Enabled)
	h.Protocol = cmp.Or(string(in.HealthCheckProtocol), h.Protocol)
	h.Port = aws.Or(in.HealthCheckPort, h.Port)
	h.Path = aws.Or(in.HealthCheckPath, h.Path)
	h.IntervalSeconds = orInt(in.HealthCheckIntervalSeconds, h.IntervalSeconds)
	h.TimeoutSeconds = orInt(in.HealthCheckTimeoutSeconds, h.TimeoutSeconds)
	h.HealthyThreshold = orInt(in.HealthyThresholdCount, h.HealthyThreshold)
	h.UnhealthyThreshold = orInt(in.UnhealthyThresholdCount, h.UnhealthyThreshold)
	h, err := withMatcher(g, h, aws.Val(in.Matcher))
	if err != nil {
		return h, err
	}
	return h, checkHealthCheck(g, h)
}

func orInt(p *int32, def int) int { return int(aws.Or(p, int32(def))) }

func checkHealthCheck(g row.TargetGroup, h row.HealthCheck) error {
	check := checkProbe
	if g.OfFunction() {
		check = checkFunctionProbe
	}
	if err := check(g, h); err != nil {
		return err
	}
	switch { // the second text is our own
	case h.TimeoutSeconds >= h.IntervalSeconds:
		return invalid("Health check timeout '%d' must be smaller than the interval '%d'",
			h.TimeoutSeconds, h.IntervalSeconds)
	case !strings.HasPrefix(h.Path, "/"):
		return invalid("Health check path '%s' must start with '/'", h.Path)
	}
	return nil
}

// checkProbe checks how addresses are probed. Our own texts.
func checkProbe(g row.TargetGroup, h row.HealthCheck) error {
	port, err := strconv.Atoi(h.Port)
	switch {
	case !h.Enabled:
		return invalid("Health check enabled must be true for target groups with target type '%s'",
			g.TargetType)
	case h.Protocol != "HTTP" && h.Protocol != "HTTPS":
		return invalid("Health check protocol '%s' must be one of 'HTTP, HTTPS'", h.Protocol)
	case h.Port != trafficPort && (err != nil || port < minPort || port > maxPort):
		return invalid("Health check port '%s' must be '%s' or between '%d-%d' inclusive",
			h.Port, trafficPort, minPort, maxPort)
	}
	return nil
}

// checkFunctionProbe checks how a function is probed. Our own texts.
func checkFunctionProbe(_ row.TargetGroup, h row.HealthCheck) error {
	switch {
	case h.Protocol != "":
		return errNotForFunctions("Health check protocol")
	case h.Port != "":
		return errNotForFunctions("Health check port")
	}
	return nil
}

func withMatcher(g row.TargetGroup, h row.HealthCheck, m api.Matcher) (row.HealthCheck, error) {
	http, grpc := aws.Val(m.HttpCode), aws.Val(m.GrpcCode)
	if g.ProtocolVersion == "GRPC" {
		if http != "" { // our own text
			return h, invalid("Health check matcher HTTP codes cannot be specified for target groups " +
				"with the protocol version 'GRPC'")
		}
		h.GRPCCode = cmp.Or(grpc, h.GRPCCode)
		return h, checkMatcher("GRPC", h.GRPCCode, minGRPCCode, maxGRPCCode)
	}
	if grpc != "" && g.OfFunction() {
		return h, errNotForFunctions("Health check matcher GRPC codes")
	}
	if grpc != "" { // our own text
		return h, invalid("Health check matcher GRPC codes cannot be specified for target groups with "+
			"the protocol version '%s'", g.ProtocolVersion)
	}
	h.HTTPCode = cmp.Or(http, h.HTTPCode)
	return h, checkMatcher("HTTP", h.HTTPCode, minHTTPCode, maxHTTPCode)
}

// checkMatcher checks a list of codes and ranges such as 200,202-299.
func checkMatcher(kind, codes string, low, high int) error {
	for part := range strings.SplitSeq(codes, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || from > to { // our own text
			return invalid("Health check matcher %s code '%s' is not valid", kind, codes)
		}
		if from < low || to > high {
			return invalid("Health check matcher %s code '%s' must be within '%d-%d' inclusive",
				kind, part, low, high)
		}
	}
	return nil
}
