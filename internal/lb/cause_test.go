package lb

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/sys/unix"
)

// checkCounted expects exactly one response of the load balancer's own, under its status.
func checkCounted(t *testing.T, s LoadBalancerStats, status int) {
	t.Helper()
	want := LoadBalancerStats{}
	switch status / 100 {
	case 4:
		want.ELB4XX = 1
	case 5:
		want.ELB5XX = 1
	}
	switch status {
	case 500:
		want.ELB500 = 1
	case 502:
		want.ELB502 = 1
	case 503:
		want.ELB503 = 1
	case 504:
		want.ELB504 = 1
	}
	got := LoadBalancerStats{ELB4XX: s.ELB4XX, ELB5XX: s.ELB5XX, ELB500: s.ELB500,
		ELB502: s.ELB502, ELB503: s.ELB503, ELB504: s.ELB504}
	if got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

// checkLogged expects one record of the status, with a reason.
func (f *fixture) checkLogged(status int) {
	f.t.Helper()
	rs := f.allRecords()
	if len(rs) != 1 || rs[0].Status != status || rs[0].FailureDetail == "" ||
		rs[0].TargetStatus != 0 {
		f.t.Errorf("records %+v, want one of status %d", rs, status)
	}
}

// resetting is a target that answers the first byte with a reset.
func resetting(t *testing.T) netip.AddrPort {
	return rawTarget(t, func(c net.Conn, r *bufio.Reader) {
		r.ReadByte()
		c.(*net.TCPConn).SetLinger(0)
	})
}

// garbling is a target that answers the first byte with nonsense.
func garbling(t *testing.T) netip.AddrPort {
	return rawTarget(t, func(c net.Conn, r *bufio.Reader) {
		r.ReadByte()
		io.WriteString(c, "what?\r\n\r\n")
		io.Copy(io.Discard, r)
	})
}

// unreachable is an address to which no packet gets.
func unreachable(*testing.T) netip.AddrPort { return netip.MustParseAddrPort("255.255.255.255:80") }

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) netip.AddrPort {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return netip.MustParseAddrPort(ln.Addr().String())
}

// deaf is an address that does not answer a SYN: its queue is full, and nobody accepts.
func deaf(t *testing.T) netip.AddrPort {
	fd, err := unix.Socket(unix.AF_INET, streamSocket, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	for range 4 { // the queue of 0 takes one; the others keep trying
		c, err := dialOnly(addrPort(sa))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(c) })
	}
	return addrPort(sa)
}

func dialOnly(to netip.AddrPort) (int, error) { return dial(hostNetwork{}, "", netip.Addr{}, to) }

func many(l *Listener) {
	l.Default = []Action{{Type: ActionRedirect, Redirect: &Redirect{StatusCode: 302, Host: "b"}}}
}

// TestCauses provokes over HTTP/1.1 what TestStatuses leaves out.
func TestCauses(t *testing.T) {
	fields := strings.Repeat("X: "+strings.Repeat("x", 10<<10)+"\r\n", 7)
	for name, c := range map[string]struct {
		group   func(*testing.T) Group
		request string
		status  int
	}{
		"headers over 64 K": {plain(closedPort), "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n", 400},
		"HTTP/3":            {plain(closedPort), "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505},
		"target resets":     {plain(resetting), hello, 502},
		"no route":          {plain(unreachable), hello, 502},
		"no SYN-ACK":        {plain(deaf), hello, 504},
		"TLS: not spoken":   {overTLS(garbling), hello, 502},
		"TLS: closes":       {overTLS(resetting), hello, 502},
		"TLS: hangs":        {overTLS(silent), hello, 504},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, c.group(t))
			conn := f.raw(c.request)
			conn.SetDeadline(time.Now().Add(4 * connectTimeout))
			resp, body := readResponse(t, bufio.NewReader(conn), nil)
			if resp.StatusCode != c.status || resp.Header.Get("Server") != "awselb/2.0" ||
				!strings.Contains(body, fmt.Sprintf("<center><h1>%d", c.status)) {
				t.Errorf("%v %q", resp, body)
			}
			checkCounted(t, f.Stats().LoadBalancers["app/lb/1"], c.status)
			f.checkLogged(c.status)
		})
	}
}

func plain(target func(*testing.T) netip.AddrPort) func(*testing.T) Group {
	return func(t *testing.T) Group { return unprobed(groupOf("g", target(t))) }
}

