package ec2

import (
	"context"
	"net/netip"
	"time"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// The default VPC has this range, and a default subnet in each zone with a range of this many bits.
// https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc-components.html
var defaultCIDR = netip.MustParsePrefix("172.31.0.0/16")

const defaultSubnetBits = 20

// EnsureDefault makes the default VPC of a scope unless it was made before: 172.31.0.0/16 with a
// default subnet per zone, an internet gateway and a main route table that leads to it. It costs a
// read when there is nothing to do. Every service calls it before it looks at EC2's rows.
func EnsureDefault(ctx context.Context, s *state.Store, scope row.Scope) error {
	if settled(s.View(), scope) {
		return nil
	}
	return s.Update(ctx, func(tx *state.Tx) error {
		if settled(tx, scope) {
			return nil
		}
		row.EC2s.Put(tx, row.EC2{Scope: scope, DefaultVPCMade: true, DHCPOptions: newID("dopt")})
		putDefaultVPC(tx, scope)
		return nil
	})
}

func settled(r state.Reader, scope row.Scope) bool {
	_, ok := row.EC2s.Get(r, scope.Key(""))
	return ok
}

func putDefaultVPC(tx *state.Tx, scope row.Scope) row.VPC {
	v := newVPC(scope, defaultCIDR)
	v.Default, v.DNSHostnames = true, true
	row.VPCs.Put(tx, v)
	gateway := row.InternetGateway{
		Scope: scope, ID: newID("igw"), VPC: v.ID, CreatedAt: v.CreatedAt,
	}
	row.InternetGateways.Put(tx, gateway)
	putMainRouteTable(tx, v, row.Route{
		Destination: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Gateway: gateway.ID,
	})
	putDefaultGroup(tx, v)
	for _, z := range zonesOf(scope.Region) {
		putDefaultSubnet(tx, v, z)
	}
	return v
}

// putDefaultSubnet adds the default subnet of a zone, in the first free range. It reports whether
// there was one.
func putDefaultSubnet(tx *state.Tx, v row.VPC, z zone) (row.Subnet, bool) {
	first := netip.PrefixFrom(defaultCIDR.Addr(), defaultSubnetBits)
	for p := first; defaultCIDR.Overlaps(p); p = following(p) {
		if !overlapsSubnet(tx, v.ID, p) {
			s := newSubnet(v, p, z)
			s.Default, s.MapPublicIP = true, true
			row.Subnets.Put(tx, s)
			return s, true
		}
	}
	return row.Subnet{}, false
}

// following returns the range of the same size after p.
func following(p netip.Prefix) netip.Prefix {
	b := p.Addr().As4()
	step := 1 << (32 - p.Bits())
	for i := 3; i >= 0 && step > 0; i-- {
		step += int(b[i])
		b[i] = byte(step)
		step >>= 8
	}
	return netip.PrefixFrom(netip.AddrFrom4(b), p.Bits())
}

// defaultVPC returns the scope's default VPC, if it has one.
func defaultVPC(r state.Reader, scope row.Scope) (row.VPC, bool) {
	for v := range row.VPCs.Scan(r, scope.Key("")) {
		if v.Default {
			return v, true
		}
	}
	return row.VPC{}, false
}

// CreateDefaultVpc brings back the default VPC of an account and region that deleted it.
func (s *Service) CreateDefaultVpc(
	ctx context.Context, in *ec2.CreateDefaultVpcInput,
) (*ec2.CreateDefaultVpcOutput, error) {
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.CreateDefaultVpcOutput, error) {
			if _, ok := defaultVPC(tx, scope); ok {
				return nil, aws.NewFault("DefaultVpcAlreadyExists",
					"A Default VPC already exists for this account in this region.")
			}
			v := wireVPC(tx, putDefaultVPC(tx, scope))
			return &ec2.CreateDefaultVpcOutput{Vpc: &v}, nil
		})
}

// CreateDefaultSubnet brings back the default subnet of a zone.
func (s *Service) CreateDefaultSubnet(
	ctx context.Context, in *ec2.CreateDefaultSubnetInput,
) (*ec2.CreateDefaultSubnetOutput, error) {
	if aws.Val(in.Ipv6Native) {
		return nil, unsupported("Ipv6Native")
	}
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.CreateDefaultSubnetOutput, error) {
			subnet, err := remakeDefaultSubnet(tx, scope, in)
			if err != nil {
				return nil, err
			}
			wire := wireSubnet(tx, subnet)
			return &ec2.CreateDefaultSubnetOutput{Subnet: &wire}, nil
		})
}

func remakeDefaultSubnet(
	tx *state.Tx, scope row.Scope, in *ec2.CreateDefaultSubnetInput,
) (row.Subnet, error) {
	v, ok := defaultVPC(tx, scope)
	if !ok {
		return row.Subnet{}, aws.NewFault("DefaultVpcDoesNotExist",
			"No default VPC exists for this account in this region.")
	}
	if in.AvailabilityZone == nil && in.AvailabilityZoneId == nil {
		return row.Subnet{}, missing("availabilityZone")
	}
	z, err := chooseZone(tx, v, in.AvailabilityZone, in.AvailabilityZoneId)
	if err != nil {
		return row.Subnet{}, err
	}
	for other := range row.Subnets.By(tx, "vpc", v.ID) {
		if other.Default && other.Zone == z.name {
			return row.Subnet{}, aws.NewFault("DefaultSubnetAlreadyExistsInAvailabilityZone",
				"'%s' is already the default subnet in %s.", other.ID, z.name)
		}
	}
	subnet, ok := putDefaultSubnet(tx, v, z)
	if !ok {
		return row.Subnet{}, aws.NewFault("InsufficientCidrBlocks",
			"There is no free range of /%d in %s.", defaultSubnetBits, defaultCIDR)
	}
	return subnet, nil
}

// now is the time of creation of rows.
func now() time.Time { return time.Now().UTC() }
