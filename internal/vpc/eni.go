package vpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
)

// hostLoopback is where programs of the host listen, such as systemd-resolved and our front door.
var hostLoopback = netip.MustParsePrefix("127.0.0.0/16")

// maxLocal limits the addresses that are noted in a link's alias (see eniNote).
const maxLocal = 4

// ENI is an elastic network interface: a network namespace of its own, whose eth0 is one end of a
// veth pair and has the interface's address. The other end is a port of the subnet's bridge.
type ENI struct {
	ID, VPC, Subnet string
	// MAC is the hardware address of eth0. Nil: derived from the ID.
	MAC net.HardwareAddr
	// Addr is the primary private IPv4 address, in the subnet's range but for its first four
	// addresses and the last, which AWS reserves.
	Addr netip.Addr
	// Public is the address under which the host and the world reach the interface, 1:1, if the
	// subnet is public and the VPC has an internet gateway. Loopback addresses (127.0.0.0/8
	// without 127.0.0.0/16) are reached from the host only. Zero: none.
	Public netip.Addr
	// Local are further addresses that answer inside the namespace only, at most 4, such as the
	// task metadata endpoint's 169.254.170.2.
	Local []netip.Addr
	// SourceDestCheck drops packets from and to eth0 that do not carry Addr.
	SourceDestCheck bool
}

func (e ENI) validate() error {
	if err := errors.Join(checkID(e.ID), checkID(e.VPC), checkID(e.Subnet)); err != nil {
		return err
	}
	if len(e.Local) > maxLocal {
		return fmt.Errorf("%d local addresses are more than %d", len(e.Local), maxLocal)
	}
	if len(e.MAC) != 0 && (len(e.MAC) != 6 || e.MAC[0]&1 != 0) {
		return fmt.Errorf("%s is not the hardware address of one interface", e.MAC)
	}
	if hostLoopback.Contains(e.Public) {
		return fmt.Errorf("public address %s: %s is for the host's own programs",
			e.Public, hostLoopback)
	}
	return eniNote{Addr: e.Addr, Public: e.Public, Local: e.Local}.check()
}

func (e ENI) mac() net.HardwareAddr {
	if len(e.MAC) != 0 {
		return e.MAC
	}
	return hardwareAddr(e.ID)
}

// port is an interface as it exists on the machine.
type port struct {
	id      string
	segment *segment // nil: not plugged in
	note    eniNote
}

// public says whether the internet gateway translates for the interface.
func (p *port) public() bool {
	return p.note.Public.IsValid() && p.segment.public && p.segment.vpc.uplink != nil
}

// EnsureENI makes the interface or changes it to be as asked; after it the address answers. The
// subnet must exist: ErrNotFound. No other interface of the VPC may have the address, and none at
// all the public one: ErrInUse.
func (h *Host) EnsureENI(ctx context.Context, e ENI) error {
	if err := e.validate(); err != nil {
		return fmt.Errorf("ensure network interface %q: %w", e.ID, err)
	}
	if err := h.begin(ctx); err != nil {
		return err
	}
	defer h.mu.Unlock()
	if err := h.ensureENI(ctx, e); err != nil {
		return fmt.Errorf("ensure network interface %s: %w", e.ID, err)
	}
	return nil
}

func (h *Host) ensureENI(ctx context.Context, e ENI) error {
	h.departures.wait(e.ID)
	s := h.findSubnet(e.Subnet)
	if s == nil || s.vpc.id != e.VPC {
		return fmt.Errorf("subnet %s in VPC %s: %w", e.Subnet, e.VPC, ErrNotFound)
	}
	if !s.offers(e.Addr) {
		return fmt.Errorf("%s is not one of the subnet's addresses %s", e.Addr, s.cidr)
	}
	if err := h.checkFree(e, s.vpc); err != nil {
		return err
	}
	p, err := h.ensurePort(e.ID)
	if err != nil {
		return err
	}
	if p.segment != nil && p.segment != s {
		if err := h.unplug(p); err != nil {
			return err
		}
	}
	if err := h.plug(ctx, p, s, e); err != nil {
		return err
	}
	return h.settle()
}

func (h *Host) checkFree(e ENI, n *network) error {
	for id, p := range h.enis {
		if id == e.ID || p.segment == nil {
			continue
		}
		if p.segment.vpc == n && p.note.Addr == e.Addr {
			return fmt.Errorf("address %s %w by %s", e.Addr, ErrInUse, id)
		}
		if e.Public.IsValid() && p.note.Public == e.Public {
			return fmt.Errorf("public address %s %w by %s", e.Public, ErrInUse, id)
		}
	}
	return nil
}

