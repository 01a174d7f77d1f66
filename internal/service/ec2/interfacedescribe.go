package ec2

import (
	"context"
	"time"

	"fairlead/internal/api/ec2"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// DescribeNetworkInterfaces lists network interfaces, those of tasks and load balancers too.
func (s *Service) DescribeNetworkInterfaces(
	ctx context.Context, in *ec2.DescribeNetworkInterfacesInput,
) (*ec2.DescribeNetworkInterfacesOutput, error) {
	r, scope, err := s.view(ctx, in.DryRun)
	if err != nil {
		return nil, err
	}
	all := wireAll(row.NetworkInterfaces.Scan(r, scope.Key("")),
		func(n row.NetworkInterface) ec2.NetworkInterface { return wireInterface(r, n) })
	page, next, err := interfaceCatalog.list(all,
		query{in.NetworkInterfaceIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeNetworkInterfacesOutput{NetworkInterfaces: page, NextToken: next}, nil
}

func wireInterface(r state.Reader, n row.NetworkInterface) ec2.NetworkInterface {
	subnet, _ := row.Subnets.Get(r, n.Scope.Key(n.Subnet))
	association := wireAssociation(r, n)
	return ec2.NetworkInterface{
		NetworkInterfaceId: new(n.ID), OwnerId: new(n.Account), Description: new(n.Description),
		VpcId: new(n.VPC), SubnetId: new(n.Subnet), AvailabilityZone: new(n.Zone),
		AvailabilityZoneId: new(subnet.ZoneID), InterfaceType: "interface",
		MacAddress: new(n.MAC), PrivateIpAddress: new(n.Address),
		PrivateIpAddresses: []ec2.NetworkInterfacePrivateIpAddress{
			{Primary: new(true), PrivateIpAddress: new(n.Address), Association: association},
		},
		Association: association, Attachment: wireAttachment(n), Groups: wireGroupNames(r, n),
		Ipv6Addresses: []ec2.NetworkInterfaceIpv6Address{},
		RequesterId:   wireText(n.Requester), RequesterManaged: new(n.RequesterManaged),
		SourceDestCheck: new(!n.NoSourceDestCheck), Status: interfaceStatus(n),
		TagSet: wireTags(n.Tags),
	}
}

// interfaceStatus says pending until the devices exist. The model's list of statuses lacks the
// word, but AWS says it too.
func interfaceStatus(n row.NetworkInterface) ec2.NetworkInterfaceStatus {
	switch {
	case !n.Ready:
		return "pending"
	case n.Attachment != "":
		return ec2.NetworkInterfaceStatusInUse
	}
	return ec2.NetworkInterfaceStatusAvailable
}

func wireAttachment(n row.NetworkInterface) *ec2.NetworkInterfaceAttachment {
	if n.Attachment == "" {
		return nil
	}
	status := ec2.AttachmentStatusAttaching
	if n.Ready {
		status = ec2.AttachmentStatusAttached
	}
	return &ec2.NetworkInterfaceAttachment{
		AttachmentId: new(n.Attachment), InstanceOwnerId: new(n.InstanceOwner), Status: status,
		AttachTime: new(n.CreatedAt), DeleteOnTermination: new(false), DeviceIndex: new(int32(1)),
	}
}

// wireAssociation shows the public address: the client's Elastic IP address, or one of amazon's.
func wireAssociation(r state.Reader, n row.NetworkInterface) *ec2.NetworkInterfaceAssociation {
	if n.PublicAddress == "" {
		return nil
	}
	a := &ec2.NetworkInterfaceAssociation{PublicIp: new(n.PublicAddress), IpOwnerId: new("amazon")}
	if n.Requester != "" {
		a.IpOwnerId = new(n.Requester)
	}
	if address, ok := row.First(row.Addresses.By(r, "interface", n.ID)); ok {
		a.IpOwnerId = new(address.Account)
		a.AllocationId, a.AssociationId = new(address.ID), new(address.Association)
	}
	return a
}

func wireGroupNames(r state.Reader, n row.NetworkInterface) []ec2.GroupIdentifier {
	list := []ec2.GroupIdentifier{}
	for _, id := range n.Groups {
		g, _ := row.SecurityGroups.Get(r, n.Scope.Key(id))
		list = append(list, ec2.GroupIdentifier{GroupId: new(id), GroupName: new(g.Name)})
	}
	return list
}

var interfaceCatalog = catalog[ec2.NetworkInterface]{
	kind: interfaceKind,
	id:   func(n ec2.NetworkInterface) string { return *n.NetworkInterfaceId },
	tags: func(n ec2.NetworkInterface) []ec2.Tag { return n.TagSet },
	filters: associationFilters(attachmentFilters(filters[ec2.NetworkInterface]{
		"availability-zone": func(n ec2.NetworkInterface) []string {
			return one(n.AvailabilityZone)
		},
		"availability-zone-id": func(n ec2.NetworkInterface) []string {
			return one(n.AvailabilityZoneId)
		},
		"description": func(n ec2.NetworkInterface) []string { return one(n.Description) },
		"group-id": func(n ec2.NetworkInterface) []string {
			return each(n.Groups, func(g ec2.GroupIdentifier) []string { return one(g.GroupId) })
		},
		"group-name": func(n ec2.NetworkInterface) []string {
			return each(n.Groups, func(g ec2.GroupIdentifier) []string { return one(g.GroupName) })
		},
		"interface-type": func(n ec2.NetworkInterface) []string {
			return enum(n.InterfaceType)
		},
		"ipv6-addresses.ipv6-address": never[ec2.NetworkInterface],
		"mac-address": func(n ec2.NetworkInterface) []string {
			return one(n.MacAddress)
		},
		"network-interface-id": func(n ec2.NetworkInterface) []string {
			return one(n.NetworkInterfaceId)
		},
		"operator.managed":   off[ec2.NetworkInterface],
		"operator.principal": never[ec2.NetworkInterface],
		"owner-id": func(n ec2.NetworkInterface) []string {
			return one(n.OwnerId)
		},
		"private-dns-name": never[ec2.NetworkInterface],
		"private-ip-address": func(n ec2.NetworkInterface) []string {
			return one(n.PrivateIpAddress)
		},
		"requester-id": func(n ec2.NetworkInterface) []string {
			return one(n.RequesterId)
		},
		"requester-managed": func(n ec2.NetworkInterface) []string {
			return flag(n.RequesterManaged)
		},
		"source-dest-check": func(n ec2.NetworkInterface) []string {
			return flag(n.SourceDestCheck)
		},
		"status": func(n ec2.NetworkInterface) []string {
			return enum(n.Status)
		},
		"subnet-id": func(n ec2.NetworkInterface) []string {
			return one(n.SubnetId)
		},
		"vpc-id": func(n ec2.NetworkInterface) []string {
			return one(n.VpcId)
		},
	})),
}

// attachmentFilters adds the filters by attachment.
func attachmentFilters(f filters[ec2.NetworkInterface]) filters[ec2.NetworkInterface] {
	for name, value := range map[string]func(ec2.NetworkInterfaceAttachment) []string{
		"attach-time": func(a ec2.NetworkInterfaceAttachment) []string {
			return []string{a.AttachTime.Format(time.RFC3339)}
		},
		"attachment-id": func(a ec2.NetworkInterfaceAttachment) []string {
			return one(a.AttachmentId)
		},
		"delete-on-termination": func(a ec2.NetworkInterfaceAttachment) []string {
			return flag(a.DeleteOnTermination)
		},
		"device-index": func(a ec2.NetworkInterfaceAttachment) []string {
			return number(a.DeviceIndex)
		},
		"instance-id": func(a ec2.NetworkInterfaceAttachment) []string {
			return one(a.InstanceId)
		},
		"instance-owner-id": func(a ec2.NetworkInterfaceAttachment) []string {
			return one(a.InstanceOwnerId)
		},
		"status": func(a ec2.NetworkInterfaceAttachment) []string {
			return enum(a.Status)
		},
	} {
		f["attachment."+name] = func(n ec2.NetworkInterface) []string {
			if n.Attachment == nil {
				return nil
			}
			return value(*n.Attachment)
		}
	}
	return f
}

// associationFilters adds the filters by address and by public address.
func associationFilters(f filters[ec2.NetworkInterface]) filters[ec2.NetworkInterface] {
	type association = ec2.NetworkInterfaceAssociation
	public := func(value func(association) []string) func(ec2.NetworkInterface) []string {
		return func(n ec2.NetworkInterface) []string {
			if n.Association == nil {
				return nil
			}
			return value(*n.Association)
		}
	}
	owner := public(func(a association) []string { return one(a.IpOwnerId) })
	address := public(func(a association) []string { return one(a.PublicIp) })
	f["association.ip-owner-id"], f["addresses.association.owner-id"] = owner, owner
	f["association.public-ip"], f["addresses.association.public-ip"] = address, address
	f["association.allocation-id"] = public(
		func(a association) []string { return one(a.AllocationId) })
	f["association.association-id"] = public(
		func(a association) []string { return one(a.AssociationId) })
	f["association.public-dns-name"] = never
	f["addresses.primary"] = func(ec2.NetworkInterface) []string { return []string{"true"} }
	f["addresses.private-ip-address"] = func(n ec2.NetworkInterface) []string {
		return one(n.PrivateIpAddress)
	}
	return f
}
