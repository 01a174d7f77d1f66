package lb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// named starts a target that answers with its name.
func named(t *testing.T, name string) netip.AddrPort {
	return startTarget(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) })
}

// count asks n times and counts the answers.
func (f *fixture) count(n int) map[string]int {
	f.t.Helper()
	got := map[string]int{}
	for range n {
		_, body := f.ask(hello)
		got[body]++
	}
	return got
}

func TestRoundRobinIsEven(t *testing.T) {
	f := serve(t, groupOf("g", named(t, "a"), named(t, "b"), named(t, "c")))
	c := f.raw("")
	br := bufio.NewReader(c)
	got := map[string]int{}
	for range 30 { // one connection, so that one loop decides
		io.WriteString(c, hello)
		_, body := readResponse(t, br, nil)
		got[body]++
	}
	if got["a"] != 10 || got["b"] != 10 || got["c"] != 10 {
		t.Errorf("distribution %v", got)
	}
}

func TestWeightedGroups(t *testing.T) {
	spec := TableSpec{
		Listeners: []Listener{{ID: "l", Protocol: HTTP,
			Binds: []Bind{{Addr: netip.MustParseAddrPort("127.0.0.1:0")}},
			Default: []Action{{Type: ActionForward, Forward: &Forward{Groups: []WeightedGroup{
				{"a", 3}, {"b", 1}, {"never", 0}}}}}}},
		Groups: []Group{groupOf("a", named(t, "a")), groupOf("b", named(t, "b")),
			groupOf("never", named(t, "never"))},
	}
	got := serveSpec(t, spec).count(400)
	if got["never"] != 0 || got["a"] < 250 || got["a"] > 350 {
		t.Errorf("distribution %v", got)
	}
}

func TestLeastOutstanding(t *testing.T) {
	release := make(chan struct{})
	slow := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		io.WriteString(w, "slow")
	})
	fast := named(t, "fast")
	g := unprobed(groupOf("g", slow, fast))
	g.Algorithm = LeastOutstanding
	f := serve(t, g)
	defer close(release)
	outstanding := func(a netip.AddrPort) int {
		return f.Outstanding(TargetKey{"g", a.Addr().String(), a.Port()})
	}
	for n := uint64(1); outstanding(slow) == 0; n++ { // until the slow one has a request in flight
		f.raw(hello)
		waitFor(t, func() bool {
			return f.Stats().Groups["g"].RequestCount == n && outstanding(fast) == 0
		})
	}
	if got := f.count(20); got["fast"] != 20 {
		t.Errorf("%v", got)
	}
}

// With all targets unhealthy all are used; with one healthy, only that one.
func TestFailOpen(t *testing.T) {
	bad := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			w.WriteHeader(500)
		}
		io.WriteString(w, "bad")
	})
	g := groupOf("g", bad)
	g.HealthCheck = HealthCheck{Path: "/health", Interval: 20 * time.Millisecond}
	f := serve(t, g)
	waitFor(t, func() bool { return f.Health()[0].State == Unhealthy })
	h := f.Health()[0]
	if h.Reason != "Target.ResponseCodeMismatch" ||
		h.Description != "Health checks failed with these codes: [500]" {
		t.Errorf("%+v", h)
	}
	if got := f.count(3); got["bad"] != 3 {
		t.Errorf("fail-open: %v", got)
	}
	if n := f.Stats().Groups["g"].UnhealthyRoutingRequestCount; n != 3 {
		t.Errorf("UnhealthyRoutingRequestCount = %d", n)
	}
	good := named(t, "good")
	g.Targets = append(g.Targets, Target{ID: "good", Port: good.Port(), Addr: good})
	spec := f.spec
	spec.Groups = []Group{g}
	f.swap(spec)
	waitFor(t, func() bool { return f.Health()[1].State == Healthy })
	if got := f.count(10); got["good"] != 10 {
		t.Errorf("one healthy: %v", got)
	}
}

