package vpc

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestBadRequests(t *testing.T) {
	m := newMachine(t)
	h := m.open(m.config())
	testNetwork(t, h, "vpc-a")
	good := ENI{ID: "eni-a", VPC: "vpc-a", Subnet: "vpc-a-pub", Addr: addr("10.0.1.5")}
	must(t, h.EnsureENI(t.Context(), good))
	but := func(change func(*ENI)) error {
		e := good
		e.ID = "eni-b"
		e.Addr = addr("10.0.1.6")
		change(&e)
		return h.EnsureENI(t.Context(), e)
	}
	missing := ErrNotFound
	vpc := func(v VPC) error { return h.EnsureVPC(t.Context(), v) }
	subnet := func(s Subnet) error { return h.EnsureSubnet(t.Context(), s) }
	for name, c := range map[string]struct{ err, is error }{
		"address taken":       {but(func(e *ENI) { e.Addr = good.Addr }), ErrInUse},
		"address elsewhere":   {but(func(e *ENI) { e.Addr = addr("10.0.2.6") }), nil},
		"no address":          {but(func(e *ENI) { e.Addr = netip.Addr{} }), nil},
		"IPv6 address":        {but(func(e *ENI) { e.Addr = addr("::1") }), nil},
		"IPv6 public address": {but(func(e *ENI) { e.Public = addr("::1") }), nil},
		"unknown subnet":      {but(func(e *ENI) { e.Subnet = "sub-x" }), missing},
		"other VPC":           {but(func(e *ENI) { e.VPC = "vpc-x" }), missing},
		"multicast MAC":       {but(func(e *ENI) { e.MAC = net.HardwareAddr{1, 2, 3, 4, 5, 6} }), nil},
		"path as id":          {but(func(e *ENI) { e.ID = "../x" }), nil},
		"many local":          {but(func(e *ENI) { e.Local = make([]netip.Addr, maxLocal+1) }), nil},
		"VPC without CIDR":    {vpc(VPC{ID: "vpc-b"}), nil},
		"VPC of IPv6":         {vpc(VPC{"vpc-b", prefixes("fd00::/16"), false}), nil},
		"tiny subnet":         {subnet(Subnet{"sub-x", "vpc-a", prefix("10.0.3.0/29"), true}), nil},
		"host bits":           {subnet(Subnet{"sub-x", "vpc-a", prefix("10.0.3.1/24"), true}), nil},
		"subnet without VPC":  {subnet(Subnet{"sub-x", "vpc-x", prefix("10.0.3.0/24"), true}), missing},
		"router's address":    {but(func(e *ENI) { e.Addr = addr("10.0.1.1") }), nil},
		"reserved address":    {but(func(e *ENI) { e.Addr = addr("10.0.1.3") }), nil},
		"broadcast address":   {but(func(e *ENI) { e.Addr = addr("10.0.1.255") }), nil},
		"the host's loopback": {but(func(e *ENI) { e.Public = addr("127.0.0.1") }), nil},
	} {
		if c.err == nil || c.is != nil && !errors.Is(c.err, c.is) {
			t.Errorf("%s: %v, want %v", name, c.err, c.is)
		}
	}
	checkList(t, h, Inventory{
		VPCs: []string{"vpc-a"}, Subnets: []string{"vpc-a-priv", "vpc-a-pub"}, ENIs: []string{"eni-a"},
	})
}

func TestSubnetStaysInItsVPC(t *testing.T) {
	m := newMachine(t)
	h := m.open(m.config())
	testNetwork(t, h, "vpc-a")
	testNetwork(t, h, "vpc-b")
	err := h.EnsureSubnet(t.Context(), Subnet{"vpc-a-pub", "vpc-b", prefix("10.0.9.0/24"), true})
	if err == nil {
		t.Error("a subnet moved to another VPC")
	}
}

// state is what a program inside an interface's namespace sees.
type state struct {
	MAC           string
	Addrs, Local  []string
	DefaultRouter string
}

