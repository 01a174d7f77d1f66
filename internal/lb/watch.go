package lb

import (
	"context"
	"time"

	"fairlead/internal/lb/probe"
)

// watch keeps the health of one target. The mutex of the engine guards it.
type watch struct {
	tgt     *target
	check   probe.Check
	machine probe.Machine
	since   time.Time
	cancel  context.CancelFunc // ends the probes; nil when there are none
}

func (w *watch) stop() {
	if w.cancel != nil {
		w.cancel()
		w.cancel = nil
	}
}

// set changes the verdict from outside.
func (w *watch) set(v probe.Verdict) bool {
	if w.machine.Verdict == v {
		return false
	}
	w.machine = probe.Machine{Verdict: v}
	w.since = time.Now()
	return true
}

// watchTargets begins, changes and ends probes so that they fit the table.
func (e *Engine) watchTargets() {
	for tgt, w := range e.watches {
		if _, ok := e.live.targets[tgt]; !ok {
			w.stop()
			delete(e.watches, tgt)
		}
	}
	for _, g := range e.live.groups {
		for i := range g.Targets {
			e.watchTarget(g, &g.Targets[i])
		}
		g.setUsable(e.healthy)
	}
	e.notify()
}

// watchTarget decides whether a target is probed, and how.
func (e *Engine) watchTarget(g *liveGroup, spec *Target) {
	tgt := e.targets[identityOf(g.group, spec)]
	w := e.watches[tgt]
	if w == nil {
		w = &watch{tgt: tgt, since: time.Now()}
		w.machine.Verdict = firstVerdict(spec.LastHealth)
		e.watches[tgt] = w
	}
	switch {
	case spec.Draining:
		w.stop()
		w.set(probe.Deregistered)
		tgt.warmFor.Store(0)
	case !g.used:
		w.stop()
		w.set(probe.NotInUse)
	case g.HealthCheck.Disabled:
		w.stop()
		w.set(probe.Disabled)
	case w.cancel == nil || !w.check.Equal(&g.check):
		w.stop()
		if s := w.machine.State; s != probe.Healthy && s != probe.Unhealthy {
			w.set(probe.Checking)
		}
		e.startProbes(w, g.check)
	}
}

// firstVerdict is the state of a target before its first probe: what was known before a restart.
func firstVerdict(last HealthState) probe.Verdict {
	switch last {
	case Healthy:
		return probe.Passing
	case Unhealthy:
		return probe.Failing
	}
	return probe.Registering
}

func (e *Engine) startProbes(w *watch, c probe.Check) {
	ctx, cancel := context.WithCancel(context.Background())
	w.check, w.cancel = c, cancel
	if c.Protocol == probe.Function {
		c.Invoke = e.invocation(w.tgt, c)
	}
	e.probing.Go(func() {
		probe.Run(ctx, e.network, &c, w.tgt.addr, func(r probe.Result) {
			e.observe(ctx, w, &c, r)
		})
	})
}

// observe takes the result of a probe.
func (e *Engine) observe(ctx context.Context, w *watch, c *probe.Check, r probe.Result) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ctx.Err() != nil || e.closed {
		return
	}
	before := w.machine.State
	if !w.machine.Observe(r, c) {
		return
	}
	w.since = time.Now()
	g := e.groupOf(w.tgt)
	if w.machine.State == probe.Healthy && before != probe.Healthy {
		e.warmUp(g, w.tgt)
	} else if w.machine.State != probe.Healthy {
		w.tgt.warmFor.Store(0)
	}
	g.setUsable(e.healthy)
	e.notify()
}

func (e *Engine) groupOf(t *target) *liveGroup {
	return e.live.groups[e.live.table.byID[t.key.Group].index]
}

// warmUp begins the slow start of a target that has become healthy, unless it is the first: some
// other target must be there already at full share.
func (e *Engine) warmUp(g *liveGroup, t *target) {
	if g.SlowStart == 0 {
		return
	}
	now := time.Since(e.start)
	for _, other := range g.targets {
		if other != t && e.healthy(other) && other.warmth(now) >= 1 {
			t.warmFrom.Store(int64(now))
			t.warmFor.Store(int64(g.SlowStart))
			return
		}
	}
}

// healthy says whether requests should go to a target.
func (e *Engine) healthy(t *target) bool {
	w := e.watches[t]
	return w != nil && (w.machine.State == probe.Healthy || w.machine.State == probe.Unavailable)
}

// Health returns the health of every target of the table.
func (e *Engine) Health() []TargetHealth {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []TargetHealth
	for _, g := range e.live.groups {
		for i := range g.Targets {
			tgt := e.targets[identityOf(g.group, &g.Targets[i])]
			w := e.watches[tgt]
			out = append(out, TargetHealth{
				TargetKey: tgt.key, State: HealthState(w.machine.State),
				Reason: w.machine.Reason, Description: w.machine.Description, Since: w.since,
			})
		}
	}
	return out
}

// WatchHealth returns a channel that receives a value whenever something in Health may have
// changed since the last receive. Changes that come faster than the receiver reads are merged.
// The channel is closed when ctx ends.
func (e *Engine) WatchHealth(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{}, 1)
	e.mu.Lock()
	e.watchers[ch] = struct{}{}
	e.mu.Unlock()
	context.AfterFunc(ctx, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.watchers, ch)
		close(ch)
	})
	return ch
}

// notify wakes those who watch the health.
func (e *Engine) notify() {
	for ch := range e.watchers {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
