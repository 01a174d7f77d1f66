package balancer

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fairlead/internal/lb"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

// fakeEngine is a data plane without sockets.
type fakeEngine struct {
	mu          sync.Mutex
	swaps       int
	bindErr     error
	unbound     map[string]bool // listeners that do not accept
	health      []lb.TargetHealth
	outstanding int
	changed     chan struct{}
}

func newFakeEngine() *fakeEngine { return &fakeEngine{changed: make(chan struct{}, 1)} }

func (e *fakeEngine) Swap(*lb.Table) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.swaps++
	return e.bindErr
}

// Bound says that every listener of putBalancer("web", "internal", 1, …) accepts on port 80.
func (e *fakeEngine) Bound(listener string) []lb.Bind {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.unbound[listener] {
		return nil
	}
	return binds([]node{
		{eni: row.NetworkInterface{ID: "eni-web-a", Address: "10.0.1.4"}},
		{eni: row.NetworkInterface{ID: "eni-web-b", Address: "10.0.1.5"}},
	}, 80)
}

func (e *fakeEngine) Health() []lb.TargetHealth {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.health)
}

func (e *fakeEngine) WatchHealth(context.Context) <-chan struct{} { return e.changed }

func (e *fakeEngine) Outstanding(lb.TargetKey) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.outstanding
}

func (e *fakeEngine) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

func (e *fakeEngine) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.swaps
}

func newController(store *state.Store, engine Engine) *Controller {
	return New(Config{Store: store, Engine: engine, Logger: slog.New(slog.DiscardHandler)})
}

// fillWeb is one internal load balancer with one target.
func fillWeb(tx *state.Tx) {
	putGroup(tx, "app", nil)
	putBalancer(tx, "web", "internal", 1, "app")
	putTarget(tx, "app", "10.0.1.10", "eu-west-1a", nil)
}

func seen(state lb.HealthState, reason string) []lb.TargetHealth {
	return []lb.TargetHealth{{
		TargetKey: lb.TargetKey{Group: groupARN("app"), ID: "10.0.1.10", Port: 8080},
		State:     state, Reason: reason, Since: start,
	}}
}

func TestPassSwapsOnlyWhatDiffers(t *testing.T) {
	store, engine := open(t), newFakeEngine()
	c := newController(store, engine)
	want := func(swaps int, when string) {
		t.Helper()
		c.pass(t.Context(), true)
		if got := engine.count(); got != swaps {
			t.Errorf("%s: %d swaps, want %d", when, got, swaps)
		}
	}
	want(1, "at the start")
	statetest.Update(t, store, fillWeb)
	want(2, "with a load balancer")
	want(2, "again")
	engine.health = seen(lb.Healthy, "")
	want(2, "with a healthy target")
	statetest.Update(t, store, func(tx *state.Tx) {
		row.NetworkInterfaces.Put(tx, row.NetworkInterface{Scope: scope, ID: "eni-task"})
	})
	want(2, "with an interface of a task")
	statetest.Update(t, store, func(tx *state.Tx) { putTarget(tx, "app", "10.0.2.10", "eu-west-1b", nil) })
	want(3, "with another target")
}

func TestLoadBalancerBecomesActive(t *testing.T) {
	store, engine := open(t), newFakeEngine()
	statetest.Update(t, store, fillWeb)
	c := newController(store, engine)
	stateOf := func() string {
		c.pass(t.Context(), true)
		b, _ := row.LoadBalancers.Get(store.View(), arn("loadbalancer/app/web/1"))
		return b.State
	}
	l, _ := row.First(row.Listeners.Scan(store.View(), ""))
	engine.unbound = map[string]bool{l.ARN: true}
	if got := stateOf(); got != "provisioning" {
		t.Errorf("with a port that is not open: %s", got)
	}
	engine.unbound = nil
	setReady(t, store, "eni-web-b", false)
	if got := stateOf(); got != "provisioning" {
		t.Errorf("with a node that is not ready: %s", got)
	}
	setReady(t, store, "eni-web-b", true)
	if got := stateOf(); got != "active" {
		t.Errorf("with everything: %s", got)
	}
}

func setReady(t *testing.T, store *state.Store, id string, ready bool) {
	t.Helper()
	statetest.Update(t, store, func(tx *state.Tx) {
		n, ok := row.NetworkInterfaces.Get(tx, scope.Key(id))
		if !ok {
			t.Fatalf("no interface %s", id)
		}
		n.Ready = ready
		row.NetworkInterfaces.Put(tx, n)
	})
}

