package ec2

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
	"fairlead/internal/eni"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

// maxSubnets is the AWS quota "Subnets per VPC".
const maxSubnets = 200

func (s *Service) registerSubnets(r *wire.Router) {
	wire.Handle(r, ec2.OpCreateSubnet, s.CreateSubnet)
	wire.Handle(r, ec2.OpDeleteSubnet, s.DeleteSubnet)
	wire.Handle(r, ec2.OpDescribeSubnets, s.DescribeSubnets)
	wire.Handle(r, ec2.OpModifySubnetAttribute, s.ModifySubnetAttribute)
	wire.Handle(r, ec2.OpCreateDefaultSubnet, s.CreateDefaultSubnet)
}

// CreateSubnet makes a subnet in a free range of its VPC.
func (s *Service) CreateSubnet(
	ctx context.Context, in *ec2.CreateSubnetInput,
) (*ec2.CreateSubnetOutput, error) {
	err := refuse(
		setting{"IPv6 in a subnet", in.Ipv6CidrBlock != nil || aws.Val(in.Ipv6Native) ||
			in.Ipv6IpamPoolId != nil || in.Ipv6NetmaskLength != nil},
		setting{"IPAM", in.Ipv4IpamPoolId != nil || in.Ipv4NetmaskLength != nil},
		setting{"OutpostArn", in.OutpostArn != nil},
	)
	if err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.TagSpecifications, subnetKind)
	if err != nil {
		return nil, err
	}
	if in.CidrBlock == nil {
		return nil, missing("cidrBlock")
	}
	cidr, err := parseCIDR(*in.CidrBlock, "cidrBlock")
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.CreateSubnetOutput, error) {
			v, err := find(tx, row.VPCs, vpcKind, scope, in.VpcId)
			if err != nil {
				return nil, err
			}
			z, err := chooseZone(tx, v, in.AvailabilityZone, in.AvailabilityZoneId)
			if err != nil {
				return nil, err
			}
			if err := checkSubnetCIDR(tx, v, cidr); err != nil {
				return nil, err
			}
			subnet := newSubnet(v, cidr, z)
			subnet.Tags = tags
			row.Subnets.Put(tx, subnet)
			wire := wireSubnet(tx, subnet)
			return &ec2.CreateSubnetOutput{Subnet: &wire}, nil
		})
}

func checkSubnetCIDR(r state.Reader, v row.VPC, cidr netip.Prefix) error {
	if !rightSize(cidr) || !v.Contains(cidr) {
		return aws.NewFault("InvalidSubnet.Range", "The CIDR '%s' is invalid.", cidr)
	}
	if overlapsSubnet(r, v.ID, cidr) {
		return aws.NewFault("InvalidSubnet.Conflict",
			"The CIDR '%s' conflicts with another subnet", cidr)
	}
	if count(row.Subnets.By(r, "vpc", v.ID)) >= maxSubnets {
		return aws.NewFault("SubnetLimitExceeded",
			"The maximum number of subnets has been reached.")
	}
	return nil
}

// chooseZone returns the zone with the name or id, or else the one in which the VPC has the fewest
// subnets.
func chooseZone(r state.Reader, v row.VPC, name, id *string) (zone, error) {
	zones := zonesOf(v.Region)
	if name == nil && id == nil {
		return slices.MinFunc(zones, func(a, b zone) int {
			return subnetsIn(r, v, a) - subnetsIn(r, v, b)
		}), nil
	}
	for _, z := range zones {
		if aws.Or(name, z.name) == z.name && aws.Or(id, z.id) == z.id {
			return z, nil
		}
	}
	var names []string
	for _, z := range zones {
		names = append(names, z.name)
	}
	return zone{}, invalid("Value (%s) for parameter availabilityZone is invalid. Subnets can "+
		"currently only be created in the following availability zones: %s.",
		aws.Val(name)+aws.Val(id), strings.Join(names, ", "))
}

func subnetsIn(r state.Reader, v row.VPC, z zone) (n int) {
	for s := range row.Subnets.By(r, "vpc", v.ID) {
		if s.Zone == z.name {
			n++
		}
	}
	return n
}

func newSubnet(v row.VPC, cidr netip.Prefix, z zone) row.Subnet {
	return row.Subnet{
		Scope: v.Scope, ID: newID("subnet"), VPC: v.ID, CIDR: cidr, Zone: z.name, ZoneID: z.id,
		NetworkACLAssociation: newID("aclassoc"), CreatedAt: now(),
	}
}

