package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// loadRate is the requests per second of the whole load, spread evenly over its kinds.
	loadRate = 500
	// slowAnswer is how long the task takes for a request that is slow to be answered.
	slowAnswer = "200ms"
	// uploadParts and uploadPause make an upload that takes a second.
	uploadParts = 10
	uploadPause = 100 * time.Millisecond
	// slowEvery makes every so-manieth request of a kind slow to be answered, uploadEvery one that
	// is slow to be sent.
	slowEvery   = 4
	uploadEvery = 50
)

// load sends requests at a fixed rate, whether they are answered or not, over HTTP/1.1 and HTTP/2,
// over connections that are kept and over new ones, and counts as a failure everything but 200 with
// the whole body.
type load struct {
	stop func()

	mu       sync.Mutex // guards what follows
	sent     int
	failures map[string]int  // by what went wrong
	out      *sync.WaitGroup // of the requests that were sent since the last settle
	last     []string        // the newest failures, with their time
}

// begin starts the load; it ends with the test or with finish.
func (s *site) begin(t *testing.T) *load {
	l := &load{failures: map[string]int{}, out: &sync.WaitGroup{}}
	ctx, cancel := context.WithCancel(context.Background())
	var kinds sync.WaitGroup
	for _, http2 := range []bool{false, true} {
		for _, fresh := range []bool{false, true} {
			client := s.client(t, http2, fresh)
			client.Transport.(*http.Transport).MaxIdleConnsPerHost = loadRate
			name := fmt.Sprintf("HTTP/2 %v, new connections %v", http2, fresh)
			kinds.Go(func() { l.run(ctx, name, client) })
		}
	}
	l.stop = sync.OnceFunc(func() { cancel(); kinds.Wait() })
	t.Cleanup(l.stop)
	return l
}

// run sends one kind of request until ctx ends and waits for the answers that are out then.
func (l *load) run(ctx context.Context, kind string, client *http.Client) {
	const kinds = 4
	ticker := time.NewTicker(time.Second * kinds / loadRate)
	defer ticker.Stop()
	var out sync.WaitGroup
	defer out.Wait()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			out.Go(func() { l.note(kind, l.send(client, n)) })
		}
	}
}

// sendBy makes the n-th request of a kind, over a connection that nobody else uses where connections
// are not kept: Go's own HTTP/2 client would put several requests on one that it is about to close.
func sendBy(client *http.Client, n int) error {
	shared := client.Transport.(*http.Transport)
	if !shared.DisableKeepAlives {
		return send(client, n)
	}
	own := shared.Clone()
	own.DisableKeepAlives = false
	defer own.CloseIdleConnections()
	return send(&http.Client{Transport: own, Timeout: client.Timeout}, n)
}

// send makes the n-th request of a kind.
func send(client *http.Client, n int) error {
	req, err := http.NewRequest(http.MethodGet, "https://www.twtech.test/load", nil)
	if err != nil {
		return err
	}
	switch {
	case n%uploadEvery == 0:
		upload(req)
	case n%slowEvery == 0:
		req.URL.RawQuery = "sleep=" + slowAnswer
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// upload gives a request a slow body. One that was not begun may be asked for anew: Go's HTTP/2 client
// closes it when a GOAWAY comes between its choice of a connection and its first byte
// (golang.org/issue/62450). One that was begun may not, so that a request which the balancer turned
// away is a failure.
func upload(req *http.Request) {
	body := &slowBody{parts: uploadParts}
	req.Method, req.Body, req.ContentLength = http.MethodPost, io.NopCloser(body), -1
	req.GetBody = func() (io.ReadCloser, error) {
		if body.parts != uploadParts {
			return nil, errors.New("an upload was turned away that had begun")
		}
		return io.NopCloser(body), nil
	}
}

// slowBody is a body that takes its time.
type slowBody struct{ parts int }

func (b *slowBody) Read(p []byte) (int, error) {
	if b.parts == 0 {
		return 0, io.EOF
	}
	b.parts--
	time.Sleep(uploadPause) // the client is slow: that is the point
	return copy(p, strings.Repeat("x", 1<<10)), nil
}

func (l *load) note(kind string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	if err == nil {
		return
	}
	l.failures[err.Error()]++
	l.last = append(l.last, fmt.Sprintf("%s %s: %v", time.Now().Format("15:04:05.000"), kind, err))
}

// settle waits until every request that is out now has been answered.
func (l *load) settle() {
	l.mu.Lock()
	before := l.out
	l.out = &sync.WaitGroup{}
	l.mu.Unlock()
	before.Wait()
}

// send makes a request that settle waits for.
func (l *load) send(client *http.Client, n int) error {
	l.mu.Lock()
	out := l.out
	out.Add(1)
	l.mu.Unlock()
	defer out.Done()
	return sendBy(client, n)
}

// failed counts the failures so far by what went wrong.
func (l *load) failed() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.failures)
}

// total is how many requests were answered or failed so far.
func (l *load) total() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent
}

// finish ends the load, waits for its answers, and fails the test for every failed request.
func (l *load) finish(t *testing.T) {
	t.Helper()
	l.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	failed := 0
	for _, what := range slices.Sorted(maps.Keys(l.failures)) {
		failed += l.failures[what]
		t.Logf("%d × %s", l.failures[what], what)
	}
	t.Logf("%d requests, %d failed", l.sent, failed)
	if failed > 0 {
		t.Errorf("%d of %d requests failed; the first:\n%s", failed, l.sent,
			strings.Join(l.last[:min(len(l.last), 10)], "\n"))
	}
}
