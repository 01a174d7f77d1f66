package vpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// dialTimeout is long for an address that answers and short enough for one that does not.
const (
	dialTimeout   = 5 * time.Second
	silentTimeout = 150 * time.Millisecond
)

// machine is a network namespace that plays the host in one test, and one that plays the world: a
// neighbour at 192.0.2.2 on the host's eth0 (192.0.2.1).
type machine struct {
	t     testing.TB
	doors doors
	count int
}

const (
	hostAddr  = "192.0.2.1"
	worldAddr = "192.0.2.2"
)

// machineSysctls are as strict as distributions are.
var machineSysctls = []sysctl{
	{name: "net/ipv4/conf/all/rp_filter", value: "1"},
	{name: "net/ipv4/conf/default/rp_filter", value: "1"},
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("making network namespaces needs root")
	}
	m := &machine{t: t, doors: doors{fds: map[door]int{}}}
	home, err := openFD(currentNamespace)
	if err != nil {
		t.Fatal(err)
	}
	m.doors.home = home
	t.Cleanup(m.doors.close)
	for _, name := range []string{"host", "world"} {
		path := filepath.Join(t.TempDir(), name)
		t.Cleanup(func() { removeNamespace(path) })
		if err := m.doors.ensure(door{id: name}, path, machineSysctls); err != nil {
			t.Fatal(err)
		}
	}
	m.connectWorld()
	return m
}

func (m *machine) namespace(name string) *namespace {
	m.t.Helper()
	ns, err := m.doors.namespace(door{id: name})
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(ns.close)
	return ns
}

func (m *machine) connectWorld() {
	m.t.Helper()
	host, world := m.namespace("host"), m.namespace("world")
	near, far, _, err := wire{near: host, nearName: "eth0", far: world, farName: "eth0"}.ensure()
	if err != nil {
		m.t.Fatal(err)
	}
	err = errors.Join(
		setAddrs(host.link, near, netip.MustParsePrefix(hostAddr+"/24")),
		setAddrs(world.link, far, netip.MustParsePrefix(worldAddr+"/24")),
		host.link.LinkSetUp(near), world.link.LinkSetUp(far))
	if err != nil {
		m.t.Fatal(err)
	}
}

// in runs fn on a thread in one of the machine's namespaces.
func (m *machine) in(name string, fn func() error) error {
	return m.doors.do(door{id: name}, fn)
}

func (m *machine) config() Config {
	m.count++
	return Config{
		Dir: m.t.TempDir(), Name: fmt.Sprintf("t%d", m.count),
		HostNamespace: fmt.Sprintf("/proc/self/fd/%d", m.doors.fds[door{id: "host"}]),
		Logger:        slog.New(slog.NewTextHandler(m.t.Output(), nil)),
	}
}

// open opens an instance and removes what it made at the end.
func (m *machine) open(cfg Config) *Host {
	m.t.Helper()
	h, err := Open(cfg)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		again := h
		if h.closed {
			if again, err = Open(cfg); err != nil {
				m.t.Error(err)
				return
			}
		}
		if err := again.Destroy(context.Background()); err != nil {
			m.t.Error(err)
		}
	})
	return h
}

// network makes a VPC with an internet gateway, a public and a private subnet.
func testNetwork(t testing.TB, h *Host, id string) {
	t.Helper()
	must(t,
		h.EnsureVPC(t.Context(), VPC{id, prefixes("10.0.0.0/16"), true}),
		h.EnsureSubnet(t.Context(), Subnet{id + "-pub", id, prefix("10.0.1.0/24"), true}),
		h.EnsureSubnet(t.Context(), Subnet{id + "-priv", id, prefix("10.0.2.0/24"), false}))
}

// testENI makes an interface in which a server says who answers, and who asked.
func testENI(t testing.TB, h *Host, e ENI) {
	t.Helper()
	must(t, h.EnsureENI(t.Context(), e))
	l, err := h.Listen(t.Context(), e.ID, "tcp4", ":80")
	if err != nil {
		t.Fatal(err)
	}
	greet(t, l, e.ID)
}

