// Package eni gives out elastic network interfaces: addresses of subnets and of the public pool.
//
// Allocate and Release work inside the transaction of whoever needs the interface (an ECS task, a
// load balancer, CreateNetworkInterface), so that an interface exists exactly as long as its owner
// says. They write rows only; the network controller makes the devices that the rows ask for and
// sets Ready.
package eni

import (
	"context"
	"errors"
	"net/netip"

	"fairlead/internal/row"
	"fairlead/internal/state"
)

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
	Address netip.Addr
	Tags    row.Tags
}

// Allocate adds an interface to the transaction.
//
// Faults: InvalidSubnetID.NotFound, InvalidGroup.NotFound, InvalidParameter (a group of another VPC),
// SecurityGroupsPerInterfaceLimitExceeded, InsufficientFreeAddressesInSubnet, InvalidIPAddress.InUse,
// InvalidParameterValue, and AddressLimitExceeded when the public pool is used up.
func Allocate(tx *state.Tx, r Request) (row.NetworkInterface, error) {
	return row.NetworkInterface{}, errors.ErrUnsupported
}

// Release removes the interface with this key (row.NetworkInterface.Key) from the transaction, if it
// is there. The network controller removes the devices.
func Release(tx *state.Tx, key string) { row.NetworkInterfaces.Delete(tx, key) }

// Available returns how many addresses of the subnet are free.
func Available(r state.Reader, s row.Subnet) int { return 0 }

// EnsurePool sets the range that public addresses are taken from. The zero prefix keeps the range
// that was used before, or chooses a /16 of 127.0.0.0/8. Interfaces keep the addresses that they have.
func EnsurePool(ctx context.Context, s *state.Store, prefix netip.Prefix) (netip.Prefix, error) {
	return netip.Prefix{}, errors.ErrUnsupported
}
