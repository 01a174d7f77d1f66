package vpc

import (
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
)

// load learns from the machine what earlier processes made. What is half-made stays unknown, until
// Ensure completes or Prune removes it.
func (h *Host) load() error {
	if err := h.loadTransit(); err != nil {
		return err
	}
	if err := h.loadENIs(); err != nil {
		return err
	}
	ids, err := h.mounted(kindVPC)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := h.ensureNetwork(id); err != nil {
			return err
		}
		if err := h.loadNetwork(h.vpcs[id]); err != nil {
			return fmt.Errorf("load VPC %s: %w", id, err)
		}
	}
	return h.loadUplinks()
}

func (h *Host) loadENIs() error {
	ids, err := h.mounted(kindENI)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := h.doors.ensure(door{kindENI, id}, h.ENINamespace(id), nil); err != nil {
			return err
		}
		h.enis[id] = &port{id: id}
	}
	return nil
}

func (h *Host) loadNetwork(n *network) error {
	links, err := n.ns.link.LinkList()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	bridges := map[int]*segment{}
	for _, l := range links {
		if l.Type() != "bridge" {
			continue
		}
		if note, err := readNote[subnetNote](l.Attrs().Alias); err == nil {
			s := &segment{note.ID, n, l.Attrs().Index, note.CIDR, note.Public}
			n.subnets[s.id], bridges[s.index] = s, s
		}
	}
	h.loadPorts(links, bridges)
	return nil
}

func (h *Host) loadPorts(links []netlink.Link, bridges map[int]*segment) {
	ports := make(map[string]*port, len(h.enis))
	for id, p := range h.enis {
		ports[portName(id)] = p
	}
	for _, l := range links {
		p, segment := ports[l.Attrs().Name], bridges[l.Attrs().MasterIndex]
		if p == nil || segment == nil {
			continue
		}
		if note, err := readNote[eniNote](l.Attrs().Alias); err == nil {
			p.segment, p.note = segment, note
		}
	}
}

func (h *Host) loadUplinks() error {
	links, err := h.host.link.LinkList()
	if err != nil {
		return fmt.Errorf("list the host's links: %w", err)
	}
	for _, l := range links {
		if !strings.HasPrefix(l.Attrs().Name, h.uplinkPrefix()) {
			continue
		}
		note, err := readNote[uplinkNote](l.Attrs().Alias)
		if n := h.vpcs[note.VPC]; err == nil && n != nil {
			n.uplink = &uplink{l.Attrs().Index, note.Transit}
		}
	}
	return nil
}