func greet(t testing.TB, l net.Listener, name string) {
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			peer := c.RemoteAddr().(*net.TCPAddr).IP
			fmt.Fprintf(c, "%s %s", name, peer)
			c.Close()
		}
	}()
}

func hear(c net.Conn) (string, error) {
	defer c.Close()
	b, err := io.ReadAll(c)
	return string(b), err
}

// ask connects from an interface; "" means that nobody answered.
func ask(t testing.TB, h *Host, from, to string, timeout time.Duration) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	c, err := h.Dial(ctx, from, "tcp4", to+":80")
	if err != nil {
		t.Logf("%s asks %s: %v", from, to, err)
		return ""
	}
	answer, err := hear(c)
	if err != nil {
		t.Errorf("%s asks %s: %v", from, to, err)
	}
	return answer
}

// ask connects from the host or the world.
func (m *machine) ask(from, to string, timeout time.Duration) (answer string) {
	m.t.Helper()
	err := m.in(from, func() error {
		c, err := net.DialTimeout("tcp4", to+":80", timeout)
		if err != nil {
			return err
		}
		answer, err = hear(c)
		return err
	})
	if err != nil {
		m.t.Logf("%s asks %s: %v", from, to, err)
	}
	return answer
}

func expect(t testing.TB, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

func prefixes(all ...string) (list []netip.Prefix) {
	for _, s := range all {
		list = append(list, prefix(s))
	}
	return list
}

// traces lists what an instance could leave behind: the host's links, routes, tables and
// forwarding, and the mounts and files of its directory.
func (m *machine) traces(dir string) (list []string) {
	m.t.Helper()
	host := m.namespace("host")
	links, err := host.link.LinkList()
	must(m.t, err)
	for _, l := range links {
		list = append(list, "link "+l.Attrs().Name)
	}
	routes, err := host.link.RouteList(nil, netlink.FAMILY_V4)
	must(m.t, err)
	for _, r := range routes {
		list = append(list, "route "+prefixOf(r.Dst).String())
	}
	conn, err := nftables.New(nftables.WithNetNSFd(host.fd))
	must(m.t, err)
	tables, err := conn.ListTables()
	must(m.t, err)
	for _, t := range tables {
		list = append(list, "table "+t.Name)
	}
	must(m.t, m.in("host", func() error {
		v, err := readSysctl(forwardSysctl)
		list = append(list, "ip_forward "+v)
		return err
	}))
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(m.t, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, dir) {
			list = append(list, "mount "+strings.Fields(line)[4])
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	must(m.t, err)
	list = append(list, files...)
	slices.Sort(list)
	return list
}

func sameTraces(t testing.TB, before, after []string) {
	t.Helper()
	if !slices.Equal(before, after) {
		t.Errorf("left behind:\n%s\nbefore there was:\n%s",
			strings.Join(after, "\n"), strings.Join(before, "\n"))
	}
}

func TestOpenRefusesBadConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no name":        {Dir: t.TempDir()},
		"long name":      {Dir: t.TempDir(), Name: "abcde"},
		"odd name":       {Dir: t.TempDir(), Name: "a/b"},
		"small range":    {Dir: t.TempDir(), Name: "a", TransitRange: prefix("198.18.0.0/24")},
		"host bits":      {Dir: t.TempDir(), Name: "a", TransitRange: prefix("198.18.0.1/15")},
		"IPv6 range":     {Dir: t.TempDir(), Name: "a", TransitRange: prefix("fd00::/8")},
		"lost namespace": {Dir: t.TempDir(), Name: "a", HostNamespace: "/nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			if h, err := Open(cfg); err == nil {
				h.Close()
				t.Error("accepted")
			}
		})
	}
}

