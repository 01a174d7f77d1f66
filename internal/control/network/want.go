package network

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/vpc"
)

// wanted is what should exist on the machine for one VPC: the devices of every network interface,
// and of the subnets and the VPC that they are in. A VPC without interfaces costs nothing.
type wanted struct {
	vpc     *vpc.VPC // nil: nothing should exist
	subnets []vpc.Subnet
	enis    []vpc.ENI
	keys    map[string]string // of the interfaces' rows, by id
}

// want reads from the rows what should exist for the VPC.
func want(r state.Reader, id string) wanted {
	w := wanted{keys: map[string]string{}}
	for n := range row.NetworkInterfaces.By(r, "vpc", id) {
		w.add(r, n)
	}
	return w
}

func (w *wanted) add(r state.Reader, n row.NetworkInterface) {
	network, ok := row.VPCs.Get(r, n.Scope.Key(n.VPC))
	subnet, found := row.Subnets.Get(r, n.Scope.Key(n.Subnet))
	if !ok || !found {
		return // the transaction that removes a VPC removes its interfaces first
	}
	if w.vpc == nil {
		w.vpc = wantVPC(r, network)
	}
	if !slices.ContainsFunc(w.subnets, func(s vpc.Subnet) bool { return s.ID == subnet.ID }) {
		w.subnets = append(w.subnets, wantSubnet(r, subnet))
	}
	w.enis = append(w.enis, wantENI(n))
	w.keys[n.ID] = n.Key()
}

func wantVPC(r state.Reader, v row.VPC) *vpc.VPC {
	_, attached := row.First(row.InternetGateways.By(r, "vpc", v.ID))
	network := &vpc.VPC{ID: v.ID, InternetGateway: attached}
	for _, c := range v.CIDRs {
		network.CIDRs = append(network.CIDRs, c.CIDR)
	}
	return network
}

func wantSubnet(r state.Reader, s row.Subnet) vpc.Subnet {
	return vpc.Subnet{ID: s.ID, VPC: s.VPC, CIDR: s.CIDR, Public: public(r, s)}
}

// public reports whether the subnet's route table, its own or else the VPC's main one, sends
// 0.0.0.0/0 to an internet gateway that is attached to the VPC.
func public(r state.Reader, s row.Subnet) bool {
	table, ok := routeTable(r, s)
	if !ok {
		return false
	}
	return slices.ContainsFunc(table.Routes, func(route row.Route) bool {
		g, ok := row.InternetGateways.Get(r, s.Scope.Key(route.Gateway))
		return ok && g.VPC == s.VPC && route.Destination.Bits() == 0
	})
}

func routeTable(r state.Reader, s row.Subnet) (main row.RouteTable, ok bool) {
	for t := range row.RouteTables.By(r, "vpc", s.VPC) {
		if t.Serves(s.ID) {
			return t, true
		}
		if t.Main() {
			main, ok = t, true
		}
	}
	return main, ok
}

// wantENI leaves out the public address of a load balancer's node: the data plane binds it on the
// host. Security groups are not passed on: the network does not enforce them yet, and this is where
// the rules of n.Groups will be added.
func wantENI(n row.NetworkInterface) vpc.ENI {
	mac, _ := net.ParseMAC(n.MAC) // nil makes the network choose one
	addr, _ := netip.ParseAddr(n.Address)
	e := vpc.ENI{
		ID: n.ID, VPC: n.VPC, Subnet: n.Subnet, MAC: mac, Addr: addr,
		SourceDestCheck: !n.NoSourceDestCheck,
	}
	if !n.HostListens {
		e.Public, _ = netip.ParseAddr(n.PublicAddress)
	}
	return e
}

// inventory names everything that should exist on the machine.
func inventory(r state.Reader) (keep vpc.Inventory) {
	seen := map[string]bool{}
	for n := range row.NetworkInterfaces.Scan(r, "") {
		keep.ENIs = append(keep.ENIs, n.ID)
		if !seen[n.Subnet] {
			seen[n.Subnet] = true
			keep.Subnets = append(keep.Subnets, n.Subnet)
		}
		if !seen[n.VPC] {
			seen[n.VPC] = true
			keep.VPCs = append(keep.VPCs, n.VPC)
		}
	}
	return keep
}

// vpcOf returns the VPC that the row with this key is about, "" when there is no such row.
func vpcOf(r state.Reader, table, key string) string {
	switch table {
	case row.VPCs.Name():
		v, _ := row.VPCs.Get(r, key)
		return v.ID
	case row.Subnets.Name():
		s, _ := row.Subnets.Get(r, key)
		return s.VPC
	case row.InternetGateways.Name():
		g, _ := row.InternetGateways.Get(r, key)
		return g.VPC
	case row.RouteTables.Name():
		t, _ := row.RouteTables.Get(r, key)
		return t.VPC
	case row.NetworkInterfaces.Name():
		n, _ := row.NetworkInterfaces.Get(r, key)
		return n.VPC
	}
	panic(fmt.Sprintf("network: table %s is not watched", table))
}

// ids returns the ids of all that is wanted.
func (w wanted) ids() map[string]bool {
	ids := map[string]bool{}
	if w.vpc != nil {
		ids[w.vpc.ID] = true
	}
	for _, s := range w.subnets {
		ids[s.ID] = true
	}
	for _, e := range w.enis {
		ids[e.ID] = true
	}
	return ids
}
