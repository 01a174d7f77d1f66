package lb

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"
)

// dead is an address at which connections are refused.
func dead(t *testing.T) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return netip.MustParseAddrPort(ln.Addr().String())
}

// TestFailover: while nobody has noticed that targets are dead, requests with and without body, over
// HTTP/1 and HTTP/2, to targets of either, all find the one that lives.
func TestFailover(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			w.Write(body)
		}
	}
	cert := certFor(t, "c", false, "a.example")
	for _, c := range []struct {
		name   string
		client bool // speaks HTTP/2
		group  func() Group
	}{
		{"HTTP/1 to HTTP/1", false, func() Group { return groupOf("g", startTarget(t, echo)) }},
		{"HTTP/2 to HTTP/1", true, func() Group { return groupOf("g", startTarget(t, echo)) }},
		{"HTTP/2 to HTTP/2", true, func() Group { return h2Group(startH2Target(t, false, echo), HTTP2, HTTP) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := unprobed(c.group())
			for range 3 {
				g.Targets = append(g.Targets, groupOf("g", dead(t)).Targets...)
			}
			f := serve(t, g, secure(cert))
			client := httpsClient(t, c.client)
			for i := range 12 {
				body := bytes.Repeat([]byte{byte('a' + i)}, i*20_000)
				resp, err := client.Post("https://"+f.addr()+"/", "text/plain", bytes.NewReader(body))
				if err != nil {
					t.Fatalf("request %d: %v", i, err)
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || !bytes.Equal(got, body) {
					t.Fatalf("request %d: %d, %d bytes of %d, %v", i, resp.StatusCode, len(got), len(body), err)
				}
			}
			stats := f.Stats()
			if n := stats.Groups["g"].TargetConnectionErrorCount; n == 0 {
				t.Error("no connection error was counted")
			}
			if n := stats.Groups["g"].RequestCount; n != 12 {
				t.Errorf("%d requests were counted, want 12", n)
			}
			for _, h := range f.Health() {
				waitFor(t, func() bool { return f.Outstanding(h.TargetKey) == 0 })
			}
			retried := 0
			for _, r := range f.allRecords() {
				if r.Retried {
					retried++
				}
			}
			if retried == 0 {
				t.Error("no record tells of another target")
			}
		})
	}
}

// TestFailoverEnds: a request is not offered for ever.
func TestFailoverEnds(t *testing.T) {
	g := groupOf("g")
	for range 10 {
		g.Targets = append(g.Targets, groupOf("g", dead(t)).Targets...)
	}
	f := serve(t, unprobed(g))
	if resp, _ := f.ask(hello); resp.StatusCode != 502 {
		t.Errorf("status %d, want 502", resp.StatusCode)
	}
	if n := f.Stats().Groups["g"].TargetConnectionErrorCount; n != 1+maxFailovers {
		t.Errorf("%d targets were tried, want %d", n, 1+maxFailovers)
	}
}

// TestFailoverMovesTheCookie: the client is bound to the target that answered.
func TestFailoverMovesTheCookie(t *testing.T) {
	g := groupOf("g", dead(t), named(t, "alive"))
	g.Stickiness = Stickiness{Type: LBCookie, Duration: time.Hour}
	f := serve(t, unprobed(g))
	for range 4 {
		resp, body := f.ask(hello)
		cookies := resp.Cookies()
		if body != "alive" || len(cookies) != 2 {
			t.Fatalf("%q, cookies %v", body, cookies)
		}
		_, again := f.ask("GET / HTTP/1.1\r\nHost: a\r\nCookie: AWSALB=" + cookies[0].Value + "\r\n\r\n")
		if again != "alive" {
			t.Fatalf("%q with the cookie of %q", again, body)
		}
	}
	before := f.Stats().Groups["g"].TargetConnectionErrorCount
	resp, _ := f.ask(hello)
	f.ask("GET / HTTP/1.1\r\nHost: a\r\nCookie: AWSALB=" + resp.Cookies()[0].Value + "\r\n\r\n")
	if after := f.Stats().Groups["g"].TargetConnectionErrorCount; after > before+1 {
		t.Errorf("the cookie leads to the dead target")
	}
}

// TestNoFailoverOfWhatWasSent: a request that a target may have seen is not given to another.
func TestNoFailoverOfWhatWasSent(t *testing.T) {
	var seen seen
	closing := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		seen.add(r.Method)
		panic(http.ErrAbortHandler)
	})
	g := groupOf("g", closing, closing)
	g.Targets[1].ID = "other"
	f := serve(t, unprobed(g))
	body := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
	for _, request := range []string{body, hello} {
		if resp, _ := f.ask(request); resp.StatusCode != 502 {
			t.Errorf("status %d, want 502", resp.StatusCode)
		}
	}
	if n := len(seen.all()); n != 2 {
		t.Errorf("2 requests arrived %d times: %s", n, fmt.Sprint(seen.all()))
	}
}
