package probe

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

type host struct{}

func (host) Socket(_ string, domain, typ, proto int) (int, error) {
	return unix.Socket(domain, typ, proto)
}

func check(t *testing.T, matcher string) *Check {
	t.Helper()
	m, err := ParseMatcher(matcher)
	if err != nil {
		t.Fatal(err)
	}
	c := &Check{Protocol: "HTTP", Version: "HTTP1", Path: "/h", Interval: time.Second,
		Timeout: 500 * time.Millisecond, HealthyThreshold: 3, UnhealthyThreshold: 2, Matcher: m}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestMatcher(t *testing.T) {
	m, err := ParseMatcher("200,202-204, 301")
	if err != nil {
		t.Fatal(err)
	}
	for code, want := range map[int]bool{199: false, 200: true, 201: false, 203: true, 301: true} {
		if m.Match(code) != want {
			t.Errorf("%d matches = %v", code, !want)
		}
	}
	for _, bad := range []string{"", "a", "200-", "300-200", "200;201", "99999"} {
		if _, err := ParseMatcher(bad); err == nil {
			t.Errorf("matcher %q accepted", bad)
		}
	}
}

func TestMachine(t *testing.T) {
	c := check(t, "200") // 3 passes to recover, 2 failures to fall
	for name, s := range map[string]struct {
		from    Verdict
		results string // + success, - failure
		want    string // the state after each result: i h u
	}{
		"one success makes a new target healthy":    {Checking, "+", "h"},
		"a new target falls after two failures":     {Checking, "--+++", "iuuuh"},
		"a failure in between starts anew":          {Checking, "--++-+++", "iuuuuuuh"},
		"a healthy target survives single failures": {Passing, "-+-+--", "hhhhhu"},
	} {
		m := Machine{Verdict: s.from}
		got := ""
		for _, r := range s.results {
			if r == '+' {
				m.Observe(Success, c)
			} else {
				m.Observe(failed, c)
			}
			got += m.State[:1]
			if m.State == Unhealthy {
				got = got[:len(got)-1] + "u"
			}
		}
		if got != s.want {
			t.Errorf("%s: %s, want %s", name, got, s.want)
		}
	}
}

// What is wrong is told anew: the description follows the last answer.
func TestMachineFollowsReason(t *testing.T) {
	c := check(t, "200")
	m := Machine{Verdict: Checking}
	m.Observe(failed, c)
	m.Observe(failed, c)
	if !m.Observe(mismatch(500), c) ||
		m.Description != "Health checks failed with these codes: [500]" {
		t.Errorf("verdict = %+v", m.Verdict)
	}
}

func TestProbe(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"/ok":   func(w http.ResponseWriter, r *http.Request) {},
		"/500":  func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) },
		"/slow": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"/early": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
		},
		"/agent": func(w http.ResponseWriter, r *http.Request) {
			if r.UserAgent() != userAgent || r.Host != r.Context().
				Value(http.LocalAddrContextKey).(net.Addr).String() {
				w.WriteHeader(400)
			}
		},
		"/cut": func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers[r.URL.Path](w, r)
	})
	for _, protocol := range []string{"HTTP", "HTTPS"} {
		for _, version := range []string{"HTTP1", "HTTP2"} {
			srv := httptest.NewUnstartedServer(handler)
			srv.Config.Protocols = new(http.Protocols)
			srv.Config.Protocols.SetHTTP1(true)
			srv.Config.Protocols.SetHTTP2(true)
			srv.Config.Protocols.SetUnencryptedHTTP2(true)
			if protocol == "HTTPS" {
				srv.TLS = &tls.Config{NextProtos: []string{"h2", "http/1.1"}}
				srv.StartTLS()
			} else {
				srv.Start()
			}
			for path, want := range map[string]Result{
				"/ok": Success, "/500": mismatch(500), "/slow": timedOut, "/cut": failed,
				"/agent": Success, "/early": Success,
			} {
				c := check(t, "200")
				c.Protocol, c.Version, c.Path = protocol, version, path
				addr := netip.MustParseAddrPort(srv.Listener.Addr().String())
				if got := Probe(t.Context(), host{}, c, addr); got != want {
					t.Errorf("%s %s %s: %+v, want %+v", protocol, version, path, got, want)
				}
			}
			srv.Close()
		}
	}
}

func TestProbeGRPC(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer:Grpc-Status", strings.TrimPrefix(r.URL.Path, "/"))
		w.WriteHeader(200)
	})
	srv := httptest.NewUnstartedServer(handler)
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	defer srv.Close()
	for path, want := range map[string]Result{"/12": Success, "/13": mismatch(13)} {
		c := check(t, "12")
		c.Version, c.Path = "GRPC", path
		addr := netip.MustParseAddrPort(srv.Listener.Addr().String())
		if got := Probe(t.Context(), host{}, c, addr); got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
}

func TestProbeTCP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := check(t, "200")
	c.Protocol = "TCP"
	addr := netip.MustParseAddrPort(ln.Addr().String())
	if got := Probe(t.Context(), host{}, c, addr); got != Success {
		t.Errorf("listening: %+v", got)
	}
	ln.Close()
	if got := Probe(t.Context(), host{}, c, addr); got != failed {
		t.Errorf("closed: %+v", got)
	}
}

func TestRunReportsAndStops(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	c := check(t, "404")
	c.Interval = 20 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	Run(ctx, host{}, c, netip.MustParseAddrPort(srv.Listener.Addr().String()), func(r Result) {
		if r != Success {
			t.Errorf("%+v", r)
		}
		if n++; n == 3 {
			cancel()
		}
	})
	if n != 3 {
		t.Errorf("%d reports", n)
	}
}