func look(t *testing.T, h *Host, id string) (s state) {
	t.Helper()
	must(t, h.Do(id, func() error {
		eth0, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		s.MAC = eth0.Attrs().HardwareAddr.String()
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		s.Addrs, s.Local = addrsOf(t, eth0), addrsOf(t, lo)
		routes, err := netlink.RouteList(eth0, netlink.FAMILY_V4)
		for _, r := range routes {
			if prefixOf(r.Dst).Bits() == 0 {
				s.DefaultRouter = r.Gw.String()
			}
		}
		return err
	}))
	return s
}

func addrsOf(t *testing.T, l netlink.Link) (list []string) {
	t.Helper()
	addrs, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	must(t, err)
	for _, a := range addrs {
		list = append(list, a.IPNet.String())
	}
	return list
}

func TestInterfaceFollowsItsDescription(t *testing.T) {
	m := newMachine(t)
	h := m.open(m.config())
	testNetwork(t, h, "vpc-a")
	testNetwork(t, h, "vpc-b")
	testENI(t, h, ENI{ID: "peer-a", VPC: "vpc-a", Subnet: "vpc-a-pub", Addr: addr("10.0.1.9")})
	testENI(t, h, ENI{ID: "peer-b", VPC: "vpc-b", Subnet: "vpc-b-pub", Addr: addr("10.0.1.9")})
	e := ENI{ID: "eni-a", VPC: "vpc-a", Subnet: "vpc-a-pub", Addr: addr("10.0.1.5")}
	steps := []struct {
		name   string
		change func()
		want   state
		peer   string
	}{
		{"new", func() {}, state{
			MAC: hardwareAddr("eni-a").String(), Addrs: []string{"10.0.1.5/24"},
			Local: []string{"127.0.0.1/8", "::1/128"}, DefaultRouter: "10.0.1.1",
		}, "peer-a 10.0.1.5"},
		{"hardware address", func() { e.MAC = net.HardwareAddr{2, 0, 0, 1, 2, 3} }, state{
			MAC: "02:00:00:01:02:03", Addrs: []string{"10.0.1.5/24"},
			Local: []string{"127.0.0.1/8", "::1/128"}, DefaultRouter: "10.0.1.1",
		}, "peer-a 10.0.1.5"},
		{"local address", func() { e.Local = []netip.Addr{addr("169.254.170.2")} }, state{
			MAC: "02:00:00:01:02:03", Addrs: []string{"10.0.1.5/24"},
			Local:         []string{"127.0.0.1/8", "169.254.170.2/32", "::1/128"},
			DefaultRouter: "10.0.1.1",
		}, "peer-a 10.0.1.5"},
		{"address", func() { e.Addr, e.Local = addr("10.0.1.6"), nil }, state{
			MAC: "02:00:00:01:02:03", Addrs: []string{"10.0.1.6/24"},
			Local: []string{"127.0.0.1/8", "::1/128"}, DefaultRouter: "10.0.1.1",
		}, "peer-a 10.0.1.6"},
		{"subnet", func() { e.Subnet, e.Addr = "vpc-a-priv", addr("10.0.2.6") }, state{
			MAC: "02:00:00:01:02:03", Addrs: []string{"10.0.2.6/24"},
			Local: []string{"127.0.0.1/8", "::1/128"}, DefaultRouter: "10.0.2.1",
		}, "peer-a 10.0.2.6"},
		{"VPC", func() { e.VPC, e.Subnet, e.Addr = "vpc-b", "vpc-b-pub", addr("10.0.1.5") }, state{
			MAC: "02:00:00:01:02:03", Addrs: []string{"10.0.1.5/24"},
			Local: []string{"127.0.0.1/8", "::1/128"}, DefaultRouter: "10.0.1.1",
		}, "peer-b 10.0.1.5"},
	}
	for _, step := range steps {
		step.change()
		for range 2 {
			must(t, h.EnsureENI(t.Context(), e))
			if got := look(t, h, "eni-a"); !reflect.DeepEqual(got, step.want) {
				t.Errorf("%s: %+v, want %+v", step.name, got, step.want)
			}
		}
		expect(t, step.name, ask(t, h, "eni-a", "10.0.1.9", dialTimeout), step.peer)
	}
}

