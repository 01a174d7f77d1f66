package elbv2

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"time"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/elb"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// RegisterTargets adds targets to a group. A target that is there already stays as it is; one that
// is being deregistered comes back.
func (s *Service) RegisterTargets(
	ctx context.Context, in *api.RegisterTargetsInput,
) (*api.RegisterTargetsOutput, error) {
	return &api.RegisterTargetsOutput{}, s.store.Update(ctx, func(tx *state.Tx) error {
		g, err := findGroup(tx, aws.Val(in.TargetGroupArn))
		if err != nil {
			return err
		}
		for _, d := range in.Targets {
			t, err := s.newTarget(tx, g, d, s.now().UTC())
			if err != nil {
				return err
			}
			old, ok := row.Targets.Get(tx, t.Key())
			if !ok || old.DrainingSince != nil {
				row.Targets.Put(tx, t)
			}
		}
		most := maxTargetsPerGroup
		if g.OfFunction() {
			most = maxFunctionsPerGroup
		}
		if count(row.Targets.Scan(tx, g.ARN+"|")) > most { // our own text
			return api.TooManyTargetsException("A target group can only have '%d' targets", most)
		}
		return nil
	})
}

// newTarget checks the description of a target to be registered.
func (s *Service) newTarget(
	r state.Reader, g row.TargetGroup, d api.TargetDescription, now time.Time,
) (row.Target, error) {
	if g.OfFunction() {
		return s.newFunction(g, d, now)
	}
	t := row.Target{
		TargetGroup: g.ARN, ID: aws.Val(d.Id), Port: orInt(d.Port, g.Port), RegisteredAt: now,
	}
	if g.TargetType != string(api.TargetTypeEnumIp) {
		return t, api.InvalidTargetException("Target '%s' cannot be registered: targets of type '%s' "+
			"are not served by Fairlead yet, see SCOPE.md", t.ID, g.TargetType)
	}
	if d.QuicServerId != nil {
		return t, elb.NotServed("QuicServerId")
	}
	addr, err := netip.ParseAddr(t.ID)
	if err != nil || !addr.Is4() { // our own text
		return t, invalid("The IP address '%s' is not a valid IPv4 address", t.ID)
	}
	t.Zone, err = zoneOf(r, g, addr, aws.Val(d.AvailabilityZone))
	return t, err
}

// zoneOf returns the zone of an address: that of its subnet in the group's VPC, or else the one
// that was asked for.
func zoneOf(r state.Reader, g row.TargetGroup, addr netip.Addr, asked string) (string, error) {
	for subnet := range row.Subnets.By(r, "vpc", g.VPC) {
		if !subnet.CIDR.Contains(addr) {
			continue
		}
		if asked != "" && asked != subnet.Zone {
			return "", invalid("The IP address '%s' is within the VPC, and cannot have its Availability "+
				"Zone overridden to '%s' from '%s'", addr, asked, subnet.Zone)
		}
		return subnet.Zone, nil
	}
	switch {
	case !permittedOutside(addr): // our own text
		return "", invalid("The IP address '%s' is neither in the VPC nor in a private range", addr)
	case asked == "":
		return "", invalid("The Availability Zone is required for IP address '%s' because it is not in "+
			"the VPC", addr)
	case asked != elb.AllZones && !isZone(g.Region, asked):
		return "", invalid("You must specify a valid Availability Zone or select 'all' for all enabled "+
			"Availability zones, since the IP address '%s' is outside the VPC", addr)
	}
	return asked, nil
}

// permittedOutside tells whether an address outside the VPC may be a target: the private ranges of
// RFC 1918 and RFC 6598.
func permittedOutside(addr netip.Addr) bool {
	return addr.IsPrivate() || netip.MustParsePrefix("100.64.0.0/10").Contains(addr)
}

// isZone tells whether a name is that of a region with one letter behind it.
func isZone(region, name string) bool {
	letter, ok := strings.CutPrefix(name, region)
	return ok && len(letter) == 1 && 'a' <= letter[0] && letter[0] <= 'z'
}

// DeregisterTargets takes targets out of a group. They drain for as long as the group says; functions,
// and targets of a group that is behind no load balancer, go at once. One that is not registered is no error.
func (s *Service) DeregisterTargets(
	ctx context.Context, in *api.DeregisterTargetsInput,
) (*api.DeregisterTargetsOutput, error) {
	return &api.DeregisterTargetsOutput{}, s.store.Update(ctx, func(tx *state.Tx) error {
		g, err := findGroup(tx, aws.Val(in.TargetGroupArn))
		if err != nil {
			return err
		}
		inUse := row.LoadBalancerOf(tx, g.ARN) != ""
		for _, d := range in.Targets {
			key := row.TargetKey(g.ARN, aws.Val(d.Id), orInt(d.Port, g.Port))
			t, ok := row.Targets.Get(tx, key)
			switch {
			case ok && (!inUse || g.OfFunction()):
				row.Targets.Delete(tx, key)
			case ok && t.DrainingSince == nil:
				t.DrainingSince = new(s.now().UTC())
				row.Targets.Put(tx, t)
			}
		}
		return nil
	})
}

// DescribeTargetHealth shows the state of the given targets, or of all that are registered or
// draining.
func (s *Service) DescribeTargetHealth(
	_ context.Context, in *api.DescribeTargetHealthInput,
) (*api.DescribeTargetHealthOutput, error) {
	view := s.store.View()
	g, err := findGroup(view, aws.Val(in.TargetGroupArn))
	if err != nil {
		return nil, err
	}
	out := &api.DescribeTargetHealthOutput{TargetHealthDescriptions: []api.TargetHealthDescription{}}
	add := func(d api.TargetHealthDescription) {
		out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, d)
	}
	for _, d := range in.Targets {
		add(describeAsked(view, g, aws.Val(d.Id), orInt(d.Port, g.Port)))
	}
	if len(in.Targets) > 0 {
		return out, nil
	}
	for t := range row.Targets.Scan(view, g.ARN+"|") {
		add(describeTarget(view, g, t))
	}
	return out, nil
}

// describeAsked describes a target that a caller names; it need not be registered.
func describeAsked(
	r state.Reader, g row.TargetGroup, id string, port int,
) api.TargetHealthDescription {
	if t, ok := row.Targets.Get(r, row.TargetKey(g.ARN, id, port)); ok {
		return describeTarget(r, g, t)
	}
	d := describeTarget(r, g, row.Target{TargetGroup: g.ARN, ID: id, Port: port})
	d.TargetHealth = &api.TargetHealth{
		State:       api.TargetHealthStateEnumUnused,
		Reason:      api.TargetHealthReasonEnumTargetNotRegistered,
		Description: new("Target is not registered to the target group"),
	}
	return d
}

func describeTarget(
	r state.Reader, g row.TargetGroup, t row.Target,
) api.TargetHealthDescription {
	probed := g.HealthCheck.Port
	if probed == trafficPort {
		probed = strconv.Itoa(t.Port)
	}
	h := elb.HealthOf(r, t)
	d := api.TargetHealthDescription{
		Target: &api.TargetDescription{Id: &t.ID},
		TargetHealth: &api.TargetHealth{
			State: api.TargetHealthStateEnum(h.State), Reason: api.TargetHealthReasonEnum(h.Reason),
		},
	}
	if !g.OfFunction() {
		d.Target.Port, d.HealthCheckPort = new(int32(t.Port)), &probed
	}
	if t.Zone != "" {
		d.Target.AvailabilityZone = &t.Zone
	}
	if h.Description != "" {
		d.TargetHealth.Description = &h.Description
	}
	return d
}
