package ec2

import (
	"context"
	"net/netip"
	"slices"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

// maxVPCs is how many VPCs a region can have. The AWS quota "VPCs per Region" begins at 5 and can
// be raised to hundreds; Fairlead starts raised.
const maxVPCs = 100

func (s *Service) registerVPCs(r *wire.Router) {
	wire.Handle(r, ec2.OpCreateVpc, s.CreateVpc)
	wire.Handle(r, ec2.OpDeleteVpc, s.DeleteVpc)
	wire.Handle(r, ec2.OpDescribeVpcs, s.DescribeVpcs)
	wire.Handle(r, ec2.OpDescribeVpcAttribute, s.DescribeVpcAttribute)
	wire.Handle(r, ec2.OpModifyVpcAttribute, s.ModifyVpcAttribute)
	wire.Handle(r, ec2.OpAssociateVpcCidrBlock, s.AssociateVpcCidrBlock)
	wire.Handle(r, ec2.OpDisassociateVpcCidrBlock, s.DisassociateVpcCidrBlock)
	wire.Handle(r, ec2.OpCreateDefaultVpc, s.CreateDefaultVpc)
	wire.Handle(r, ec2.OpDescribeNetworkAcls, s.DescribeNetworkAcls)
	wire.Handle(r, ec2.OpDescribeDhcpOptions, s.DescribeDhcpOptions)
}

// CreateVpc makes a VPC with its main route table, default network ACL and default security group.
func (s *Service) CreateVpc(
	ctx context.Context, in *ec2.CreateVpcInput,
) (*ec2.CreateVpcOutput, error) {
	if err := refuseVPCSettings(in); err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.TagSpecifications, vpcKind)
	if err != nil {
		return nil, err
	}
	cidr, err := vpcCIDR(in.CidrBlock)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.CreateVpcOutput, error) {
			if count(row.VPCs.Scan(tx, scope.Key(""))) >= maxVPCs {
				return nil, aws.NewFault("VpcLimitExceeded",
					"The maximum number of VPCs has been reached.")
			}
			v := newVPC(scope, cidr)
			v.Tags = tags
			row.VPCs.Put(tx, v)
			putMainRouteTable(tx, v)
			putDefaultGroup(tx, v)
			wire := wireVPC(tx, v)
			wire.State = ec2.VpcStatePending
			return &ec2.CreateVpcOutput{Vpc: &wire}, nil
		})
}

func refuseVPCSettings(in *ec2.CreateVpcInput) error {
	return refuse(
		setting{"InstanceTenancy " + string(in.InstanceTenancy),
			in.InstanceTenancy != "" && in.InstanceTenancy != ec2.TenancyDefault},
		setting{"IPv6 in a VPC", aws.Val(in.AmazonProvidedIpv6CidrBlock) ||
			in.Ipv6CidrBlock != nil || in.Ipv6Pool != nil || in.Ipv6IpamPoolId != nil},
		setting{"IPAM", in.Ipv4IpamPoolId != nil || in.Ipv4NetmaskLength != nil},
		setting{"VpcEncryptionControl", in.VpcEncryptionControl != nil},
	)
}

// vpcCIDR returns a range that a VPC may have.
func vpcCIDR(text *string) (netip.Prefix, error) {
	if text == nil {
		return netip.Prefix{}, missing("cidrBlock")
	}
	cidr, err := parseCIDR(*text, "cidrBlock")
	if err == nil && (!rightSize(cidr) || !usable(cidr)) {
		err = aws.NewFault("InvalidVpc.Range", "The CIDR '%s' is invalid.", *text)
	}
	return cidr, err
}

func newVPC(scope row.Scope, cidr netip.Prefix) row.VPC {
	return row.VPC{
		Scope: scope, ID: newID("vpc"), CreatedAt: now(), DNSSupport: true,
		CIDRs:      []row.VPCCIDR{{Association: newID("vpc-cidr-assoc"), CIDR: cidr}},
		NetworkACL: newID("acl"),
	}
}

// DeleteVpc removes a VPC of which nothing is left but what came with it.
func (s *Service) DeleteVpc(
	ctx context.Context, in *ec2.DeleteVpcInput,
) (*ec2.DeleteVpcOutput, error) {
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.DeleteVpcOutput, error) {
			v, err := find(tx, row.VPCs, vpcKind, scope, in.VpcId)
			if err != nil {
				return nil, err
			}
			if inhabited(tx, v) {
				return nil, dependency(
					"The vpc '%s' has dependencies and cannot be deleted.", v.ID)
			}
			for t := range row.RouteTables.By(tx, "vpc", v.ID) {
				row.RouteTables.Delete(tx, t.Key())
			}
			for g := range row.SecurityGroups.By(tx, "vpc", v.ID) {
				row.SecurityGroups.Delete(tx, g.Key())
			}
			row.VPCs.Delete(tx, v.Key())
			return &ec2.DeleteVpcOutput{}, nil
		})
}

