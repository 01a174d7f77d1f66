package vpc

import (
	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The sets of the source/destination check: the ports that are checked, and the address of each.
const (
	checkedSet = "checked"
	boundSet   = "bound"
)

// declareCheck is the bridge table of a VPC: a checked port carries IPv4 packets from and to its
// own address only.
func declareCheck() ruleset {
	return ruleset{
		table: &nftables.Table{Name: "fairlead-check", Family: nftables.TableFamilyBridge},
		sets: []*nftables.Set{
			{
				Name: checkedSet, KeyType: nftables.TypeIFName,
				KeyByteOrder: binaryutil.NativeEndian,
			},
			{
				Name: boundSet, Concatenation: true,
				KeyType: nftables.MustConcatSetType(nftables.TypeIFName, nftables.TypeIPAddr),
			},
		},
		chains: []chain{
			baseChain("from-port", nftables.ChainTypeFilter,
				nftables.ChainHookPrerouting, nftables.ChainPriorityRaw,
				rule(isIPv4(), misuses(expr.MetaKeyIIFNAME, 12), drop())),
			baseChain("to-port", nftables.ChainTypeFilter,
				nftables.ChainHookPostrouting, nftables.ChainPriorityRaw,
				rule(isIPv4(), misuses(expr.MetaKeyOIFNAME, 16), drop())),
		},
	}
}

func isIPv4() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: reg},
		&expr.Cmp{
			Op: expr.CmpOpEq, Register: reg, Data: binaryutil.BigEndian.PutUint16(unix.ETH_P_IP),
		},
	}
}

// misuses matches a checked port together with an address that is not its own. The name takes the
// whole of register 1, the address follows in register 2.
func misuses(port expr.MetaKey, addrOffset uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: port, Register: reg},
		&expr.Lookup{SourceRegister: reg, SetName: checkedSet},
		addrField(addrOffset, reg+1),
		&expr.Lookup{SourceRegister: reg, SetName: boundSet, Invert: true},
	}
}

// syncCheck writes the checks of a VPC's interfaces. Where nothing is checked, no hook costs time.
func (h *Host) syncCheck(n *network) error {
	want := contents{}
	for id, p := range h.enis {
		if p.segment == nil || p.segment.vpc != n || !p.note.Check {
			continue
		}
		port := ifKey(portName(id))
		want.put(checkedSet, port, "")
		want.put(boundSet, port+key(p.note.Addr), "")
	}
	if len(want) == 0 {
		return n.check.remove()
	}
	return n.check.apply(want)
}
