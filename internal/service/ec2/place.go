package ec2

import (
	"context"
	"slices"
	"strconv"

	"fairlead/internal/api/ec2"
	"fairlead/internal/eni"
	"fairlead/internal/wire"
)

func (s *Service) registerPlaces(r *wire.Router) {
	wire.Handle(r, ec2.OpDescribeAvailabilityZones, s.DescribeAvailabilityZones)
	wire.Handle(r, ec2.OpDescribeRegions, s.DescribeRegions)
	wire.Handle(r, ec2.OpDescribeAccountAttributes, s.DescribeAccountAttributes)
}

// DescribeAvailabilityZones lists the zones of the caller's region.
func (s *Service) DescribeAvailabilityZones(
	ctx context.Context, in *ec2.DescribeAvailabilityZonesInput,
) (*ec2.DescribeAvailabilityZonesOutput, error) {
	_, scope, err := s.view(ctx, in.DryRun)
	if err != nil {
		return nil, err
	}
	var all []ec2.AvailabilityZone
	for i, z := range zonesOf(scope.Region) {
		all = append(all, wireZone(scope.Region, z, i+1))
	}
	if all, err = pickNamed(all, in.ZoneNames, "availability zone",
		func(z ec2.AvailabilityZone) string { return *z.ZoneName }); err != nil {
		return nil, err
	}
	if all, err = pickNamed(all, in.ZoneIds, "availability zone-id",
		func(z ec2.AvailabilityZone) string { return *z.ZoneId }); err != nil {
		return nil, err
	}
	page, _, err := zoneCatalog.list(all, query{filters: in.Filters})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeAvailabilityZonesOutput{AvailabilityZones: page}, nil
}

func wireZone(region string, z zone, number int) ec2.AvailabilityZone {
	return ec2.AvailabilityZone{
		ZoneName: new(z.name), ZoneId: new(z.id), ZoneType: new("availability-zone"),
		State:       ec2.AvailabilityZoneStateAvailable,
		OptInStatus: ec2.AvailabilityZoneOptInStatusOptInNotRequired,
		RegionName:  new(region), NetworkBorderGroup: new(region),
		GroupName: new(region + "-zg-" + strconv.Itoa(number)),
		Messages:  []ec2.AvailabilityZoneMessage{},
	}
}

// pickNamed returns those of all that have one of the names, or all when there are no names.
func pickNamed[T any](all []T, names []string, what string, name func(T) string) ([]T, error) {
	for _, n := range names {
		if !slices.ContainsFunc(all, func(t T) bool { return name(t) == n }) {
			return nil, invalid("Invalid %s: [%s]", what, n)
		}
	}
	if len(names) == 0 {
		return all, nil
	}
	return slices.DeleteFunc(all, func(t T) bool { return !slices.Contains(names, name(t)) }), nil
}

var zoneCatalog = catalog[ec2.AvailabilityZone]{
	kind: kind{prefix: "zone"},
	id:   func(z ec2.AvailabilityZone) string { return *z.ZoneName },
	filters: filters[ec2.AvailabilityZone]{
		"group-name":       func(z ec2.AvailabilityZone) []string { return one(z.GroupName) },
		"group-long-name":  never[ec2.AvailabilityZone],
		"message":          never[ec2.AvailabilityZone],
		"opt-in-status":    func(z ec2.AvailabilityZone) []string { return enum(z.OptInStatus) },
		"parent-zone-id":   never[ec2.AvailabilityZone],
		"parent-zone-name": never[ec2.AvailabilityZone],
		"region-name":      func(z ec2.AvailabilityZone) []string { return one(z.RegionName) },
		"state":            func(z ec2.AvailabilityZone) []string { return enum(z.State) },
		"zone-id":          func(z ec2.AvailabilityZone) []string { return one(z.ZoneId) },
		"zone-name":        func(z ec2.AvailabilityZone) []string { return one(z.ZoneName) },
		"zone-type":        func(z ec2.AvailabilityZone) []string { return one(z.ZoneType) },
	},
}

// DescribeRegions lists the regions of AWS that every account has, and the caller's own: Fairlead
// answers for any region, so there is no other list.
func (s *Service) DescribeRegions(
	ctx context.Context, in *ec2.DescribeRegionsInput,
) (*ec2.DescribeRegionsOutput, error) {
	_, scope, err := s.view(ctx, in.DryRun)
	if err != nil {
		return nil, err
	}
	names := []string{
		"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1",
		"ap-southeast-2", "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2",
		"eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
	}
	if !slices.Contains(names, scope.Region) {
		names = append(names, scope.Region)
	}
	all := wireAll(slices.Values(names), wireRegion)
	if all, err = pickNamed(all, in.RegionNames, "region name",
		func(r ec2.Region) string { return *r.RegionName }); err != nil {
		return nil, err
	}
	page, _, err := regionCatalog.list(all, query{filters: in.Filters})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeRegionsOutput{Regions: page}, nil
}

func wireRegion(name string) ec2.Region {
	return ec2.Region{
		RegionName: new(name), Endpoint: new("ec2." + name + ".amazonaws.com"),
		OptInStatus: new("opt-in-not-required"),
	}
}

var regionCatalog = catalog[ec2.Region]{
	kind: kind{prefix: "region"},
	id:   func(r ec2.Region) string { return *r.RegionName },
	filters: filters[ec2.Region]{
		"endpoint":      func(r ec2.Region) []string { return one(r.Endpoint) },
		"opt-in-status": func(r ec2.Region) []string { return one(r.OptInStatus) },
		"region-name":   func(r ec2.Region) []string { return one(r.RegionName) },
	},
}

// DescribeAccountAttributes tells what the account may do.
func (s *Service) DescribeAccountAttributes(
	ctx context.Context, in *ec2.DescribeAccountAttributesInput,
) (*ec2.DescribeAccountAttributesOutput, error) {
	r, scope, err := s.view(ctx, in.DryRun)
	if err != nil {
		return nil, err
	}
	home := "none"
	if v, ok := defaultVPC(r, scope); ok {
		home = v.ID
	}
	all := []ec2.AccountAttribute{
		accountAttribute("supported-platforms", "VPC"),
		accountAttribute("default-vpc", home),
		accountAttribute("max-elastic-ips", strconv.Itoa(maxAddresses)),
		accountAttribute("vpc-max-elastic-ips", strconv.Itoa(maxAddresses)),
		accountAttribute("vpc-max-security-groups-per-interface", strconv.Itoa(eni.MaxGroups)),
		accountAttribute("max-instances", "0"),
	}
	if len(in.AttributeNames) > 0 {
		all = slices.DeleteFunc(all, func(a ec2.AccountAttribute) bool {
			return !slices.Contains(in.AttributeNames, ec2.AccountAttributeName(*a.AttributeName))
		})
	}
	return &ec2.DescribeAccountAttributesOutput{AccountAttributes: all}, nil
}

func accountAttribute(name, value string) ec2.AccountAttribute {
	return ec2.AccountAttribute{
		AttributeName:   new(name),
		AttributeValues: []ec2.AccountAttributeValue{{AttributeValue: new(value)}},
	}
}
