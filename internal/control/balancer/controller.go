// Package balancer is the controller of load balancers: it compiles the rows of Elastic Load
// Balancing for the data plane and writes back what the data plane sees.
//
//	rows (load balancers, listeners, rules, target groups, targets, certificates, interfaces)
//	  --compile--> lb.TableSpec --lb.Compile--> lb.Table --Swap--> engine
//	engine --> TargetHealth rows, LoadBalancer.State, drained Target rows deleted
//
// The loop is level-triggered: when rows have changed, a pass looks at all of them and compiles the
// whole table, whatever the change was, and does nothing where nothing differs. A kill between any
// two steps loses nothing; the next start finds the rows, and the last known health goes into the
// first table, so that traffic flows before the first probe.
//
// A load balancer listens on the private address of each of its nodes, inside the namespace of the
// node's network interface, and, when it is internet-facing, on the node's public address on the
// host. The front door is one more address on the host that all load balancers share (door.go).
package balancer

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	"fairlead/internal/lb"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

const (
	// debounce gathers the changes of calls that follow one another closely into one swap.
	debounce = 5 * time.Millisecond
	// retryBinds is the pause before addresses that could not be opened are tried again.
	retryBinds = 5 * time.Second
	// retryWrites is the pause after a transaction that failed.
	retryWrites = time.Second
	// drainPoll is the pause between two looks at whether draining targets are idle.
	drainPoll = 100 * time.Millisecond
)

// Engine is the data plane; *lb.Engine is one.
type Engine interface {
	Swap(*lb.Table) error
	Bound(listener string) []lb.Bind
	Health() []lb.TargetHealth
	WatchHealth(context.Context) <-chan struct{}
	Outstanding(lb.TargetKey) int
}

// Config says what a Controller works with.
type Config struct {
	Store  *state.Store
	Engine Engine
	// FrontDoor is the host address that all load balancers share; the zero value is none.
	FrontDoor netip.Addr
	// LambdaEndpoint is where functions are invoked; without one, requests to them are answered with
	// 503.
	LambdaEndpoint string
	Logger         *slog.Logger // nil means slog.Default
}

// Controller is the balancer controller. Its fields belong to the goroutine of Run.
type Controller struct {
	store    *state.Store
	engine   Engine
	log      *slog.Logger
	compiler *compiler

	observer *observer

	behind  bool            // the next pass must look at all rows, changed or not
	wanted  lb.TableSpec    // what the rows ask for
	amiss   []string        // what is wrong with the rows
	spec    lb.TableSpec    // the last table that was swapped in
	failed  []string        // what is wrong with it, e.g. addresses that could not be opened
	retryAt time.Time       // when it is swapped in again because of that
	told    map[string]bool // what was wrong in the last pass, to say it once

	started chan struct{} // closed after the first pass
	once    sync.Once     // closes started
}

// New returns a controller; Run starts it.
func New(cfg Config) *Controller {
	log := cfg.Logger
	if log == nil {
		log = slog.Default()
	}
	compiler := newCompiler(cfg.FrontDoor)
	compiler.lambda = cfg.LambdaEndpoint
	return &Controller{
		store: cfg.Store, engine: cfg.Engine, log: log, compiler: compiler,
		observer: &observer{engine: cfg.Engine}, behind: true, started: make(chan struct{}),
	}
}

// Run controls until ctx ends. The engine goes on with the last table.
func (c *Controller) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	changed := make(chan struct{}, 1)
	watching.Go(func() { c.watch(ctx, changed) })
	health := c.engine.WatchHealth(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C // the first pass waits for the rows
	for {
		rowsChanged := false
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			rowsChanged = true
		case _, open := <-health:
			if !open {
				health = nil
			}
		case <-timer.C:
		}
		timer.Stop()
		if pause := c.pass(ctx, rowsChanged); pause > 0 {
			timer.Reset(pause)
		}
		c.once.Do(func() { close(c.started) })
	}
}

// Started is closed once the data plane has its first table: from then on, what load balancers there
// were before a restart accept connections again.
func (c *Controller) Started() <-chan struct{} { return c.started }

