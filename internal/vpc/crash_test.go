package vpc

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// want is the whole of what the tests below ask for.
type want struct {
	vpcs    []VPC
	subnets []Subnet
	enis    []ENI
}

func wholeWant() want {
	return want{
		vpcs: []VPC{
			{"vpc-a", prefixes("10.0.0.0/16"), true}, {"vpc-b", prefixes("10.0.0.0/16"), false},
		},
		subnets: []Subnet{
			{"sub-a", "vpc-a", prefix("10.0.1.0/24"), true},
			{"sub-b", "vpc-b", prefix("10.0.1.0/24"), false},
		},
		enis: []ENI{
			{
				ID: "eni-a", VPC: "vpc-a", Subnet: "sub-a", Addr: addr("10.0.1.5"),
				Public: addr("127.9.8.7"), SourceDestCheck: true,
			},
			{
				ID: "eni-b", VPC: "vpc-b", Subnet: "sub-b", Addr: addr("10.0.1.5"),
				Local: []netip.Addr{addr("169.254.170.2")},
			},
		},
	}
}

func (w want) ensure(t *testing.T, h *Host) {
	t.Helper()
	for _, v := range w.vpcs {
		must(t, h.EnsureVPC(t.Context(), v))
	}
	for _, s := range w.subnets {
		must(t, h.EnsureSubnet(t.Context(), s))
	}
	for _, e := range w.enis {
		must(t, h.EnsureENI(t.Context(), e))
	}
}

func (w want) inventory() (inv Inventory) {
	for _, v := range w.vpcs {
		inv.VPCs = append(inv.VPCs, v.ID)
	}
	for _, s := range w.subnets {
		inv.Subnets = append(inv.Subnets, s.ID)
	}
	for _, e := range w.enis {
		inv.ENIs = append(inv.ENIs, e.ID)
	}
	return inv
}

func checkList(t *testing.T, h *Host, want Inventory) {
	t.Helper()
	got, err := h.List(t.Context())
	must(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("List: %+v, want %+v", got, want)
	}
}

// checkAlive starts a server in eni-a and asks it from the host.
func checkAlive(t *testing.T, m *machine, h *Host) {
	t.Helper()
	l, err := h.Listen(t.Context(), "eni-a", "tcp4", "10.0.1.5:80")
	must(t, err)
	defer l.Close()
	greet(t, l, "eni-a")
	expect(t, "eni-a", m.ask("host", "127.9.8.7", dialTimeout), "eni-a "+h.transit.hostAddr().String())
}

func TestNothingIsLeft(t *testing.T) {
	for _, way := range []string{"delete", "delete VPCs", "prune", "destroy"} {
		t.Run(way, func(t *testing.T) {
			m := newMachine(t)
			cfg := m.config()
			h := m.open(cfg)
			before := m.traces(cfg.Dir)
			w := wholeWant()
			w.ensure(t, h)
			checkList(t, h, w.inventory())
			removeAll(t, h, w, way)
			after := m.traces(cfg.Dir)
			if way == "destroy" {
				before = slices.DeleteFunc(before, func(s string) bool {
					return s == cfg.Dir+"/vpc" || s == cfg.Dir+"/eni"
				})
			} else {
				checkList(t, h, Inventory{})
			}
			sameTraces(t, before, after)
		})
	}
}

func removeAll(t *testing.T, h *Host, w want, way string) {
	t.Helper()
	ctx := t.Context()
	switch way {
	case "delete":
		for range 2 { // the second time there is nothing to delete
			for i := range w.vpcs {
				must(t, h.DeleteENI(ctx, w.enis[i].ID), h.DeleteSubnet(ctx, w.subnets[i].ID),
					h.DeleteVPC(ctx, w.vpcs[i].ID))
			}
		}
	case "delete VPCs":
		must(t, h.DeleteVPC(ctx, "vpc-a"), h.DeleteVPC(ctx, "vpc-b"))
	case "prune":
		must(t, h.Prune(ctx, Inventory{}), h.Prune(ctx, Inventory{}))
	case "destroy":
		must(t, h.Destroy(ctx))
	}
}

func TestPruneKeeps(t *testing.T) {
	m := newMachine(t)
	h := m.open(m.config())
	w := wholeWant()
	w.ensure(t, h)
	keep := Inventory{VPCs: []string{"vpc-a"}, Subnets: []string{"sub-a"}, ENIs: []string{"eni-a"}}
	must(t, h.Prune(t.Context(), keep))
	checkList(t, h, keep)
	checkAlive(t, m, h)
}

