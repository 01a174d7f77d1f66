package lb

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func loopback() Bind { return Bind{Addr: netip.MustParseAddrPort("127.0.0.1:0")} }

// held is a function that answers when it may.
func held(t *testing.T, body string) (g Group, begun, may chan struct{}) {
	begun, may = make(chan struct{}, 1000), make(chan struct{})
	return startFunction(t, func(w http.ResponseWriter, _ *lambdaEvent) {
		begun <- struct{}{}
		<-may
		fmt.Fprintf(w, `{"statusCode": 200, "body": %q}`, body)
	}), begun, may
}

// An invocation under way is not disturbed by other tables: one with the same function, one with the
// function elsewhere, one without.
func TestFunctionSwap(t *testing.T) {
	g, begun, may := held(t, "old")
	f := serve(t, g)
	var answers []*bufio.Reader
	ask := func() {
		answers = append(answers, bufio.NewReader(f.raw(hello)))
		<-begun
	}
	ask()
	f.swap(f.spec)
	ask()
	moved := f.spec
	moved.Groups = []Group{returning(t, `{"statusCode": 200, "body": "new"}`)}
	f.swap(moved)
	if resp, body := f.ask(hello); resp.StatusCode != 200 || body != "new" {
		t.Errorf("moved: %d %q", resp.StatusCode, body)
	}
	gone := moved
	gone.Groups = []Group{moved.Groups[0]}
	gone.Groups[0].Targets = nil
	f.swap(gone)
	if resp, _ := f.ask(hello); resp.StatusCode != 503 {
		t.Errorf("no function: %d", resp.StatusCode)
	}
	close(may)
	for _, br := range answers {
		if resp, body := readResponse(t, br, nil); resp.StatusCode != 200 || body != "old" {
			t.Errorf("under way: %d %q", resp.StatusCode, body)
		}
	}
}

// Requests beyond what goroutines may do for a loop are refused; those within are served, and make
// room when they are.
func TestFunctionPostedLimit(t *testing.T) {
	const room = 20
	g, begun, may := held(t, "late")
	f := serve(t, g)
	f.onLoops(func(l *loop) { l.posted = maxPosted - room/2 }) // the fixture has two loops
	var wg sync.WaitGroup
	var served, refused atomic.Int32
	begin := func() {
		c := f.raw(hello)
		wg.Go(func() {
			switch resp, _ := readResponse(t, bufio.NewReader(c), nil); resp.StatusCode {
			case 200:
				served.Add(1)
			case 503:
				refused.Add(1)
			}
		})
	}
	const clients = 3 * room
	for range clients {
		begin()
	}
	for range room {
		<-begun
	}
	waitFor(t, func() bool { return refused.Load() == clients-room })
	close(may)
	wg.Wait()
	if served.Load() != room {
		t.Errorf("%d served, want %d", served.Load(), room)
	}
	if resp, body := f.ask(hello); resp.StatusCode != 200 || body != "late" {
		t.Errorf("afterwards: %d %q", resp.StatusCode, body)
	}
	if n := f.Stats().LoadBalancers["app/lb/1"].ELB503; n != clients-room {
		t.Errorf("ELB503 = %d", n)
	}
}

