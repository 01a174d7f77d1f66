package lb

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// fixture is an engine with one listener, and the targets behind it.
type fixture struct {
	*Engine
	t    *testing.T
	spec TableSpec

	mu      sync.Mutex // guards records
	records []AccessRecord
}

// target starts a target and returns its address.
func startTarget(t *testing.T, h http.HandlerFunc) netip.AddrPort {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return netip.MustParseAddrPort(srv.Listener.Addr().String())
}

// groupOf makes a target group that is usable at once: its targets are known to be healthy.
func groupOf(id string, addrs ...netip.AddrPort) Group {
	g := Group{ID: id, Protocol: HTTP}
	for _, a := range addrs {
		g.Targets = append(g.Targets, Target{ID: a.Addr().String(), Port: a.Port(), Addr: a,
			LastHealth: Healthy})
	}
	return g
}

func forwardTo(groups ...string) []Action {
	f := &Forward{}
	for _, g := range groups {
		f.Groups = append(f.Groups, WeightedGroup{Group: g, Weight: 1})
	}
	return []Action{{Type: ActionForward, Forward: f}}
}

// serve starts an engine with one HTTP listener that forwards to group g.
func serve(t *testing.T, g Group, change ...func(*Listener)) *fixture {
	t.Helper()
	ln := Listener{ID: "l", LoadBalancer: "app/lb/1", Protocol: HTTP, DNSName: "lb.localhost",
		Binds:   []Bind{{Addr: netip.MustParseAddrPort("127.0.0.1:0")}},
		Default: forwardTo(g.ID), Attributes: Attributes{AccessLog: true}}
	for _, f := range change {
		f(&ln)
	}
	return serveSpec(t, TableSpec{Listeners: []Listener{ln}, Groups: []Group{g}})
}

func serveSpec(t *testing.T, spec TableSpec) *fixture {
	t.Helper()
	return serveWith(t, Config{}, spec)
}

func serveWith(t *testing.T, cfg Config, spec TableSpec) *fixture {
	t.Helper()
	f := &fixture{t: t, spec: spec}
	cfg.Loops, cfg.AccessLog = 2, func(rs []AccessRecord) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for i := range rs {
			f.records = append(f.records, rs[i].Clone())
		}
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.Engine = e
	t.Cleanup(func() { e.Close() })
	f.swap(spec)
	return f
}

func (f *fixture) swap(spec TableSpec) {
	f.t.Helper()
	table, err := Compile(spec)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.Swap(table); err != nil {
		f.t.Fatal(err)
	}
	f.spec = spec
}

func (f *fixture) addr() string { return f.Bound("l")[0].Addr.String() }

func (f *fixture) url(path string) string { return "http://" + f.addr() + path }

// raw sends bytes on a connection of its own and returns the connection.
func (f *fixture) raw(text string) net.Conn {
	f.t.Helper()
	c, err := net.Dial("tcp", f.addr())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		f.t.Fatal(err)
	}
	return c
}

// ask sends bytes and reads one response with its body.
func (f *fixture) ask(text string) (*http.Response, string) {
	f.t.Helper()
	return readResponse(f.t, bufio.NewReader(f.raw(text)), nil)
}

func readResponse(t *testing.T, r *bufio.Reader, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		t.Fatalf("read response: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read body: %v", err)
	}
	return resp, string(body)
}

// lastRecord closes the engine and returns the records of all requests.
func (f *fixture) allRecords() []AccessRecord {
	f.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.records
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestForward(t *testing.T) {
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "mine")
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, r.Host)
	})
	f := serve(t, groupOf("g", addr))
	for range 3 {
		status, body := get(t, f.url("/a?b=c"))
		if want := "GET /a?b=c " + f.addr(); status != 200 || body != want {
			t.Fatalf("%d %q, want %q", status, body, want)
		}
	}
}

func TestRequestHeaders(t *testing.T) {
	var got http.Header
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) { got = r.Header.Clone() })
	f := serve(t, unprobed(groupOf("g", addr)), func(l *Listener) { l.Port = 80 })
	f.ask("GET / HTTP/1.1\r\nHost: EXAMPLE.com:80\r\nX-Forwarded-For: 1.2.3.4\r\n" +
		"X-Forwarded-Proto: gopher\r\nX-Amzn-Trace-Id: Root=1-2-3;Foo=bar\r\n" +
		"Connection: keep-alive, X-Secret\r\nX-Secret: s\r\nKeep-Alive: 3\r\nx_odd: o\r\n\r\n")
	for name, want := range map[string]string{
		"X-Forwarded-For": "1.2.3.4, 127.0.0.1", "X-Forwarded-Proto": "http",
		"X-Forwarded-Port": "80", "X-Secret": "", "Keep-Alive": "", "Connection": "", "X_odd": "o",
	} {
		if g := got.Get(name); g != want && got[name] == nil {
			t.Errorf("%s: %q, want %q", name, g, want)
		}
	}
	trace := got.Get("X-Amzn-Trace-Id")
	if !strings.HasPrefix(trace, "Self=1-") || !strings.HasSuffix(trace, ";Root=1-2-3;Foo=bar") {
		t.Errorf("trace id %q", trace)
	}
}

func TestBodies(t *testing.T) {
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/sized" {
			w.Header().Set("Content-Length", fmt.Sprint(r.ContentLength))
		}
		http.NewResponseController(w).EnableFullDuplex()
		w.(http.Flusher).Flush()
		io.Copy(w, r.Body)
	})
	f := serve(t, groupOf("g", addr))
	for _, size := range []int{1, 1000, 70_000, 5 << 20} {
		for _, path := range []string{"/sized", "/chunked"} {
			sent := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
			var body io.Reader = bytes.NewReader(sent)
			if path == "/chunked" {
				body = io.MultiReader(body) // hides the length
			}
			resp, err := http.Post(f.url(path), "text/plain", body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("%s: %d bytes came back as %d (%v)", path, size, len(got), err)
			}
		}
	}
}

