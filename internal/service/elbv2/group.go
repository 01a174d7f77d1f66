package elbv2

import (
	"cmp"
	"context"
	"slices"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/elb"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// CreateTargetGroup makes a target group for the targets of an Application Load Balancer. It
// returns the existing one when name and settings are the same.
func (s *Service) CreateTargetGroup(
	ctx context.Context, in *api.CreateTargetGroupInput,
) (*api.CreateTargetGroupOutput, error) {
	if err := s.checkTargetGroup(in); err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	caller := aws.CallerFrom(ctx)
	name := aws.Val(in.Name)
	g := row.TargetGroup{
		Scope: row.ScopeOf(caller), Name: name, TargetType: string(in.TargetType),
		ARN:      caller.ARN("elasticloadbalancing", "targetgroup/"+name+"/"+aws.HexID(16)),
		Protocol: string(in.Protocol), Port: int(aws.Val(in.Port)), VPC: aws.Val(in.VpcId),
		CreatedAt: s.now().UTC(), Tags: tags,
	}
	if g.TargetType == "" {
		g.TargetType = string(api.TargetTypeEnumInstance)
	}
	if !g.OfFunction() {
		g.ProtocolVersion = versionOf(in.ProtocolVersion)
	}
	if g.HealthCheck, err = newHealthCheck(g, in); err != nil {
		return nil, err
	}
	g, err = update(ctx, s, func(tx *state.Tx) (row.TargetGroup, error) { return createGroup(tx, g) })
	if err != nil {
		return nil, err
	}
	return &api.CreateTargetGroupOutput{
		TargetGroups: []api.TargetGroup{describeGroup(s.store.View(), g)},
	}, nil
}

// checkTargetGroup checks what does not depend on other rows.
func (s *Service) checkTargetGroup(in *api.CreateTargetGroupInput) error {
	if err := checkName("Target group", aws.Val(in.Name)); err != nil {
		return err
	}
	switch in.TargetType {
	case "", api.TargetTypeEnumIp, api.TargetTypeEnumInstance:
	case api.TargetTypeEnumLambda:
		return s.checkFunctionGroup(in)
	default:
		return elb.NotServed("Target type '" + string(in.TargetType) + "'")
	}
	switch in.Protocol {
	case api.ProtocolEnumHTTP, api.ProtocolEnumHTTPS:
	case "": // this text and the two below are our own
		return invalid("A protocol must be specified")
	default:
		return elb.NotServed("Target group protocol '" + string(in.Protocol) + "'")
	}
	version := versionOf(in.ProtocolVersion)
	switch {
	case in.Port == nil:
		return invalid("A port must be specified")
	case in.VpcId == nil:
		return invalid("A VPC ID must be specified")
	case !slices.Contains([]string{"HTTP1", "HTTP2", "GRPC"}, version): // our own text
		return invalid("Protocol version '%s' must be one of 'GRPC, HTTP1, HTTP2'", version)
	case in.IpAddressType == api.TargetGroupIpAddressTypeEnumIpv6:
		return elb.NotServed("IP address type 'ipv6'")
	case in.TargetControlPort != nil:
		return elb.NotServed("TargetControlPort")
	}
	return nil
}

// versionOf is the protocol version asked for; Terraform sends an empty one for the default.
func versionOf(asked *string) string { return cmp.Or(aws.Val(asked), "HTTP1") }

func createGroup(tx *state.Tx, g row.TargetGroup) (row.TargetGroup, error) {
	if _, ok := row.VPCs.Get(tx, g.Scope.Key(g.VPC)); !ok && !g.OfFunction() {
		return g, invalid("The VPC ID '%s' is not found", g.VPC)
	}
	if old, ok := row.First(row.TargetGroups.By(tx, "name", g.Scope.Key(g.Name))); ok {
		if sameGroup(old, g) {
			return old, nil
		}
		return g, api.DuplicateTargetGroupNameException("A target group with the same name '%s' "+
			"exists, but with different settings", g.Name)
	}
	prefix := g.Scope.ARN("elasticloadbalancing", "targetgroup/")
	if count(row.TargetGroups.Scan(tx, prefix)) >= maxTargetGroups { // our own text
		return g, api.TooManyTargetGroupsException(
			"The maximum number of target groups '%d' has been reached", maxTargetGroups)
	}
	row.TargetGroups.Put(tx, g)
	return g, nil
}

func sameGroup(a, b row.TargetGroup) bool {
	return a.TargetType == b.TargetType && a.Protocol == b.Protocol && a.Port == b.Port &&
		a.ProtocolVersion == b.ProtocolVersion && a.VPC == b.VPC && a.HealthCheck == b.HealthCheck
}

// DescribeTargetGroups lists target groups: all, those behind a load balancer, or those with the
// given ARNs or names.
func (s *Service) DescribeTargetGroups(
	ctx context.Context, in *api.DescribeTargetGroupsInput,
) (*api.DescribeTargetGroupsOutput, error) {
	filters := 0
	for _, given := range []bool{
		in.LoadBalancerArn != nil, len(in.Names) > 0, len(in.TargetGroupArns) > 0,
	} {
		if given {
			filters++
		}
	}
	if filters > 1 {
		return nil, invalid("Target group names, target group ARNs, and a load balancer ARN cannot be " +
			"specified at the same time")
	}
	view := s.store.View()
	groups, err := selectGroups(view, row.ScopeOf(aws.CallerFrom(ctx)), in)
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(groups, in.Marker, in.PageSize)
	out := &api.DescribeTargetGroupsOutput{TargetGroups: []api.TargetGroup{}, NextMarker: next}
	for _, g := range page {
		out.TargetGroups = append(out.TargetGroups, describeGroup(view, g))
	}
	return out, err
}

func selectGroups(
	r state.Reader, scope row.Scope, in *api.DescribeTargetGroupsInput,
) ([]row.TargetGroup, error) {
	var found []row.TargetGroup
	if in.LoadBalancerArn != nil {
		return groupsBehind(r, *in.LoadBalancerArn)
	}
	for _, arn := range in.TargetGroupArns {
		g, err := findGroup(r, arn)
		if err != nil {
			return nil, err
		}
		found = append(found, g)
	}
	for _, name := range in.Names {
		g, ok := row.First(row.TargetGroups.By(r, "name", scope.Key(name)))
		if !ok {
			return nil, api.TargetGroupNotFoundException("One or more target groups not found")
		}
		found = append(found, g)
	}
	if len(in.TargetGroupArns) > 0 || len(in.Names) > 0 {
		return found, nil
	}
	prefix := scope.ARN("elasticloadbalancing", "targetgroup/")
	return slices.Collect(row.TargetGroups.Scan(r, prefix)), nil
}

// groupsBehind lists the target groups that the rules of a load balancer forward to.
func groupsBehind(r state.Reader, balancer string) ([]row.TargetGroup, error) {
	b, err := findBalancer(r, balancer)
	if err != nil {
		return nil, err
	}
	var arns []string
	for rule := range row.Rules.By(r, "balancer", b.ARN) {
		arns = append(arns, rule.TargetGroups()...)
	}
	slices.Sort(arns)
	var groups []row.TargetGroup
	for _, arn := range slices.Compact(arns) {
		if g, ok := row.TargetGroups.Get(r, arn); ok {
			groups = append(groups, g)
		}
	}
	return groups, nil
}

func describeGroup(r state.Reader, g row.TargetGroup) api.TargetGroup {
	h := g.HealthCheck
	out := api.TargetGroup{
		TargetGroupArn: &g.ARN, TargetGroupName: &g.Name, TargetType: api.TargetTypeEnum(g.TargetType),
		Protocol: api.ProtocolEnum(g.Protocol), IpAddressType: api.TargetGroupIpAddressTypeEnumIpv4,
		LoadBalancerArns:   []string{},
		HealthCheckEnabled: &h.Enabled, HealthCheckProtocol: api.ProtocolEnum(h.Protocol),
		HealthCheckPath:            &h.Path,
		HealthCheckIntervalSeconds: new(int32(h.IntervalSeconds)),
		HealthCheckTimeoutSeconds:  new(int32(h.TimeoutSeconds)),
		HealthyThresholdCount:      new(int32(h.HealthyThreshold)),
		UnhealthyThresholdCount:    new(int32(h.UnhealthyThreshold)),
		Matcher:                    &api.Matcher{},
	}
	if !g.OfFunction() {
		out.ProtocolVersion, out.Port, out.VpcId = &g.ProtocolVersion, new(int32(g.Port)), &g.VPC
		out.HealthCheckPort = &h.Port
	}
	if h.GRPCCode != "" {
		out.Matcher.GrpcCode = &h.GRPCCode
	} else {
		out.Matcher.HttpCode = &h.HTTPCode
	}
	if b := row.LoadBalancerOf(r, g.ARN); b != "" {
		out.LoadBalancerArns = append(out.LoadBalancerArns, b)
	}
	return out
}

// ModifyTargetGroup changes the health checks of a target group.
func (s *Service) ModifyTargetGroup(
	ctx context.Context, in *api.ModifyTargetGroupInput,
) (*api.ModifyTargetGroupOutput, error) {
	g, err := update(ctx, s, func(tx *state.Tx) (row.TargetGroup, error) {
		g, err := findGroup(tx, aws.Val(in.TargetGroupArn))
		if err != nil {
			return g, err
		}
		if g.HealthCheck, err = modifyHealthCheck(g, in); err != nil {
			return g, err
		}
		row.TargetGroups.Put(tx, g)
		return g, nil
	})
	if err != nil {
		return nil, err
	}
	return &api.ModifyTargetGroupOutput{
		TargetGroups: []api.TargetGroup{describeGroup(s.store.View(), g)},
	}, nil
}

// DeleteTargetGroup deletes a target group with its registrations, unless a rule forwards to it.
// One that does not exist is no error.
func (s *Service) DeleteTargetGroup(
	ctx context.Context, in *api.DeleteTargetGroupInput,
) (*api.DeleteTargetGroupOutput, error) {
	arn := aws.Val(in.TargetGroupArn)
	if err := checkARN(arn, "targetgroup/", "target group"); err != nil {
		return nil, err
	}
	return &api.DeleteTargetGroupOutput{}, s.store.Update(ctx, func(tx *state.Tx) error {
		if row.LoadBalancerOf(tx, arn) != "" {
			return api.ResourceInUseException(
				"Target group '%s' is currently in use by a listener or a rule", arn)
		}
		for t := range row.Targets.Scan(tx, arn+"|") {
			row.Targets.Delete(tx, t.Key())
		}
		row.TargetGroups.Delete(tx, arn)
		return nil
	})
}

// findGroup returns the target group with the ARN.
func findGroup(r state.Reader, arn string) (row.TargetGroup, error) {
	if err := checkARN(arn, "targetgroup/", "target group"); err != nil {
		return row.TargetGroup{}, err
	}
	g, ok := row.TargetGroups.Get(r, arn)
	if !ok {
		return g, api.TargetGroupNotFoundException("One or more target groups not found")
	}
	return g, nil
}
