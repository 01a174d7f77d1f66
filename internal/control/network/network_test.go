package network

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"fairlead/internal/eni"
	"fairlead/internal/row"
	"fairlead/internal/service/ec2"
	"fairlead/internal/state"
	"fairlead/internal/vpc"
)

var scope = row.Scope{Account: "123456789012", Region: "eu-west-1"}

// deadline bounds what a test waits for. It is long, for loaded machines.
const deadline = 20 * time.Second

func openStore(t testing.TB) *state.Store {
	t.Helper()
	s, err := state.Open(t.Context(), state.Config{Dir: t.TempDir(), NoSync: true}, row.Tables()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := ec2.EnsureDefault(t.Context(), s, scope); err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs a controller until the test ends or the returned function is called.
func start(t testing.TB, s *state.Store, h Host, log io.Writer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := New(Config{Store: s, Host: h, Logger: slog.New(slog.NewTextHandler(log, nil))})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := c.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

func change(t testing.TB, s *state.Store, fn func(tx *state.Tx)) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *state.Tx) error {
		fn(tx)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func allocate(t testing.TB, s *state.Store, subnet string, r eni.Request) (n row.NetworkInterface) {
	t.Helper()
	r.Scope, r.Subnet = scope, subnet
	err := s.Update(t.Context(), func(tx *state.Tx) (err error) {
		n, err = eni.Allocate(tx, r)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func subnets(t testing.TB, s *state.Store) []row.Subnet {
	t.Helper()
	var all []row.Subnet
	for subnet := range row.Subnets.Scan(s.View(), scope.Key("")) {
		all = append(all, subnet)
	}
	return all
}

// await waits until the rows satisfy done.
func await(t testing.TB, s *state.Store, what string, done func(r state.Reader) bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !done(s.View()); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for: %s", deadline, what)
		}
	}
}

func ready(n row.NetworkInterface) func(state.Reader) bool {
	return func(r state.Reader) bool {
		n, _ := row.NetworkInterfaces.Get(r, n.Key())
		return n.Ready
	}
}

func TestDevicesFollowInterfaces(t *testing.T) {
	s, h := openStore(t), newFakeHost()
	start(t, s, h, io.Discard)
	home := subnets(t, s)

	task := allocate(t, s, home[0].ID, eni.Request{Public: true})
	node := allocate(t, s, home[1].ID, eni.Request{Public: true, HostListens: true})
	await(t, s, "both interfaces ready", func(r state.Reader) bool {
		return ready(task)(r) && ready(node)(r)
	})
	made, _ := h.eni(task.ID)
	want := vpc.ENI{
		ID: task.ID, VPC: task.VPC, Subnet: task.Subnet, MAC: made.MAC,
		Addr:   netip.MustParseAddr(task.Address),
		Public: netip.MustParseAddr(task.PublicAddress), SourceDestCheck: true,
	}
	if !reflect.DeepEqual(made, want) || made.MAC.String() != task.MAC {
		t.Errorf("made %+v, want %+v", made, want)
	}
	if made, _ := h.eni(node.ID); made.Public.IsValid() {
		t.Errorf("the network translates %v, which the data plane binds", made.Public)
	}
	if n := h.count(); n != 5 {
		t.Errorf("%d devices, want a VPC, two subnets and two interfaces", n)
	}

	change(t, s, func(tx *state.Tx) { eni.Release(tx, task.Key()) })
	await(t, s, "one interface and its subnet gone", func(state.Reader) bool {
		return h.count() == 3
	})
	change(t, s, func(tx *state.Tx) { eni.Release(tx, node.Key()) })
	await(t, s, "nothing left", func(state.Reader) bool { return h.count() == 0 })
}

func TestChangesReachDevices(t *testing.T) {
	s, h := openStore(t), newFakeHost()
	start(t, s, h, io.Discard)
	n := allocate(t, s, subnets(t, s)[0].ID, eni.Request{})
	await(t, s, "interface ready", ready(n))

	gateway, _ := row.First(row.InternetGateways.By(s.View(), "vpc", n.VPC))
	steps := []struct {
		what   string
		change func(tx *state.Tx)
		done   func() bool
	}{
		{"a public address", func(tx *state.Tx) {
			n, _ := row.NetworkInterfaces.Get(tx, n.Key())
			n.PublicAddress = "127.1.2.3"
			row.NetworkInterfaces.Put(tx, n)
		}, func() bool { return h.enis[n.ID].Public == netip.MustParseAddr("127.1.2.3") }},
		{"no source/destination check", func(tx *state.Tx) {
			n, _ := row.NetworkInterfaces.Get(tx, n.Key())
			n.NoSourceDestCheck = true
			row.NetworkInterfaces.Put(tx, n)
		}, func() bool { return !h.enis[n.ID].SourceDestCheck }},
		{"a route table of its own", func(tx *state.Tx) {
			row.RouteTables.Put(tx, row.RouteTable{Scope: scope, ID: "rtb-1", VPC: n.VPC,
				Associations: []row.RouteTableAssociation{{ID: "rtbassoc-1", Subnet: n.Subnet}}})
		}, func() bool { return !h.subnets[n.Subnet].Public }},
		{"the main route table again", func(tx *state.Tx) {
			row.RouteTables.Delete(tx, scope.Key("rtb-1"))
		}, func() bool { return h.subnets[n.Subnet].Public }},
		{"no gateway", func(tx *state.Tx) {
			gateway.VPC = ""
			row.InternetGateways.Put(tx, gateway)
		}, func() bool { return !h.vpcs[n.VPC].InternetGateway && !h.subnets[n.Subnet].Public }},
		{"the gateway again", func(tx *state.Tx) {
			gateway.VPC = n.VPC
			row.InternetGateways.Put(tx, gateway)
		}, func() bool { return h.vpcs[n.VPC].InternetGateway && h.subnets[n.Subnet].Public }},
		{"another range", func(tx *state.Tx) {
			v, _ := row.VPCs.Get(tx, scope.Key(n.VPC))
			v.CIDRs = append(v.CIDRs[:1:1], row.VPCCIDR{CIDR: netip.MustParsePrefix("10.9.0.0/16")})
			row.VPCs.Put(tx, v)
		}, func() bool { return len(h.vpcs[n.VPC].CIDRs) == 2 }},
	}
	for _, step := range steps {
		change(t, s, step.change)
		await(t, s, step.what, func(state.Reader) bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			return step.done()
		})
	}
}

func TestFailureIsRetriedAndToldOnce(t *testing.T) {
	s, h := openStore(t), newFakeHost()
	var log syncBuffer
	n := allocate(t, s, subnets(t, s)[0].ID, eni.Request{})
	h.fail[n.ID] = errors.New("no room")
	start(t, s, h, &log)
	await(t, s, "three attempts", func(state.Reader) bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.calls[n.ID] >= 3
	})
	if ready(n)(s.View()) {
		t.Error("an interface that could not be made is ready")
	}
	other := allocate(t, s, n.Subnet, eni.Request{})
	await(t, s, "another interface of the subnet", ready(other))
	h.set(func() { delete(h.fail, n.ID) })
	await(t, s, "recovery", ready(n))
	if told := strings.Count(log.String(), "no room"); told != 1 {
		t.Errorf("told %d times:\n%s", told, log.String())
	}
}

func TestSlowVPCDoesNotHoldUpAnother(t *testing.T) {
	s, h := openStore(t), newFakeHost()
	elsewhere := row.Scope{Account: scope.Account, Region: "us-east-1"}
	if err := ec2.EnsureDefault(t.Context(), s, elsewhere); err != nil {
		t.Fatal(err)
	}
	start(t, s, h, io.Discard)
	slow := subnets(t, s)[0]
	gate := make(chan struct{})
	h.set(func() { h.block[slow.VPC] = gate })
	stuck := allocate(t, s, slow.ID, eni.Request{})

	fast, _ := row.First(row.Subnets.Scan(s.View(), elsewhere.Key("")))
	var free row.NetworkInterface
	change(t, s, func(tx *state.Tx) {
		free, _ = eni.Allocate(tx, eni.Request{Scope: elsewhere, Subnet: fast.ID})
	})
	await(t, s, "the interface in the other VPC", ready(free))
	if ready(stuck)(s.View()) {
		t.Error("the interface whose VPC cannot be made is ready")
	}
	close(gate)
	await(t, s, "the slow one", ready(stuck))
}

// TestStartCleansUp has a controller find devices that nobody asks for, and others missing.
func TestStartCleansUp(t *testing.T) {
	s, h := openStore(t), newFakeHost()
	n := allocate(t, s, subnets(t, s)[0].ID, eni.Request{})
	stop := start(t, s, h, io.Discard)
	await(t, s, "interface ready", ready(n))
	stop()
	h.set(func() {
		delete(h.enis, n.ID)
		h.enis["eni-left"] = vpc.ENI{ID: "eni-left"}
		h.vpcs["vpc-left"] = vpc.VPC{ID: "vpc-left"}
	})
	start(t, s, h, io.Discard)
	await(t, s, "the interface made again, and nothing else", func(state.Reader) bool {
		_, ok := h.eni(n.ID)
		return ok && h.count() == 3
	})
}

// TestFullPassMends makes a device vanish behind the controller's back.
func TestFullPassMends(t *testing.T) {
	s, h := openStore(t), newFakeHost()
	c := New(Config{Store: s, Host: h, Logger: slog.New(slog.DiscardHandler)})
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() { c.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	n := allocate(t, s, subnets(t, s)[0].ID, eni.Request{})
	await(t, s, "interface ready", ready(n))
	h.set(func() {
		delete(h.enis, n.ID)
		h.enis["eni-left"] = vpc.ENI{ID: "eni-left"}
	})
	await(t, s, "a moment when nothing is being changed", func(state.Reader) bool {
		return c.again(ctx)
	})
	await(t, s, "the interface made again, and nothing else", func(state.Reader) bool {
		_, ok := h.eni(n.ID)
		return ok && h.count() == 3
	})
}

// TestRowThatChangesMeanwhile changes an interface while its devices are being made.
func TestRowThatChangesMeanwhile(t *testing.T) {
	s, h := openStore(t), newFakeHost()
	n := allocate(t, s, subnets(t, s)[0].ID, eni.Request{})
	c := New(Config{Store: s, Host: h, Logger: slog.New(slog.DiscardHandler)})
	w := newWorker(c, n.VPC)
	asked := wantENI(n)
	change(t, s, func(tx *state.Tx) {
		n.PublicAddress = "127.1.2.3"
		row.NetworkInterfaces.Put(tx, n)
	})
	if err := w.report(t.Context(), n.Key(), asked, true); err != nil {
		t.Fatal(err)
	}
	if ready(n)(s.View()) {
		t.Error("an interface is ready whose public address was not made")
	}
	change(t, s, func(tx *state.Tx) { eni.Release(tx, n.Key()) })
	if err := w.report(t.Context(), n.Key(), asked, true); err != nil {
		t.Fatal(err)
	}
	if _, ok := row.NetworkInterfaces.Get(s.View(), n.Key()); ok {
		t.Error("a report brought back a deleted interface")
	}
}

// TestWorkersEnd sees that a VPC that has lost its interfaces costs no goroutine.
func TestWorkersEnd(t *testing.T) {
	s, h := openStore(t), newFakeHost()
	c := New(Config{Store: s, Host: h, Logger: slog.New(slog.DiscardHandler)})
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() { c.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	workers := func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.workers)
	}
	for range 3 {
		n := allocate(t, s, subnets(t, s)[0].ID, eni.Request{})
		await(t, s, "interface ready", ready(n))
		if workers() != 1 {
			t.Errorf("%d workers for one VPC", workers())
		}
		change(t, s, func(tx *state.Tx) { eni.Release(tx, n.Key()) })
		await(t, s, "no workers", func(state.Reader) bool { return workers() == 0 })
	}
}

// TestFailedDeletionIsRetried keeps the subnet until the interface in it is gone.
func TestFailedDeletionIsRetried(t *testing.T) {
	s, h := openStore(t), newFakeHost()
	var log syncBuffer
	start(t, s, h, &log)
	n := allocate(t, s, subnets(t, s)[0].ID, eni.Request{})
	await(t, s, "interface ready", ready(n))
	h.set(func() { h.fail[n.ID] = errors.New("busy") })
	change(t, s, func(tx *state.Tx) { eni.Release(tx, n.Key()) })
	await(t, s, "two attempts", func(state.Reader) bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.calls[n.ID] >= 3
	})
	h.set(func() { delete(h.fail, n.ID) })
	await(t, s, "nothing left", func(state.Reader) bool { return h.count() == 0 })
	if told := strings.Count(log.String(), "busy"); told != 1 {
		t.Errorf("told %d times:\n%s", told, log.String())
	}
}

// syncBuffer is a log that can be read while it is written.
type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
