package lb

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// An engine that retires answers once more on connections that were idle, and ends them thereby.
func TestRetireAnswersIdleConnections(t *testing.T) {
	f := serve(t, groupOf("g", startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "ok")
	})))
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	c := f.raw(request)
	r := bufio.NewReader(c)
	if resp, _ := readResponse(t, r, nil); resp.StatusCode != 200 || resp.Close {
		t.Fatalf("before: %v", resp)
	}
	ended := make(chan error, 1)
	go func() { ended <- f.Retire(t.Context()) }()
	f.untilRetiring()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	if resp, body := readResponse(t, r, nil); resp.StatusCode != 200 || body != "ok" || !resp.Close {
		t.Errorf("an idle connection is answered %v %q, want 200 and its end", resp, body)
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("the connection goes on: %v", err)
	}
	c.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// untilRetiring returns when every loop has stopped to accept.
func (f *fixture) untilRetiring() {
	f.t.Helper()
	for retiring := 0; retiring < len(f.loops); {
		if f.t.Context().Err() != nil {
			f.t.Fatal("the engine does not retire")
		}
		retiring = f.leftAfter(func(l *loop) int {
			if l.draining {
				return 1
			}
			return 0
		})
	}
}

// Nothing is closed before the context ends: neither a request in flight nor what is idle.
func TestRetireClosesNothing(t *testing.T) {
	arrived := make(chan struct{})
	f := serve(t, groupOf("g", startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})))
	idle := f.raw("GET / HTTP/1.1\r\n")
	f.raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Retire(ctx) }()
	f.untilRetiring()
	cancel()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "2 connections") {
		t.Errorf("with two connections left it returns %v", err)
	}
	if left := f.leftAfter(func(l *loop) int { return l.clients }); left != 2 {
		t.Errorf("%d connections are open, want 2", left)
	}
	f.Shutdown(ctx)
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("the idle connection is open after Shutdown")
	}
}
