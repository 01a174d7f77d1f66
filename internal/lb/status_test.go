package lb

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// rawTarget starts a target that does with each connection what serve says.
func rawTarget(t *testing.T, serve func(net.Conn, *bufio.Reader)) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c, bufio.NewReader(c))
			}()
		}
	}()
	return netip.MustParseAddrPort(ln.Addr().String())
}

// readHead reads a request head.
func readHead(r *bufio.Reader) string {
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		head.WriteString(line)
		if err != nil || line == "\r\n" {
			return head.String()
		}
	}
}

// saying is a target that answers every connection's first request with a text and closes.
func saying(t *testing.T, text string) netip.AddrPort {
	return rawTarget(t, func(c net.Conn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(c, text)
	})
}

// silent is a target that never answers.
func silent(t *testing.T) netip.AddrPort {
	return rawTarget(t, func(c net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })
}

// unprobed keeps probes away from targets that would choke on them.
func unprobed(g Group) Group {
	g.HealthCheck.Disabled = true
	return g
}

func quick(l *Listener) { l.Attributes.IdleTimeout = time.Second }

const hello = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// TestStatuses provokes every status that the load balancer makes itself, and looks at the
// response and at the record of the log.
func TestStatuses(t *testing.T) {
	closed := func(t *testing.T) netip.AddrPort {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		return netip.MustParseAddrPort(ln.Addr().String())
	}
	ok := func(t *testing.T) netip.AddrPort {
		return startTarget(t, func(http.ResponseWriter, *http.Request) {})
	}
	long := strings.Repeat("x", 20<<10)
	for name, c := range map[string]struct {
		target  func(*testing.T) netip.AddrPort // nil means an empty group
		request string
		status  int
		change  func(*Listener)
	}{
		"malformed":          {ok, "GET\r\n\r\n", 400, nil},
		"no Host":            {ok, "GET / HTTP/1.1\r\n\r\n", 400, nil},
		"bad Host":           {ok, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, nil},
		"bad target":         {ok, "GET foo HTTP/1.1\r\nHost: a\r\n\r\n", 400, nil},
		"CONNECT":            {ok, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400, nil},
		"long header":        {ok, "GET / HTTP/1.1\r\nHost: a\r\nX: " + long + "\r\n\r\n", 400, nil},
		"bad chunk":          {silent, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, nil},
		"two lengths":        {ok, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, nil},
		"TRACE":              {ok, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, nil},
		"slow head":          {ok, "GET / HTTP/1.1\r\nHost:", 408, quick},
		"slow body":          {silent, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab", 408, quick},
		"long line":          {ok, "GET /" + long + " HTTP/1.1\r\nHost: a\r\n\r\n", 414, nil},
		"many addresses":     {ok, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1" + strings.Repeat(", 1", 30) + "\r\n\r\n", 463, nil},
		"other coding":       {ok, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501, nil},
		"nobody listens":     {closed, hello, 502, nil},
		"closes silently":    {func(t *testing.T) netip.AddrPort { return saying(t, "") }, hello, 502, nil},
		"closes within head": {func(t *testing.T) netip.AddrPort { return saying(t, "HTTP/1.1 200 OK\r\nA:") }, hello, 502, nil},
		"garbage":            {func(t *testing.T) netip.AddrPort { return saying(t, "SSH-2.0-x\r\n") }, hello, 502, nil},
		"bad header":         {func(t *testing.T) netip.AddrPort { return saying(t, "HTTP/1.1 200 OK\r\nA B: c\r\n\r\n") }, hello, 502, nil},
		"headers over 32 K":  {func(t *testing.T) netip.AddrPort { return saying(t, "HTTP/1.1 200 OK\r\nA: "+long+long+"\r\n\r\n") }, hello, 502, nil},
		"unasked switch":     {func(t *testing.T) netip.AddrPort { return saying(t, "HTTP/1.1 101 X\r\n\r\n") }, hello, 502, nil},
		"no targets":         {nil, hello, 503, nil},
		"target hangs":       {silent, hello, 504, quick},
		"HTTP/2 preface":     {ok, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, nil},
		"redirect over 8 K": {ok, "GET /" + long[:10<<10] + " HTTP/1.1\r\nHost: a\r\n\r\n", 507, func(l *Listener) {
			l.Default = []Action{{Type: ActionRedirect, Redirect: &Redirect{StatusCode: 302, Host: "b"}}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := unprobed(groupOf("g"))
			if c.target != nil {
				g = unprobed(groupOf("g", c.target(t)))
			}
			var change []func(*Listener)
			if c.change != nil {
				change = append(change, c.change)
			}
			f := serve(t, g, change...)
			resp, body := f.ask(c.request)
			if resp.StatusCode != c.status || resp.Header.Get("Server") != "awselb/2.0" {
				t.Errorf("%d, Server %q", resp.StatusCode, resp.Header.Get("Server"))
			}
			if !strings.Contains(body, fmt.Sprintf("<center><h1>%d", c.status)) {
				t.Errorf("body %q", body)
			}
			s := f.Stats().LoadBalancers["app/lb/1"]
			checkCounted(t, s, c.status)
			rs := f.allRecords()
			if len(rs) != 1 || rs[0].Status != c.status || rs[0].FailureDetail == "" {
				t.Errorf("records %+v", rs)
			}
		})
	}
}

// The sizes of the pages are those of AWS.
func TestErrorPageSizes(t *testing.T) {
	for status, size := range map[int]int{301: 134, 302: 110, 400: 122, 401: 144, 403: 118, 405: 122,
		408: 132, 413: 148, 414: 142, 500: 142, 501: 130, 502: 122, 503: 162, 504: 132} {
		if got := len(errorPage(status).body); got != size {
			t.Errorf("%d: %d bytes, want %d", status, got, size)
		}
	}
}

// A client that leaves before the answer is a 460, and the target learns of it.
func TestClientGone(t *testing.T) {
	left := make(chan struct{})
	f := serve(t, unprobed(groupOf("g", rawTarget(t, func(c net.Conn, r *bufio.Reader) {
		readHead(r)
		r.ReadByte()
		close(left)
	}))))
	c := f.raw(hello)
	k := f.Health()[0].TargetKey
	waitFor(t, func() bool { return f.Outstanding(k) == 1 })
	c.Close()
	<-left
	waitFor(t, func() bool { return f.Outstanding(k) == 0 })
	if rs := f.allRecords(); len(rs) != 1 || rs[0].Status != 460 || rs[0].TargetStatus != 0 {
		t.Errorf("records %+v", rs)
	}
}

// waitFor polls a condition that other threads bring about.
func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatal("condition does not come true")
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// A response that breaks off must not look complete to the client.
func TestBrokenResponseBodies(t *testing.T) {
	for name, text := range map[string]string{
		"short sized":   "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
		"short chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
		"bad chunk":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX",
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, unprobed(groupOf("g", saying(t, text))))
			resp, err := http.ReadResponse(bufio.NewReader(f.raw(hello)), nil)
			if err != nil {
				return // the reset came before the head was read
			}
			if b, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("body %q looks complete", b)
			}
		})
	}
}

