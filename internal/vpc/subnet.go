package vpc

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// segment is a subnet as it exists on the machine: a bridge.
type segment struct {
	id     string
	vpc    *network
	index  int // of the bridge
	cidr   netip.Prefix
	public bool
}

// offers says whether an interface may have an address: AWS reserves the first four addresses of a
// subnet and the last. https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
func (s *segment) offers(a netip.Addr) bool {
	const reserved = 4
	size := uint32(1) << (32 - s.cidr.Bits())
	return s.cidr.Contains(a) &&
		!a.Less(offset(s.cidr, reserved)) && a.Less(offset(s.cidr, size-1))
}

// Subnet is a bridge in the namespace of its VPC; the bridge has the subnet's address 1 (router)
// and 2 (reserved for DNS).
type Subnet struct {
	ID, VPC string
	// CIDR is the subnet's IPv4 range.
	CIDR netip.Prefix
	// Public says that the subnet's route table sends 0.0.0.0/0 to the internet gateway.
	Public bool
}

func (s Subnet) validate() error {
	return errors.Join(checkID(s.ID), checkID(s.VPC), checkCIDR(s.CIDR))
}

// EnsureSubnet makes the subnet or changes it to be as asked. Its VPC must exist: ErrNotFound.
func (h *Host) EnsureSubnet(ctx context.Context, s Subnet) error {
	if err := s.validate(); err != nil {
		return fmt.Errorf("ensure subnet %q: %w", s.ID, err)
	}
	if err := h.begin(ctx); err != nil {
		return err
	}
	defer h.mu.Unlock()
	if err := h.ensureSubnet(s); err != nil {
		return fmt.Errorf("ensure subnet %s: %w", s.ID, err)
	}
	return nil
}

func (h *Host) ensureSubnet(s Subnet) error {
	n := h.vpcs[s.VPC]
	if n == nil {
		return fmt.Errorf("VPC %s: %w", s.VPC, ErrNotFound)
	}
	if old := h.findSubnet(s.ID); old != nil && old.vpc != n {
		return fmt.Errorf("it belongs to VPC %s", old.vpc.id)
	}
	bridge, err := ensureBridge(n.ns.link, s)
	if err != nil {
		return err
	}
	n.subnets[s.ID] = &segment{s.ID, n, bridge.Attrs().Index, s.CIDR, s.Public}
	h.replug(n.subnets[s.ID])
	return h.settle()
}

func (h *Host) findSubnet(id string) *segment {
	for _, n := range h.vpcs {
		if s := n.subnets[id]; s != nil {
			return s
		}
	}
	return nil
}

// replug points the interfaces of a subnet to its renewed description.
func (h *Host) replug(s *segment) {
	for _, p := range h.enis {
		if p.segment != nil && p.segment.id == s.id {
			p.segment = s
		}
	}
}

// ensureBridge makes the bridge of a subnet. Without STP a port forwards as soon as it is up,
// whatever the forward delay. The hardware address is fixed, so that interfaces can know it.
func ensureBridge(link *netlink.Handle, s Subnet) (netlink.Link, error) {
	name := bridgeName(s.ID)
	bridge, err := link.LinkByName(name)
	if isNotFound(err) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU, attrs.HardwareAddr = name, mtu, hardwareAddr(s.ID)
		err = link.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: new(false)})
		if err != nil {
			return nil, fmt.Errorf("add bridge %s: %w", name, err)
		}
		bridge, err = link.LinkByName(name)
	}
	if err != nil {
		return nil, fmt.Errorf("find bridge %s: %w", name, err)
	}
	note := subnetNote{ID: s.ID, CIDR: s.CIDR, Public: s.Public}
	if err := setNote(link, bridge, note); err != nil {
		return nil, err
	}
	router := netip.PrefixFrom(offset(s.CIDR, routerOffset), s.CIDR.Bits())
	dns := netip.PrefixFrom(offset(s.CIDR, dnsOffset), 32)
	if err := setAddrs(link, bridge, router, dns); err != nil {
		return nil, err
	}
	if err := link.LinkSetUp(bridge); err != nil {
		return nil, fmt.Errorf("set bridge %s up: %w", name, err)
	}
	return bridge, nil
}

// DeleteSubnet removes the subnet with all interfaces in it; one that does not exist is no error.
func (h *Host) DeleteSubnet(ctx context.Context, id string) error {
	if err := h.begin(ctx); err != nil {
		return err
	}
	defer h.mu.Unlock()
	if err := h.deleteSubnet(id); err != nil {
		return fmt.Errorf("delete subnet %s: %w", id, err)
	}
	return nil
}

func (h *Host) deleteSubnet(id string) error {
	s := h.findSubnet(id)
	if s == nil {
		return nil
	}
	var inside []string
	for eni, p := range h.enis {
		if p.segment == s {
			inside = append(inside, eni)
		}
	}
	if err := h.deleteENIs(inside); err != nil {
		return err
	}
	if err := deleteLink(s.vpc.ns.link, bridgeName(id)); err != nil {
		return err
	}
	delete(s.vpc.subnets, id)
	return nil
}