// DeleteSubnet removes a subnet that has no network interfaces.
func (s *Service) DeleteSubnet(
	ctx context.Context, in *ec2.DeleteSubnetInput,
) (*ec2.DeleteSubnetOutput, error) {
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.DeleteSubnetOutput, error) {
			subnet, err := find(tx, row.Subnets, subnetKind, scope, in.SubnetId)
			if err != nil {
				return nil, err
			}
			if _, used := row.First(row.NetworkInterfaces.By(tx, "subnet", subnet.ID)); used {
				return nil, dependency(
					"The subnet '%s' has dependencies and cannot be deleted.", subnet.ID)
			}
			dissociateSubnet(tx, subnet)
			row.Subnets.Delete(tx, subnet.Key())
			return &ec2.DeleteSubnetOutput{}, nil
		})
}

// ModifySubnetAttribute changes one attribute of a subnet.
func (s *Service) ModifySubnetAttribute(
	ctx context.Context, in *ec2.ModifySubnetAttributeInput,
) (*ec2.ModifySubnetAttributeOutput, error) {
	if err := checkSubnetAttributes(in); err != nil {
		return nil, err
	}
	return change(ctx, s, nil,
		func(tx *state.Tx, scope row.Scope) (*ec2.ModifySubnetAttributeOutput, error) {
			subnet, err := find(tx, row.Subnets, subnetKind, scope, in.SubnetId)
			if err != nil {
				return nil, err
			}
			if in.MapPublicIpOnLaunch != nil {
				subnet.MapPublicIP = aws.Val(in.MapPublicIpOnLaunch.Value)
			}
			row.Subnets.Put(tx, subnet)
			return &ec2.ModifySubnetAttributeOutput{}, nil
		})
}

// checkSubnetAttributes refuses all but what a subnet is anyway: Terraform sets defaults, too.
func checkSubnetAttributes(in *ec2.ModifySubnetAttributeInput) error {
	type attribute = ec2.AttributeBooleanValue
	on := func(a *attribute) bool { return a != nil && aws.Val(a.Value) }
	err := oneAttribute(in.MapPublicIpOnLaunch != nil, in.AssignIpv6AddressOnCreation != nil,
		in.EnableDns64 != nil, in.EnableResourceNameDnsAAAARecordOnLaunch != nil,
		in.EnableResourceNameDnsARecordOnLaunch != nil, in.PrivateDnsHostnameTypeOnLaunch != "",
		in.MapCustomerOwnedIpOnLaunch != nil || in.CustomerOwnedIpv4Pool != nil,
		in.EnableLniAtDeviceIndex != nil, in.DisableLniAtDeviceIndex != nil)
	if err != nil {
		return err
	}
	return refuse(
		setting{"AssignIpv6AddressOnCreation", on(in.AssignIpv6AddressOnCreation)},
		setting{"EnableDns64", on(in.EnableDns64)},
		setting{"EnableResourceNameDnsAAAARecordOnLaunch",
			on(in.EnableResourceNameDnsAAAARecordOnLaunch)},
		setting{"EnableResourceNameDnsARecordOnLaunch",
			on(in.EnableResourceNameDnsARecordOnLaunch)},
		setting{"PrivateDnsHostnameTypeOnLaunch " + string(in.PrivateDnsHostnameTypeOnLaunch),
			in.PrivateDnsHostnameTypeOnLaunch != "" &&
				in.PrivateDnsHostnameTypeOnLaunch != ec2.HostnameTypeIpName},
		setting{"MapCustomerOwnedIpOnLaunch",
			on(in.MapCustomerOwnedIpOnLaunch) || in.CustomerOwnedIpv4Pool != nil},
		setting{"EnableLniAtDeviceIndex", in.EnableLniAtDeviceIndex != nil},
	)
}