func TestHealthStates(t *testing.T) {
	target := named(t, "x")
	g := groupOf("used", target)
	g.Targets[0].LastHealth = ""
	spec := TableSpec{
		Listeners: []Listener{{ID: "l", Protocol: HTTP, Default: forwardTo("used"),
			Binds: []Bind{{Addr: netip.MustParseAddrPort("127.0.0.1:0")}}}},
		Groups: []Group{g, groupOf("idle", target)},
	}
	f := serveSpec(t, spec)
	changes := f.WatchHealth(t.Context())
	state := func(i int) string {
		h := f.Health()[i]
		return string(h.State) + " " + h.Reason
	}
	if s := state(1); s != "unused Target.NotInUse" {
		t.Errorf("group without listener: %s", s)
	}
	for state(0) != "healthy " {
		<-changes
	}
	spec.Groups = []Group{g, spec.Groups[1]}
	spec.Groups[0].Targets = []Target{g.Targets[0]}
	spec.Groups[0].Targets[0].Draining = true
	f.swap(spec)
	if s := state(0); s != "draining Target.DeregistrationInProgress" {
		t.Errorf("draining target: %s", s)
	}
	if resp, _ := f.ask(hello); resp.StatusCode != 503 {
		t.Errorf("a group with only draining targets answers %d", resp.StatusCode)
	}
}

// Requests in flight survive draining, and are cut with 502 when the target leaves the table.
func TestDrainingAndRemoval(t *testing.T) {
	for _, removed := range []bool{false, true} {
		entered, release := make(chan struct{}), make(chan struct{})
		addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
			close(entered)
			<-release
			io.WriteString(w, "done")
		})
		f := serve(t, unprobed(groupOf("g", addr)))
		c := f.raw(hello)
		<-entered
		k := TargetKey{"g", addr.Addr().String(), addr.Port()}
		spec := f.spec
		spec.Groups = []Group{unprobed(groupOf("g", addr))}
		spec.Groups[0].Targets[0].Draining = true
		f.swap(spec)
		if n := f.Outstanding(k); n != 1 {
			t.Errorf("outstanding = %d while draining", n)
		}
		want := 200
		if removed {
			spec.Groups = []Group{groupOf("g")}
			f.swap(spec)
			want = 502
		} else {
			close(release)
		}
		if resp, _ := readResponse(t, bufio.NewReader(c), nil); resp.StatusCode != want {
			t.Errorf("removed %v: %d, want %d", removed, resp.StatusCode, want)
		}
		waitFor(t, func() bool { return f.Outstanding(k) == 0 })
		if removed {
			close(release)
		}
	}
}

func TestTargetStickiness(t *testing.T) {
	g := groupOf("g", named(t, "a"), named(t, "b"), named(t, "c"))
	g.Stickiness = Stickiness{Type: LBCookie, Duration: time.Hour}
	f := serve(t, g)
	resp, first := f.ask(hello)
	cookies := resp.Cookies()
	if len(cookies) != 2 || cookies[0].Name != "AWSALB" || cookies[1].Name != "AWSALBCORS" ||
		cookies[0].Path != "/" || cookies[1].SameSite != http.SameSiteNoneMode ||
		time.Until(cookies[0].Expires) < 6*24*time.Hour {
		t.Fatalf("cookies %v", cookies)
	}
	with := "GET / HTTP/1.1\r\nHost: a\r\nCookie: x=y; AWSALB=" + cookies[0].Value + "\r\n\r\n"
	for range 10 {
		resp, body := f.ask(with)
		if body != first || len(resp.Cookies()) != 2 {
			t.Fatalf("%q after %q, cookies %v", body, first, resp.Cookies())
		}
	}
	spec := f.spec
	spec.Groups = []Group{g}
	spec.Groups[0].Targets = nil
	for i, target := range g.Targets {
		if name := string("abc"[i]); name == first {
			target.Draining = true
		}
		spec.Groups[0].Targets = append(spec.Groups[0].Targets, target)
	}
	f.swap(spec)
	if resp, body := f.ask(with); body == first || len(resp.Cookies()) != 2 {
		t.Errorf("a draining target gets sticky requests")
	}
	if _, body := f.ask(strings.Replace(with, "AWSALB=", "AWSALB=broken", 1)); body == "" {
		t.Error("a broken cookie is not ignored")
	}
}