func TestMethodsAfterClose(t *testing.T) {
	m := newMachine(t)
	h, err := Open(m.config())
	must(t, err)
	must(t, h.Close(), h.Close())
	for name, err := range map[string]error{
		"EnsureVPC": h.EnsureVPC(t.Context(), VPC{"vpc-a", prefixes("10.0.0.0/16"), false}),
		"DeleteENI": h.DeleteENI(t.Context(), "eni-a"),
		"Prune":     h.Prune(t.Context(), Inventory{}),
	} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h.Socket("eni-a", unix.AF_INET, unix.SOCK_STREAM, 0); !errors.Is(err, ErrNotFound) {
		t.Errorf("Socket: %v", err)
	}
}

func TestTwoVPCsWithOneCIDR(t *testing.T) {
	m := newMachine(t)
	h := m.open(m.config())
	for _, v := range []string{"vpc-a", "vpc-b"} {
		testNetwork(t, h, v)
		testENI(t, h, ENI{ID: "server-" + v, VPC: v, Subnet: v + "-pub", Addr: addr("10.0.1.5")})
		testENI(t, h, ENI{ID: "client-" + v, VPC: v, Subnet: v + "-pub", Addr: addr("10.0.1.6")})
		testENI(t, h, ENI{ID: "far-" + v, VPC: v, Subnet: v + "-priv", Addr: addr("10.0.2.6")})
	}
	for _, v := range []string{"vpc-a", "vpc-b"} {
		expect(t, "same subnet", ask(t, h, "client-"+v, "10.0.1.5", dialTimeout), "server-"+v+" 10.0.1.6")
		expect(t, "other subnet", ask(t, h, "far-"+v, "10.0.1.5", dialTimeout), "server-"+v+" 10.0.2.6")
		expect(t, "itself", ask(t, h, "server-"+v, "10.0.1.5", dialTimeout), "server-"+v+" 10.0.1.5")
		expect(t, "loopback", ask(t, h, "server-"+v, "127.0.0.1", dialTimeout), "server-"+v+" 127.0.0.1")
	}
	if got := m.ask("host", "10.0.1.5", silentTimeout); got != "" {
		t.Errorf("a private address answers on the host: %q", got)
	}
}

func TestReservedAddressesAreLocalToTheVPC(t *testing.T) {
	m := newMachine(t)
	h := m.open(m.config())
	testNetwork(t, h, "vpc-a")
	testENI(t, h, ENI{ID: "client", VPC: "vpc-a", Subnet: "vpc-a-priv", Addr: addr("10.0.2.6")})
	must(t, h.DoVPC("vpc-a", func() error {
		l, err := net.Listen("tcp4", ":80")
		if err == nil {
			greet(t, l, "router")
		}
		return err
	}))
	for _, a := range []string{"10.0.2.1", "10.0.2.2", "10.0.0.2"} {
		expect(t, a, ask(t, h, "client", a, dialTimeout), "router 10.0.2.6")
	}
}

func TestPublicAddressOnTheHost(t *testing.T) {
	m := newMachine(t)
	h := m.open(m.config())
	testNetwork(t, h, "vpc-a")
	testENI(t, h, ENI{
		ID: "public", VPC: "vpc-a", Subnet: "vpc-a-pub", Addr: addr("10.0.1.5"),
		Public: addr("127.9.8.7"),
	})
	testENI(t, h, ENI{
		ID: "not-routed", VPC: "vpc-a", Subnet: "vpc-a-priv", Addr: addr("10.0.2.5"),
		Public: addr("127.9.8.8"),
	})
	from := h.transit.hostAddr().String()
	expect(t, "public subnet", m.ask("host", "127.9.8.7", dialTimeout), "public "+from)
	expect(t, "private subnet", m.ask("host", "127.9.8.8", silentTimeout), "")
	expect(t, "unused", m.ask("host", "127.9.8.9", silentTimeout), "")

	must(t, h.EnsureSubnet(t.Context(), Subnet{"vpc-a-priv", "vpc-a", prefix("10.0.2.0/24"), true}))
	expect(t, "now public", m.ask("host", "127.9.8.8", dialTimeout), "not-routed "+from)

	must(t, h.EnsureVPC(t.Context(), VPC{"vpc-a", prefixes("10.0.0.0/16"), false}))
	expect(t, "gateway detached", m.ask("host", "127.9.8.7", silentTimeout), "")
	must(t, h.EnsureVPC(t.Context(), VPC{"vpc-a", prefixes("10.0.0.0/16"), true}))
	expect(t, "gateway attached", m.ask("host", "127.9.8.7", dialTimeout),
		"public "+h.transit.hostAddr().String())
}

