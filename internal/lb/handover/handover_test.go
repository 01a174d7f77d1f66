package handover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"testing"

	"fairlead/internal/lb"
)

// engine starts an engine that forwards to a target, on a free port or on inherited sockets.
func engine(t *testing.T, loops int, addr, target netip.AddrPort, in []lb.Inherited) *lb.Engine {
	t.Helper()
	e, err := lb.New(lb.Config{Loops: loops, Inherited: in})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	table, err := lb.Compile(lb.TableSpec{
		Listeners: []lb.Listener{{ID: "l", Protocol: lb.HTTP, Binds: []lb.Bind{{Addr: addr}},
			Default: []lb.Action{{Type: lb.ActionForward, Forward: &lb.Forward{
				Groups: []lb.WeightedGroup{{Group: "g", Weight: 1}}}}}}},
		Groups: []lb.Group{{ID: "g", Protocol: lb.HTTP, Targets: []lb.Target{{ID: "t", Port: 1,
			Addr: target}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Swap(table); err != nil {
		t.Fatal(err)
	}
	return e
}

// A successor takes over under traffic, with more or fewer loops, and nothing is lost.
func TestHandOverLosesNothing(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "ok")
	}))
	defer srv.Close()
	target := netip.MustParseAddrPort(srv.Listener.Addr().String())
	key := bytes.Repeat([]byte{7}, lb.CookieKeySize)
	for _, loops := range []int{1, 2, 4} {
		old := engine(t, 2, netip.MustParseAddrPort("127.0.0.1:0"), target, nil)
		addr := old.Bound("l")[0].Addr
		path := filepath.Join(t.TempDir(), "handover")

		stop := make(chan struct{})
		lost := make(chan error, 1)
		go func() { lost <- traffic(addr, stop) }()

		offered := make(chan error)
		go func() { offered <- Offer(t.Context(), path, key, old.Listeners) }()
		taken := take(t, path)
		if !bytes.Equal(taken.CookieKey, key) {
			t.Errorf("the cookie key has become %x, want %x", taken.CookieKey, key)
		}
		next := engine(t, loops, addr, target, taken.Sockets)
		if err := taken.Ready(); err != nil {
			t.Fatal(err)
		}
		if err := <-offered; err != nil {
			t.Fatal(err)
		}
		if err := old.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := traffic(addr, closed(20)); err != nil {
			t.Errorf("after the hand-over: %v", err)
		}
		close(stop)
		if err := <-lost; err != nil {
			t.Errorf("%d loops: %v", loops, err)
		}
		if n := next.Stats().LoadBalancers[""].RequestCount; n == 0 {
			t.Error("the successor has served nothing")
		}
	}
}

// take waits for the predecessor's socket to be there.
func take(t *testing.T, path string) *Taken {
	t.Helper()
	for {
		taken, err := Take(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(taken.Sockets) > 0 {
			return taken
		}
	}
}

// closed is a channel that lets traffic make n requests.
func closed(n int) chan struct{} {
	ch := make(chan struct{}, n)
	for range n {
		ch <- struct{}{}
	}
	close(ch)
	return ch
}

// traffic makes requests, each on a connection of its own, until stop is closed and empty.
func traffic(addr netip.AddrPort, stop <-chan struct{}) error {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for i := 0; ; i++ {
		select {
		case _, more := <-stop:
			if !more {
				return nil
			}
		default:
		}
		resp, err := c.Get("http://" + addr.String())
		if err != nil {
			return fmt.Errorf("request %d: %w", i, err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			return fmt.Errorf("request %d: status %d", i, resp.StatusCode)
		}
	}
}

func TestTakeWithoutPredecessor(t *testing.T) {
	taken, err := Take(filepath.Join(t.TempDir(), "nobody"))
	if err != nil || len(taken.Sockets) > 0 || taken.Ready() != nil {
		t.Errorf("%+v, %v", taken, err)
	}
}

func TestOfferEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := Offer(ctx, filepath.Join(t.TempDir(), "s"), nil, nil)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
