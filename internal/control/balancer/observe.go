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

// observer compares what the engine sees with the rows.
type observer struct {
	engine Engine
	// draining tells, by target key, since when the engine knows that a target drains.
	draining map[string]time.Time
	// seen is the health that the rows have already, as far as they have not changed since.
	seen map[lb.TargetKey]lb.TargetHealth
}

// observe returns the changes of rows that are due. After a change of rows everything is compared;
// otherwise only the health that the engine has changed.
func (o *observer) observe(r state.Reader, rowsChanged bool, now time.Time) (w writes) {
	if rowsChanged || o.seen == nil {
		o.seen = map[lb.TargetKey]lb.TargetHealth{}
		w.stale = staleHealth(r)
	}
	w.health = o.healthChanges(r)
	for b := range row.LoadBalancers.Scan(r, "") {
		if b.State == string(api.LoadBalancerStateEnumProvisioning) && listens(r, b, o.engine) {
			w.active = append(w.active, b.ARN)
		}
	}
	for t := range row.Targets.By(r, "draining", "yes") {
		if o.drained(r, t, now) {
			w.drained = append(w.drained, t)
		} else {
			w.draining = append(w.draining, t)
		}
	}
	return w
}

// noteDraining remembers since when the engine knows which targets drain: it has just been given a
// table of these rows.
func (o *observer) noteDraining(r state.Reader, now time.Time) {
	draining := map[string]time.Time{}
	for t := range row.Targets.By(r, "draining", "yes") {
		draining[t.Key()] = now
		if since, known := o.draining[t.Key()]; known {
			draining[t.Key()] = since
		}
	}
	o.draining = draining
}

func (o *observer) drained(r state.Reader, t row.Target, now time.Time) bool {
	d := drain{age: now.Sub(*t.DrainingSince), outstanding: o.engine.Outstanding(keyOf(t))}
	if since, known := o.draining[t.Key()]; known {
		d.known = now.Sub(since)
	}
	d.delay, d.exact, d.inUse = drainDelay(r, t)
	return d.over()
}

func keyOf(t row.Target) lb.TargetKey {
	return lb.TargetKey{Group: t.TargetGroup, ID: t.ID, Port: uint16(t.Port)}
}

// healthChanges returns the health that differs from the rows, in the order of their keys.
func (o *observer) healthChanges(r state.Reader) (put []row.TargetHealth) {
	probed := probes(r)
	for _, h := range o.engine.Health() {
		if o.seen[h.TargetKey] == h {
			continue
		}
		o.seen[h.TargetKey] = h
		next := row.TargetHealth{
			TargetGroup: h.Group, ID: h.ID, Port: int(h.Port), State: string(h.State),
			Reason: h.Reason, Description: h.Description, Since: h.Since.UTC().Round(0),
		}
		if t, registered := row.Targets.Get(r, next.Key()); !registered || !probed(t) {
			continue
		}
		old, _ := row.TargetHealths.Get(r, next.Key())
		if old.State != next.State || old.Reason != next.Reason || old.Description != next.Description {
			put = append(put, next)
		}
	}
	slices.SortFunc(put, func(a, b row.TargetHealth) int { return cmp.Compare(a.Key(), b.Key()) })
	return put
}

// staleHealth lists the keys of rows that say nothing any more: of targets that are gone or get no
// probes.
func staleHealth(r state.Reader) (keys []string) {
	probed := probes(r)
	for h := range row.TargetHealths.Scan(r, "") {
		if t, registered := row.Targets.Get(r, h.Key()); !registered || !probed(t) {
			keys = append(keys, h.Key())
		}
	}
	return keys
}

// probes returns a function that tells whether a target is probed. It looks each group's load
// balancer up once.
func probes(r state.Reader) func(t row.Target) bool {
	type user struct {
		balancer row.LoadBalancer
		inUse    bool
	}
	users := map[string]user{}
	return func(t row.Target) bool {
		u, known := users[t.TargetGroup]
		if !known {
			u.balancer, u.inUse = row.LoadBalancers.Get(r, row.LoadBalancerOf(r, t.TargetGroup))
			users[t.TargetGroup] = u
		}
		_, unprobed := elb.Unprobed(u.balancer, u.inUse, t)
		return !unprobed
	}
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
	exact       bool          // the group asks for the whole delay
}

// ExactDraining is the tag of a target group, with the value "true", by which its draining targets
// wait out the deregistration delay, as on AWS.
const ExactDraining = "fairlead:exact-draining"

// over tells whether the target can go. Elastic Load Balancing completes the deregistration of an
// idle target at once too, but goes on to show it as draining until the delay is over; here it
// goes, unless the group asks for the exact time.
func (d drain) over() bool {
	idle := d.outstanding == 0 && d.known >= drainGrace
	return !d.inUse || d.age >= d.delay || idle && !d.exact
}

func drainDelay(r state.Reader, t row.Target) (delay time.Duration, exact, inUse bool) {
	g, ok := row.TargetGroups.Get(r, t.TargetGroup)
	if !ok || row.LoadBalancerOf(r, t.TargetGroup) == "" {
		return 0, false, false
	}
	delay = seconds(elb.OfGroup(g).Values(g.Attributes), elb.DeregistrationDelay)
	return delay, g.Tags[ExactDraining] == "true", true
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