func TestPublicAddressMoves(t *testing.T) {
	m := newMachine(t)
	h := m.open(m.config())
	testNetwork(t, h, "vpc-a")
	testNetwork(t, h, "vpc-b")
	one := ENI{
		ID: "one", VPC: "vpc-a", Subnet: "vpc-a-pub", Addr: addr("10.0.1.5"),
		Public: addr("127.9.8.7"),
	}
	two := ENI{ID: "two", VPC: "vpc-b", Subnet: "vpc-b-pub", Addr: addr("10.0.1.5")}
	testENI(t, h, one)
	testENI(t, h, two)
	from := h.transit.hostAddr().String()
	expect(t, "first", m.ask("host", "127.9.8.7", dialTimeout), "one "+from)

	two.Public = one.Public
	if err := h.EnsureENI(t.Context(), two); !errors.Is(err, ErrInUse) {
		t.Errorf("a public address was given twice: %v", err)
	}
	one.Public = netip.Addr{}
	must(t, h.EnsureENI(t.Context(), one), h.EnsureENI(t.Context(), two))
	expect(t, "moved", m.ask("host", "127.9.8.7", dialTimeout), "two "+from)
}

// TestUDPFlowFollowsThePublicAddress keeps one socket, whose flow the kernel has seen, while the
// address moves from one interface to another.
func TestUDPFlowFollowsThePublicAddress(t *testing.T) {
	m := newMachine(t)
	h := m.open(m.config())
	testNetwork(t, h, "vpc-a")
	var client net.Conn
	must(t, m.in("host", func() (err error) {
		client, err = net.Dial("udp4", "127.9.8.7:53")
		return err
	}))
	defer client.Close()
	for i, id := range []string{"one", "two"} {
		must(t, h.EnsureENI(t.Context(), ENI{
			ID: id, VPC: "vpc-a", Subnet: "vpc-a-pub", Public: addr("127.9.8.7"),
			Addr: netip.AddrFrom4([4]byte{10, 0, 1, byte(5 + i)}),
		}))
		server, err := h.ListenPacket(t.Context(), id, "udp4", ":53")
		must(t, err)
		defer server.Close()
		_, err = client.Write([]byte(id))
		must(t, err)
		expect(t, "received", receive(t, server), id)
		must(t, h.DeleteENI(t.Context(), id))
	}
}