// TestRestart is kill -9: the next process finds everything, and it has worked all the while.
func TestRestart(t *testing.T) {
	m := newMachine(t)
	cfg := m.config()
	h := m.open(cfg)
	w := wholeWant()
	w.ensure(t, h)
	l, err := h.Listen(t.Context(), "eni-a", "tcp4", ":80")
	must(t, err)
	greet(t, l, "old")
	block := h.transit.block
	before := m.traces(cfg.Dir)
	must(t, h.Close())

	h = m.open(cfg)
	checkList(t, h, w.inventory())
	from := offset(block, 1).String()
	expect(t, "before Ensure", m.ask("host", "127.9.8.7", dialTimeout), "old "+from)
	w.ensure(t, h)
	must(t, h.Prune(t.Context(), w.inventory()))
	if h.transit.block != block {
		t.Errorf("transit block %s became %s", block, h.transit.block)
	}
	sameTraces(t, before, m.traces(cfg.Dir))
	expect(t, "after Ensure", m.ask("host", "127.9.8.7", dialTimeout), "old "+from)

	must(t, h.Close())
	h = m.open(cfg)
	must(t, h.DeleteENI(t.Context(), "eni-a"))
	expect(t, "deleted after a restart", m.ask("host", "127.9.8.7", silentTimeout), "")
}

// TestHalfMade damages what exists, in every way that a crash, a reboot or an administrator could
// have, and asks for the same again, with the same process and with the next one.
func TestHalfMade(t *testing.T) {
	damages := map[string]func(m *machine, h *Host) error{
		"port gone": func(m *machine, h *Host) error {
			return deleteLink(h.vpcs["vpc-a"].ns.link, portName("eni-a"))
		},
		"port down and out of the bridge": func(m *machine, h *Host) error {
			link := h.vpcs["vpc-a"].ns.link
			l, err := link.LinkByName(portName("eni-a"))
			return errors.Join(err, link.LinkSetNoMaster(l), link.LinkSetDown(l))
		},
		"alias gone": func(m *machine, h *Host) error {
			link := h.vpcs["vpc-a"].ns.link
			l, err := link.LinkByName(portName("eni-a"))
			return errors.Join(err, link.LinkSetAlias(l, ""))
		},
		"eth0 without address": func(m *machine, h *Host) error {
			return h.Do("eni-a", func() error {
				l, err := netlink.LinkByName("eth0")
				own := netlink.Addr{IPNet: ipNet(prefix("10.0.1.5/24"))}
				return errors.Join(err, netlink.AddrDel(l, &own))
			})
		},
		"bridge gone": func(m *machine, h *Host) error {
			return deleteLink(h.vpcs["vpc-a"].ns.link, bridgeName("sub-a"))
		},
		"uplink gone": func(m *machine, h *Host) error {
			return deleteLink(h.host.link, h.uplinkName("vpc-a"))
		},
		"uplink without alias": func(m *machine, h *Host) error {
			l, err := h.host.link.LinkByName(h.uplinkName("vpc-a"))
			return errors.Join(err, h.host.link.LinkSetAlias(l, ""))
		},
		"interface's mount gone": func(m *machine, h *Host) error {
			return removeNamespace(h.ENINamespace("eni-a"))
		},
		"VPC's mount gone": func(m *machine, h *Host) error {
			return removeNamespace(h.VPCNamespace("vpc-a"))
		},
		"mount point without mount": func(m *machine, h *Host) error {
			err := removeNamespace(h.ENINamespace("eni-a"))
			return errors.Join(err, os.WriteFile(h.ENINamespace("eni-a"), nil, 0o444))
		},
	}
	for name, damage := range damages {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %t", name, restart), func(t *testing.T) {
				m := newMachine(t)
				cfg := m.config()
				h := m.open(cfg)
				w := wholeWant()
				w.ensure(t, h)
				before := m.traces(cfg.Dir)
				must(t, damage(m, h))
				if restart {
					must(t, h.Close())
					h = m.open(cfg)
				}
				w.ensure(t, h)
				must(t, h.Prune(t.Context(), w.inventory()))
				checkList(t, h, w.inventory())
				checkAlive(t, m, h)
				sameTraces(t, before, m.traces(cfg.Dir))
			})
		}
	}
}