// So are bodies beyond what a loop may hold.
func TestFunctionCollectedLimit(t *testing.T) {
	f := serve(t, returning(t, `{"statusCode": 200}`))
	f.onLoops(func(l *loop) { l.collected = maxCollected - 3 })
	for body, want := range map[string]int{"abc": 200, "abcd": 503, "": 200} {
		resp, _ := f.ask(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		if resp.StatusCode != want {
			t.Errorf("%q: %d, want %d", body, resp.StatusCode, want)
		}
	}
}

func TestFunctionConcurrently(t *testing.T) {
	f := serve(t, startFunction(t, func(w http.ResponseWriter, e *lambdaEvent) {
		fmt.Fprintf(w, `{"statusCode": 200, "body": %q}`, e.Path)
	}))
	const clients, requests = 32, 30
	f.askConcurrently(clients, requests)
	f.checkForgotten()
	if n := f.Stats().Groups["arn:tg"].Target2XX; n != clients*requests {
		t.Errorf("Target2XX = %d, want %d", n, clients*requests)
	}
}

// A forward may share its requests out between addresses and a function.
func TestFunctionWeighted(t *testing.T) {
	function := returning(t, `{"statusCode": 200, "body": "function"}`)
	addresses := groupOf("g", named(t, "address"))
	f := serveSpec(t, TableSpec{Groups: []Group{function, addresses}, Listeners: []Listener{{
		ID: "l", LoadBalancer: "app/lb/1", Protocol: HTTP, Binds: []Bind{loopback()},
		Default: []Action{{Type: ActionForward, Forward: &Forward{Groups: []WeightedGroup{
			{Group: function.ID, Weight: 1}, {Group: "g", Weight: 1}}}}}}}})
	got := f.count(100)
	if got["function"] == 0 || got["address"] == 0 || got["function"]+got["address"] != 100 {
		t.Errorf("%v", got)
	}
	s := f.Stats()
	if n := s.Groups["arn:tg"].RequestCount; int(n) != got["function"] {
		t.Errorf("RequestCount of the function = %d, want %d", n, got["function"])
	}
	l := s.LoadBalancers["app/lb/1"]
	if b := l.LambdaTargetProcessedBytes; b == 0 || b >= l.ProcessedBytes {
		t.Errorf("LambdaTargetProcessedBytes = %d of %d", b, l.ProcessedBytes)
	}
}

// TestFunctionHealth: off by default of the caller, else by the answers of the function.
func TestFunctionHealth(t *testing.T) {
	var answer atomic.Value
	answer.Store(`{"statusCode": 200}`)
	var event atomic.Value
	g := functionAt(startInvokeAPI(t, func(w http.ResponseWriter, r *http.Request) {
		var e map[string]any
		if json.NewDecoder(r.Body).Decode(&e) == nil && e["path"] == "/health" {
			event.Store(fmt.Sprint(e))
		}
		if answer.Load() == "" {
			<-r.Context().Done()
			return
		}
		io.WriteString(w, answer.Load().(string))
	}))
	f := serve(t, g)
	if h := f.Health()[0]; h.State != Unavailable || h.Reason != "Target.HealthCheckDisabled" ||
		h.Description != "Health checks are disabled" {
		t.Errorf("not probed: %+v", h)
	}
	if resp, _ := f.ask(hello); resp.StatusCode != 200 {
		t.Errorf("not probed: %d", resp.StatusCode)
	}
	g.HealthCheck = HealthCheck{Path: "/health", Interval: 20 * time.Millisecond,
		Timeout: 200 * time.Millisecond, UnhealthyThreshold: 2, HealthyThreshold: 2}
	spec := f.spec
	spec.Groups = []Group{g}
	f.swap(spec)
	for _, c := range []struct{ answer, reason, description string }{
		{`{"statusCode": 200}`, "", ""},
		{`{"statusCode": 503}`, "Target.ResponseCodeMismatch", "Health checks failed with these codes: [503]"},
		{`{}`, "Target.FailedHealthChecks", "Health checks failed"},
		{``, "Target.Timeout", "Request timed out"},
		{`{"statusCode": 200}`, "", ""},
	} {
		answer.Store(c.answer)
		want := TargetHealth{State: Unhealthy, Reason: c.reason, Description: c.description}
		if c.reason == "" {
			want.State = Healthy
		}
		waitFor(t, func() bool {
			h := f.Health()[0]
			return h.State == want.State && h.Reason == want.Reason && h.Description == want.Description
		})
	}
	const want = "map[body: headers:map[user-agent:ELB-HealthChecker/2.0] httpMethod:GET " +
		"isBase64Encoded:false path:/health queryStringParameters:map[] " +
		"requestContext:map[elb:map[targetGroupArn:arn:tg]]]"
	if event.Load() != want {
		t.Errorf("event %v", event.Load())
	}
}

// A function that fails its checks is asked nevertheless: there is no other.
func TestFunctionFailOpen(t *testing.T) {
	g := startFunction(t, func(w http.ResponseWriter, e *lambdaEvent) {
		status := 200
		if e.Path == "/health" {
			status = 500
		}
		fmt.Fprintf(w, `{"statusCode": %d}`, status)
	})
	g.HealthCheck = HealthCheck{Path: "/health", Interval: 20 * time.Millisecond, UnhealthyThreshold: 1}
	f := serve(t, g)
	waitFor(t, func() bool { return f.Health()[0].State == Unhealthy })
	if resp, _ := f.ask(hello); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// Shutdown waits for an invocation. Close does not, see TestFunctionClientResets.
func TestFunctionShutdown(t *testing.T) {
	g, begun, may := held(t, "late")
	f := serve(t, g)
	addr, c := f.addr(), f.raw(hello)
	<-begun
	done := make(chan error)
	go func() { done <- f.Shutdown(t.Context()) }()
	waitFor(t, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(may)
	if resp, body := readResponse(t, bufio.NewReader(c), nil); resp.StatusCode != 200 || body != "late" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A function gets what a rule's transforms have made of the request.
func TestFunctionGetsTransformed(t *testing.T) {
	f := serve(t, startFunction(t, func(w http.ResponseWriter, e *lambdaEvent) {
		fmt.Fprintf(w, `{"statusCode": 200, "body": "%s %s %v"}`, e.Headers["host"], e.Path,
			e.QueryStringParameters)
	}), func(l *Listener) {
		l.Port = 80
		l.Rules = []Rule{{Priority: 1, Actions: l.Default,
			Conditions: []Condition{{Field: PathPattern, Values: []string{"/old/*"}}},
			Transforms: []Transform{{URLRewrite, "^/old/(.*)$", "/new/$1?v=2"},
				{HostHeaderRewrite, "^.*$", "b.example"}}}}
	})
	if _, body := f.ask("GET /old/x HTTP/1.1\r\nHost: a.example\r\n\r\n"); body != "b.example /new/x map[v:2]" {
		t.Errorf("function got %q", body)
	}
}