// A body that ends with the target's connection is complete for the client.
func TestCloseDelimitedResponse(t *testing.T) {
	f := serve(t, unprobed(groupOf("g", saying(t, "HTTP/1.0 200 OK\r\n\r\nall of it"))))
	c := f.raw(hello)
	br := bufio.NewReader(c)
	if _, body := readResponse(t, br, nil); body != "all of it" {
		t.Errorf("body %q", body)
	}
	io.WriteString(c, hello) // the client's connection stays
	if _, body := readResponse(t, br, nil); body != "all of it" {
		t.Errorf("second body %q", body)
	}
}

// The race between a request and the idle timeout of the target is hidden by one retry, for
// requests that can be repeated.
func TestRetryOnStaleConnection(t *testing.T) {
	for _, test := range []struct {
		method, answer string // to the second request on a connection
		want           int
	}{{"GET", "", 200}, {"POST", "", 502}, {"GET", "HTTP/1.1 2", 502}, {"GET", "garbage", 502}} {
		method, want := test.method, test.want
		var requests atomic.Int32
		f := serve(t, unprobed(groupOf("g", rawTarget(t, func(c net.Conn, r *bufio.Reader) {
			readHead(r)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			if requests.Add(1) == 1 {
				readHead(r)
				io.WriteString(c, test.answer)
			}
		}))))
		c := f.raw(hello)
		br := bufio.NewReader(c)
		readResponse(t, br, nil)
		io.WriteString(c, method+" / HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp, _ := readResponse(t, br, nil); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", method, resp.StatusCode, want)
		}
		rs := f.allRecords()
		if last := rs[len(rs)-1]; last.Retried != (want == 200) {
			t.Errorf("%s: retried = %v", method, last.Retried)
		}
	}
}