// TestSourceDestCheck lets an interface use a second address, which the check forbids.
func TestSourceDestCheck(t *testing.T) {
	m := newMachine(t)
	h := m.open(m.config())
	testNetwork(t, h, "vpc-a")
	testENI(t, h, ENI{ID: "peer", VPC: "vpc-a", Subnet: "vpc-a-pub", Addr: addr("10.0.1.9")})
	e := ENI{ID: "eni-a", VPC: "vpc-a", Subnet: "vpc-a-pub", Addr: addr("10.0.1.5")}
	testENI(t, h, e)
	second := prefix("10.0.1.77/32")
	for _, check := range []bool{false, true, false} {
		e.SourceDestCheck = check
		must(t, h.EnsureENI(t.Context(), e))
		must(t, h.Do("eni-a", func() error {
			l, err := netlink.LinkByName("eth0")
			return errors.Join(err, netlink.AddrReplace(l, &netlink.Addr{IPNet: ipNet(second)}))
		}))
		expect(t, "own address", ask(t, h, "peer", "10.0.1.5", dialTimeout), "eni-a 10.0.1.9")
		expect(t, "from the own address", ask(t, h, "eni-a", "10.0.1.9", dialTimeout), "peer 10.0.1.5")
		want, timeout := "eni-a 10.0.1.9", dialTimeout
		if check {
			want, timeout = "", silentTimeout
		}
		expect(t, fmt.Sprintf("second address, check %t", check),
			ask(t, h, "peer", "10.0.1.77", timeout), want)
	}
}

// TestSourceDestCheckOneWay looks at each direction for itself. A forged datagram goes first, an
// honest one second: the honest one is the first to arrive.
func TestSourceDestCheckOneWay(t *testing.T) {
	m := newMachine(t)
	h := m.open(m.config())
	testNetwork(t, h, "vpc-a")
	second := prefix("10.0.1.77/32")
	enis := []ENI{
		{ID: "peer", Addr: addr("10.0.1.9")},
		{ID: "checked", Addr: addr("10.0.1.5"), SourceDestCheck: true},
	}
	for _, e := range enis {
		e.VPC, e.Subnet = "vpc-a", "vpc-a-pub"
		must(t, h.EnsureENI(t.Context(), e))
	}
	must(t, h.Do("checked", func() error {
		l, err := netlink.LinkByName("eth0")
		return errors.Join(err, netlink.AddrReplace(l, &netlink.Addr{IPNet: ipNet(second)}))
	}))
	for _, c := range []struct{ from, forged, honest, to, forgedTo, honestTo string }{
		{"checked", "10.0.1.77:0", "10.0.1.5:0", "peer", "10.0.1.9:53", "10.0.1.9:53"},
		{"peer", "10.0.1.9:0", "10.0.1.9:0", "checked", "10.0.1.77:53", "10.0.1.5:53"},
	} {
		server, err := h.ListenPacket(t.Context(), c.to, "udp4", ":53")
		must(t, err)
		defer server.Close()
		must(t, h.Do(c.from, func() error {
			return errors.Join(
				sendUDP(c.forged, c.forgedTo, "forged"), sendUDP(c.honest, c.honestTo, "honest"))
		}))
		expect(t, c.from+" to "+c.to, receive(t, server), "honest")
	}
}

func sendUDP(from, to, text string) error {
	c, err := net.DialUDP("udp4",
		net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from)),
		net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(text))
	return err
}

func receive(t *testing.T, c net.PacketConn) string {
	t.Helper()
	must(t, c.SetDeadline(time.Now().Add(dialTimeout)))
	buf := make([]byte, 64)
	n, _, err := c.ReadFrom(buf)
	must(t, err)
	return string(buf[:n])
}