// watch signals changes of rows that may matter. What changes while the signal is out is seen by
// the pass or by the next signal.
func (c *Controller) watch(ctx context.Context, changed chan<- struct{}) {
	w := c.store.Watch(row.LoadBalancers, row.Listeners, row.Rules, row.TargetGroups, row.Targets,
		row.Certificates, row.NetworkInterfaces)
	defer w.Close()
	for first := true; ; first = false { // the first pass is due whatever there is
		view, changes, err := w.Next(ctx)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, state.ErrClosed) {
				c.log.Error("watching load balancers", "err", err)
			}
			return
		}
		if !first && !matters(view, changes) {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(debounce):
		}
		select {
		case changed <- struct{}{}:
		default:
		}
	}
}

// matters tells whether any of the changes is more than one of a network interface that is none of
// ours: there are as many of those as there are tasks. A deleted one was let go by a load
// balancer's row, which is a change of its own.
func matters(view *state.Snapshot, changes []state.Change) bool {
	for _, change := range changes {
		if change.Table != row.NetworkInterfaces.Name() {
			return true
		}
		if n, ok := row.NetworkInterfaces.Get(view, change.Key); ok && n.HostListens {
			return true
		}
	}
	return false
}

// pass does what is due and returns after which time it wants to be called again; 0 is never.
func (c *Controller) pass(ctx context.Context, rowsChanged bool) (pause time.Duration) {
	view, now := c.store.View(), time.Now()
	rowsChanged = rowsChanged || c.behind
	retry := len(c.failed) > 0 && !now.Before(c.retryAt)
	if rowsChanged {
		c.wanted, c.amiss = c.compiler.compile(view)
	}
	if retry || rowsChanged && (c.told == nil || !reflect.DeepEqual(c.wanted, c.spec)) {
		c.failed = c.swap(c.wanted)
		c.retryAt = now.Add(retryBinds)
	}
	c.tell(slices.Concat(c.amiss, c.failed))
	if rowsChanged {
		c.observer.noteDraining(view, now)
	}
	if len(c.failed) > 0 {
		pause = max(c.retryAt.Sub(now), time.Millisecond)
	}
	writes := c.observer.observe(view, rowsChanged, now)
	if len(writes.draining) > 0 {
		pause = drainPoll
	}
	err := writes.commit(ctx, c.store)
	if c.behind = err != nil; c.behind && ctx.Err() == nil {
		c.log.Error("writing what the load balancers see", "err", err)
		pause = retryWrites
	}
	return pause
}

// swap gives the engine a new table and returns what is wrong with it.
func (c *Controller) swap(spec lb.TableSpec) (notes []string) {
	c.spec = spec
	table, err := lb.Compile(spec)
	if err != nil {
		var good lb.TableSpec
		good, notes = withoutFaults(spec)
		if table, err = lb.Compile(good); err != nil {
			return append(notes, "the load balancers' table cannot be compiled: "+err.Error())
		}
	}
	return append(notes, problems(c.engine.Swap(table))...)
}

// problems lists what errors.Join put together, each once and in a fixed order.
func problems(err error) []string {
	var list []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			list = append(list, e.Error())
		}
	} else if err != nil {
		list = append(list, err.Error())
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// withoutFaults returns the groups and listeners that compile together, and says what is wrong with
// the others. One setting that is refused must not stop the traffic of all.
func withoutFaults(spec lb.TableSpec) (good lb.TableSpec, notes []string) {
	for _, g := range spec.Groups {
		if _, err := lb.Compile(lb.TableSpec{Groups: []lb.Group{g}}); err != nil {
			notes = append(notes, err.Error())
			continue
		}
		good.Groups = append(good.Groups, g)
	}
	for _, l := range spec.Listeners {
		more := lb.TableSpec{Groups: good.Groups, Listeners: append(good.Listeners, l)}
		if _, err := lb.Compile(more); err != nil {
			notes = append(notes, err.Error())
			continue
		}
		good = more
	}
	return good, notes
}

// tell logs what is wrong now and was not in the pass before.
func (c *Controller) tell(problems []string) {
	current := map[string]bool{}
	for _, p := range problems {
		if current[p] = true; !c.told[p] {
			c.log.Warn("load balancer", "problem", p)
		}
	}
	c.told = current
}