// DescribeSubnets lists subnets.
func (s *Service) DescribeSubnets(
	ctx context.Context, in *ec2.DescribeSubnetsInput,
) (*ec2.DescribeSubnetsOutput, error) {
	r, scope, err := s.view(ctx, in.DryRun)
	if err != nil {
		return nil, err
	}
	all := wireAll(row.Subnets.Scan(r, scope.Key("")),
		func(s row.Subnet) ec2.Subnet { return wireSubnet(r, s) })
	page, next, err := subnetCatalog.list(all,
		query{in.SubnetIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeSubnetsOutput{Subnets: page, NextToken: next}, nil
}

func wireSubnet(r state.Reader, s row.Subnet) ec2.Subnet {
	return ec2.Subnet{
		SubnetId: new(s.ID), SubnetArn: new(s.ARN()), VpcId: new(s.VPC), OwnerId: new(s.Account),
		CidrBlock: new(s.CIDR.String()), State: ec2.SubnetStateAvailable,
		AvailabilityZone: new(s.Zone), AvailabilityZoneId: new(s.ZoneID),
		AvailableIpAddressCount: new(int32(eni.Available(r, s))),
		DefaultForAz:            new(s.Default), MapPublicIpOnLaunch: new(s.MapPublicIP),
		AssignIpv6AddressOnCreation: new(false), EnableDns64: new(false), Ipv6Native: new(false),
		MapCustomerOwnedIpOnLaunch: new(false),
		PrivateDnsNameOptionsOnLaunch: &ec2.PrivateDnsNameOptionsOnLaunch{
			HostnameType:                    ec2.HostnameTypeIpName,
			EnableResourceNameDnsARecord:    new(false),
			EnableResourceNameDnsAAAARecord: new(false),
		},
		BlockPublicAccessStates: &ec2.BlockPublicAccessStates{
			InternetGatewayBlockMode: ec2.BlockPublicAccessModeOff,
		},
		Tags: wireTags(s.Tags),
	}
}

var subnetCatalog = catalog[ec2.Subnet]{
	kind: subnetKind,
	id:   func(s ec2.Subnet) string { return *s.SubnetId },
	tags: func(s ec2.Subnet) []ec2.Tag { return s.Tags },
	filters: filters[ec2.Subnet]{
		"availability-zone":    func(s ec2.Subnet) []string { return one(s.AvailabilityZone) },
		"availabilityZone":     func(s ec2.Subnet) []string { return one(s.AvailabilityZone) },
		"availability-zone-id": func(s ec2.Subnet) []string { return one(s.AvailabilityZoneId) },
		"availabilityZoneId":   func(s ec2.Subnet) []string { return one(s.AvailabilityZoneId) },
		"available-ip-address-count": func(s ec2.Subnet) []string {
			return number(s.AvailableIpAddressCount)
		},
		"cidr":                       func(s ec2.Subnet) []string { return one(s.CidrBlock) },
		"cidr-block":                 func(s ec2.Subnet) []string { return one(s.CidrBlock) },
		"cidrBlock":                  func(s ec2.Subnet) []string { return one(s.CidrBlock) },
		"customer-owned-ipv4-pool":   never[ec2.Subnet],
		"default-for-az":             func(s ec2.Subnet) []string { return flag(s.DefaultForAz) },
		"defaultForAz":               func(s ec2.Subnet) []string { return flag(s.DefaultForAz) },
		"enable-dns64":               func(s ec2.Subnet) []string { return flag(s.EnableDns64) },
		"enable-lni-at-device-index": never[ec2.Subnet],
		"ipv6-cidr-block-association.ipv6-cidr-block": never[ec2.Subnet],
		"ipv6-cidr-block-association.association-id":  never[ec2.Subnet],
		"ipv6-cidr-block-association.state":           never[ec2.Subnet],
		"ipv6-native": func(s ec2.Subnet) []string {
			return flag(s.Ipv6Native)
		},
		"map-customer-owned-ip-on-launch": func(s ec2.Subnet) []string {
			return flag(s.MapCustomerOwnedIpOnLaunch)
		},
		"map-public-ip-on-launch": func(s ec2.Subnet) []string {
			return flag(s.MapPublicIpOnLaunch)
		},
		"outpost-arn": never[ec2.Subnet],
		"owner-id":    func(s ec2.Subnet) []string { return one(s.OwnerId) },
		"private-dns-name-options-on-launch.hostname-type": func(s ec2.Subnet) []string {
			return enum(s.PrivateDnsNameOptionsOnLaunch.HostnameType)
		},
		"private-dns-name-options-on-launch.enable-resource-name-dns-a-record":    off[ec2.Subnet],
		"private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record": off[ec2.Subnet],
		"state":      func(s ec2.Subnet) []string { return enum(s.State) },
		"subnet-arn": func(s ec2.Subnet) []string { return one(s.SubnetArn) },
		"subnet-id":  func(s ec2.Subnet) []string { return one(s.SubnetId) },
		"vpc-id":     func(s ec2.Subnet) []string { return one(s.VpcId) },
	},
}
