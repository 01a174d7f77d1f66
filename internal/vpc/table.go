package vpc

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// elementsPerMessage keeps a message below the 64 KiB of a netlink attribute: an element takes at
// most 60 bytes.
const elementsPerMessage = 500

// contents are the elements of a table's sets and maps: set name, key, value (empty in a set).
type contents map[string]map[string]string

func (c contents) put(set, key, value string) {
	if c[set] == nil {
		c[set] = map[string]string{}
	}
	c[set][key] = value
}

// ruleset is what a table is made of. The chains are fixed; only the sets' elements change.
type ruleset struct {
	table  *nftables.Table
	sets   []*nftables.Set
	chains []chain
}

type chain struct {
	*nftables.Chain
	rules [][]expr.Any
}

// table is an nftables table of ours. It is written as a whole the first time, since nobody knows
// what an earlier process left, and afterwards by differences. Each write is one transaction.
type table struct {
	ns      *namespace
	declare func() ruleset
	applied contents // nil: unknown
	absent  bool     // known not to exist
}

func newTable(ns *namespace, declare func() ruleset) *table {
	return &table{ns: ns, declare: declare}
}

// apply makes the table hold exactly these elements.
func (t *table) apply(want contents) error {
	conn, err := t.ns.nft()
	if err != nil {
		return err
	}
	rules := t.declare()
	if t.applied == nil {
		err = rules.replace(conn, want, t.absent)
	} else if changed := rules.update(conn, t.applied, want); !changed {
		return nil
	}
	t.absent = false
	if err == nil {
		err = conn.Flush()
	}
	if err != nil {
		t.applied = nil
		t.ns.closeNFT()
		return fmt.Errorf("write nftables table %s: %w", rules.table.Name, err)
	}
	t.applied = want
	return nil
}

// remove removes the table if it is there.
func (t *table) remove() error {
	if t.absent {
		return nil
	}
	conn, err := t.ns.nft()
	if err != nil {
		return err
	}
	table := t.declare().table
	t.applied = nil
	conn.AddTable(table)
	conn.DelTable(table)
	if err := conn.Flush(); err != nil {
		t.ns.closeNFT()
		return fmt.Errorf("remove nftables table %s: %w", table.Name, err)
	}
	t.absent = true
	return nil
}

// replace writes the whole table. Removing it first needs it to be there.
func (r ruleset) replace(conn *nftables.Conn, want contents, absent bool) error {
	if !absent {
		conn.AddTable(r.table)
		conn.DelTable(r.table)
	}
	conn.AddTable(r.table)
	for _, s := range r.sets {
		s.Table = r.table
		if err := conn.AddSet(s, nil); err != nil {
			return err
		}
		put(conn.SetAddElements, s, want[s.Name])
	}
	for _, c := range r.chains {
		c.Table = r.table
		conn.AddChain(c.Chain)
		for _, exprs := range c.rules {
			conn.AddRule(&nftables.Rule{Table: r.table, Chain: c.Chain, Exprs: exprs})
		}
	}
	return nil
}

// update writes the differences and says whether there are any. Removals come first: a key may get
// another value.
func (r ruleset) update(conn *nftables.Conn, have, want contents) (changed bool) {
	for _, s := range r.sets {
		s.Table = r.table
		gone := without(have[s.Name], want[s.Name])
		added := without(want[s.Name], have[s.Name])
		put(conn.SetDeleteElements, s, gone)
		put(conn.SetAddElements, s, added)
		changed = changed || len(gone)+len(added) > 0
	}
	return changed
}

// without are the elements of a that b lacks or has with another value.
func without(a, b map[string]string) map[string]string {
	rest := map[string]string{}
	for k, v := range a {
		if other, ok := b[k]; !ok || other != v {
			rest[k] = v
		}
	}
	return rest
}

// put queues elements. The library's error is that of encoding, which these cannot have; the
// kernel's comes with Flush.
func put(
	do func(*nftables.Set, []nftables.SetElement) error, s *nftables.Set, all map[string]string,
) {
	var list []nftables.SetElement
	for k, v := range all {
		list = append(list, nftables.SetElement{Key: []byte(k), Val: []byte(v)})
	}
	for part := range slices.Chunk(list, elementsPerMessage) {
		do(s, part)
	}
}

func addrMap(name string) *nftables.Set {
	return &nftables.Set{
		Name: name, IsMap: true, KeyType: nftables.TypeIPAddr, DataType: nftables.TypeIPAddr,
	}
}

func key(a netip.Addr) string { return string(a.AsSlice()) }

// ifKey is an interface name as the kernel compares it: padded to IFNAMSIZ.
func ifKey(name string) string {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return string(b)
}

func baseChain(
	name string, typ nftables.ChainType, hook *nftables.ChainHook, prio *nftables.ChainPriority,
	rules ...[]expr.Any,
) chain {
	return chain{&nftables.Chain{Name: name, Type: typ, Hooknum: hook, Priority: prio}, rules}
}

// rule joins the parts of a rule: matches, then what to do.
func rule(parts ...[]expr.Any) []expr.Any { return slices.Concat(parts...) }

// The matches and statements below work on register 1.
const reg = 1

// in and out match the name of the interface; a prefix matches every name that begins with it.
func in(name string) []expr.Any  { return ifMatch(expr.MetaKeyIIFNAME, expr.CmpOpEq, name) }
func out(name string) []expr.Any { return ifMatch(expr.MetaKeyOIFNAME, expr.CmpOpEq, name) }

func notOut(name string) []expr.Any { return ifMatch(expr.MetaKeyOIFNAME, expr.CmpOpNeq, name) }

func ifMatch(k expr.MetaKey, op expr.CmpOp, name string) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: k, Register: reg},
		&expr.Cmp{Op: op, Register: reg, Data: []byte(name)},
	}
}

func source() []expr.Any      { return []expr.Any{addrField(12, reg)} }
func destination() []expr.Any { return []expr.Any{addrField(16, reg)} }

// addrField loads an address of the IPv4 header.
func addrField(offset, register uint32) expr.Any {
	return &expr.Payload{
		DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4,
	}
}

// within goes on if the loaded address is in a network.
func within(p netip.Prefix) []expr.Any {
	return []expr.Any{
		masked(ipNet(p).Mask),
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: p.Addr().AsSlice()},
	}
}

func masked(mask []byte) expr.Any {
	return &expr.Bitwise{
		SourceRegister: reg, DestRegister: reg, Len: 4, Mask: mask, Xor: make([]byte, 4),
	}
}

// lookup replaces what is loaded by its value in a map, and ends the rule if it has none.
func lookup(mapName string) []expr.Any {
	return []expr.Any{&expr.Lookup{
		SourceRegister: reg, DestRegister: reg, IsDestRegSet: true, SetName: mapName,
	}}
}

// notIn goes on if what is loaded is not in a set.
func notIn(set string) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: reg, SetName: set, Invert: true}}
}

// translate rewrites the source or destination to the loaded address.
func translate(t expr.NATType) []expr.Any {
	return []expr.Any{&expr.NAT{Type: t, Family: unix.NFPROTO_IPV4, RegAddrMin: reg}}
}

func masquerade() []expr.Any { return []expr.Any{&expr.Masq{}} }
func drop() []expr.Any       { return []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}} }
