package network

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"fairlead/internal/eni"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/vpc"
)

// TestRealNetwork has the controller make real devices in a namespace that plays the host: what
// listens on an interface answers under its private address to another interface of the VPC and
// under its public address to the host; when the rows go, so do the devices.
func TestRealNetwork(t *testing.T) {
	host := newHostNamespace(t)
	h := openHost(t, host)
	s := openStore(t)
	start(t, s, h, t.Output())

	began := time.Now()
	home := subnets(t, s)
	server := allocate(t, s, home[0].ID, eni.Request{Public: true})
	client := allocate(t, s, home[1].ID, eni.Request{})
	await(t, s, "both interfaces ready", func(r state.Reader) bool {
		return ready(server)(r) && ready(client)(r)
	})
	t.Logf("two interfaces in two subnets of a new VPC were ready after %v", time.Since(began))

	listener, err := h.Listen(t.Context(), server.ID, "tcp", server.Address+":80")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go greet(listener, "hello")

	conn, err := h.Dial(t.Context(), client.ID, "tcp", server.Address+":80")
	expectGreeting(t, "from the VPC", conn, err)
	err = netnsDo(host, func() error {
		conn, err := net.DialTimeout("tcp", server.PublicAddress+":80", deadline)
		expectGreeting(t, "from the host", conn, err)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	change(t, s, func(tx *state.Tx) {
		eni.Release(tx, server.Key())
		eni.Release(tx, client.Key())
	})
	await(t, s, "no devices", func(state.Reader) bool {
		left, err := h.List(t.Context())
		return err == nil && len(left.VPCs)+len(left.Subnets)+len(left.ENIs) == 0
	})
}

// TestRealNetworkIsFoundAgain starts a second controller over the devices of a first.
func TestRealNetworkIsFoundAgain(t *testing.T) {
	host := newHostNamespace(t)
	s := openStore(t)
	h := openHost(t, host)
	stop := start(t, s, h, t.Output())
	kept := allocate(t, s, subnets(t, s)[0].ID, eni.Request{})
	gone := allocate(t, s, subnets(t, s)[1].ID, eni.Request{})
	await(t, s, "both interfaces ready", func(r state.Reader) bool {
		return ready(kept)(r) && ready(gone)(r)
	})
	listener, err := h.Listen(t.Context(), kept.ID, "tcp", kept.Address+":80")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	stop()
	change(t, s, func(tx *state.Tx) { eni.Release(tx, gone.Key()) })

	start(t, s, h, t.Output())
	await(t, s, "the one interface left", func(state.Reader) bool {
		left, err := h.List(t.Context())
		return err == nil && len(left.Subnets) == 1 &&
			len(left.ENIs) == 1 && left.ENIs[0] == kept.ID
	})
	go greet(listener, "still here")
	conn, err := h.Dial(t.Context(), kept.ID, "tcp", kept.Address+":80")
	expectGreeting(t, "after the restart", conn, err)
}

func greet(l net.Listener, text string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		io.WriteString(conn, text)
		conn.Close()
	}
}

func expectGreeting(t *testing.T, where string, conn net.Conn, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(deadline))
	if text, err := io.ReadAll(conn); err != nil || len(text) == 0 {
		t.Errorf("%s: read %q, %v", where, text, err)
	}
}

func openHost(t testing.TB, host netns.NsHandle) *vpc.Host {
	t.Helper()
	h, err := vpc.Open(vpc.Config{
		Dir: t.TempDir(), Name: "nct", HostNamespace: fmt.Sprintf("/proc/self/fd/%d", int(host)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Destroy(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// newHostNamespace makes a network namespace with loopback up. It lives as long as its descriptor.
func newHostNamespace(t testing.TB) netns.NsHandle {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("making network namespaces needs root")
	}
	made := make(chan error)
	var host netns.NsHandle
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends in the other namespace
		var err error
		if host, err = netns.New(); err == nil {
			var lo netlink.Link
			if lo, err = netlink.LinkByName("lo"); err == nil {
				err = netlink.LinkSetUp(lo)
			}
		}
		made <- err
	}()
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	return host
}

// netnsDo runs fn on a thread inside the namespace.
func netnsDo(ns netns.NsHandle, fn func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := netns.Set(ns); err != nil {
			done <- err
			return
		}
		done <- fn()
	}()
	return <-done
}

// BenchmarkRealInterface allocates an interface in a VPC that has 100, waits until it is ready, and
// releases it.
func BenchmarkRealInterface(b *testing.B) {
	s, h := openStore(b), openHost(b, newHostNamespace(b))
	start(b, s, h, io.Discard)
	subnet := subnets(b, s)[0].ID
	var last row.NetworkInterface
	for range 100 {
		last = allocate(b, s, subnet, eni.Request{Public: true})
	}
	await(b, s, "100 interfaces ready", ready(last))
	for b.Loop() {
		n := allocate(b, s, subnet, eni.Request{Public: true})
		await(b, s, "interface ready", ready(n))
		change(b, s, func(tx *state.Tx) { eni.Release(tx, n.Key()) })
	}
}
