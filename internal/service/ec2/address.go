package ec2

import (
	"context"
	"slices"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
	"fairlead/internal/eni"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

// maxAddresses is how many Elastic IP addresses a region can have. The AWS quota "EC2-VPC Elastic
// IPs" begins at 5 and can be raised; Fairlead starts raised.
const maxAddresses = 100

func (s *Service) registerAddresses(r *wire.Router) {
	wire.Handle(r, ec2.OpAllocateAddress, s.AllocateAddress)
	wire.Handle(r, ec2.OpReleaseAddress, s.ReleaseAddress)
	wire.Handle(r, ec2.OpAssociateAddress, s.AssociateAddress)
	wire.Handle(r, ec2.OpDisassociateAddress, s.DisassociateAddress)
	wire.Handle(r, ec2.OpDescribeAddresses, s.DescribeAddresses)
	wire.Handle(r, ec2.OpDescribeAddressesAttribute, s.DescribeAddressesAttribute)
}

// AllocateAddress takes an address from the public pool for the caller to keep.
func (s *Service) AllocateAddress(
	ctx context.Context, in *ec2.AllocateAddressInput,
) (*ec2.AllocateAddressOutput, error) {
	region := aws.CallerFrom(ctx).Region
	err := refuse(
		setting{"Domain standard", in.Domain != "" && in.Domain != ec2.DomainTypeVpc},
		setting{"AllocateAddress with an Address", in.Address != nil},
		setting{"pools of one's own", aws.Or(in.PublicIpv4Pool, "amazon") != "amazon" ||
			in.CustomerOwnedIpv4Pool != nil || in.IpamPoolId != nil},
		setting{"NetworkBorderGroup " + aws.Val(in.NetworkBorderGroup),
			aws.Or(in.NetworkBorderGroup, region) != region},
	)
	if err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.TagSpecifications, addressKind)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.AllocateAddressOutput, error) {
			if count(row.Addresses.Scan(tx, scope.Key(""))) >= maxAddresses {
				return nil, aws.NewFault("AddressLimitExceeded",
					"The maximum number of addresses has been reached.")
			}
			public, err := eni.PublicAddress(tx)
			if err != nil {
				return nil, err
			}
			a := row.Address{
				Scope: scope, ID: newID("eipalloc"), Address: public, CreatedAt: now(), Tags: tags,
			}
			row.Addresses.Put(tx, a)
			return &ec2.AllocateAddressOutput{
				AllocationId: new(a.ID), PublicIp: new(public.String()), Domain: ec2.DomainTypeVpc,
				PublicIpv4Pool: new("amazon"), NetworkBorderGroup: new(scope.Region),
			}, nil
		})
}

// ReleaseAddress gives an address back that no interface has.
func (s *Service) ReleaseAddress(
	ctx context.Context, in *ec2.ReleaseAddressInput,
) (*ec2.ReleaseAddressOutput, error) {
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.ReleaseAddressOutput, error) {
			a, err := findAddress(tx, scope, in.AllocationId, in.PublicIp)
			if err != nil {
				return nil, err
			}
			if a.Interface != "" {
				return nil, aws.NewFault("InvalidIPAddress.InUse",
					"Address %s is in use.", a.Address)
			}
			row.Addresses.Delete(tx, a.Key())
			return &ec2.ReleaseAddressOutput{}, nil
		})
}

// findAddress returns the address with the allocation id, or else the one that reads so.
func findAddress(r state.Reader, scope row.Scope, id, public *string) (row.Address, error) {
	if id != nil {
		return find(r, row.Addresses, addressKind, scope, id)
	}
	if public == nil {
		return row.Address{}, missing("AllocationId")
	}
	for a := range row.Addresses.By(r, "public", *public) {
		if a.Scope == scope {
			return a, nil
		}
	}
	return row.Address{}, aws.NewFault("InvalidAddress.NotFound",
		"Address '%s' not found.", *public)
}

// AssociateAddress gives an address to an interface, in place of the one it has.
func (s *Service) AssociateAddress(
	ctx context.Context, in *ec2.AssociateAddressInput,
) (*ec2.AssociateAddressOutput, error) {
	if in.InstanceId != nil {
		return nil, unsupported("instances")
	}
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.AssociateAddressOutput, error) {
			a, err := findAddress(tx, scope, in.AllocationId, in.PublicIp)
			if err != nil {
				return nil, err
			}
			n, err := find(tx, row.NetworkInterfaces, interfaceKind, scope, in.NetworkInterfaceId)
			if err != nil {
				return nil, err
			}
			if aws.Or(in.PrivateIpAddress, n.Address) != n.Address {
				return nil, invalid("The private IP address %s is not assigned to interface %s",
					*in.PrivateIpAddress, n.ID)
			}
			a, err = associateAddress(tx, a, n, aws.Or(in.AllowReassociation, true))
			if err != nil {
				return nil, err
			}
			return &ec2.AssociateAddressOutput{AssociationId: new(a.Association)}, nil
		})
}