// TestConcurrentEnsure asks for the same and for different things at once.
func TestConcurrentEnsure(t *testing.T) {
	m := newMachine(t)
	cfg := m.config()
	h := m.open(cfg)
	before := m.traces(cfg.Dir)
	testNetwork(t, h, "vpc-a")
	const enis = 12
	eni := func(i int) ENI {
		return ENI{
			ID: fmt.Sprintf("eni-%02d", i), VPC: "vpc-a", Subnet: "vpc-a-pub",
			Addr:   netip.AddrFrom4([4]byte{10, 0, 1, byte(10 + i)}),
			Public: netip.AddrFrom4([4]byte{127, 9, 8, byte(10 + i)}),
		}
	}
	errs := make(chan error, 1000)
	var wg sync.WaitGroup
	for i := range enis {
		for range 2 {
			wg.Go(func() { errs <- h.EnsureENI(t.Context(), eni(i)) })
		}
		wg.Go(func() { // comes and goes; a socket sees it or does not
			e := eni(100 + i)
			errs <- h.EnsureENI(t.Context(), e)
			fd, err := h.Socket(e.ID, unix.AF_INET, unix.SOCK_STREAM, 0)
			errs <- err
			errs <- unix.Close(fd)
			errs <- h.DeleteENI(t.Context(), e.ID)
			errs <- h.EnsureENI(t.Context(), e)
			errs <- h.DeleteENI(t.Context(), e.ID)
		})
		wg.Go(func() {
			_, err := h.List(t.Context())
			errs <- err
			errs <- h.EnsureVPC(t.Context(), VPC{"vpc-a", prefixes("10.0.0.0/16"), true})
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		must(t, err)
	}
	inv, err := h.List(t.Context())
	must(t, err)
	if len(inv.ENIs) != enis {
		t.Errorf("there are %v", inv.ENIs)
	}
	for i := range enis {
		l, err := h.Listen(t.Context(), eni(i).ID, "tcp4", ":80")
		must(t, err)
		greet(t, l, eni(i).ID)
		expect(t, eni(i).ID, m.ask("host", eni(i).Public.String(), dialTimeout),
			eni(i).ID+" "+h.transit.hostAddr().String())
	}
	must(t, h.Prune(t.Context(), Inventory{}))
	sameTraces(t, before, m.traces(cfg.Dir))
}

func TestSocketBelongsToTheInterface(t *testing.T) {
	m := newMachine(t)
	h := m.open(m.config())
	testNetwork(t, h, "vpc-a")
	must(t, h.EnsureENI(t.Context(), ENI{
		ID: "eni-a", VPC: "vpc-a", Subnet: "vpc-a-pub", Addr: addr("10.0.1.5"),
	}))
	fd, err := h.Socket("eni-a", unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{10, 0, 1, 5}, Port: 80}))
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	must(t, err)
	if flags&unix.FD_CLOEXEC == 0 {
		t.Error("the socket would leak into child processes")
	}
	if _, err := h.Socket("eni-a", 999, 0, 0); !errors.Is(err, unix.EAFNOSUPPORT) {
		t.Errorf("an unknown domain: %v", err)
	}
	if _, err := h.Dial(t.Context(), "eni-a", "tcp", "localhost:80"); err == nil {
		t.Error("a name was resolved")
	}
}

// TestDoComesHome ends fn in every way and looks where the thread is afterwards.
func TestDoComesHome(t *testing.T) {
	m := newMachine(t)
	h := m.open(m.config())
	testNetwork(t, h, "vpc-a")
	must(t, h.EnsureENI(t.Context(), ENI{
		ID: "eni-a", VPC: "vpc-a", Subnet: "vpc-a-pub", Addr: addr("10.0.1.5"),
	}))
	home := inode(t)
	inside := h.Do("eni-a", func() error {
		if inode(t) == home {
			return errors.New("fn ran outside")
		}
		return nil
	})
	must(t, inside)
	broken := errors.New("broken")
	if err := h.Do("eni-a", func() error { return broken }); err != broken {
		t.Errorf("Do: %v", err)
	}
	func() {
		defer func() { recover() }()
		h.Do("eni-a", func() error { panic("lost") })
	}()
	if err := h.Do("eni-x", func() error { return nil }); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown interface: %v", err)
	}
	if got := inode(t); got != home {
		t.Errorf("the thread is in namespace %d, its home is %d", got, home)
	}
}

func inode(t *testing.T) uint64 {
	t.Helper()
	var s unix.Stat_t
	must(t, unix.Stat(currentNamespace, &s))
	return s.Ino
}
