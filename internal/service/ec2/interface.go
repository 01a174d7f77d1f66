package ec2

import (
	"context"
	"net/netip"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
	"fairlead/internal/eni"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

func (s *Service) registerInterfaces(r *wire.Router) {
	wire.Handle(r, ec2.OpCreateNetworkInterface, s.CreateNetworkInterface)
	wire.Handle(r, ec2.OpDeleteNetworkInterface, s.DeleteNetworkInterface)
	wire.Handle(r, ec2.OpDescribeNetworkInterfaces, s.DescribeNetworkInterfaces)
	wire.Handle(r, ec2.OpDescribeNetworkInterfaceAttribute, s.DescribeNetworkInterfaceAttribute)
	wire.Handle(r, ec2.OpModifyNetworkInterfaceAttribute, s.ModifyNetworkInterfaceAttribute)
}

// CreateNetworkInterface makes an interface that is attached to nothing.
func (s *Service) CreateNetworkInterface(
	ctx context.Context, in *ec2.CreateNetworkInterfaceInput,
) (*ec2.CreateNetworkInterfaceOutput, error) {
	if err := refuseInterfaceSettings(in); err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.TagSpecifications, interfaceKind)
	if err != nil {
		return nil, err
	}
	address, err := wantedAddress(in)
	if err != nil {
		return nil, err
	}
	if err := subnetKind.check(aws.Val(in.SubnetId)); err != nil {
		return nil, err
	}
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.CreateNetworkInterfaceOutput, error) {
			n, made := interfaceByToken(tx, scope, aws.Val(in.ClientToken))
			if !made {
				n, err = eni.Allocate(tx, eni.Request{
					Scope: scope, Subnet: *in.SubnetId, Groups: in.Groups, Address: address,
					Description: aws.Val(in.Description), ClientToken: aws.Val(in.ClientToken),
					Tags: tags,
				})
				if err != nil {
					return nil, err
				}
			}
			wire := wireInterface(tx, n)
			return &ec2.CreateNetworkInterfaceOutput{
				NetworkInterface: &wire, ClientToken: in.ClientToken,
			}, nil
		})
}

func refuseInterfaceSettings(in *ec2.CreateNetworkInterfaceInput) error {
	return refuse(
		setting{"secondary private addresses", aws.Val(in.SecondaryPrivateIpAddressCount) > 0 ||
			len(in.PrivateIpAddresses) > 1},
		setting{"IPv6 on an interface", aws.Val(in.Ipv6AddressCount) > 0 ||
			len(in.Ipv6Addresses) > 0 || aws.Val(in.EnablePrimaryIpv6)},
		setting{"address prefixes on an interface", aws.Val(in.Ipv4PrefixCount) > 0 ||
			aws.Val(in.Ipv6PrefixCount) > 0 ||
			len(in.Ipv4Prefixes) > 0 || len(in.Ipv6Prefixes) > 0},
		setting{"InterfaceType " + string(in.InterfaceType), in.InterfaceType != ""},
		setting{"ConnectionTrackingSpecification", in.ConnectionTrackingSpecification != nil},
		setting{"Operator", in.Operator != nil},
	)
}

// wantedAddress returns the primary private address that the call asks for, if any.
func wantedAddress(in *ec2.CreateNetworkInterfaceInput) (netip.Addr, error) {
	text := in.PrivateIpAddress
	if text == nil && len(in.PrivateIpAddresses) == 1 {
		text = in.PrivateIpAddresses[0].PrivateIpAddress
	}
	if text == nil {
		return netip.Addr{}, nil
	}
	address, err := netip.ParseAddr(*text)
	if err != nil || !address.Is4() {
		return netip.Addr{}, invalid("Value (%s) for parameter privateIpAddress is invalid. "+
			"Invalid IPv4 address", *text)
	}
	return address, nil
}

func interfaceByToken(
	r state.Reader, scope row.Scope, token string,
) (row.NetworkInterface, bool) {
	for n := range row.NetworkInterfaces.By(r, "token", token) {
		if n.Scope == scope {
			return n, true
		}
	}
	return row.NetworkInterface{}, false
}