func TestAppCookieStickiness(t *testing.T) {
	session := func(name string) netip.AddrPort {
		return startTarget(t, func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "SID", Value: name})
			io.WriteString(w, name)
		})
	}
	g := groupOf("g", session("a"), session("b"), session("c"))
	g.Stickiness = Stickiness{Type: AppCookie, Cookie: "SID"}
	f := serve(t, g)
	resp, first := f.ask(hello)
	var ours string
	for _, c := range resp.Cookies() {
		if c.Name == "AWSALBAPP-0" {
			ours = c.Value
		}
	}
	both := "GET / HTTP/1.1\r\nHost: a\r\nCookie: SID=x; AWSALBAPP-0=" + ours + "\r\n\r\n"
	for range 10 {
		if _, body := f.ask(both); body != first {
			t.Fatalf("%q after %q", body, first)
		}
	}
}

func TestGroupStickiness(t *testing.T) {
	spec := TableSpec{
		Listeners: []Listener{{ID: "l", Protocol: HTTP,
			Binds: []Bind{{Addr: netip.MustParseAddrPort("127.0.0.1:0")}},
			Default: []Action{{Type: ActionForward, Forward: &Forward{Stickiness: time.Hour,
				Groups: []WeightedGroup{{"a", 1}, {"b", 1}}}}}}},
		Groups: []Group{groupOf("a", named(t, "a")), groupOf("b", named(t, "b"))},
	}
	f := serveSpec(t, spec)
	resp, first := f.ask(hello)
	for range 10 {
		_, body := f.ask("GET / HTTP/1.1\r\nHost: a\r\nCookie: " + resp.Cookies()[0].Name + "=" +
			resp.Cookies()[0].Value + "\r\n\r\n")
		if body != first {
			t.Fatalf("%q after %q", body, first)
		}
	}
}

// A swap under traffic loses nothing.
func TestSwapUnderTraffic(t *testing.T) {
	a, b := named(t, "a"), named(t, "b")
	f := serve(t, groupOf("g", a))
	done := make(chan error)
	go func() {
		c := &http.Client{Transport: &http.Transport{}}
		defer c.CloseIdleConnections()
		for range 500 {
			resp, err := c.Get(f.url("/"))
			if err != nil || resp.StatusCode != 200 {
				done <- fmt.Errorf("%v %v", resp, err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		done <- nil
	}()
	for i := 0; ; i++ {
		spec := f.spec
		g := groupOf("g", a, b)
		g.Targets[i%2].Draining = true
		spec.Groups = []Group{g}
		table, err := Compile(spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Swap(table); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}

func TestListenersComeAndGo(t *testing.T) {
	f := serve(t, groupOf("g", named(t, "x")))
	addr := f.addr()
	idle := f.raw("")
	f.swap(TableSpec{})
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("idle connection of a removed listener: %v", err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("a removed listener accepts connections")
	}
}

func TestAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	f := serve(t, groupOf("g", named(t, "x")))
	spec := f.spec
	other := spec.Listeners[0]
	other.ID = "other"
	other.Binds = []Bind{{Addr: netip.MustParseAddrPort(taken.Addr().String())}}
	spec.Listeners = append(spec.Listeners, other)
	table, err := Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	var bind *BindError
	if err := f.Swap(table); !errors.As(err, &bind) || bind.Listener != "other" {
		t.Fatalf("swap: %v", err)
	}
	if status, _ := get(t, f.url("/")); status != 200 {
		t.Errorf("the other listener answers %d", status)
	}
	taken.Close()
	if err := f.Swap(table); err != nil || len(f.Bound("other")) != 1 {
		t.Errorf("after the address is free: %v", err)
	}
}

func TestShutdownDrains(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	f := serve(t, unprobed(groupOf("g", startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		io.WriteString(w, "done")
	}))))
	c, idle := f.raw(hello), f.raw("")
	<-entered
	ended := make(chan error)
	go func() { ended <- f.Shutdown(context.Background()) }()
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("idle connection: %v", err)
	}
	close(release)
	resp, body := readResponse(t, bufio.NewReader(c), nil)
	if body != "done" {
		t.Errorf("%v %q", resp, body)
	}
	c.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestShutdownIsBounded(t *testing.T) {
	f := serve(t, unprobed(groupOf("g", silent(t))))
	f.raw(hello)
	waitFor(t, func() bool { return f.Outstanding(f.Health()[0].TargetKey) == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := f.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
}
