// Package balancer is the controller of load balancers: it compiles the rows of Elastic Load
// Balancing for the data plane and writes back what the data plane sees.
//
//	rows (load balancers, listeners, rules, target groups, targets, certificates, interfaces)
//	  --compile--> lb.TableSpec --lb.Compile--> lb.Table --Swap--> engine
//	engine --> TargetHealth rows, LoadBalancer.State, drained Target rows deleted
//
// The loop is level-triggered: every pass looks at all rows and compiles the whole table, whatever
// woke it, and does nothing where nothing differs. A kill between any two steps loses nothing; the
// next start finds the rows, and the last known health goes into the first table, so that traffic
// flows before the first probe.
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
	Logger    *slog.Logger // nil means slog.Default
}

// Controller is the balancer controller. Its fields belong to the goroutine of Run.
type Controller struct {
	store    *state.Store
	engine   Engine
	log      *slog.Logger
	compiler *compiler

	spec     lb.TableSpec         // the last one that was swapped in
	swapped  bool                 // there was one
	failed   []string             // what is wrong with it, e.g. addresses that could not be opened
	retryAt  time.Time            // when it is swapped in again because of that
	draining map[string]time.Time // by target key: since when the data plane knows
	notes    map[string]bool      // what the last pass complained about, to say it once
}

// New returns a controller; Run starts it.
func New(cfg Config) *Controller {
	log := cfg.Logger
	if log == nil {
		log = slog.Default()
	}
	return &Controller{
		store: cfg.Store, engine: cfg.Engine, log: log, compiler: newCompiler(cfg.FrontDoor),
		draining: map[string]time.Time{}, notes: map[string]bool{},
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
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case _, open := <-health:
			if !open {
				health = nil
			}
		case <-timer.C:
		}
		timer.Stop()
		if pause := c.pass(ctx); pause > 0 {
			timer.Reset(pause)
		}
	}
}

// watch signals changes of rows that may matter. What changes while the signal is out is seen by
// the pass or by the next signal.
func (c *Controller) watch(ctx context.Context, changed chan<- struct{}) {
	w := c.store.Watch(row.LoadBalancers, row.Listeners, row.Rules, row.TargetGroups, row.Targets,
		row.Certificates, row.NetworkInterfaces)
	defer w.Close()
	for {
		view, changes, err := w.Next(ctx)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, state.ErrClosed) {
				c.log.Error("watching load balancers", "err", err)
			}
			return
		}
		if len(changes) > 0 && !matters(view, changes) {
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
// ours: there are as many of those as there are tasks. A deleted one was let go by a load balancer's
// row, which is a change of its own.
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

// pass does everything once and returns after which time it wants to be called again; 0 is never.
func (c *Controller) pass(ctx context.Context) (pause time.Duration) {
	view := c.store.View()
	spec, notes := c.compiler.compile(view)
	retry := len(c.failed) > 0 && !time.Now().Before(c.retryAt)
	if !c.swapped || retry || !reflect.DeepEqual(spec, c.spec) {
		c.failed = c.swap(spec)
		c.retryAt = time.Now().Add(retryBinds)
	}
	c.note(append(notes, c.failed...))
	c.noteDraining(view)
	if len(c.failed) > 0 {
		pause = max(time.Until(c.retryAt), time.Millisecond)
	}
	writes := observe(view, c.engine, c.draining, time.Now())
	if len(writes.draining) > 0 {
		pause = drainPoll
	}
	if err := writes.commit(ctx, c.store); err != nil && ctx.Err() == nil {
		c.log.Error("writing what the load balancers see", "err", err)
		pause = retryWrites
	}
	return pause
}

// swap gives the engine a new table and returns what is wrong with it.
func (c *Controller) swap(spec lb.TableSpec) (notes []string) {
	c.spec, c.swapped = spec, true
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

// note logs what the pass before has not complained about.
func (c *Controller) note(notes []string) {
	current := map[string]bool{}
	for _, n := range notes {
		if current[n] = true; !c.notes[n] {
			c.log.Warn("load balancer", "problem", n)
		}
	}
	c.notes = current
}

// noteDraining remembers since when the data plane knows which targets drain.
func (c *Controller) noteDraining(view *state.Snapshot) {
	draining := map[string]time.Time{}
	for t := range row.Targets.Scan(view, "") {
		if t.DrainingSince == nil {
			continue
		}
		since, known := c.draining[t.Key()]
		if !known {
			since = time.Now()
		}
		draining[t.Key()] = since
	}
	c.draining = draining
}
