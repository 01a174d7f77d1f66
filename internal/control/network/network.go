// Package network is the network controller: it makes the devices that the rows of EC2 ask for and
// tells the interfaces that are ready.
//
// What should exist follows from the rows alone (want.go): the devices of each network interface,
// its subnet and its VPC. One worker per VPC (worker.go) compares that with what it has made and
// asks the Host for the difference, so that trouble in one VPC does not hold up another. Changes of
// rows only wake a worker; once a minute everything is ensured again and devices of nobody are
// pruned, as at the start, so that nothing depends on having seen a change.
package network

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/vpc"
)

// Host makes and removes devices; *vpc.Host is one. All methods are idempotent.
type Host interface {
	EnsureVPC(ctx context.Context, v vpc.VPC) error
	EnsureSubnet(ctx context.Context, s vpc.Subnet) error
	EnsureENI(ctx context.Context, e vpc.ENI) error
	DeleteENI(ctx context.Context, id string) error
	DeleteSubnet(ctx context.Context, id string) error
	DeleteVPC(ctx context.Context, id string) error
	Prune(ctx context.Context, keep vpc.Inventory) error
}

var _ Host = (*vpc.Host)(nil)

// fullPass is how often everything is ensured again and the rest pruned.
const fullPass = time.Minute

// pruneRetry is how soon pruning is tried again when a device was just being changed.
const pruneRetry = time.Second

// Config is what a Controller needs.
type Config struct {
	Store  *state.Store
	Host   Host
	Logger *slog.Logger // nil: slog.Default()
}

// Controller keeps the devices of one machine as the rows say.
type Controller struct {
	store *state.Store
	host  Host
	log   *slog.Logger
	wg    sync.WaitGroup

	// gate is held for reading while a device is changed and for writing while devices of nobody
	// are pruned, so that pruning never meets a device whose row it has not seen. Nobody waits for
	// it to write: pruning is put off instead.
	gate sync.RWMutex

	mu      sync.Mutex         // guards workers
	workers map[string]*worker // by VPC id
}

// New returns a controller; Run starts it.
func New(cfg Config) *Controller {
	c := &Controller{
		store: cfg.Store, host: cfg.Host, log: cfg.Logger, workers: map[string]*worker{},
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	return c
}

// Run keeps the devices in step with the rows until ctx ends. It leaves the devices in place.
func (c *Controller) Run(ctx context.Context) error {
	defer c.wg.Wait()
	watcher := c.store.Watch(row.VPCs, row.Subnets, row.InternetGateways, row.RouteTables,
		row.NetworkInterfaces)
	defer watcher.Close()
	c.prune(ctx)
	c.wg.Go(func() { c.refresh(ctx) })
	before := c.store.View()
	for {
		now, changes, err := watcher.Next(ctx)
		if err != nil {
			return ctx.Err()
		}
		for id := range concerned(before, now, changes) {
			c.wake(ctx, now, id)
		}
		before = now
	}
}

// concerned returns the VPCs that the changes are about: those that rows belong to or belonged to.
func concerned(before, now state.Reader, changes []state.Change) map[string]bool {
	ids := map[string]bool{}
	for _, change := range changes {
		ids[vpcOf(before, change.Table, change.Key)] = true
		ids[vpcOf(now, change.Table, change.Key)] = true
	}
	delete(ids, "")
	return ids
}

// wake wakes the VPC's worker. One that does not exist is started if there is something to make:
// devices that were left by an earlier process are pruned instead.
func (c *Controller) wake(ctx context.Context, r state.Reader, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.workers[id]; w != nil {
		w.poke()
		return
	}
	if _, ok := row.First(row.NetworkInterfaces.By(r, "vpc", id)); !ok {
		return
	}
	w := newWorker(c, id)
	c.workers[id] = w
	c.wg.Go(func() { w.run(ctx) })
}

// retire removes a worker that has nothing left to look after, unless it was woken meanwhile.
func (c *Controller) retire(w *worker) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(w.woken) > 0 {
		return false
	}
	delete(c.workers, w.id)
	return true
}

// refresh repeats the full pass until ctx ends.
func (c *Controller) refresh(ctx context.Context) {
	wait := fullPass
	for sleep(ctx, wait) {
		wait = fullPass
		if !c.again(ctx) {
			wait = pruneRetry
		}
	}
}

// again prunes and makes every worker ensure everything. It reports false when it could not be done
// now.
func (c *Controller) again(ctx context.Context) bool {
	if !c.prune(ctx) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.workers {
		w.doubt.Store(true)
		w.poke()
	}
	return true
}

// prune removes the devices that no row asks for. It reports false when it could not be done now.
func (c *Controller) prune(ctx context.Context) bool {
	if !c.gate.TryLock() {
		return false
	}
	defer c.gate.Unlock()
	if err := c.host.Prune(ctx, inventory(c.store.View())); err != nil && ctx.Err() == nil {
		c.log.Error("pruning devices failed", "err", err)
	}
	return true
}

// sleep waits for d and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
