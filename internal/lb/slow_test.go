package lb

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A client that reads slowly gets everything, in order, also when the body is moved within the
// kernel and a second response follows; and it does not make the load balancer keep it all.
func TestSlowReader(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 512<<10) // 8 MiB
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/chunked" {
			w.(http.Flusher).Flush()
		}
		if r.URL.Path == "/small" {
			io.WriteString(w, "small")
			return
		}
		if r.URL.Path == "/sized" {
			w.Header().Set("Content-Length", fmt.Sprint(len(big)))
		}
		w.Write(big)
	})
	for _, path := range []string{"/sized", "/chunked"} {
		f := serve(t, unprobed(groupOf("g", addr)))
		c := f.raw("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\nGET /small HTTP/1.1\r\nHost: a\r\n\r\n")
		c.(*net.TCPConn).SetReadBuffer(64 << 10)
		f.settleBuffers()
		br := bufio.NewReaderSize(c, 1000)
		if _, body := readResponse(t, br, nil); body != string(big) {
			t.Errorf("%s: %d bytes", path, len(body))
		}
		if _, body := readResponse(t, br, nil); body != "small" {
			t.Errorf("%s: second response %q", path, body)
		}
	}
}

// settleBuffers waits until the loops have nothing to do: everything that can be sent has been.
func (f *fixture) settleBuffers() {
	f.t.Helper()
	last := int64(-1)
	waitFor(f.t, func() bool {
		var held int64
		f.onLoops(func(l *loop) {
			for s := range l.socks() {
				if n := s.pending(); n > highMark+pipeSize {
					f.t.Errorf("%d bytes wait for one client", n)
				}
				held += int64(s.pending())
			}
		})
		settled := held == last && held > 0
		last = held
		return settled
	})
}

// A client that takes longer than the idle timeout for what is buffered, but takes something all
// the time, is not idle.
func TestSteadySlowReader(t *testing.T) {
	const size = 8 << 20
	f := serve(t, unprobed(groupOf("g", startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		w.Write(make([]byte, size))
	}))), quick)
	c := f.raw(hello)
	c.(*net.TCPConn).SetReadBuffer(32 << 10)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 120 { // 2.4 s with an idle timeout of 1 s
		<-tick.C
		if _, err := io.CopyN(io.Discard, resp.Body, 2000); err != nil {
			t.Fatalf("cut: %v", err)
		}
	}
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != size-120*2000 {
		t.Errorf("%d bytes left, %v", n, err)
	}
}

// A client that sends slowly does not lose anything, and a target that reads slowly stops it.
func TestSlowTarget(t *testing.T) {
	release := make(chan struct{})
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	f := serve(t, unprobed(groupOf("g", addr)))
	const size = 16 << 20
	c := f.raw(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, size))
		sent <- err
	}()
	f.settleBuffers()
	close(release)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if _, body := readResponse(t, bufio.NewReader(c), nil); body != fmt.Sprint(size) {
		t.Errorf("the target got %s bytes", body)
	}
}

// Thousands of connections that never finish their heads cost time to nobody, and end with 408.
func TestSlowloris(t *testing.T) {
	f := serve(t, unprobed(groupOf("g", named(t, "x"))), func(l *Listener) {
		l.Attributes.IdleTimeout = 2 * time.Second
	})
	const n = 1000
	var conns []net.Conn
	for range n {
		conns = append(conns, f.raw("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "))
	}
	stop := make(chan struct{})
	go func() { // trickle: that must not extend the time
		for {
			for _, c := range conns {
				select {
				case <-stop:
					return
				default:
					io.WriteString(c, "x")
				}
			}
		}
	}()
	for range 50 {
		if resp, body := f.ask(hello); resp.StatusCode != 200 || body != "x" {
			t.Fatalf("%v %q", resp, body)
		}
	}
	for _, c := range conns {
		head, err := bufio.NewReader(c).ReadString('\n')
		if !strings.Contains(head, " 408 ") {
			t.Fatalf("%q, %v", head, err)
		}
	}
	close(stop)
}

// A client that leaves in the middle of a large body leaves nothing behind.
func TestClientLeavesMidBody(t *testing.T) {
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(64<<20))
		w.Write(make([]byte, 64<<20))
	})
	f := serve(t, unprobed(groupOf("g", addr)))
	for range 5 {
		c := f.raw(hello)
		c.Read(make([]byte, 100_000))
		c.Close()
	}
	waitFor(t, func() bool {
		return f.Outstanding(f.Health()[0].TargetKey) == 0 &&
			f.Stats().LoadBalancers["app/lb/1"].ActiveConnections == 0
	})
	f.onLoops(func(l *loop) {
		if l.clients != 0 || len(l.flights) != 0 {
			t.Errorf("loop %d: %d clients, %d exchanges left", l.id, l.clients, len(l.flights))
		}
	})
}
