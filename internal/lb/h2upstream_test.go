package lb

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// startH2Target starts a target that speaks HTTP/2 only, with prior knowledge.
func startH2Target(t *testing.T, secure bool, h http.HandlerFunc) netip.AddrPort {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Config.Protocols.SetHTTP2(true)
	if secure {
		srv.TLS = &tls.Config{NextProtos: []string{"h2"}}
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return netip.MustParseAddrPort(srv.Listener.Addr().String())
}

func h2Group(addr netip.AddrPort, v ProtocolVersion, p Protocol) Group {
	g := unprobed(groupOf("g", addr))
	g.Version, g.Protocol = v, p
	return g
}

func TestH2Targets(t *testing.T) {
	for _, protocol := range []Protocol{HTTP, HTTPS} {
		addr := startH2Target(t, protocol == HTTPS, func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 2 || !strings.HasPrefix(r.Header.Get("X-Forwarded-For"), "127.") {
				w.WriteHeader(500)
			}
			w.Header().Set("Trailer", "X-Sum")
			n, _ := io.Copy(w, r.Body)
			w.Header().Set("X-Sum", fmt.Sprint(n))
		})
		f := serve(t, h2Group(addr, HTTP2, protocol), secure(certFor(t, "c", false, "a.example")))
		c := httpsClient(t, true)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for _, size := range []int{0, 1, 100_000, 600_000} {
					sent := bytes.Repeat([]byte{byte(i)}, size)
					resp, err := c.Post("https://"+f.addr()+"/x?y", "x/y", bytes.NewReader(sent))
					if err != nil {
						t.Error(err)
						return
					}
					got, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || resp.StatusCode != 200 || !bytes.Equal(got, sent) ||
						resp.Trailer.Get("X-Sum") != fmt.Sprint(size) {
						t.Errorf("%d: %d bytes came back as %d, trailers %v (%v)",
							resp.StatusCode, size, len(got), resp.Trailer, err)
					}
				}
			})
		}
		wg.Wait()
	}
}

// Which requests a group takes follows from its protocol version.
func TestVersionMatrix(t *testing.T) {
	target := startH2Target(t, false, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Grpc-Status", "0")
	})
	old := startTarget(t, func(http.ResponseWriter, *http.Request) {})
	for _, c := range []struct {
		version ProtocolVersion
		h2      bool
		method  string
		content string
		status  int
	}{
		{HTTP1, false, "GET", "", 200}, {HTTP1, true, "GET", "", 200},
		{HTTP1, true, "POST", "application/grpc", 464},
		{HTTP2, false, "GET", "", 464}, {HTTP2, true, "GET", "", 200},
		{HTTP2, true, "POST", "application/grpc+proto", 200},
		{GRPC, false, "GET", "", 464}, {GRPC, true, "GET", "", 464},
		{GRPC, true, "POST", "text/plain", 200}, {GRPC, true, "POST", "application/grpc", 200},
	} {
		addr := target
		if c.version == HTTP1 {
			addr = old
		}
		f := serve(t, h2Group(addr, c.version, HTTP), secure(certFor(t, "c", false, "a.example")))
		req, _ := http.NewRequest(c.method, "https://"+f.addr(), nil)
		req.Header.Set("Content-Type", c.content)
		resp, err := httpsClient(t, c.h2).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%+v: status %d", c, resp.StatusCode)
		}
	}
}

// A bidirectional stream: each side speaks while the other does.
func TestH2Duplex(t *testing.T) {
	addr := startH2Target(t, false, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		buf := make([]byte, 100)
		for {
			n, err := r.Body.Read(buf)
			w.Write(bytes.ToUpper(buf[:n]))
			w.(http.Flusher).Flush()
			if err != nil {
				return
			}
		}
	})
	f := serve(t, h2Group(addr, HTTP2, HTTP), secure(certFor(t, "c", false, "a.example")))
	pr, pw := io.Pipe()
	req, _ := http.NewRequest("POST", "https://"+f.addr(), pr)
	resp, err := httpsClient(t, true).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, word := range []string{"one", "two", "three"} {
		io.WriteString(pw, word)
		got := make([]byte, len(word))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != strings.ToUpper(word) {
			t.Fatalf("%q answered by %q, %v", word, got, err)
		}
	}
	pw.Close()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("at the end %q, %v", rest, err)
	}
}

func TestH2TargetFailures(t *testing.T) {
	for name, addr := range map[string]netip.AddrPort{
		"speaks HTTP/1": startTarget(t, func(http.ResponseWriter, *http.Request) {}),
		"aborts": startH2Target(t, false, func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}),
	} {
		f := serve(t, h2Group(addr, HTTP2, HTTP), secure(certFor(t, "c", false, "a.example")))
		resp, err := httpsClient(t, true).Get("https://" + f.addr())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 502 {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
}