func overTLS(target func(*testing.T) netip.AddrPort) func(*testing.T) Group {
	return func(t *testing.T) Group {
		g := unprobed(groupOf("g", target(t)))
		g.Protocol = HTTPS
		return g
	}
}

// TestCausesH2 provokes over HTTP/2 what a client of it can be to blame for, and what a target can.
func TestCausesH2(t *testing.T) {
	long := strings.Repeat("x", 20<<10)
	for name, c := range map[string]struct {
		target func(*testing.T) netip.AddrPort // nil means an empty group
		change func(*Listener)
		ask    func(*http.Request)
		status int
	}{
		"TRACE":       {closedPort, nil, func(r *http.Request) { r.Method = "TRACE" }, 405},
		"slow body":   {silent, quick, func(r *http.Request) { r.Body, _ = io.Pipe(); r.Method = "POST" }, 408},
		"long path":   {closedPort, nil, func(r *http.Request) { r.URL.Path = "/" + long }, 414},
		"long header": {closedPort, nil, func(r *http.Request) { r.Header.Set("X", long) }, 400},
		"many addresses": {closedPort, nil, func(r *http.Request) {
			r.Header.Set("X-Forwarded-For", "1"+strings.Repeat(", 1", 30))
		}, 463},
		"nobody listens": {closedPort, nil, nil, 502},
		"garbage":        {garbling, nil, nil, 502},
		"no targets":     {nil, nil, nil, 503},
		"target hangs":   {silent, quick, nil, 504},
		"long redirect":  {closedPort, many, func(r *http.Request) { r.URL.Path = "/" + long[:10<<10] }, 507},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := unprobed(groupOf("g"))
			if c.target != nil {
				g = plain(c.target)(t)
			}
			change := []func(*Listener){secure(certFor(t, "c", false, "a"))}
			if c.change != nil {
				change = append(change, c.change)
			}
			f := serve(t, g, change...)
			req, err := http.NewRequest("GET", "https://"+f.addr()+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.ask != nil {
				c.ask(req)
			}
			resp, err := h2Transport(t).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != c.status || resp.ProtoMajor != 2 ||
				!strings.Contains(string(body), fmt.Sprintf("<center><h1>%d", c.status)) {
				t.Errorf("%v %q", resp, body)
			}
			checkCounted(t, f.Stats().LoadBalancers["app/lb/1"], c.status)
			f.checkLogged(c.status)
		})
	}
}

func h2Transport(t *testing.T) *http2.Transport {
	tr := &http2.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// What a client leaves is told apart in the log: a request that is complete, or not.
func TestClientLeaves(t *testing.T) {
	const upload = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"
	for request, status := range map[string]int{hello: 460, upload: 400} {
		f := serve(t, unprobed(groupOf("g", silent(t))))
		c := f.raw(request)
		k := f.Health()[0].TargetKey
		waitFor(t, func() bool { return f.Outstanding(k) == 1 })
		c.Close()
		waitFor(t, func() bool { return f.Outstanding(k) == 0 })
		checkCounted(t, f.Stats().LoadBalancers["app/lb/1"], status)
		f.checkLogged(status)
	}
}

// The same over HTTP/2, where a client takes back a request and stays.
func TestClientResets(t *testing.T) {
	for end, status := range map[bool]int{true: 460, false: 400} {
		f := serve(t, unprobed(groupOf("g", silent(t))), secure(certFor(t, "c", false, "a")))
		h := f.h2()
		h.request(1, end, ":method", "POST", ":scheme", "https", ":path", "/", ":authority", "a")
		k := f.Health()[0].TargetKey
		waitFor(t, func() bool { return f.Outstanding(k) == 1 })
		if err := h.WriteRSTStream(1, http2.ErrCodeCancel); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool { return f.Outstanding(k) == 0 })
		checkCounted(t, f.Stats().LoadBalancers["app/lb/1"], status)
		f.checkLogged(status)
	}
}

// A target that promises more than it sends, and hangs, cannot be a 504 any more: its head is with
// the client, who is cut off when the idle timeout is over. The log says why.
func TestTargetLiesAboutLength(t *testing.T) {
	f := serve(t, unprobed(groupOf("g", rawTarget(t, func(c net.Conn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
		io.Copy(io.Discard, r)
	}))), quick)
	resp, err := http.Get(f.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("body %q looks complete", b)
	}
	rs := f.allRecords()
	if len(rs) != 1 || rs[0].Status != 200 || rs[0].FailureDetail != "idle timeout" {
		t.Errorf("records %+v", rs)
	}
}
