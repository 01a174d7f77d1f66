package vpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// gatewayLink is the name inside a VPC of its link to the host.
const gatewayLink = "igw"

// uplink is the internet gateway of a VPC as it exists on the machine: a veth pair to the host.
type uplink struct {
	index   int        // on the host
	transit netip.Addr // of the VPC's end
}

// connect makes the internet gateway of a VPC.
func (h *Host) connect(ctx context.Context, n *network) error {
	if err := h.claimTransit(); err != nil {
		return err
	}
	w := h.uplinkWire(n)
	near, far, made, err := w.ensure()
	if err != nil {
		return err
	}
	if made {
		h.applied = nil
	}
	up := uplink{index: near.Attrs().Index}
	if up.transit, err = h.uplinkTransit(n); err != nil {
		return err
	}
	if err := setNote(h.host.link, near, uplinkNote{n.id, up.transit}); err != nil {
		return err
	}
	n.uplink = &up
	own := h.transit.hostAddr()
	if err := setUpEnd(h.host.link, near, own, up.transit, w.farMAC); err != nil {
		return err
	}
	if err := setUpEnd(n.ns.link, far, up.transit, own, w.nearMAC); err != nil {
		return err
	}
	if err := setRoute(n.ns.link, far, prefixOf(nil), own); err != nil {
		return err
	}
	if err := h.setUplinkSysctls(w.nearName); err != nil {
		return err
	}
	if err := awaitCarrier(ctx, h.host.link, near.Attrs().Index); err != nil {
		return err
	}
	return awaitCarrier(ctx, n.ns.link, far.Attrs().Index)
}

func (h *Host) setUplinkSysctls(name string) error {
	localnet := sysctl{name: "net/ipv4/conf/" + name + "/route_localnet", value: "1"}
	noIPv6 := sysctl{
		name: "net/ipv6/conf/" + name + "/disable_ipv6", value: "1", optional: true,
	}
	return h.inHost(func() error { return errors.Join(localnet.set(), noIPv6.set()) })
}

// uplinkWire is the pair between the host and a VPC. Both ends know each other's hardware address,
// so that no ARP is spoken between them.
func (h *Host) uplinkWire(n *network) wire {
	name := h.uplinkName(n.id)
	return wire{
		near: h.host, nearName: name, nearMAC: hardwareAddr(name),
		far: n.ns, farName: gatewayLink, farMAC: hardwareAddr(n.id),
	}
}

func (h *Host) uplinkTransit(n *network) (netip.Addr, error) {
	if n.uplink != nil && h.transit.block.Contains(n.uplink.transit) {
		return n.uplink.transit, nil
	}
	return h.nextTransit()
}

// setUpEnd configures one end of an uplink: its address, and its peer as the only neighbour.
func setUpEnd(
	link *netlink.Handle, l netlink.Link, own, peer netip.Addr, peerMAC net.HardwareAddr,
) error {
	if err := setAddrs(link, l, netip.PrefixFrom(own, 32)); err != nil {
		return err
	}
	if err := link.LinkSetUp(l); err != nil {
		return fmt.Errorf("set %s up: %w", l.Attrs().Name, err)
	}
	if err := setNeighbour(link, l.Attrs().Index, peer, peerMAC); err != nil {
		return err
	}
	return setRoute(link, l, netip.PrefixFrom(peer, 32), netip.Addr{})
}

// disconnect removes the internet gateway of a VPC.
func (h *Host) disconnect(n *network) error {
	if err := deleteLink(h.host.link, h.uplinkName(n.id)); err != nil {
		return err
	}
	if n.uplink != nil {
		n.uplink, h.applied = nil, nil
	}
	return h.releaseTransit()
}

// inHost runs fn on a thread in the host's namespace.
func (h *Host) inHost(fn func() error) error { return h.doors.do(hostDoor, fn) }

// hostRoutes are the routes to transit addresses: the VPC's end of the uplink that each goes to.
type hostRoutes map[netip.Addr]uplink

// settle makes all address translation what the known interfaces, subnets and gateways ask for, and
// ends the connections that rested on what is no longer so.
func (h *Host) settle() error {
	if err := h.syncGateways(); err != nil {
		return err
	}
	return h.endFlows()
}

// syncGateways is settle without the connections, which take some 5 ms per namespace: whoever
// calls it several times ends them once. Changes are worked out in memory, so that a call without
// one costs nothing.
func (h *Host) syncGateways() error {
	routes := hostRoutes{}
	host := contents{}
	for _, n := range h.vpcs {
		if err := h.syncVPC(n, routes, host); err != nil {
			return fmt.Errorf("translate addresses in VPC %s: %w", n.id, err)
		}
	}
	if err := h.syncRoutes(routes); err != nil {
		return err
	}
	if !h.transit.block.IsValid() {
		return nil
	}
	return h.transit.table.apply(host)
}

