package balancer

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/elb"
	"fairlead/internal/lb"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

const (
	// drainGrace is how long a draining target must have been known as such before no request in
	// flight means that it is idle: every event loop has taken up the table by then.
	drainGrace = 200 * time.Millisecond
	// maxBatch is how many rows one transaction writes; an etcd allows 128 operations by default.
	maxBatch = 100
)

// writes are what the data plane saw, as changes of rows.
type writes struct {
	health   []row.TargetHealth // to be put
	stale    []string           // keys of TargetHealth rows to be deleted
	active   []string           // ARNs of load balancers that listen now
	drained  []row.Target       // to be deleted
	draining []row.Target       // not drained yet
}

// observe compares what the engine sees with the rows. since tells, by target key, how long the
// engine has known that a target drains.
func observe(
	r state.Reader, engine Engine, since map[string]time.Time, now time.Time,
) (w writes) {
	w.health, w.stale = healthChanges(r, engine.Health())
	for b := range row.LoadBalancers.Scan(r, "") {
		if b.State == string(api.LoadBalancerStateEnumProvisioning) && listens(r, b, engine) {
			w.active = append(w.active, b.ARN)
		}
	}
	for t := range row.Targets.Scan(r, "") {
		if t.DrainingSince == nil {
			continue
		}
		d := drain{known: now.Sub(since[t.Key()]), age: now.Sub(*t.DrainingSince)}
		d.delay, d.inUse = drainDelay(r, t)
		d.outstanding = engine.Outstanding(keyOf(t))
		if d.over() {
			w.drained = append(w.drained, t)
		} else {
			w.draining = append(w.draining, t)
		}
	}
	return w
}

func keyOf(t row.Target) lb.TargetKey {
	return lb.TargetKey{Group: t.TargetGroup, ID: t.ID, Port: uint16(t.Port)}
}

// healthChanges returns the health that differs from the rows, and the keys of rows that say
// nothing any more: of targets that are gone or get no probes.
func healthChanges(r state.Reader, seen []lb.TargetHealth) (put []row.TargetHealth, stale []string) {
	for _, h := range seen {
		next := row.TargetHealth{
			TargetGroup: h.Group, ID: h.ID, Port: int(h.Port), State: string(h.State),
			Reason: h.Reason, Description: h.Description, Since: h.Since.UTC().Round(0),
		}
		t, registered := row.Targets.Get(r, next.Key())
		if !registered || !probed(r, t) {
			continue
		}
		old, _ := row.TargetHealths.Get(r, next.Key())
		if old.State != next.State || old.Reason != next.Reason || old.Description != next.Description {
			put = append(put, next)
		}
	}
	slices.SortFunc(put, func(a, b row.TargetHealth) int { return cmp.Compare(a.Key(), b.Key()) })
	for h := range row.TargetHealths.Scan(r, "") {
		if t, registered := row.Targets.Get(r, h.Key()); !registered || !probed(r, t) {
			stale = append(stale, h.Key())
		}
	}
	return put, stale
}

func probed(r state.Reader, t row.Target) bool {
	_, unprobed := elb.Unprobed(r, t)
	return !unprobed
}

// listens tells whether all nodes of a load balancer exist and accept connections on the ports of
// all its listeners. The front door does not count: a foreign server may hold its port.
func listens(r state.Reader, b row.LoadBalancer, engine Engine) bool {
	nodes := readyNodes(r, b)
	if len(nodes) < len(b.Nodes) {
		return false
	}
	for l := range row.Listeners.By(r, "balancer", b.ARN) {
		bound := engine.Bound(l.ARN)
		for _, want := range binds(nodes, l.Port) {
			if !slices.ContainsFunc(bound, func(have lb.Bind) bool {
				return have.Node == want.Node && have.Addr == want.Addr
			}) {
				return false
			}
		}
	}
	return true
}

// drain is what decides whether a draining target is drained.
type drain struct {
	inUse       bool          // the group is behind a load balancer
	age, delay  time.Duration // since deregistration; at most
	known       time.Duration // since the engine keeps new requests away
	outstanding int           // requests in flight
}

// over tells whether the target can go. Elastic Load Balancing completes the deregistration of an
// idle target at once too, but goes on to show it as draining until the delay is over; here it goes.
func (d drain) over() bool {
	return !d.inUse || d.age >= d.delay || d.outstanding == 0 && d.known >= drainGrace
}

func drainDelay(r state.Reader, t row.Target) (delay time.Duration, inUse bool) {
	g, ok := row.TargetGroups.Get(r, t.TargetGroup)
	if !ok || row.LoadBalancerOf(r, t.TargetGroup) == "" {
		return 0, false
	}
	return seconds(elb.OfGroup(g).Values(g.Attributes), elb.DeregistrationDelay), true
}

// commit writes the changes in batches. What has changed under them meanwhile is left alone.
func (w writes) commit(ctx context.Context, store *state.Store) error {
	var steps []func(tx *state.Tx)
	for _, h := range w.health {
		steps = append(steps, func(tx *state.Tx) {
			if _, ok := row.Targets.Get(tx, h.Key()); ok {
				row.TargetHealths.Put(tx, h)
			}
		})
	}
	for _, key := range w.stale {
		steps = append(steps, func(tx *state.Tx) { row.TargetHealths.Delete(tx, key) })
	}
	for _, arn := range w.active {
		steps = append(steps, func(tx *state.Tx) {
			if b, ok := row.LoadBalancers.Get(tx, arn); ok {
				b.State = string(api.LoadBalancerStateEnumActive)
				row.LoadBalancers.Put(tx, b)
			}
		})
	}
	for _, t := range w.drained {
		steps = append(steps, func(tx *state.Tx) {
			now, ok := row.Targets.Get(tx, t.Key())
			if ok && now.DrainingSince != nil && now.DrainingSince.Equal(*t.DrainingSince) {
				row.Targets.Delete(tx, t.Key())
				row.TargetHealths.Delete(tx, t.Key())
			}
		})
	}
	for batch := range slices.Chunk(steps, maxBatch/2) {
		err := store.Update(ctx, func(tx *state.Tx) error {
			for _, step := range batch {
				step(tx)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("commit %d observations: %w", len(batch), err)
		}
	}
	return nil
}
