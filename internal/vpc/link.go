package vpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// mtu, in bytes, is that of the internet. AWS has 9001 inside a VPC; between veth pairs
// segmentation is put off (GSO), so that larger packets would win little and risk black holes on
// the way out.
const mtu = 1500

func isNotFound(err error) bool {
	_, ok := errors.AsType[netlink.LinkNotFoundError](err)
	return ok
}

// deleteLink removes a link if it is there.
func deleteLink(link *netlink.Handle, name string) error {
	l, err := link.LinkByName(name)
	if isNotFound(err) {
		return nil
	}
	if err == nil {
		err = link.LinkDel(l)
	}
	if err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("delete link %s: %w", name, err)
	}
	return nil
}

// deleteLinks removes the stray ones among the links whose names begin with prefix.
func deleteLinks(link *netlink.Handle, prefix string, stray func(name string) bool) error {
	links, err := link.LinkList()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	var errs []error
	for _, l := range links {
		if name := l.Attrs().Name; strings.HasPrefix(name, prefix) && stray(name) {
			errs = append(errs, deleteLink(link, name))
		}
	}
	return errors.Join(errs...)
}

// wire is a veth pair between two namespaces.
type wire struct {
	near, far         *namespace
	nearName, farName string
	nearMAC, farMAC   net.HardwareAddr // near may be nil: any
}

// ensure makes the pair unless both ends are there and belong together, and returns them.
func (w wire) ensure() (near, far netlink.Link, made bool, err error) {
	near, far, err = w.find()
	if near != nil || err != nil {
		return near, far, false, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = w.nearName, mtu, w.nearMAC
	err = w.near.link.LinkAdd(&netlink.Veth{
		LinkAttrs: attrs, PeerName: w.farName, PeerMTU: mtu,
		PeerHardwareAddr: w.farMAC, PeerNamespace: netlink.NsFd(w.far.fd),
	})
	if err != nil {
		return nil, nil, false, fmt.Errorf("add veth pair %s: %w", w.nearName, err)
	}
	near, far, err = w.find()
	if err == nil && near == nil {
		err = fmt.Errorf("veth pair %s vanished", w.nearName)
	}
	return near, far, true, err
}

// find returns both ends, or neither and then removes what is left of an earlier pair.
func (w wire) find() (near, far netlink.Link, err error) {
	near, err = w.near.link.LinkByName(w.nearName)
	if err != nil && !isNotFound(err) {
		return nil, nil, fmt.Errorf("find link %s: %w", w.nearName, err)
	}
	far, farErr := w.far.link.LinkByName(w.farName)
	if farErr != nil && !isNotFound(farErr) {
		return nil, nil, fmt.Errorf("find link %s: %w", w.farName, farErr)
	}
	if err == nil && farErr == nil && near.Attrs().ParentIndex == far.Attrs().Index {
		return near, far, nil
	}
	err = deleteLink(w.near.link, w.nearName)
	if err == nil {
		err = deleteLink(w.far.link, w.farName)
	}
	return nil, nil, err
}

// setAddrs makes the addresses of a link exactly these, apart from 127.0.0.0/8.
func setAddrs(link *netlink.Handle, l netlink.Link, want ...netip.Prefix) error {
	have, err := link.AddrList(l, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list the addresses of %s: %w", l.Attrs().Name, err)
	}
	var kept []netip.Prefix
	for _, a := range have {
		p := prefixOf(a.IPNet)
		if p.Addr().IsLoopback() {
			continue
		}
		if slices.Contains(want, p) {
			kept = append(kept, p)
			continue
		}
		if err := link.AddrDel(l, &a); err != nil {
			return fmt.Errorf("remove address %s from %s: %w", p, l.Attrs().Name, err)
		}
	}
	for _, p := range want {
		if slices.Contains(kept, p) {
			continue
		}
		if err := addAddr(link, l, p); err != nil {
			return err
		}
	}
	return nil
}

func addAddr(link *netlink.Handle, l netlink.Link, p netip.Prefix) error {
	if err := link.AddrReplace(l, &netlink.Addr{IPNet: ipNet(p)}); err != nil {
		return fmt.Errorf("add address %s to %s: %w", p, l.Attrs().Name, err)
	}
	return nil
}

func delAddr(link *netlink.Handle, l netlink.Link, p netip.Prefix) error {
	err := link.AddrDel(l, &netlink.Addr{IPNet: ipNet(p)})
	if err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) {
		return fmt.Errorf("remove address %s from %s: %w", p, l.Attrs().Name, err)
	}
	return nil
}

// setRoute sends dst out of a link; via may be zero: dst is a neighbour.
func setRoute(link *netlink.Handle, l netlink.Link, dst netip.Prefix, via netip.Addr) error {
	r := netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(dst), Scope: netlink.SCOPE_LINK}
	if via.IsValid() {
		r.Gw, r.Scope = via.AsSlice(), netlink.SCOPE_UNIVERSE
	}
	if err := link.RouteReplace(&r); err != nil {
		return fmt.Errorf("route %s to %s: %w", dst, l.Attrs().Name, err)
	}
	return nil
}

// setNeighbour tells a link the hardware address of a neighbour for good: nobody has to ask, and
// the kernel's limit of neighbours that were asked for (gc_thresh3) does not count it.
func setNeighbour(link *netlink.Handle, index int, a netip.Addr, mac net.HardwareAddr) error {
	if err := link.NeighSet(neighbour(index, a, mac)); err != nil {
		return fmt.Errorf("set the hardware address of %s: %w", a, err)
	}
	return nil
}

func deleteNeighbour(link *netlink.Handle, index int, a netip.Addr) error {
	err := link.NeighDel(neighbour(index, a, nil))
	if err != nil && !errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("forget the hardware address of %s: %w", a, err)
	}
	return nil
}

func neighbour(index int, a netip.Addr, mac net.HardwareAddr) *netlink.Neigh {
	return &netlink.Neigh{
		LinkIndex: index, Family: unix.AF_INET, State: netlink.NUD_PERMANENT,
		IP: a.AsSlice(), HardwareAddr: mac,
	}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

// prefixOf is the inverse of ipNet; nil is the default route.
func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	a, _ := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), bits)
}

// carrierTimeout is twice as long as the kernel may take to notice that both ends of a pair are up
// (linkwatch: at once, or a second later if it was busy).
const carrierTimeout = 2 * time.Second

// awaitCarrier waits until links carry packets: until then the kernel drops them, and TCP would try
// again after a second. Recent kernels settle that when they are asked.
func awaitCarrier(ctx context.Context, link *netlink.Handle, indexes ...int) error {
	ctx, cancel := context.WithTimeout(ctx, carrierTimeout)
	defer cancel()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for _, index := range indexes {
		for {
			l, err := link.LinkByIndex(index)
			if err != nil {
				return fmt.Errorf("ask for the state of a link: %w", err)
			}
			if l.Attrs().OperState == netlink.OperUp {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait for %s to come up: %w", l.Attrs().Name, ctx.Err())
			case <-poll.C:
			}
		}
	}
	return nil
}