// TestHalfMadeIsPruned leaves what a killed process may leave before anything has a name.
func TestHalfMadeIsPruned(t *testing.T) {
	m := newMachine(t)
	cfg := m.config()
	h := m.open(cfg)
	w := wholeWant()
	w.ensure(t, h)
	before := m.traces(cfg.Dir)
	must(t, h.Close())

	must(t, h.doorsAgain(t).do(door{kindVPC, "vpc-a"}, func() error {
		return errors.Join(
			netlink.LinkAdd(&netlink.Veth{LinkAttrs: named(portName("eni-x")), PeerName: "x"}),
			netlink.LinkAdd(&netlink.Bridge{LinkAttrs: named(bridgeName("sub-x"))}))
	}))
	must(t,
		os.WriteFile(h.ENINamespace("eni-y"), nil, 0o444),
		os.WriteFile(h.VPCNamespace("vpc-y"), nil, 0o444),
		m.in("host", func() error {
			attrs := named(h.uplinkName("vpc-x"))
			return netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "x"})
		}))

	h = m.open(cfg)
	must(t, h.Prune(t.Context(), w.inventory()))
	sameTraces(t, before, m.traces(cfg.Dir))
	links, err := h.vpcs["vpc-a"].ns.link.LinkList()
	must(t, err)
	if len(links) != 4 {
		t.Errorf("vpc-a has %d links, want lo, igw, a bridge and a port", len(links))
	}
	checkAlive(t, m, h)
}

func named(name string) netlink.LinkAttrs {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	return attrs
}

// doorsAgain enters namespaces of a host that is closed.
func (h *Host) doorsAgain(t *testing.T) *doors {
	t.Helper()
	d := &doors{fds: map[door]int{}}
	home, err := openFD(currentNamespace)
	must(t, err)
	d.home = home
	t.Cleanup(d.close)
	must(t, d.open(door{kindVPC, "vpc-a"}, h.VPCNamespace("vpc-a")))
	return d
}

func TestTwoInstancesOnOneMachine(t *testing.T) {
	m := newMachine(t)
	before := m.traces("")
	one, two := m.open(m.config()), m.open(m.config())
	for i, h := range []*Host{one, two} {
		testNetwork(t, h, "vpc-a")
		testENI(t, h, ENI{
			ID: fmt.Sprintf("eni-%d", i), VPC: "vpc-a", Subnet: "vpc-a-pub", Addr: addr("10.0.1.5"),
			Public: netip.AddrFrom4([4]byte{127, 9, 8, byte(i)}),
		})
	}
	if one.transit.block == two.transit.block {
		t.Errorf("both use %s", one.transit.block)
	}
	must(t, one.Prune(t.Context(), Inventory{}))
	expect(t, "the other instance", m.ask("host", "127.9.8.1", dialTimeout),
		"eni-1 "+two.transit.hostAddr().String())
	must(t, one.Destroy(t.Context()))
	expect(t, "the other instance", m.ask("host", "127.9.8.1", dialTimeout),
		"eni-1 "+two.transit.hostAddr().String())
	must(t, two.Destroy(t.Context()))
	after := m.traces("")
	// The first let the host forward and left while the second needed it.
	notForward := func(s string) bool { return s == "ip_forward 0" || s == "ip_forward 1" }
	sameTraces(t, slices.DeleteFunc(before, notForward), slices.DeleteFunc(after, notForward))
}

func TestTwoInstancesWithOneName(t *testing.T) {
	m := newMachine(t)
	cfg := m.config()
	testNetwork(t, m.open(cfg), "vpc-a")
	cfg.Dir = t.TempDir()
	if h, err := Open(cfg); err == nil {
		h.Close()
		t.Error("the name of another instance was accepted")
	}
}

func TestTransitAvoidsWhatIsBusy(t *testing.T) {
	m := newMachine(t)
	host := m.namespace("host")
	eth0, err := host.link.LinkByName("eth0")
	must(t, err,
		addAddr(host.link, eth0, prefix("198.18.0.9/32")),
		setRoute(host.link, eth0, prefix("198.18.16.0/24"), netip.Addr{}))
	conn, err := nftables.New(nftables.WithNetNSFd(host.fd))
	must(t, err)
	conn.AddTable(&nftables.Table{
		Name: transitTable(prefix("198.18.32.0/20")), Family: nftables.TableFamilyIPv4,
	})
	must(t, conn.Flush())
	h := m.open(m.config())
	testNetwork(t, h, "vpc-a")
	if want := prefix("198.18.48.0/20"); h.transit.block != want {
		t.Errorf("took %s, want %s", h.transit.block, want)
	}

	cfg := m.config()
	cfg.TransitRange = prefix("198.18.0.0/18")
	h = m.open(cfg)
	if err := h.EnsureVPC(t.Context(), VPC{"vpc-a", prefixes("10.0.0.0/16"), true}); err == nil {
		t.Errorf("took %s of a full range", h.transit.block)
	}
}
