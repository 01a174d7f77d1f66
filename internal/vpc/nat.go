package vpc

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
)

// The maps of the two NAT tables. In a VPC ingress leads from transit to private addresses and
// egress back; on the host ingress leads from public to transit addresses and egress back, the
// latter without the loopback addresses, which nobody outside could answer to.
// A VPC's set of members names the private addresses that have a transit address.
const (
	ingressMap = "ingress"
	egressMap  = "egress"
	memberSet  = "members"
)

var loopback = netip.MustParsePrefix("127.0.0.0/8")

// declareVPCNAT is the table of a VPC: what goes through the internet gateway has an interface with
// a transit address at its inner end.
func declareVPCNAT() ruleset {
	inside := in(ifKey(gatewayLink))
	outside := out(ifKey(gatewayLink))
	return ruleset{
		table: &nftables.Table{Name: "fairlead-nat", Family: nftables.TableFamilyIPv4},
		sets: []*nftables.Set{
			addrMap(ingressMap), addrMap(egressMap),
			{Name: memberSet, KeyType: nftables.TypeIPAddr},
		},
		chains: []chain{
			baseChain("prerouting", nftables.ChainTypeNAT,
				nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest,
				rule(inside, destination(), lookup(ingressMap), translate(expr.NATTypeDestNAT))),
			baseChain("input", nftables.ChainTypeFilter,
				nftables.ChainHookInput, nftables.ChainPriorityFilter,
				rule(inside, drop())),
			baseChain("forward", nftables.ChainTypeFilter,
				nftables.ChainHookForward, nftables.ChainPriorityFilter,
				rule(inside, destination(), notIn(memberSet), drop()),
				rule(outside, source(), notIn(memberSet), drop())),
			baseChain("postrouting", nftables.ChainTypeNAT,
				nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource,
				rule(outside, source(), lookup(egressMap), translate(expr.NATTypeSourceNAT))),
		},
	}
}

// declareHostNAT is the table of the host. The links to the VPCs accept loopback addresses, which
// NAT needs (route_localnet), so that it drops packets that come with one. What goes to a VPC has
// been addressed to a public address.
func (h *Host) declareHostNAT() ruleset {
	ours := h.uplinkPrefix()
	toPublic := rule(destination(), lookup(ingressMap), translate(expr.NATTypeDestNAT))
	fromTransit := rule(source(), within(h.transit.block))
	return ruleset{
		table: &nftables.Table{
			Name: transitTable(h.transit.block), Family: nftables.TableFamilyIPv4,
		},
		sets: []*nftables.Set{addrMap(ingressMap), addrMap(egressMap)},
		chains: []chain{
			{Chain: &nftables.Chain{Name: h.ownerChain()}},
			baseChain("martians", nftables.ChainTypeFilter,
				nftables.ChainHookPrerouting, nftables.ChainPriorityRaw,
				rule(in(ours), destination(), within(loopback), drop())),
			baseChain("prerouting", nftables.ChainTypeNAT,
				nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest, toPublic),
			baseChain("output", nftables.ChainTypeNAT,
				nftables.ChainHookOutput, nftables.ChainPriorityNATDest, toPublic),
			baseChain("forward", nftables.ChainTypeFilter,
				nftables.ChainHookForward, nftables.ChainPriorityFilter,
				rule(out(ours), newFlow(), notTranslated(), drop())),
			baseChain("postrouting", nftables.ChainTypeNAT,
				nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource,
				rule(fromTransit, source(), lookup(egressMap), translate(expr.NATTypeSourceNAT)),
				rule(notOut(ours), fromTransit, masquerade()),
				rule(out(ours), source(), within(loopback), masquerade())),
		},
	}
}

// newFlow matches the first packets of a connection.
func newFlow() []expr.Any {
	return ctMatch(expr.CtKeySTATE, expr.CtStateBitNEW, expr.CmpOpNeq)
}

// notTranslated matches connections whose destination was not translated: IPS_DST_NAT is not set.
func notTranslated() []expr.Any {
	const ipsDstNAT = 1 << 5
	return ctMatch(expr.CtKeySTATUS, ipsDstNAT, expr.CmpOpEq)
}

// ctMatch compares some bits of a connection's record with zero.
func ctMatch(k expr.CtKey, bits uint32, op expr.CmpOp) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: k, Register: reg},
		masked(binaryutil.NativeEndian.PutUint32(bits)),
		&expr.Cmp{Op: op, Register: reg, Data: make([]byte, 4)},
	}
}
