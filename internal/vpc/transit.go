package vpc

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// transitBits is the size of an instance's block: 4096 addresses, of which the first is the host's
// and each VPC with an internet gateway and each interface with a public address has one.
const transitBits = 20

var defaultTransit = netip.MustParsePrefix("198.18.0.0/15")

// transit is the block of addresses between host and VPCs. An instance claims it by an nftables
// table that is named after it, which can be created only once; the table is on the machine for
// as long as a VPC has an internet gateway, and says by a chain's name whose it is.
type transit struct {
	block netip.Prefix // zero: none claimed
	table *table
	last  netip.Addr // given out most recently
}

const transitTablePrefix = "fairlead-transit-"

func transitTable(block netip.Prefix) string {
	return transitTablePrefix + block.Addr().String()
}

func (h *Host) ownerPrefix() string { return "owner-" + h.cfg.Name + "-" }
func (h *Host) ownerChain() string  { return hashed(h.ownerPrefix(), h.cfg.Dir) }

// loadTransit finds the block that this instance claimed earlier. Another one with the same name
// would fight about the links.
func (h *Host) loadTransit() error {
	conn, err := h.host.nft()
	if err != nil {
		return err
	}
	chains, err := conn.ListChainsOfTableFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return fmt.Errorf("list nftables chains: %w", err)
	}
	for _, c := range chains {
		addr, ok := strings.CutPrefix(c.Table.Name, transitTablePrefix)
		if !ok || !strings.HasPrefix(c.Name, h.ownerPrefix()) {
			continue
		}
		if c.Name != h.ownerChain() {
			return fmt.Errorf("the name %s is in use by another instance", h.cfg.Name)
		}
		a, err := netip.ParseAddr(addr)
		if err != nil {
			return fmt.Errorf("nftables table %s: %w", c.Table.Name, err)
		}
		h.setTransit(netip.PrefixFrom(a, transitBits))
	}
	return nil
}

func (h *Host) setTransit(block netip.Prefix) {
	h.transit = transit{block: block, last: block.Addr()}
	h.transit.table = newTable(h.host, h.declareHostNAT)
}

// hostAddr is the host's address on all its links to VPCs.
func (t transit) hostAddr() netip.Addr { return offset(t.block, 1) }

// claimTransit takes a block that no route or address of the host touches.
func (h *Host) claimTransit() error {
	if h.transit.block.IsValid() {
		return h.allowForwarding()
	}
	busy, err := busyPrefixes(h.host.link)
	if err != nil {
		return err
	}
	for block := range blocks(h.cfg.TransitRange) {
		if overlapsAny(block, busy) {
			continue
		}
		err := h.createTransitTable(block)
		if errors.Is(err, syscall.EEXIST) {
			continue
		}
		if err != nil {
			return fmt.Errorf("claim transit block %s: %w", block, err)
		}
		h.setTransit(block)
		if err := remove(h.forwardMark()); err != nil {
			return err
		}
		return h.allowForwarding()
	}
	return fmt.Errorf("no /%d of the transit range %s is free", transitBits, h.cfg.TransitRange)
}

func (h *Host) createTransitTable(block netip.Prefix) error {
	conn, err := h.host.nft()
	if err != nil {
		return err
	}
	t := &nftables.Table{Name: transitTable(block), Family: nftables.TableFamilyIPv4}
	conn.CreateTable(t)
	conn.AddChain(&nftables.Chain{Table: t, Name: h.ownerChain()})
	err = conn.Flush()
	if err != nil {
		h.host.closeNFT()
	}
	return err
}

// blocks are the possible blocks of a range.
func blocks(r netip.Prefix) func(yield func(netip.Prefix) bool) {
	return func(yield func(netip.Prefix) bool) {
		for i := range uint32(1) << (transitBits - r.Bits()) {
			a := offset(r, i<<(32-transitBits))
			if !yield(netip.PrefixFrom(a, transitBits)) {
				return
			}
		}
	}
}

func overlapsAny(p netip.Prefix, others []netip.Prefix) bool {
	for _, o := range others {
		if p.Overlaps(o) {
			return true
		}
	}
	return false
}

// busyPrefixes are the host's addresses and the destinations of its routes, but for default routes.
func busyPrefixes(link *netlink.Handle) ([]netip.Prefix, error) {
	routes, err := link.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list the host's routes: %w", err)
	}
	addrs, err := link.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list the host's addresses: %w", err)
	}
	var busy []netip.Prefix
	for _, r := range routes {
		if p := prefixOf(r.Dst); p.Bits() > 1 {
			busy = append(busy, p)
		}
	}
	for _, a := range addrs {
		busy = append(busy, prefixOf(a.IPNet))
	}
	return busy, nil
}

// releaseTransit gives the block back once nothing uses it. The table goes last: as long as it is
// there, a process that starts will find it and finish.
func (h *Host) releaseTransit() error {
	if !h.transit.block.IsValid() {
		return nil
	}
	for _, n := range h.vpcs {
		if n.uplink != nil {
			return nil
		}
	}
	if err := h.restoreForwarding(); err != nil {
		return err
	}
	if err := h.transit.table.remove(); err != nil {
		return err
	}
	h.transit = transit{}
	return nil
}

// nextTransit finds a free address. It goes round the block, so that an address rests long before
// it stands for another interface.
func (h *Host) nextTransit() (netip.Addr, error) {
	used := map[netip.Addr]bool{h.transit.hostAddr(): true, h.transit.block.Addr(): true}
	for _, n := range h.vpcs {
		if n.uplink != nil {
			used[n.uplink.transit] = true
		}
	}
	for _, p := range h.enis {
		used[p.note.Transit] = true
	}
	a := h.transit.last
	for range 1 << (32 - transitBits) {
		a = a.Next()
		if !h.transit.block.Contains(a) {
			a = h.transit.block.Addr()
		}
		if !used[a] {
			h.transit.last = a
			return a, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("transit block %s is full", h.transit.block)
}

const forwardSysctl = "net/ipv4/ip_forward"

// forwardMark is the file that remembers that it was this instance that let the host forward.
func (h *Host) forwardMark() string { return filepath.Join(h.cfg.Dir, "enabled-ip-forward") }

// allowForwarding lets the host pass packets between its VPCs and the world.
func (h *Host) allowForwarding() error {
	return h.inHost(func() error {
		old, err := readSysctl(forwardSysctl)
		if err != nil || old == "1" {
			return err
		}
		if err := os.WriteFile(h.forwardMark(), nil, 0o644); err != nil {
			return err
		}
		return sysctl{name: forwardSysctl, value: "1"}.set()
	})
}

// restoreForwarding ends forwarding if this instance began it, unless another one needs it.
func (h *Host) restoreForwarding() error {
	if _, err := os.Stat(h.forwardMark()); err != nil {
		return nil
	}
	conn, err := h.host.nft()
	if err != nil {
		return err
	}
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return fmt.Errorf("list nftables tables: %w", err)
	}
	for _, t := range tables {
		ours := t.Name == transitTable(h.transit.block)
		if strings.HasPrefix(t.Name, transitTablePrefix) && !ours {
			return remove(h.forwardMark())
		}
	}
	if err := h.inHost(sysctl{name: forwardSysctl, value: "0"}.set); err != nil {
		return err
	}
	return remove(h.forwardMark())
}

// remove removes a file if it is there.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
