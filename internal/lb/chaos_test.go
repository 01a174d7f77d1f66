package lb

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"
)

// rudeTarget does what its requests ask for, which is not always polite.
func rudeTarget(w http.ResponseWriter, r *http.Request) {
	conn := func() net.Conn {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		return c
	}
	switch r.URL.Query().Get("do") {
	case "close":
		conn().Close()
	case "half":
		c := conn()
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf")
		c.Close()
	case "garbage":
		c := conn()
		io.WriteString(c, "\x00\x01\x02 nonsense\r\n\r\n")
		c.Close()
	case "early":
		w.WriteHeader(403)
	case "big":
		w.Write(make([]byte, 300_000))
	default:
		io.Copy(w, r.Body)
	}
}

// mischief is one thing that a client may do.
func mischief(rnd *rand.Rand, addr string, c *http.Client) {
	do := []string{"", "close", "half", "garbage", "early", "big"}[rnd.IntN(6)]
	ctx, cancel := context.WithTimeout(context.Background(),
		time.Duration(rnd.IntN(30)+1)*time.Millisecond)
	defer cancel()
	body := bytes.NewReader(make([]byte, rnd.IntN(3)*rnd.IntN(100_000)))
	req, _ := http.NewRequestWithContext(ctx, "POST", addr+"/?do="+do, body)
	if rnd.IntN(2) == 0 {
		req.Body = io.NopCloser(req.Body)
		req.ContentLength = -1
	}
	resp, err := c.Do(req)
	if err == nil {
		io.CopyN(io.Discard, resp.Body, int64(rnd.IntN(400_000)))
		resp.Body.Close()
	}
}

// TestChaos lets rude clients meet rude targets over all protocols, while tables are swapped, and
// then looks at what is left: nothing may be, and every request must have been counted once.
func TestChaos(t *testing.T) {
	addr := startTarget(t, rudeTarget)
	f := serve(t, unprobed(groupOf("g", addr)), func(l *Listener) { l.ID = "plain" })
	spec := f.spec
	l := Listener{ID: "l", LoadBalancer: "app/lb/1", Default: forwardTo("g"),
		Attributes: Attributes{AccessLog: true},
		Binds:      []Bind{{Addr: netip.MustParseAddrPort("127.0.0.1:0")}}}
	secure(certFor(t, "c", false, "a"))(&l)
	spec.Listeners = append(spec.Listeners, l)
	f.swap(spec)
	before := openFiles(t)

	var transports [12]*http.Transport
	var wg sync.WaitGroup
	end := time.Now().Add(2 * time.Second)
	for i := range transports {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(i)))
			tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
				ForceAttemptHTTP2: i%3 == 2}
			transports[i] = tr
			base := "http://" + f.Bound("plain")[0].Addr.String()
			if i%3 > 0 {
				base = "https://" + f.addr()
			}
			for time.Now().Before(end) {
				mischief(rnd, base, &http.Client{Transport: tr})
				if rnd.IntN(10) == 0 {
					f.raw("GET / HTTP/1.1\r\nHost").Close()
				}
			}
		})
	}
	for time.Now().Before(end) {
		f.swap(spec)
	}
	wg.Wait()
	waitFor(t, func() bool {
		for _, tr := range transports {
			tr.CloseIdleConnections() // again and again: they become idle late
		}
		return f.Stats().LoadBalancers["app/lb/1"].ActiveConnections == 0
	})
	f.onLoops(func(l *loop) {
		if len(l.flights) > 0 || l.clients != 0 {
			t.Errorf("loop %d: %d exchanges and %d clients left", l.id, len(l.flights), l.clients)
		}
	})
	if n := f.Outstanding(f.Health()[0].TargetKey); n != 0 {
		t.Errorf("outstanding = %d", n)
	}
	f.swap(TableSpec{})
	waitFor(t, func() bool { return openFiles(t) <= before+2*keepPipes*2 })
	checkCounts(t, f)
}

// checkCounts compares the counters with the records of the log.
func checkCounts(t *testing.T, f *fixture) {
	t.Helper()
	f.Close()
	s := f.Stats()
	byTarget, byUs := uint64(0), uint64(0)
	for _, r := range f.allRecords() {
		if r.TargetStatus != 0 {
			byTarget++
		} else {
			byUs++
		}
	}
	g, lb := s.Groups["g"], s.LoadBalancers["app/lb/1"]
	counted := g.Target2XX + g.Target3XX + g.Target4XX + g.Target5XX
	if counted != byTarget || lb.ELB4XX+lb.ELB5XX != byUs || s.DroppedRecords != 0 {
		t.Errorf("counted %d of targets and %d of ours, logged %d and %d, dropped %d", counted,
			lb.ELB4XX+lb.ELB5XX, byTarget, byUs, s.DroppedRecords)
	}
	if byTarget == 0 || byUs == 0 {
		t.Errorf("%d answers of targets, %d of ours: too tame", byTarget, byUs)
	}
}

// openFiles counts the file descriptors of the process.
func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
