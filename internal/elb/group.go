package elb

import (
	"slices"
	"strings"

	"fairlead/internal/aws"
	"fairlead/internal/row"
)

// Keys of target group attributes.
const (
	DeregistrationDelay = "deregistration_delay.timeout_seconds"
	Stickiness          = "stickiness.enabled"
	StickinessType      = "stickiness.type"
	LBCookieDuration    = "stickiness.lb_cookie.duration_seconds"
	AppCookieDuration   = "stickiness.app_cookie.duration_seconds"
	AppCookieName       = "stickiness.app_cookie.cookie_name"
	Algorithm           = "load_balancing.algorithm.type"
	SlowStart           = "slow_start.duration_seconds"
	CrossZone           = "load_balancing.cross_zone.enabled"
	MinHealthyCount     = unhealthyStateRouting + "count"
	MinHealthyPercent   = unhealthyStateRouting + "percentage"
	MultiValueHeaders   = "lambda.multi_value_headers.enabled"

	unhealthyStateRouting = "target_group_health.unhealthy_state_routing.minimum_healthy_targets."
	dnsFailover           = "target_group_health.dns_failover.minimum_healthy_targets."
)

// stickinessLimit is the longest duration of stickiness: a week, in seconds.
const stickinessLimit = 604800

// maxTargets is the quota targets-per-target-group.
const maxTargets = 1000

// OfGroup lists the attributes of a target group of an Application Load Balancer. See
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html
func OfGroup(g row.TargetGroup) Attributes {
	if g.OfFunction() {
		return Attributes{{MultiValueHeaders, "false", isBoolean}}
	}
	const inherit = "use_load_balancer_configuration"
	return Attributes{
		{DeregistrationDelay, "300", between(0, 3600)},
		{Algorithm, "round_robin",
			oneOf("round_robin", "least_outstanding_requests", "weighted_random")},
		{"load_balancing.algorithm.anomaly_mitigation", "off", only("off")},
		{CrossZone, inherit, oneOf("true", "false", inherit)},
		{SlowStart, "0", isSlowStart},
		{Stickiness, "false", isBoolean},
		{StickinessType, "lb_cookie", isStickinessType},
		{LBCookieDuration, "86400", between(1, stickinessLimit)},
		{AppCookieDuration, "86400", between(1, stickinessLimit)},
		{AppCookieName, "", isCookieName},
		{dnsFailover + "count", "1", only("1")},
		{dnsFailover + "percentage", "off", only("off")},
		{MinHealthyCount, "1", between(1, maxTargets)},
		{MinHealthyPercent, "off", between(1, 100, "off")},
	}
}

// UnknownOfGroup is the fault for an attribute that a target group does not have.
func UnknownOfGroup(g row.TargetGroup, key string) *aws.Fault {
	text := "The provided target group attribute is not supported"
	others := OfGroup(row.TargetGroup{})
	if g.OfFunction() && slices.ContainsFunc(others, func(a Attribute) bool { return a.Key == key }) {
		text = "A target group with target type 'lambda' does not support the attribute " + key
	}
	return aws.NewFault("InvalidConfigurationRequest", "%s", text)
}

// CheckGroup refuses values that do not go together.
func CheckGroup(v Values) error {
	sticky := v.Bool(Stickiness)
	refuse := func(format string, args ...any) error {
		return aws.NewFault("InvalidConfigurationRequest", format, args...)
	}
	switch { // AWS's texts for the last three were not found; these are ours
	case sticky && v[StickinessType] == "app_cookie" && v[AppCookieName] == "":
		return refuse("You must set an application cookie name to enable stickiness of type 'app_cookie'")
	case v.Int(SlowStart) > 0 && v[Algorithm] != "round_robin":
		return refuse("Slow start cannot be used with the load balancing algorithm '%s'", v[Algorithm])
	case sticky && v[Algorithm] == "weighted_random":
		return refuse("Stickiness cannot be used with the load balancing algorithm '%s'", v[Algorithm])
	case sticky && v[CrossZone] == "false":
		return refuse("Stickiness cannot be used when cross-zone load balancing is off")
	}
	return nil
}

func isSlowStart(key, value string) *aws.Fault {
	if value == "0" {
		return nil
	}
	return between(30, 900)(key, value)
}

func isStickinessType(key, value string) *aws.Fault {
	if value == "source_ip" || strings.HasPrefix(value, "source_ip_") {
		return aws.NewFault("InvalidConfigurationRequest",
			"Stickiness type '%s' is not supported for target groups with the HTTP protocol", value)
	}
	return oneOf("lb_cookie", "app_cookie")(key, value)
}

// isCookieName keeps the names of the load balancer's own cookies free.
func isCookieName(key, value string) *aws.Fault {
	const forbidden = "()<>@,;:\\\"/[]?={} \t"
	own := strings.HasPrefix(value, "AWSALB") // AWSALB, AWSALBAPP, AWSALBTG
	if own || len(value) > 4096 || strings.ContainsAny(value, forbidden) {
		return invalid("'%s' value '%s' is not a valid cookie name", key, value) // our own text
	}
	return nil
}
