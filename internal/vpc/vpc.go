package vpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
)

// routerOffset and dnsOffset are the addresses of a subnet that AWS reserves for the router and for
// DNS: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
const (
	routerOffset = 1
	dnsOffset    = 2
)

// VPC is a network namespace that routes between its subnets.
type VPC struct {
	ID string
	// CIDRs are the IPv4 address ranges, the primary one first. The primary one's address 2 is
	// local to the namespace: the place of the VPC's DNS resolver.
	CIDRs []netip.Prefix
	// InternetGateway connects the VPC to the host.
	InternetGateway bool
}

func (v VPC) validate() error {
	if err := checkID(v.ID); err != nil {
		return err
	}
	if len(v.CIDRs) == 0 {
		return errors.New("a VPC has at least one CIDR")
	}
	for _, c := range v.CIDRs {
		if err := checkCIDR(c); err != nil {
			return err
		}
	}
	return nil
}

// network is a VPC as it exists on the machine.
type network struct {
	id      string
	ns      *namespace
	subnets map[string]*segment
	uplink  *uplink // nil: no internet gateway
	nat     *table  // translates between transit and private addresses
	check   *table  // the source/destination check
}

func newNetwork(id string, ns *namespace) *network {
	return &network{
		id: id, ns: ns, subnets: map[string]*segment{},
		nat:   newTable(ns, declareVPCNAT),
		check: newTable(ns, declareCheck),
	}
}

// vpcSysctls make a namespace a router. Bridged frames stay out of the IP hooks: they would be
// tracked for nothing. The files of br_netfilter exist only where the kernel has it.
var vpcSysctls = []sysctl{
	{name: "net/ipv4/ip_forward", value: "1"},
	{name: "net/ipv4/conf/all/rp_filter", value: "0"},
	{name: "net/ipv4/conf/default/rp_filter", value: "0"},
	{name: "net/ipv4/conf/all/send_redirects", value: "0"},
	{name: "net/ipv4/conf/default/send_redirects", value: "0"},
	{name: "net/ipv6/conf/all/disable_ipv6", value: "1", optional: true},
	{name: "net/ipv6/conf/default/disable_ipv6", value: "1", optional: true},
	{name: "net/bridge/bridge-nf-call-iptables", value: "0", optional: true},
	{name: "net/bridge/bridge-nf-call-ip6tables", value: "0", optional: true},
	{name: "net/bridge/bridge-nf-call-arptables", value: "0", optional: true},
}

// EnsureVPC makes the VPC or changes it to be as asked.
func (h *Host) EnsureVPC(ctx context.Context, v VPC) error {
	if err := v.validate(); err != nil {
		return fmt.Errorf("ensure VPC %q: %w", v.ID, err)
	}
	if err := h.begin(ctx); err != nil {
		return err
	}
	defer h.mu.Unlock()
	if err := h.ensureVPC(ctx, v); err != nil {
		return fmt.Errorf("ensure VPC %s: %w", v.ID, err)
	}
	return nil
}

func (h *Host) ensureVPC(ctx context.Context, v VPC) error {
	n, err := h.ensureNetwork(v.ID)
	if err != nil {
		return err
	}
	lo, err := n.ns.link.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	dns := netip.PrefixFrom(offset(v.CIDRs[0], dnsOffset), 32)
	if err := setAddrs(n.ns.link, lo, append(h.local(), dns)...); err != nil {
		return err
	}
	if v.InternetGateway {
		err = h.connect(ctx, n)
	} else {
		err = h.disconnect(n)
	}
	if err != nil {
		return err
	}
	return h.settle()
}

func (h *Host) ensureNetwork(id string) (*network, error) {
	old := h.vpcs[id]
	if old != nil && isNamespace(h.VPCNamespace(id)) {
		return old, nil
	}
	h.forgetVPC(id)
	fresh := !isNamespace(h.VPCNamespace(id))
	door := door{kindVPC, id}
	if err := h.doors.ensure(door, h.VPCNamespace(id), vpcSysctls); err != nil {
		return nil, err
	}
	ns, err := h.doors.namespace(door)
	if err != nil {
		return nil, err
	}
	n := newNetwork(id, ns)
	n.nat.absent, n.check.absent = fresh, fresh
	if old != nil {
		n.uplink = old.uplink
	}
	h.vpcs[id] = n
	return n, nil
}

// DeleteVPC removes the VPC with all its subnets and interfaces; one that does not exist is no
// error.
func (h *Host) DeleteVPC(ctx context.Context, id string) error {
	if err := h.begin(ctx); err != nil {
		return err
	}
	defer h.mu.Unlock()
	if err := h.deleteVPC(id); err != nil {
		return fmt.Errorf("delete VPC %s: %w", id, err)
	}
	return nil
}

func (h *Host) deleteVPC(id string) error {
	n := h.vpcs[id]
	if n == nil {
		return nil
	}
	for s := range maps.Clone(n.subnets) {
		if err := h.deleteSubnet(s); err != nil {
			return err
		}
	}
	if err := h.disconnect(n); err != nil {
		return err
	}
	if err := h.settle(); err != nil {
		return err
	}
	h.forgetVPC(id)
	return removeNamespace(h.VPCNamespace(id))
}

// forgetVPC lets go of what this process holds of a VPC; its interfaces are then unplugged.
func (h *Host) forgetVPC(id string) {
	n := h.vpcs[id]
	if n == nil {
		return
	}
	for _, p := range h.enis {
		if p.segment != nil && p.segment.vpc == n {
			p.segment = nil
		}
	}
	h.departures.waitAll()
	n.ns.close()
	h.doors.shut(door{kindVPC, id})
	h.applied = nil
	delete(h.vpcs, id)
}