// syncVPC writes the tables of one VPC and adds its share to those of the host.
func (h *Host) syncVPC(n *network, routes hostRoutes, host contents) error {
	inside := contents{}
	for _, p := range h.enis {
		if p.segment == nil || p.segment.vpc != n || !p.public() {
			continue
		}
		if err := h.assignTransit(p); err != nil {
			return err
		}
		inside.put(ingressMap, key(p.note.Transit), key(p.note.Addr))
		inside.put(egressMap, key(p.note.Addr), key(p.note.Transit))
		inside.put(memberSet, key(p.note.Addr), "")
		host.put(ingressMap, key(p.note.Public), key(p.note.Transit))
		if !p.note.Public.IsLoopback() {
			host.put(egressMap, key(p.note.Transit), key(p.note.Public))
		}
		routes[p.note.Transit] = *n.uplink
	}
	if err := h.syncCheck(n); err != nil {
		return err
	}
	if n.uplink == nil {
		return n.nat.remove()
	}
	return n.nat.apply(inside)
}

// assignTransit gives an interface a transit address, and notes it before it is used. Where the
// port was lost, the interface's own Ensure will note it; others must not suffer.
func (h *Host) assignTransit(p *port) (err error) {
	if h.transit.block.Contains(p.note.Transit) {
		return nil
	}
	if p.note.Transit, err = h.nextTransit(); err != nil {
		return err
	}
	link := p.segment.vpc.ns.link
	l, err := link.LinkByName(portName(p.id))
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the port of %s: %w", p.id, err)
	}
	return setNote(link, l, p.note)
}

// syncRoutes makes the host's routes to transit addresses as wanted.
func (h *Host) syncRoutes(want hostRoutes) (err error) {
	if h.applied == nil {
		if h.applied, err = h.listRoutes(); err != nil {
			return err
		}
	}
	for a, up := range maps.Clone(h.applied) {
		if want[a] == up {
			continue
		}
		if err := h.host.link.RouteDel(up.route(a)); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("remove the route to %s: %w", a, err)
		}
		h.gone = append(h.gone, a)
		delete(h.applied, a)
	}
	for a, up := range want {
		if h.applied[a] == up {
			continue
		}
		if err := h.host.link.RouteReplace(up.route(a)); err != nil {
			return fmt.Errorf("add the route to %s: %w", a, err)
		}
		h.applied[a] = up
	}
	return nil
}

func (u uplink) route(a netip.Addr) *netlink.Route {
	return &netlink.Route{
		LinkIndex: u.index, Dst: ipNet(netip.PrefixFrom(a, 32)), Gw: u.transit.AsSlice(),
	}
}

// listRoutes finds the routes that an earlier process made.
func (h *Host) listRoutes() (hostRoutes, error) {
	routes, err := h.host.link.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list the host's routes: %w", err)
	}
	found := hostRoutes{}
	for _, r := range routes {
		via, ok := netip.AddrFromSlice(r.Gw.To4())
		dst := prefixOf(r.Dst).Addr()
		if ok && h.transit.block.IsValid() && h.transit.block.Contains(dst) {
			found[dst] = uplink{r.LinkIndex, via}
		}
	}
	return found, nil
}

// endFlows forgets the connections with transit addresses that stand for nothing any more: they
// would hold packets of their successors fast.
func (h *Host) endFlows() error {
	if len(h.gone) == 0 {
		return nil
	}
	errs := []error{endFlows(h.host, h.gone)}
	for _, n := range h.vpcs {
		if n.uplink != nil {
			errs = append(errs, endFlows(n.ns, h.gone))
		}
	}
	h.gone = nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("end the connections of former public addresses: %w", err)
	}
	return nil
}

func endFlows(ns *namespace, gone []netip.Addr) error {
	flows, err := ns.conntrack()
	if err != nil {
		return err
	}
	_, err = flows.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, flowsOf(gone))
	return err
}

// flowsOf matches connections with any of the addresses at one end, before or after translation.
type flowsOf []netip.Addr

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (f flowsOf) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	for _, a := range f {
		ip := net.IP(a.AsSlice())
		for _, t := range []netlink.IPTuple{flow.Forward, flow.Reverse} {
			if ip.Equal(t.SrcIP) || ip.Equal(t.DstIP) {
				return true
			}
		}
	}
	return false
}