func TestWorld(t *testing.T) {
	m := newMachine(t)
	h := m.open(m.config())
	testNetwork(t, h, "vpc-a")
	must(t, m.in("world", func() error {
		l, err := net.Listen("tcp4", ":80")
		if err == nil {
			greet(t, l, "world")
		}
		return err
	}))
	host := m.namespace("host")
	eth0, err := host.link.LinkByName("eth0")
	must(t, err, addAddr(host.link, eth0, prefix("192.0.2.50/32")))
	enis := []ENI{
		{ID: "loopback", Subnet: "vpc-a-pub", Addr: addr("10.0.1.5"), Public: addr("127.9.8.7")},
		{ID: "public", Subnet: "vpc-a-pub", Addr: addr("10.0.1.6"), Public: addr("192.0.2.50")},
		{ID: "none", Subnet: "vpc-a-pub", Addr: addr("10.0.1.7")},
		{ID: "private", Subnet: "vpc-a-priv", Addr: addr("10.0.2.8"), Public: addr("127.9.8.8")},
	}
	for _, e := range enis {
		e.VPC = "vpc-a"
		testENI(t, h, e)
	}
	expect(t, "out by the host's address",
		ask(t, h, "loopback", worldAddr, dialTimeout), "world "+hostAddr)
	expect(t, "out by its own address",
		ask(t, h, "public", worldAddr, dialTimeout), "world 192.0.2.50")
	expect(t, "out without an address", ask(t, h, "none", worldAddr, silentTimeout), "")
	expect(t, "out of a private subnet", ask(t, h, "private", worldAddr, silentTimeout), "")

	expect(t, "in from the world", m.ask("world", "192.0.2.50", dialTimeout), "public "+worldAddr)
	expect(t, "in from the host", m.ask("host", "192.0.2.50", dialTimeout), "public 192.0.2.50")
	transit := h.enis["loopback"].note.Transit.String()
	expect(t, "from the VPC by the public address",
		ask(t, h, "loopback", "192.0.2.50", dialTimeout), "public "+transit)
	expect(t, "past the public address", ask(t, h, "public", transit, silentTimeout), "")
}

// TestPrivateAddressesStayInside sends from an interface without a public address first: the host
// would pass it on, and the world must not see it.
func TestPrivateAddressesStayInside(t *testing.T) {
	m := newMachine(t)
	h := m.open(m.config())
	testNetwork(t, h, "vpc-a")
	lenient := func(links ...string) func() error {
		return func() error {
			var errs []error
			for _, l := range links {
				s := sysctl{name: "net/ipv4/conf/" + l + "/rp_filter", value: "0"}
				errs = append(errs, s.set())
			}
			return errors.Join(errs...)
		}
	}
	must(t,
		m.in("host", lenient("all", h.uplinkName("vpc-a"))), m.in("world", lenient("all", "eth0")))
	var world net.PacketConn
	must(t, m.in("world", func() (err error) {
		world, err = net.ListenPacket("udp4", ":53")
		return err
	}))
	defer world.Close()
	for _, e := range []ENI{
		{ID: "none", Addr: addr("10.0.1.5")},
		{ID: "public", Addr: addr("10.0.1.6"), Public: addr("127.9.8.7")},
	} {
		e.VPC, e.Subnet = "vpc-a", "vpc-a-pub"
		must(t, h.EnsureENI(t.Context(), e))
		must(t, h.Do(e.ID, func() error { return sendUDP("0.0.0.0:0", worldAddr+":53", e.ID) }))
	}
	expect(t, "the first to arrive", receive(t, world), "public")
}

func TestUDPThroughThePublicAddress(t *testing.T) {
	m := newMachine(t)
	h := m.open(m.config())
	testNetwork(t, h, "vpc-a")
	must(t, h.EnsureENI(t.Context(), ENI{
		ID: "dns", VPC: "vpc-a", Subnet: "vpc-a-pub", Addr: addr("10.0.1.5"), Public: addr("127.9.8.7"),
	}))
	server, err := h.ListenPacket(t.Context(), "dns", "udp4", "10.0.1.5:53")
	must(t, err)
	defer server.Close()
	var client net.Conn
	must(t, m.in("host", func() (err error) {
		client, err = net.Dial("udp4", "127.9.8.7:53")
		return err
	}))
	defer client.Close()
	deadline := time.Now().Add(dialTimeout)
	must(t, server.SetDeadline(deadline), client.SetDeadline(deadline))
	_, err = client.Write([]byte("question"))
	must(t, err)
	buf := make([]byte, 64)
	n, peer, err := server.ReadFrom(buf)
	must(t, err)
	_, err = server.WriteTo(append([]byte("answer to "), buf[:n]...), peer)
	must(t, err)
	n, err = client.Read(buf)
	must(t, err)
	expect(t, "answer", string(buf[:n]), "answer to question")
}