// DeleteNetworkInterface removes an interface that is attached to nothing.
func (s *Service) DeleteNetworkInterface(
	ctx context.Context, in *ec2.DeleteNetworkInterfaceInput,
) (*ec2.DeleteNetworkInterfaceOutput, error) {
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.DeleteNetworkInterfaceOutput, error) {
			n, err := find(tx, row.NetworkInterfaces, interfaceKind, scope, in.NetworkInterfaceId)
			if err != nil {
				return nil, err
			}
			if n.Attachment != "" || n.RequesterManaged {
				return nil, invalid("Network interface '%s' is currently in use.", n.ID)
			}
			eni.Release(tx, n.Key())
			return &ec2.DeleteNetworkInterfaceOutput{}, nil
		})
}

// ModifyNetworkInterfaceAttribute changes one attribute of an interface that the caller manages.
func (s *Service) ModifyNetworkInterfaceAttribute(
	ctx context.Context, in *ec2.ModifyNetworkInterfaceAttributeInput,
) (*ec2.ModifyNetworkInterfaceAttributeOutput, error) {
	if err := refuseInterfaceAttributes(in); err != nil {
		return nil, err
	}
	err := oneAttribute(in.Description != nil, len(in.Groups) > 0, in.SourceDestCheck != nil)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.ModifyNetworkInterfaceAttributeOutput, error) {
			n, err := find(tx, row.NetworkInterfaces, interfaceKind, scope, in.NetworkInterfaceId)
			if err != nil {
				return nil, err
			}
			if n.RequesterManaged {
				return nil, notYours(n)
			}
			switch {
			case in.Description != nil:
				n.Description = aws.Val(in.Description.Value)
			case in.SourceDestCheck != nil:
				n.NoSourceDestCheck = !aws.Val(in.SourceDestCheck.Value)
			default:
				subnet, _ := row.Subnets.Get(tx, scope.Key(n.Subnet))
				if n.Groups, err = eni.Groups(tx, subnet, in.Groups); err != nil {
					return nil, err
				}
			}
			row.NetworkInterfaces.Put(tx, n)
			return &ec2.ModifyNetworkInterfaceAttributeOutput{}, nil
		})
}

func refuseInterfaceAttributes(in *ec2.ModifyNetworkInterfaceAttributeInput) error {
	return refuse(
		setting{"attachments of interfaces", in.Attachment != nil},
		setting{"EnaSrdSpecification", in.EnaSrdSpecification != nil},
		setting{"EnablePrimaryIpv6", aws.Val(in.EnablePrimaryIpv6)},
		setting{"ConnectionTrackingSpecification", in.ConnectionTrackingSpecification != nil},
		setting{"AssociatePublicIpAddress", in.AssociatePublicIpAddress != nil},
		setting{"AssociatedSubnetIds", len(in.AssociatedSubnetIds) > 0},
	)
}

func notYours(n row.NetworkInterface) *aws.Fault {
	return aws.NewFault("OperationNotPermitted",
		"The network interface '%s' is managed by %s.", n.ID, n.Requester)
}

// DescribeNetworkInterfaceAttribute tells one attribute of an interface.
func (s *Service) DescribeNetworkInterfaceAttribute(
	ctx context.Context, in *ec2.DescribeNetworkInterfaceAttributeInput,
) (*ec2.DescribeNetworkInterfaceAttributeOutput, error) {
	r, scope, err := s.view(ctx, in.DryRun)
	if err != nil {
		return nil, err
	}
	n, err := find(r, row.NetworkInterfaces, interfaceKind, scope, in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	wire := wireInterface(r, n)
	out := &ec2.DescribeNetworkInterfaceAttributeOutput{NetworkInterfaceId: in.NetworkInterfaceId}
	switch in.Attribute {
	case ec2.NetworkInterfaceAttributeDescription:
		out.Description = &ec2.AttributeValue{Value: wire.Description}
	case ec2.NetworkInterfaceAttributeGroupSet:
		out.Groups = wire.Groups
	case ec2.NetworkInterfaceAttributeSourceDestCheck:
		out.SourceDestCheck = boolAttribute(!n.NoSourceDestCheck)
	case ec2.NetworkInterfaceAttributeAttachment:
		out.Attachment = wire.Attachment
	case ec2.NetworkInterfaceAttributeAssociatePublicIpAddress:
		out.AssociatePublicIpAddress = new(n.PublicAddress != "")
	default:
		return nil, aws.NewFault("InvalidParameterCombination", "No attributes specified.")
	}
	return out, nil
}