// An answer before the end of the request body ends the exchange in good order.
func TestEarlyResponse(t *testing.T) {
	f := serve(t, unprobed(groupOf("g", saying(t,
		"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"))))
	c := f.raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nbeginning")
	br := bufio.NewReader(c)
	if resp, body := readResponse(t, br, nil); resp.StatusCode != 403 || body != "no" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	io.WriteString(c, strings.Repeat("x", 100000-len("beginning"))+hello)
	if resp, _ := readResponse(t, br, nil); resp.StatusCode != 403 {
		t.Errorf("the connection is not usable after an early response: %d", resp.StatusCode)
	}
}

func TestInterimResponses(t *testing.T) {
	f := serve(t, unprobed(groupOf("g", saying(t, "HTTP/1.1 100 Continue\r\n\r\n"+
		"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"))))
	br := bufio.NewReader(f.raw(hello))
	resp, _ := readResponse(t, br, nil)
	if resp.StatusCode != 103 || resp.Header.Get("Link") != "</x>" {
		t.Fatalf("%v", resp)
	}
	if resp, body := readResponse(t, br, nil); resp.StatusCode != 200 || body != "x" {
		t.Errorf("%v %q", resp, body)
	}
}

func TestDesyncModes(t *testing.T) {
	ambiguous := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	severe := "POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 1\r\nTransfer_Encoding: chunked\r\n\r\n"
	acceptable := "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, c := range []struct {
		mode    DesyncMode
		request string
		status  int
		closes  bool
		class   string
	}{
		{DesyncMonitor, acceptable, 200, false, "Acceptable"},
		{DesyncMonitor, ambiguous, 200, false, "Ambiguous"},
		{DesyncMonitor, severe, 200, false, "Severe"},
		{DesyncDefensive, acceptable, 200, false, "Acceptable"},
		{DesyncDefensive, ambiguous, 200, true, "Ambiguous"},
		{DesyncDefensive, severe, 400, true, "Severe"},
		{DesyncStrictest, acceptable, 400, true, "Acceptable"},
		{DesyncStrictest, ambiguous, 400, true, "Ambiguous"},
		{DesyncStrictest, severe, 400, true, "Severe"},
	} {
		addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) {})
		f := serve(t, groupOf("g", addr), func(l *Listener) { l.Attributes.Desync = c.mode })
		resp, _ := f.ask(c.request)
		if resp.StatusCode != c.status || resp.Close != c.closes {
			t.Errorf("%s %s: status %d, closes %v", c.mode, c.class, resp.StatusCode, resp.Close)
		}
		if n := f.Stats().LoadBalancers["app/lb/1"].DesyncNonCompliantRequestCount; n != 1 {
			t.Errorf("%s %s: counted %d", c.mode, c.class, n)
		}
		if rs := f.allRecords(); rs[0].Class != c.class {
			t.Errorf("%s: class %s, want %s", c.mode, rs[0].Class, c.class)
		}
	}
}