func TestKeepAliveAndPipelining(t *testing.T) {
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
	f := serve(t, groupOf("g", addr))
	c := f.raw(strings.Repeat("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n", 1) +
		"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" +
		"GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	br := bufio.NewReader(c)
	for _, want := range []string{"/1", "/2", "/3"} {
		if _, body := readResponse(t, br, nil); body != want {
			t.Fatalf("%q, want %q", body, want)
		}
	}
	if _, err := br.ReadByte(); err != io.EOF {
		t.Fatalf("after Connection: close: %v", err)
	}
}

func TestFixedResponseAndRedirect(t *testing.T) {
	f := serve(t, groupOf("g"), func(l *Listener) {
		l.Port = 80
		l.Rules = []Rule{
			{Priority: 2, Conditions: []Condition{{Field: PathPattern, Values: []string{"/old/*"}}},
				Actions: []Action{{Type: ActionRedirect, Redirect: &Redirect{StatusCode: 301,
					Protocol: "HTTPS", Port: "443", Path: "/new/#{path}"}}}},
			{Priority: 1, Conditions: []Condition{{Field: PathPattern, Values: []string{"/fixed"}}},
				Actions: []Action{{Type: ActionFixedResponse, FixedResponse: &FixedResponse{
					StatusCode: 418, ContentType: "text/plain", Body: "teapot"}}}},
		}
	})
	resp, body := f.ask("GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp.StatusCode != 418 || body != "teapot" || resp.Header.Get("Server") != "awselb/2.0" ||
		resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("fixed response: %v %q", resp, body)
	}
	resp, body = f.ask("GET /old/x?y=1 HTTP/1.1\r\nHost: Example.com\r\n\r\n")
	if got := resp.Header.Get("Location"); got != "https://example.com:443/new/old/x?y=1" ||
		resp.StatusCode != 301 || len(body) != 134 {
		t.Errorf("redirect %d to %q with %d bytes", resp.StatusCode, got, len(body))
	}
}

func TestHEAD(t *testing.T) {
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5")
		io.WriteString(w, "hello")
	})
	f := serve(t, groupOf("g", addr))
	c := f.raw("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
	br := bufio.NewReader(c)
	resp, body := readResponse(t, br, &http.Request{Method: "HEAD"})
	if resp.ContentLength != 5 || body != "" {
		t.Errorf("HEAD: length %d, body %q", resp.ContentLength, body)
	}
	if _, body = readResponse(t, br, nil); body != "hello" {
		t.Errorf("GET after HEAD: %q", body)
	}
}

func TestExpectContinue(t *testing.T) {
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") != "" {
			t.Error("Expect was forwarded")
		}
		io.Copy(w, r.Body)
	})
	f := serve(t, groupOf("g", addr))
	c := f.raw("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
	br := bufio.NewReader(c)
	if line, err := br.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	br.ReadString('\n')
	io.WriteString(c, "ok")
	if _, body := readResponse(t, br, nil); body != "ok" {
		t.Errorf("body %q", body)
	}
}

func TestHTTP10(t *testing.T) {
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		io.WriteString(w, r.Host)
	})
	f := serve(t, groupOf("g", addr), func(l *Listener) { l.Port = 80 })
	c := f.raw("GET / HTTP/1.0\r\n\r\n")
	all, err := io.ReadAll(c)
	if err != nil || !strings.HasSuffix(string(all), "\r\n\r\nlb.localhost") ||
		strings.Contains(string(all), "chunked") {
		t.Errorf("%q, %v", all, err)
	}
}

func TestWebSocketTunnel(t *testing.T) {
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n"+
			"Connection: Upgrade\r\n\r\n")
		io.Copy(c, rw)
		io.WriteString(c, "bye")
	})
	f := serve(t, groupOf("g", addr))
	c := f.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "echo" {
		t.Fatalf("%v %v", resp, err)
	}
	io.WriteString(c, "ping")
	buf := make([]byte, 4)
	if _, err := io.ReadFull(br, buf); err != nil || string(buf) != "ping" {
		t.Fatalf("%q %v", buf, err)
	}
	if n := f.Outstanding(TargetKey{"g", addr.Addr().String(), addr.Port()}); n != 1 {
		t.Errorf("outstanding = %d during the tunnel", n)
	}
	c.(*net.TCPConn).CloseWrite() // half-close: the target still has something to say
	rest, err := io.ReadAll(br)
	if err != nil || string(rest) != "bye" {
		t.Fatalf("after half-close: %q %v", rest, err)
	}
}

func TestConcurrentRequests(t *testing.T) {
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
	f := serve(t, groupOf("g", addr))
	const clients, requests = 16, 50
	f.askConcurrently(clients, requests)
	if n := f.Stats().LoadBalancers["app/lb/1"].RequestCount; n != clients*requests {
		t.Errorf("RequestCount = %d, want %d", n, clients*requests)
	}
	if n := len(f.allRecords()); n != clients*requests {
		t.Errorf("%d records, want %d", n, clients*requests)
	}
}

// askConcurrently has clients make requests each, all for paths of their own, which are the answers.
func (f *fixture) askConcurrently(clients, requests int) {
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for j := range requests {
				path := fmt.Sprintf("/%d/%d", i, j)
				if status, body := get(f.t, f.url(path)); status != 200 || body != path {
					f.t.Errorf("%s: %d %q", path, status, body)
				}
			}
		})
	}
	wg.Wait()
}
