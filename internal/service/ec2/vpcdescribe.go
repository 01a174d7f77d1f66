package ec2

import (
	"context"
	"iter"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// DescribeVpcs lists VPCs.
func (s *Service) DescribeVpcs(
	ctx context.Context, in *ec2.DescribeVpcsInput,
) (*ec2.DescribeVpcsOutput, error) {
	r, scope, err := s.view(ctx, in.DryRun)
	if err != nil {
		return nil, err
	}
	all := wireAll(row.VPCs.Scan(r, scope.Key("")),
		func(v row.VPC) ec2.Vpc { return wireVPC(r, v) })
	page, next, err := vpcCatalog.list(all,
		query{in.VpcIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeVpcsOutput{Vpcs: page, NextToken: next}, nil
}

// DescribeVpcAttribute tells one attribute of a VPC.
func (s *Service) DescribeVpcAttribute(
	ctx context.Context, in *ec2.DescribeVpcAttributeInput,
) (*ec2.DescribeVpcAttributeOutput, error) {
	r, scope, err := s.view(ctx, in.DryRun)
	if err != nil {
		return nil, err
	}
	v, err := find(r, row.VPCs, vpcKind, scope, in.VpcId)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeVpcAttributeOutput{VpcId: in.VpcId}
	switch in.Attribute {
	case ec2.VpcAttributeNameEnableDnsSupport:
		out.EnableDnsSupport = boolAttribute(v.DNSSupport)
	case ec2.VpcAttributeNameEnableDnsHostnames:
		out.EnableDnsHostnames = boolAttribute(v.DNSHostnames)
	case ec2.VpcAttributeNameEnableNetworkAddressUsageMetrics:
		out.EnableNetworkAddressUsageMetrics = boolAttribute(false)
	default:
		return nil, invalid("Value (%s) for parameter attribute is invalid. "+
			"Unknown attribute.", in.Attribute)
	}
	return out, nil
}

func boolAttribute(value bool) *ec2.AttributeBooleanValue {
	return &ec2.AttributeBooleanValue{Value: new(value)}
}

// ModifyVpcAttribute changes one attribute of a VPC.
func (s *Service) ModifyVpcAttribute(
	ctx context.Context, in *ec2.ModifyVpcAttributeInput,
) (*ec2.ModifyVpcAttributeOutput, error) {
	support, hostnames := in.EnableDnsSupport, in.EnableDnsHostnames
	metrics := in.EnableNetworkAddressUsageMetrics
	err := oneAttribute(support != nil, hostnames != nil, metrics != nil)
	if err != nil {
		return nil, err
	}
	if metrics != nil && aws.Val(metrics.Value) {
		return nil, unsupported("EnableNetworkAddressUsageMetrics")
	}
	return change(ctx, s, nil,
		func(tx *state.Tx, scope row.Scope) (*ec2.ModifyVpcAttributeOutput, error) {
			v, err := find(tx, row.VPCs, vpcKind, scope, in.VpcId)
			if err != nil {
				return nil, err
			}
			if support != nil {
				v.DNSSupport = aws.Val(support.Value)
			}
			if hostnames != nil {
				v.DNSHostnames = aws.Val(hostnames.Value)
			}
			row.VPCs.Put(tx, v)
			return &ec2.ModifyVpcAttributeOutput{}, nil
		})
}

// oneAttribute checks that a call sets exactly one attribute.
func oneAttribute(set ...bool) error {
	n := 0
	for _, s := range set {
		if s {
			n++
		}
	}
	switch n {
	case 0:
		return aws.NewFault("InvalidParameterCombination", "No attributes specified.")
	case 1:
		return nil
	}
	return aws.NewFault("InvalidParameterCombination",
		"Fields for multiple attribute types specified.")
}

func wireVPC(r state.Reader, v row.VPC) ec2.Vpc {
	home, _ := row.EC2s.Get(r, v.Scope.Key(""))
	wire := ec2.Vpc{
		VpcId: new(v.ID), OwnerId: new(v.Account), State: ec2.VpcStateAvailable,
		CidrBlock: new(v.CIDRs[0].CIDR.String()), IsDefault: new(v.Default),
		DhcpOptionsId: new(home.DHCPOptions), InstanceTenancy: ec2.TenancyDefault,
		Tags: wireTags(v.Tags),
		BlockPublicAccessStates: &ec2.BlockPublicAccessStates{
			InternetGatewayBlockMode: ec2.BlockPublicAccessModeOff,
		},
	}
	for _, c := range v.CIDRs {
		wire.CidrBlockAssociationSet = append(wire.CidrBlockAssociationSet, wireVPCCIDR(c))
	}
	return wire
}

func wireVPCCIDR(c row.VPCCIDR) ec2.VpcCidrBlockAssociation {
	return ec2.VpcCidrBlockAssociation{
		AssociationId: new(c.Association), CidrBlock: new(c.CIDR.String()),
		CidrBlockState: &ec2.VpcCidrBlockState{State: ec2.VpcCidrBlockStateCodeAssociated},
	}
}

var vpcCatalog = catalog[ec2.Vpc]{
	kind: vpcKind,
	id:   func(v ec2.Vpc) string { return *v.VpcId },
	tags: func(v ec2.Vpc) []ec2.Tag { return v.Tags },
	filters: filters[ec2.Vpc]{
		"cidr":      func(v ec2.Vpc) []string { return one(v.CidrBlock) },
		"cidrBlock": func(v ec2.Vpc) []string { return one(v.CidrBlock) },
		"cidr-block-association.cidr-block": vpcCIDRs(
			func(c ec2.VpcCidrBlockAssociation) []string { return one(c.CidrBlock) }),
		"cidr-block-association.association-id": vpcCIDRs(
			func(c ec2.VpcCidrBlockAssociation) []string { return one(c.AssociationId) }),
		"cidr-block-association.state": vpcCIDRs(
			func(c ec2.VpcCidrBlockAssociation) []string { return enum(c.CidrBlockState.State) }),
		"dhcp-options-id": func(v ec2.Vpc) []string { return one(v.DhcpOptionsId) },
		"ipv6-cidr-block-association.ipv6-cidr-block": never[ec2.Vpc],
		"ipv6-cidr-block-association.ipv6-pool":       never[ec2.Vpc],
		"ipv6-cidr-block-association.association-id":  never[ec2.Vpc],
		"ipv6-cidr-block-association.state":           never[ec2.Vpc],
		"is-default": func(v ec2.Vpc) []string {
			return flag(v.IsDefault)
		},
		"isDefault": func(v ec2.Vpc) []string {
			return flag(v.IsDefault)
		},
		"owner-id": func(v ec2.Vpc) []string {
			return one(v.OwnerId)
		},
		"state": func(v ec2.Vpc) []string {
			return enum(v.State)
		},
		"vpc-id": func(v ec2.Vpc) []string {
			return one(v.VpcId)
		},
	},
}

func vpcCIDRs(value func(ec2.VpcCidrBlockAssociation) []string) func(ec2.Vpc) []string {
	return func(v ec2.Vpc) []string { return each(v.CidrBlockAssociationSet, value) }
}

// wireAll turns rows into wire shapes.
func wireAll[R, W any](rows iter.Seq[R], wire func(R) W) (all []W) {
	for r := range rows {
		all = append(all, wire(r))
	}
	return all
}

func count[R any](rows iter.Seq[R]) (n int) {
	for range rows {
		n++
	}
	return n
}
