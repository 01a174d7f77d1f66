package lb

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// Clients that reset their connections, with a request in flight or after an answer that they did
// not read, leave nothing behind, and every request of theirs is counted once.
func TestResetFlood(t *testing.T) {
	f := serve(t, groupOf("g", startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, 100<<10))
	})))
	const clients, each, polite = 8, 100, 50
	var flood sync.WaitGroup
	for range clients {
		flood.Go(func() {
			for range each {
				c, err := net.Dial("tcp", f.addr())
				if err != nil {
					t.Error(err)
					return
				}
				io.WriteString(c, hello)
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
		})
	}
	for range polite {
		if resp, body := f.ask(hello); resp.StatusCode != 200 || len(body) != 100<<10 {
			t.Errorf("meanwhile: %d with %d bytes", resp.StatusCode, len(body))
		}
	}
	flood.Wait()
	f.onlyLeft(polite)
	requests := int(f.Stats().LoadBalancers["app/lb/1"].RequestCount)
	if rs := f.allRecords(); len(rs) != requests || requests > clients*each+polite || requests < polite {
		t.Errorf("%d records of %d requests", len(rs), requests)
	}
}

// onlyLeft waits until no request is in flight, and until so many connections are left.
func (f *fixture) onlyLeft(connections int) {
	f.t.Helper()
	waitFor(f.t, func() bool {
		for _, h := range f.Health() {
			if f.Outstanding(h.TargetKey) > 0 {
				return false
			}
		}
		left := f.Stats().LoadBalancers["app/lb/1"].ActiveConnections
		return int(left) == connections
	})
}

// Clients that connect and say nothing are let go after the idle timeout, without an answer and
// without a record, and disturb nobody until then.
func TestSilentClients(t *testing.T) {
	f := serve(t, groupOf("g", startTarget(t, func(http.ResponseWriter, *http.Request) {})), quick)
	var silent []net.Conn
	for range 500 {
		silent = append(silent, f.raw(""))
	}
	if resp, _ := f.ask(hello); resp.StatusCode != 200 {
		t.Errorf("meanwhile: %d", resp.StatusCode)
	}
	for _, c := range silent {
		if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
			t.Fatalf("a silent client is told %q, %v", b, err)
		}
	}
	if rs := f.allRecords(); len(rs) != 1 {
		t.Errorf("%d records, want one", len(rs))
	}
}
