// Package eni gives out elastic network interfaces: addresses of subnets and of the public pool.
//
// Allocate and Release work inside the transaction of whoever needs the interface (an ECS task, a
// load balancer, CreateNetworkInterface), so that an interface exists exactly as long as its owner
// says. They write rows only; the network controller makes the devices that the rows ask for and
// sets Ready.
package eni

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// MaxGroups is how many security groups an interface can have: the AWS quota "Security groups per
// network interface".
const MaxGroups = 5

// Request says what an interface is for.
type Request struct {
	Scope  row.Scope
	Subnet string // id
	// Groups are security group ids of the subnet's VPC; none means the VPC's default group.
	Groups      []string
	Description string
	// Owner is the ARN of the task or load balancer, the value of the table's owner index.
	Owner string
	// Requester is set for interfaces that a service manages, e.g. "amazon-elb".
	Requester string
	// InstanceOwner owns the attachment, e.g. "amazon-elb"; empty makes a detached interface.
	InstanceOwner string
	Public        bool // with an address of the public pool
	HostListens   bool // the data plane binds the public address on the host
	// Address asks for this very address; the zero value takes the lowest free one.
	Address     netip.Addr
	ClientToken string
	Tags        row.Tags
}

// Allocate adds an interface to the transaction.
//
// Faults: InvalidSubnetID.NotFound, InvalidGroup.NotFound, InvalidParameter (a group of another
// VPC), SecurityGroupsPerInterfaceLimitExceeded, InsufficientFreeAddressesInSubnet,
// InvalidIPAddress.InUse, InvalidParameterValue, and InsufficientAddressCapacity when the public
// pool is used up.
func Allocate(tx *state.Tx, r Request) (row.NetworkInterface, error) {
	subnet, ok := row.Subnets.Get(tx, r.Scope.Key(r.Subnet))
	if !ok {
		return row.NetworkInterface{}, aws.NewFault("InvalidSubnetID.NotFound",
			"The subnet ID '%s' does not exist", r.Subnet)
	}
	groups, err := Groups(tx, subnet, r.Groups)
	if err != nil {
		return row.NetworkInterface{}, err
	}
	address, err := privateAddress(tx, subnet, r.Address)
	if err != nil {
		return row.NetworkInterface{}, err
	}
	n := r.row(subnet, groups, address)
	if r.Public {
		public, err := PublicAddress(tx)
		if err != nil {
			return row.NetworkInterface{}, err
		}
		n.PublicAddress = public.String()
	}
	row.NetworkInterfaces.Put(tx, n)
	return n, nil
}

func (r Request) row(s row.Subnet, groups []string, address netip.Addr) row.NetworkInterface {
	n := row.NetworkInterface{
		Scope: r.Scope, ID: "eni-" + aws.HexID(17), MAC: hardwareAddress(s.ID, address),
		VPC: s.VPC, Subnet: s.ID, Zone: s.Zone,
		Address: address.String(), Groups: groups,
		Description: r.Description, Owner: r.Owner,
		Requester: r.Requester, RequesterManaged: r.Requester != "",
		InstanceOwner: r.InstanceOwner, HostListens: r.HostListens,
		ClientToken: r.ClientToken, Tags: r.Tags, CreatedAt: time.Now().UTC(),
	}
	if r.InstanceOwner != "" {
		n.Attachment = "eni-attach-" + aws.HexID(17)
	}
	return n
}

// hardwareAddress returns the hardware address that goes with an address of a subnet, in the locally
// administered range that AWS uses. An address that is given out again has the same one, so that
// neighbours who remember it (a load balancer's node, for half a minute) go on reaching it.
func hardwareAddress(subnet string, a netip.Addr) string {
	hash := sha256.Sum256([]byte(subnet))
	host := a.As4() // a subnet is no larger than /16, so two bytes tell its addresses apart
	return fmt.Sprintf("06:%02x:%02x:%02x:%02x:%02x", hash[0], hash[1], hash[2], host[2], host[3])
}

// Groups checks that the security groups can be used by an interface in the subnet and returns
// them; none stands for the VPC's default group. Faults as those of Allocate.
func Groups(r state.Reader, s row.Subnet, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return defaultGroup(r, s)
	}
	if len(ids) > MaxGroups {
		return nil, aws.NewFault("SecurityGroupsPerInterfaceLimitExceeded",
			"The maximum number of security groups per interface has been reached.")
	}
	for _, id := range ids {
		group, ok := row.SecurityGroups.Get(r, s.Scope.Key(id))
		if !ok {
			return nil, aws.NewFault("InvalidGroup.NotFound",
				"The security group '%s' does not exist", id)
		}
		if group.VPC != s.VPC {
			return nil, aws.NewFault("InvalidParameter",
				"Security group %s and subnet %s belong to different networks.", id, s.ID)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(ids))), nil
}

func defaultGroup(r state.Reader, s row.Subnet) ([]string, error) {
	for group := range row.SecurityGroups.By(r, "vpc", s.VPC) {
		if group.Name == "default" {
			return []string{group.ID}, nil
		}
	}
	return nil, aws.NewFault("InvalidGroup.NotFound",
		"The security group 'default' does not exist in VPC '%s'", s.VPC)
}

// Release removes the interface with this key (row.NetworkInterface.Key) from the transaction, if
// it is there, and frees the Elastic IP address that it had. The network controller removes the
// devices.
func Release(tx *state.Tx, key string) {
	n, ok := row.NetworkInterfaces.Get(tx, key)
	if !ok {
		return
	}
	for address := range row.Addresses.By(tx, "interface", n.ID) {
		address.Association, address.Interface = "", ""
		row.Addresses.Put(tx, address)
	}
	row.NetworkInterfaces.Delete(tx, key)
}
