package network

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/vpc"
)

// worker looks after the devices of one VPC.
type worker struct {
	c     *Controller
	id    string        // of the VPC
	woken chan struct{} // holds a token when there is something to look at
	doubt atomic.Bool   // everything is to be ensured again

	// What follows belongs to the goroutine of run.
	made  map[string]any // vpc.VPC, vpc.Subnet or vpc.ENI as ensured last, by id; nil: in doubt
	fails failures
}

func newWorker(c *Controller, id string) *worker {
	return &worker{
		c: c, id: id, woken: make(chan struct{}, 1),
		made: map[string]any{}, fails: failures{},
	}
}

// poke makes the worker look again.
func (w *worker) poke() {
	select {
	case w.woken <- struct{}{}:
	default: // it will anyway
	}
}

// run works until ctx ends or nothing is left of the VPC.
func (w *worker) run(ctx context.Context) {
	for ctx.Err() == nil {
		w.pass(ctx)
		if len(w.made) == 0 && len(w.fails) == 0 && w.c.retire(w) {
			return
		}
		w.wait(ctx)
	}
}

// wait returns when the worker is woken or a retry is due.
func (w *worker) wait(ctx context.Context) {
	var due <-chan time.Time
	if next, ok := w.fails.next(); ok {
		t := time.NewTimer(time.Until(next))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-ctx.Done():
	case <-w.woken:
	case <-due:
	}
}

// pass makes the devices be as the rows say, as far as it can now.
func (w *worker) pass(ctx context.Context) {
	if w.doubt.Swap(false) {
		for id := range w.made {
			w.made[id] = nil
		}
	}
	r := w.c.store.View()
	asked := want(r, w.id)
	w.remove(ctx, asked)
	w.ensure(ctx, r, asked)
}

// remove deletes what is not wanted any more: interfaces, then subnets, then the VPC.
func (w *worker) remove(ctx context.Context, asked wanted) {
	keep := asked.ids()
	maps.DeleteFunc(w.fails, func(id string, _ *failure) bool {
		id = strings.TrimSuffix(id, reporting)
		_, made := w.made[id]
		return !keep[id] && !made
	})
	var enis, subnets []string
	for id := range w.made {
		switch {
		case keep[id] || id == w.id:
		case strings.HasPrefix(id, "subnet-"):
			subnets = append(subnets, id)
		default:
			enis = append(enis, id)
		}
	}
	w.delete(ctx, enis, w.c.host.DeleteENI)
	w.delete(ctx, subnets, w.c.host.DeleteSubnet)
	if !keep[w.id] && len(w.made) == 1 {
		w.delete(ctx, []string{w.id}, w.c.host.DeleteVPC)
	}
}

// deletionsAtOnce bounds the goroutines that delete. The kernel takes tens of milliseconds for one
// interface, and no longer for several at once.
const deletionsAtOnce = 16

// delete deletes devices, several at once.
func (w *worker) delete(
	ctx context.Context, ids []string, do func(ctx context.Context, id string) error,
) {
	ids = slices.DeleteFunc(ids, func(id string) bool { return !w.fails.due(id) })
	errs := make([]error, len(ids))
	var group errgroup.Group
	group.SetLimit(deletionsAtOnce)
	w.c.gate.RLock()
	for i, id := range ids {
		group.Go(func() error {
			errs[i] = do(ctx, id)
			return nil
		})
	}
	group.Wait()
	w.c.gate.RUnlock()
	for i, id := range ids {
		if w.note(ctx, id, errs[i]) {
			delete(w.made, id)
		}
	}
}

// ensure makes what is wanted: first the VPC, then subnets whose VPC stands, then interfaces whose
// subnet stands.
func (w *worker) ensure(ctx context.Context, r state.Reader, asked wanted) {
	if asked.vpc == nil || !w.provide(ctx, w.id, *asked.vpc, func() error {
		return w.c.host.EnsureVPC(ctx, *asked.vpc)
	}) {
		return
	}
	stands := map[string]bool{}
	for _, s := range asked.subnets {
		stands[s.ID] = w.provide(ctx, s.ID, s, func() error {
			return w.c.host.EnsureSubnet(ctx, s)
		})
	}
	for _, e := range asked.enis {
		if stands[e.Subnet] {
			w.ensureENI(ctx, r, asked.keys[e.ID], e)
		}
	}
}

// ensureENI makes an interface and tells in its row whether it is there.
func (w *worker) ensureENI(ctx context.Context, r state.Reader, key string, e vpc.ENI) {
	ready := w.provide(ctx, e.ID, e, func() error { return w.c.host.EnsureENI(ctx, e) })
	n, _ := row.NetworkInterfaces.Get(r, key)
	if n.Ready != ready && ctx.Err() == nil {
		w.try(ctx, e.ID+reporting, func() error { return w.report(ctx, key, e, ready) })
	}
}

// reporting marks a failure to report, as opposed to one of the device.
const reporting = " report"

// report writes whether the interface's devices exist, unless the row asks for something else by
// now.
func (w *worker) report(ctx context.Context, key string, e vpc.ENI, ready bool) error {
	err := w.c.store.Update(ctx, func(tx *state.Tx) error {
		n, ok := row.NetworkInterfaces.Get(tx, key)
		if !ok || !reflect.DeepEqual(wantENI(n), e) {
			return nil
		}
		n.Ready = ready
		row.NetworkInterfaces.Put(tx, n)
		return nil
	})
	if err != nil {
		return fmt.Errorf("telling whether %s is ready: %w", e.ID, err)
	}
	return nil
}

// provide ensures a device that is not known to be as asked, and reports whether it is.
func (w *worker) provide(ctx context.Context, id string, asked any, ensure func() error) bool {
	if reflect.DeepEqual(w.made[id], asked) {
		return true
	}
	if _, ok := w.made[id]; !ok {
		w.made[id] = nil // a failure half-way leaves something to delete
	}
	if !w.try(ctx, id, ensure) {
		return false
	}
	w.made[id] = asked
	return true
}

// try does something with the device unless it failed too short a time ago, and reports success.
func (w *worker) try(ctx context.Context, id string, do func() error) bool {
	if !w.fails.due(id) {
		return false
	}
	w.c.gate.RLock()
	err := do()
	w.c.gate.RUnlock()
	return w.note(ctx, id, err)
}

// note remembers how it went with a device and reports success. A failure is told once, until it
// reads otherwise.
func (w *worker) note(ctx context.Context, id string, err error) bool {
	switch {
	case err == nil:
		if w.fails.forget(id) {
			w.c.log.Info("device recovered", "device", id)
		}
	case ctx.Err() == nil && w.fails.add(id, err):
		w.c.log.Error("device failed", "device", id, "vpc", w.id, "err", err)
	}
	return err == nil
}