func TestHealthIsWritten(t *testing.T) {
	store, engine := open(t), newFakeEngine()
	statetest.Update(t, store, fillWeb)
	c := newController(store, engine)
	key := row.TargetKey(groupARN("app"), "10.0.1.10", 8080)
	for _, h := range []lb.TargetHealth{
		seen(lb.Initial, "Elb.InitialHealthChecking")[0], seen(lb.Healthy, "")[0],
		seen(lb.Unhealthy, "Target.Timeout")[0],
	} {
		engine.health = []lb.TargetHealth{h}
		c.pass(t.Context(), true)
		got, ok := row.TargetHealths.Get(store.View(), key)
		if !ok || got.State != string(h.State) || got.Reason != h.Reason || !got.Since.Equal(start) {
			t.Errorf("row %+v, want %+v", got, h)
		}
	}
	before := store.View().Revision()
	c.pass(t.Context(), true)
	if after := store.View().Revision(); after != before {
		t.Errorf("the same health was written again")
	}
	statetest.Update(t, store, func(tx *state.Tx) { row.Targets.Delete(tx, key) })
	c.pass(t.Context(), true)
	if h, ok := row.TargetHealths.Get(store.View(), key); ok {
		t.Errorf("health of a target that is gone: %+v", h)
	}
}

// A group that loses its load balancer is probed no more, and knows nothing when it gets one again.
func TestHealthIsForgotten(t *testing.T) {
	store, engine := open(t), newFakeEngine()
	statetest.Update(t, store, fillWeb)
	c := newController(store, engine)
	engine.health = seen(lb.Healthy, "")
	c.pass(t.Context(), true)
	statetest.Update(t, store, func(tx *state.Tx) {
		for r := range row.Rules.Scan(tx, "") {
			row.Rules.Delete(tx, r.ARN)
		}
	})
	c.pass(t.Context(), true)
	if n := row.TargetHealths.Len(store.View()); n != 0 {
		t.Errorf("%d rows of health are left", n)
	}
}

func TestDrain(t *testing.T) {
	for _, c := range []struct {
		name string
		d    drain
		want bool
	}{
		{"busy", drain{inUse: true, delay: time.Minute, known: time.Second, outstanding: 1}, false},
		{"idle", drain{inUse: true, delay: time.Minute, known: time.Second}, true},
		{"idle, exactly", drain{inUse: true, delay: time.Minute, known: time.Second, exact: true}, false},
		{"idle, exactly, after the delay", drain{inUse: true, delay: time.Minute, age: time.Minute,
			exact: true}, true},
		{"idle, but loops may not know yet", drain{inUse: true, delay: time.Minute, known: 1}, false},
		{"delay over", drain{inUse: true, delay: time.Minute, age: time.Minute, outstanding: 1}, true},
		{"no delay", drain{inUse: true, outstanding: 1}, true},
		{"unused group", drain{delay: time.Minute, outstanding: 1}, true},
	} {
		if got := c.d.over(); got != c.want {
			t.Errorf("%s: over is %v", c.name, got)
		}
	}
}

func TestDrainedTargetIsDeleted(t *testing.T) {
	store, engine := open(t), newFakeEngine()
	now := time.Now()
	statetest.Update(t, store, func(tx *state.Tx) {
		fillWeb(tx)
		putTarget(tx, "app", "10.0.1.10", "eu-west-1a", &now)
	})
	engine.outstanding = 1
	c := newController(store, engine)
	if pause := c.pass(t.Context(), true); pause != drainPoll {
		t.Errorf("looks again after %v", pause)
	}
	c.observer.draining[row.TargetKey(groupARN("app"), "10.0.1.10", 8080)] = now.Add(-time.Hour)
	c.pass(t.Context(), true)
	if n := row.Targets.Len(store.View()); n != 1 {
		t.Fatal("a busy target was deleted")
	}
	engine.outstanding = 0
	exactly := func(value string) {
		statetest.Update(t, store, func(tx *state.Tx) {
			g, _ := row.TargetGroups.Get(tx, groupARN("app"))
			g.Tags = row.Tags{ExactDraining: value}
			row.TargetGroups.Put(tx, g)
		})
		c.pass(t.Context(), true)
	}
	exactly("true")
	if n := row.Targets.Len(store.View()); n != 1 {
		t.Error("an idle target of a group that asks for the exact delay was deleted")
	}
	exactly("false")
	if n := row.Targets.Len(store.View()); n != 0 {
		t.Error("an idle target was kept")
	}
}

