package lb

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// heldIssuer is an issuer that does not answer before it is told to.
func heldIssuer(t *testing.T) (i *issuer, release func()) {
	gate := make(chan struct{})
	i = newIssuer(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-gate:
			io.WriteString(w, keySet("k"))
		case <-r.Context().Done():
		}
	})
	release = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release) // before the server is closed
	return i, release
}

func echoBody(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).EnableFullDuplex()
	io.Copy(w, r.Body)
}

// A body waits for the keys, and none of it is lost.
func TestBodyWaitsForKeys(t *testing.T) {
	addr := startTarget(t, echoBody)
	for _, h2 := range []bool{false, true} {
		for _, size := range []int{0, 5, 1 << 20} {
			i, release := heldIssuer(t)
			f := guarded(t, Config{RootCAs: i.roots()}, addr, i.guard())
			body := strings.Repeat("x", size)
			req, err := http.NewRequest("POST", "https://"+f.addr()+"/",
				io.NopCloser(strings.NewReader(body)))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", bearer(""))
			go func() {
				waitFor(t, func() bool { return i.asked.Load() == 1 })
				release()
			}()
			resp, err := httpsClient(t, h2).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != 200 || string(got) != body {
				t.Errorf("HTTP/2 %v, %d bytes: %d, %d bytes, %v", h2, size, resp.StatusCode, len(got), err)
			}
		}
	}
}

// A body that is larger than what may be kept is not read before the keys are there.
func TestBodyIsHeldBackWhileKeysAreFetched(t *testing.T) {
	i, _ := heldIssuer(t)
	f := guarded(t, Config{keys: i.cache(time.Hour)}, closedPort(t), i.guard())
	c, err := tls.Dial("tcp", f.addr(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const size = 64 << 20 // more than all buffers on the way
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nAuthorization: %s\r\n\r\n",
		size, bearer(""))
	waitFor(t, func() bool { return f.posted() == 1 })
	c.SetWriteDeadline(time.Now().Add(2 * time.Second))
	if _, err := c.Write(make([]byte, size)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: %v", err)
	}
}

// TestBodyWaitsForKeys over a connection to the target that stands already when the keys come.
func TestBodyWaitsForKeysOnWarmConnection(t *testing.T) {
	addr := startTarget(t, echoBody)
	for _, h2 := range []bool{false, true} {
		i, release := heldIssuer(t)
		f := guarded(t, Config{RootCAs: i.roots()}, addr, i.guard(), func(l *Listener) {
			l.Rules = []Rule{{Priority: 1, Conditions: []Condition{{Field: PathPattern,
				Values: []string{"/open"}}}, Actions: forwardTo("g")}}
		})
		c := httpsClient(t, h2)
		ask := func(path string) {
			req, _ := http.NewRequest("POST", "https://"+f.addr()+path, strings.NewReader("body"))
			req.Header.Set("Authorization", bearer(""))
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != 200 || string(got) != "body" {
				t.Errorf("HTTP/2 %v, %s: %d %q %v", h2, path, resp.StatusCode, got, err)
			}
		}
		ask("/open")
		go func() {
			waitFor(t, func() bool { return i.asked.Load() == 1 })
			release()
		}()
		ask("/")
	}
}

// However many wait, the endpoint is asked once.
func TestConcurrentRequestsShareOneFetch(t *testing.T) {
	i, release := heldIssuer(t)
	f := guarded(t, Config{RootCAs: i.roots()}, echoAuthorization(t), i.guard())
	token, results := bearer(""), make(chan int)
	const clients = 20
	for n := range clients {
		go func() {
			status, _ := f.answer(n%2 == 0, token)
			results <- status
		}()
	}
	waitFor(t, func() bool { return f.posted() == clients })
	release()
	for range clients {
		if status := <-results; status != 200 {
			t.Errorf("status %d", status)
		}
	}
	if n := i.asked.Load(); n != 1 {
		t.Errorf("the endpoint was asked %d times", n)
	}
}

// A client that leaves while the endpoint hangs is a 460, and nothing waits for it any more.
func TestClientLeavesWhileKeysAreFetched(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		i, release := heldIssuer(t)
		f := guarded(t, Config{RootCAs: i.roots()}, closedPort(t), i.guard())
		leave := f.hangOn(h2, bearer(""))
		waitFor(t, func() bool { return i.asked.Load() == 1 && f.posted() == 1 })
		leave()
		waitFor(t, func() bool { return f.posted() == 0 })
		s := f.Stats().LoadBalancers["app/lb/1"]
		checkCounted(t, s, 460)
		if s.JWTValidationFailureCount != 0 {
			t.Error("a client that left is counted as invalid")
		}
		release()
		f.checkLogged(460)
	}
}

// hangOn sends a request and returns how its client leaves.
func (f *fixture) hangOn(h2 bool, authorization string) (leave func()) {
	if h2 {
		h := f.h2()
		h.request(1, true, ":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a",
			"authorization", authorization)
		return func() { h.WriteRSTStream(1, http2.ErrCodeCancel) }
	}
	c, err := tls.Dial("tcp", f.addr(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n\r\n", authorization)
	return func() { c.Close() }
}

// Closing the engine ends a fetch that hangs, and the requests that wait for it.
func TestCloseWhileKeysAreFetched(t *testing.T) {
	ended := make(chan struct{})
	i := newIssuer(t, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(ended)
	})
	f := guarded(t, Config{keys: i.cache(time.Hour)}, closedPort(t), i.guard())
	f.hangOn(false, bearer(""))
	waitFor(t, func() bool { return i.asked.Load() == 1 && f.posted() == 1 })
	if err := f.Engine.Close(); err != nil {
		t.Error(err)
	}
	<-ended
	if rs := f.allRecords(); len(rs) != 1 {
		t.Errorf("records %+v", rs)
	}
}

// A request whose keys do not come within the idle timeout is answered for that, and not for its
// body, which nobody asked for.
func TestIdleWhileKeysAreFetched(t *testing.T) {
	i, _ := heldIssuer(t)
	f := guarded(t, Config{keys: i.cache(time.Hour)}, closedPort(t), i.guard(), quick)
	c, err := tls.Dial("tcp", f.addr(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nAuthorization: %s\r\n\r\nab",
		bearer(""))
	if resp, _ := readResponse(t, bufio.NewReader(c), nil); resp.StatusCode != 504 {
		t.Errorf("status %d", resp.StatusCode)
	}
}