// eniSysctls: an interface is IPv4 only; lo keeps ::1, which programs expect.
var eniSysctls = []sysctl{
	{name: "net/ipv6/conf/default/disable_ipv6", value: "1", optional: true},
}

// ensurePort makes the interface's namespace.
func (h *Host) ensurePort(id string) (*port, error) {
	err := h.doors.ensure(door{kindENI, id}, h.ENINamespace(id), eniSysctls)
	if err != nil {
		return nil, err
	}
	if h.enis[id] == nil {
		h.enis[id] = &port{id: id}
	}
	return h.enis[id], nil
}

// plug connects the interface's namespace with the bridge of its subnet. The port goes up last.
func (h *Host) plug(ctx context.Context, p *port, s *segment, e ENI) error {
	inside, err := h.doors.namespace(door{kindENI, e.ID})
	if err != nil {
		return err
	}
	defer inside.close()
	near, eth0, _, err := wire{
		near: s.vpc.ns, nearName: portName(e.ID),
		far: inside, farName: "eth0", farMAC: e.mac(),
	}.ensure()
	if err != nil {
		return err
	}
	old := p.note
	p.segment, p.note = s, eniNote{e.Addr, e.Public, old.Transit, e.Local, e.SourceDestCheck}
	if err := setNote(s.vpc.ns.link, near, p.note); err != nil {
		return err
	}
	if old.Addr.IsValid() && old.Addr != e.Addr {
		if err := deleteNeighbour(s.vpc.ns.link, s.index, old.Addr); err != nil {
			return err
		}
	}
	if err := configure(inside.link, eth0, s, e); err != nil {
		return err
	}
	if err := setLocal(inside.link, old.Local, e.Local); err != nil {
		return err
	}
	if err := s.attach(near, e); err != nil {
		return err
	}
	if err := awaitCarrier(ctx, inside.link, eth0.Attrs().Index); err != nil {
		return err
	}
	return awaitCarrier(ctx, s.vpc.ns.link, near.Attrs().Index, s.index)
}

// configure sets up eth0 inside the namespace.
func configure(link *netlink.Handle, eth0 netlink.Link, s *segment, e ENI) error {
	if !slices.Equal(eth0.Attrs().HardwareAddr, e.mac()) {
		if err := link.LinkSetHardwareAddr(eth0, e.mac()); err != nil {
			return fmt.Errorf("set the hardware address: %w", err)
		}
	}
	if err := setAddrs(link, eth0, netip.PrefixFrom(e.Addr, s.cidr.Bits())); err != nil {
		return err
	}
	if err := link.LinkSetUp(eth0); err != nil {
		return fmt.Errorf("set eth0 up: %w", err)
	}
	router := offset(s.cidr, routerOffset)
	if err := setNeighbour(link, eth0.Attrs().Index, router, hardwareAddr(s.id)); err != nil {
		return err
	}
	return setRoute(link, eth0, prefixOf(nil), router)
}

// setLocal puts addresses on lo. Others that a task may have added there are left alone.
func setLocal(link *netlink.Handle, old, want []netip.Addr) error {
	if len(old)+len(want) == 0 {
		return nil
	}
	lo, err := link.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	for _, a := range old {
		if slices.Contains(want, a) {
			continue
		}
		if err := delAddr(link, lo, netip.PrefixFrom(a, 32)); err != nil {
			return err
		}
	}
	for _, a := range want {
		if err := addAddr(link, lo, netip.PrefixFrom(a, 32)); err != nil {
			return err
		}
	}
	return nil
}

// attach makes a link a forwarding port of the subnet's bridge.
func (s *segment) attach(port netlink.Link, e ENI) error {
	link := s.vpc.ns.link
	if port.Attrs().MasterIndex != s.index {
		if err := link.LinkSetMasterByIndex(port, s.index); err != nil {
			return fmt.Errorf("join the subnet's bridge: %w", err)
		}
	}
	if err := setNeighbour(link, s.index, e.Addr, e.mac()); err != nil {
		return err
	}
	if err := link.LinkSetUp(port); err != nil {
		return fmt.Errorf("set the port up: %w", err)
	}
	return nil
}

// DeleteENI removes the interface and its namespace; one that does not exist is no error.
// Processes that are still inside lose eth0 but keep the namespace alive.
func (h *Host) DeleteENI(ctx context.Context, id string) error {
	if err := h.begin(ctx); err != nil {
		return err
	}
	d, err := h.detach(id)
	if err == nil {
		err = h.endFlows()
	}
	h.mu.Unlock()
	err = errors.Join(err, h.finish(d))
	if err != nil {
		return fmt.Errorf("delete network interface %s: %w", id, err)
	}
	return nil
}