// A target that is registered again while it drains must not be deleted by an observation from
// before.
func TestDrainedTargetCameBack(t *testing.T) {
	store := open(t)
	now := time.Now()
	var old row.Target
	statetest.Update(t, store, func(tx *state.Tx) { old = putTarget(tx, "app", "10.0.1.10", "", &now) })
	statetest.Update(t, store, func(tx *state.Tx) { putTarget(tx, "app", "10.0.1.10", "", nil) })
	if err := (writes{drained: []row.Target{old}}).commit(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	if n := row.Targets.Len(store.View()); n != 1 {
		t.Error("the target was deleted")
	}
}

func TestBindErrorIsToldOnceAndRetried(t *testing.T) {
	store, engine := open(t), newFakeEngine()
	statetest.Update(t, store, fillWeb)
	var log strings.Builder
	c := New(Config{Store: store, Engine: engine, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	engine.bindErr = &lb.BindError{Listener: "x", Err: errors.New("address already in use")}
	if pause := c.pass(t.Context(), true); pause <= 0 || pause > retryBinds {
		t.Errorf("tries again after %v", pause)
	}
	c.pass(t.Context(), true)
	if engine.count() != 1 {
		t.Error("tried again at once")
	}
	c.retryAt = time.Now()
	c.pass(t.Context(), false)
	if engine.count() != 2 {
		t.Error("not tried again")
	}
	if n := strings.Count(log.String(), "address already in use"); n != 1 {
		t.Errorf("told %d times", n)
	}
	engine.bindErr, c.retryAt = nil, time.Now()
	if pause := c.pass(t.Context(), true); pause != 0 || engine.count() != 3 {
		t.Errorf("after success: again after %v, %d swaps", pause, engine.count())
	}
}

func TestOneFaultDoesNotStopTheOthers(t *testing.T) {
	spec := lb.TableSpec{
		Groups: []lb.Group{{ID: "good", Protocol: lb.HTTP}, {ID: "bad", Protocol: "SPDY"}},
		Listeners: []lb.Listener{
			{ID: "l1", Protocol: lb.HTTP, Default: to("good")},
			{ID: "l2", Protocol: lb.HTTP, Default: to("bad")},
			{ID: "l3", Protocol: lb.HTTP, Default: to("good")},
		},
	}
	good, notes := withoutFaults(spec)
	if len(good.Listeners) != 2 || len(good.Groups) != 1 || len(notes) != 2 {
		t.Errorf("kept %d listeners, %d groups; notes %q", len(good.Listeners), len(good.Groups), notes)
	}
}

func to(group string) []lb.Action {
	return []lb.Action{{Type: lb.ActionForward, Forward: &lb.Forward{
		Groups: []lb.WeightedGroup{{Group: group, Weight: 1}},
	}}}
}

// TestRun drives the whole loop by rows and by the engine's signal.
func TestRun(t *testing.T) {
	store, engine := open(t), newFakeEngine()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- newController(store, engine).Run(ctx) }()
	eventually(t, "the first table", func() bool { return engine.count() == 1 })
	statetest.Update(t, store, fillWeb)
	eventually(t, "a load balancer that is active", func() bool {
		b, _ := row.LoadBalancers.Get(store.View(), arn("loadbalancer/app/web/1"))
		return b.State == "active"
	})
	engine.set(func() { engine.health = seen(lb.Healthy, "") })
	engine.changed <- struct{}{}
	key := row.TargetKey(groupARN("app"), "10.0.1.10", 8080)
	eventually(t, "a healthy target", func() bool {
		h, _ := row.TargetHealths.Get(store.View(), key)
		return h.State == "healthy"
	})
	now := time.Now()
	statetest.Update(t, store, func(tx *state.Tx) { putTarget(tx, "app", "10.0.1.10", "eu-west-1a", &now) })
	eventually(t, "a drained target", func() bool { return row.Targets.Len(store.View()) == 0 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// eventually waits for what goroutines and a real etcd bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		case <-ticker.C:
		}
	}
}