// inhabited reports whether the VPC holds anything that its owner has put there.
func inhabited(r state.Reader, v row.VPC) bool {
	_, subnets := row.First(row.Subnets.By(r, "vpc", v.ID))
	_, gateways := row.First(row.InternetGateways.By(r, "vpc", v.ID))
	return subnets || gateways ||
		count(row.RouteTables.By(r, "vpc", v.ID)) > 1 ||
		count(row.SecurityGroups.By(r, "vpc", v.ID)) > 1
}

// AssociateVpcCidrBlock gives a VPC one more range.
func (s *Service) AssociateVpcCidrBlock(
	ctx context.Context, in *ec2.AssociateVpcCidrBlockInput,
) (*ec2.AssociateVpcCidrBlockOutput, error) {
	err := refuse(
		setting{"IPv6 in a VPC", aws.Val(in.AmazonProvidedIpv6CidrBlock) ||
			in.Ipv6CidrBlock != nil || in.Ipv6Pool != nil || in.Ipv6IpamPoolId != nil},
		setting{"IPAM", in.Ipv4IpamPoolId != nil || in.Ipv4NetmaskLength != nil},
	)
	if err != nil {
		return nil, err
	}
	cidr, err := vpcCIDR(in.CidrBlock)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, nil,
		func(tx *state.Tx, scope row.Scope) (*ec2.AssociateVpcCidrBlockOutput, error) {
			added, err := addCIDR(tx, scope, in.VpcId, cidr)
			if err != nil {
				return nil, err
			}
			wire := wireVPCCIDR(added)
			wire.CidrBlockState.State = ec2.VpcCidrBlockStateCodeAssociating
			return &ec2.AssociateVpcCidrBlockOutput{
				VpcId: in.VpcId, CidrBlockAssociation: &wire,
			}, nil
		})
}

// maxVPCCIDRs is the AWS quota "IPv4 CIDR blocks per VPC", the primary one included.
const maxVPCCIDRs = 5

func addCIDR(
	tx *state.Tx, scope row.Scope, vpc *string, cidr netip.Prefix,
) (row.VPCCIDR, error) {
	v, err := find(tx, row.VPCs, vpcKind, scope, vpc)
	if err != nil {
		return row.VPCCIDR{}, err
	}
	if slices.ContainsFunc(v.CIDRs, func(c row.VPCCIDR) bool { return c.CIDR.Overlaps(cidr) }) {
		return row.VPCCIDR{}, aws.NewFault("InvalidVpc.Range",
			"The CIDR '%s' conflicts with another CIDR of the VPC.", cidr)
	}
	if len(v.CIDRs) >= maxVPCCIDRs {
		return row.VPCCIDR{}, aws.NewFault("VpcCidrBlockLimitExceeded",
			"This network '%s' has met its maximum number of allowed CIDRs: %d", v.ID, maxVPCCIDRs)
	}
	added := row.VPCCIDR{Association: newID("vpc-cidr-assoc"), CIDR: cidr}
	v.CIDRs = append(slices.Clone(v.CIDRs), added)
	row.VPCs.Put(tx, v)
	return added, nil
}

// DisassociateVpcCidrBlock takes a range away from a VPC.
func (s *Service) DisassociateVpcCidrBlock(
	ctx context.Context, in *ec2.DisassociateVpcCidrBlockInput,
) (*ec2.DisassociateVpcCidrBlockOutput, error) {
	return change(ctx, s, nil,
		func(tx *state.Tx, scope row.Scope) (*ec2.DisassociateVpcCidrBlockOutput, error) {
			v, removed, err := removeCIDR(tx, scope, aws.Val(in.AssociationId))
			if err != nil {
				return nil, err
			}
			wire := wireVPCCIDR(removed)
			wire.CidrBlockState.State = ec2.VpcCidrBlockStateCodeDisassociating
			return &ec2.DisassociateVpcCidrBlockOutput{
				VpcId: new(v.ID), CidrBlockAssociation: &wire,
			}, nil
		})
}

func removeCIDR(tx *state.Tx, scope row.Scope, id string) (v row.VPC, c row.VPCCIDR, err error) {
	at := -1
	for v = range row.VPCs.Scan(tx, scope.Key("")) {
		at = slices.IndexFunc(v.CIDRs, func(c row.VPCCIDR) bool { return c.Association == id })
		if at >= 0 {
			break
		}
	}
	if at < 0 {
		return v, c, aws.NewFault("InvalidVpcCidrBlockAssociationID.NotFound",
			"The vpc CIDR block association ID '%s' does not exist", id)
	}
	if at == 0 {
		return v, c, aws.NewFault("OperationNotPermitted", "The vpc CIDR block with association "+
			"ID %s may not be disassociated. It is the primary IPv4 CIDR block of the VPC", id)
	}
	if c = v.CIDRs[at]; overlapsSubnet(tx, v.ID, c.CIDR) {
		return v, c, aws.NewFault("InvalidCidr.InUse", "The vpc CIDR block with association "+
			"ID %s may not be disassociated. It has subnets", id)
	}
	v.CIDRs = slices.Delete(slices.Clone(v.CIDRs), at, at+1)
	row.VPCs.Put(tx, v)
	return v, c, nil
}