func associateAddress(
	tx *state.Tx, a row.Address, n row.NetworkInterface, again bool,
) (row.Address, error) {
	if n.RequesterManaged {
		return a, notYours(n)
	}
	if _, ok := row.First(row.InternetGateways.By(tx, "vpc", n.VPC)); !ok {
		return a, aws.NewFault("Gateway.NotAttached",
			"Network %s is not attached to any internet gateway", n.VPC)
	}
	other, _ := row.First(row.Addresses.By(tx, "interface", n.ID))
	if other.ID == a.ID {
		return a, nil
	}
	for _, holder := range []row.Address{other, a} {
		if holder.Interface == "" {
			continue
		}
		if !again {
			return a, aws.NewFault("Resource.AlreadyAssociated",
				"resource %s is already associated with associate-id %s",
				holder.ID, holder.Association)
		}
		dissociateAddress(tx, holder)
	}
	a.Interface, a.Association = n.ID, newID("eipassoc")
	row.Addresses.Put(tx, a)
	n.PublicAddress = a.Address.String()
	row.NetworkInterfaces.Put(tx, n)
	return a, nil
}

// DisassociateAddress takes an address away from its interface.
func (s *Service) DisassociateAddress(
	ctx context.Context, in *ec2.DisassociateAddressInput,
) (*ec2.DisassociateAddressOutput, error) {
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.DisassociateAddressOutput, error) {
			for a := range row.Addresses.Scan(tx, scope.Key("")) {
				if a.Association == "" {
					continue
				}
				if a.Association == aws.Val(in.AssociationId) ||
					in.AssociationId == nil && a.Address.String() == aws.Val(in.PublicIp) {
					dissociateAddress(tx, a)
					return &ec2.DisassociateAddressOutput{}, nil
				}
			}
			return nil, aws.NewFault("InvalidAssociationID.NotFound",
				"The association ID '%s' does not exist", aws.Val(in.AssociationId))
		})
}

func dissociateAddress(tx *state.Tx, a row.Address) {
	if n, ok := row.NetworkInterfaces.Get(tx, a.Scope.Key(a.Interface)); ok {
		n.PublicAddress = ""
		row.NetworkInterfaces.Put(tx, n)
	}
	a.Association, a.Interface = "", ""
	row.Addresses.Put(tx, a)
}

// DescribeAddresses lists Elastic IP addresses.
func (s *Service) DescribeAddresses(
	ctx context.Context, in *ec2.DescribeAddressesInput,
) (*ec2.DescribeAddressesOutput, error) {
	r, scope, err := s.view(ctx, in.DryRun)
	if err != nil {
		return nil, err
	}
	ids := slices.Clone(in.AllocationIds)
	for _, public := range in.PublicIps {
		a, err := findAddress(r, scope, nil, &public)
		if err != nil {
			return nil, err
		}
		ids = append(ids, a.ID)
	}
	all := wireAll(row.Addresses.Scan(r, scope.Key("")),
		func(a row.Address) ec2.Address { return wireAddress(r, a) })
	page, _, err := addressCatalog.list(all, query{ids: ids, filters: in.Filters})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeAddressesOutput{Addresses: page}, nil
}

// DescribeAddressesAttribute lists the reverse DNS names of addresses: none has one.
func (s *Service) DescribeAddressesAttribute(
	ctx context.Context, in *ec2.DescribeAddressesAttributeInput,
) (*ec2.DescribeAddressesAttributeOutput, error) {
	r, scope, err := s.view(ctx, in.DryRun)
	if err != nil {
		return nil, err
	}
	for _, id := range in.AllocationIds {
		if _, err := find(r, row.Addresses, addressKind, scope, &id); err != nil {
			return nil, err
		}
	}
	return &ec2.DescribeAddressesAttributeOutput{Addresses: []ec2.AddressAttribute{}}, nil
}

func wireAddress(r state.Reader, a row.Address) ec2.Address {
	wire := ec2.Address{
		AllocationId: new(a.ID), PublicIp: new(a.Address.String()), Domain: ec2.DomainTypeVpc,
		PublicIpv4Pool: new("amazon"), NetworkBorderGroup: new(a.Region), Tags: wireTags(a.Tags),
	}
	if n, ok := row.NetworkInterfaces.Get(r, a.Scope.Key(a.Interface)); ok {
		wire.AssociationId, wire.NetworkInterfaceId = new(a.Association), new(n.ID)
		wire.NetworkInterfaceOwnerId, wire.PrivateIpAddress = new(n.Account), new(n.Address)
	}
	return wire
}

var addressCatalog = catalog[ec2.Address]{
	kind: addressKind,
	id:   func(a ec2.Address) string { return *a.AllocationId },
	tags: func(a ec2.Address) []ec2.Tag { return a.Tags },
	filters: filters[ec2.Address]{
		"allocation-id":  func(a ec2.Address) []string { return one(a.AllocationId) },
		"association-id": func(a ec2.Address) []string { return one(a.AssociationId) },
		"domain":         func(a ec2.Address) []string { return enum(a.Domain) },
		"instance-id":    never[ec2.Address],
		"network-border-group": func(a ec2.Address) []string {
			return one(a.NetworkBorderGroup)
		},
		"network-interface-id": func(a ec2.Address) []string {
			return one(a.NetworkInterfaceId)
		},
		"network-interface-owner-id": func(a ec2.Address) []string {
			return one(a.NetworkInterfaceOwnerId)
		},
		"private-ip-address": func(a ec2.Address) []string {
			return one(a.PrivateIpAddress)
		},
		"public-ip": func(a ec2.Address) []string { return one(a.PublicIp) },
	},
}
