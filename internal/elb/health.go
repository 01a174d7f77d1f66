package elb

import (
	"slices"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// AllZones is the zone of a target that lies outside the VPC and belongs to every zone.
const AllZones = "all"

// HealthOf returns the health of a registered target as DescribeTargetHealth shows it: what follows
// from the registration itself, or else what the probes saw last. See
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
func HealthOf(r state.Reader, t row.Target) row.TargetHealth {
	b, inUse := row.LoadBalancers.Get(r, row.LoadBalancerOf(r, t.TargetGroup))
	if h, ok := Unprobed(b, inUse, t); ok {
		return h
	}
	if seen, ok := row.TargetHealths.Get(r, t.Key()); ok {
		return seen
	}
	return health(t, api.TargetHealthStateEnumInitial,
		api.TargetHealthReasonEnumElbRegistrationInProgress, "Target registration is in progress")
}

// Unprobed returns the health of a target that gets neither requests nor probes, however it may be;
// ok is false for a target that is in use. b is the load balancer that its group is behind, if it
// is behind one.
func Unprobed(b row.LoadBalancer, inUse bool, t row.Target) (h row.TargetHealth, ok bool) {
	switch {
	case !inUse:
		return health(t, api.TargetHealthStateEnumUnused, api.TargetHealthReasonEnumTargetNotInUse,
			"Target group is not configured to receive traffic from the load balancer"), true
	case t.DrainingSince != nil:
		return health(t, api.TargetHealthStateEnumDraining,
			api.TargetHealthReasonEnumTargetDeregistrationInProgress,
			"Target deregistration is in progress"), true
	case !inZoneOf(b, t):
		return health(t, api.TargetHealthStateEnumUnused, api.TargetHealthReasonEnumTargetNotInUse,
			"Target is in an Availability Zone that is not enabled for the load balancer"), true
	}
	return row.TargetHealth{}, false
}

func inZoneOf(b row.LoadBalancer, t row.Target) bool {
	return t.Zone == "" || t.Zone == AllZones ||
		slices.ContainsFunc(b.Nodes, func(n row.LoadBalancerNode) bool { return n.Zone == t.Zone })
}

func health(
	t row.Target, s api.TargetHealthStateEnum, reason api.TargetHealthReasonEnum, text string,
) row.TargetHealth {
	return row.TargetHealth{
		TargetGroup: t.TargetGroup, ID: t.ID, Port: t.Port,
		State: string(s), Reason: string(reason), Description: text,
	}
}
