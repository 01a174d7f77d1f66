// Package task drives every task from PROVISIONING to STOPPED.
//
// One worker, a goroutine, owns each open task. It looks at the task's row and at what package node
// sees of its containers, does the one step that is due, writes what it observed, and sleeps until
// something wakes it: a change of the task, of its network interface or its targets, an event of the
// container runtime, or a time that the step named. Every step can be repeated, so a killed Fairlead
// takes each task up where its row says it is.
package task

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"fairlead/internal/node"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// Config is what a Controller needs.
type Config struct {
	Store  *state.Store
	Node   *node.Node
	Logger *slog.Logger
	Now    func() time.Time
}

// Controller drives the tasks of one machine.
type Controller struct {
	cfg Config

	idle chan struct{} // holds a token when the last worker has ended

	mu      sync.Mutex         // guards what follows
	workers map[string]*worker // by task id
	wg      sync.WaitGroup
}

// New returns a controller; Run starts it.
func New(cfg Config) *Controller {
	return &Controller{cfg: cfg, idle: make(chan struct{}, 1), workers: map[string]*worker{}}
}

// Run drives tasks until ctx ends and leaves them running then. It returns once no worker is left.
func (c *Controller) Run(ctx context.Context) error {
	defer c.wg.Wait()
	watcher := c.cfg.Store.Watch(row.Tasks, row.NetworkInterfaces, row.Targets)
	defer watcher.Close()
	c.wg.Go(func() { c.cfg.Node.Watch(ctx, c.wake) })
	c.wg.Go(func() { c.tidy(ctx) })
	for {
		snap, changes, err := watcher.Next(ctx)
		if err != nil {
			return ctx.Err()
		}
		for _, change := range changes {
			c.route(ctx, snap, change)
		}
	}
}

// route wakes the worker of the task that a change concerns, or starts one.
func (c *Controller) route(ctx context.Context, snap *state.Snapshot, change state.Change) {
	switch change.Table {
	case row.Tasks.Name():
		task, ok := row.Tasks.Get(snap, change.Key)
		if !ok {
			c.wake(taskID(change.Key))
		} else if task.LastStatus != row.TaskStopped {
			c.ensure(ctx, task)
		}
	case row.NetworkInterfaces.Name():
		eni, ok := row.NetworkInterfaces.Get(snap, change.Key)
		if ok {
			c.wake(taskID(eni.Owner))
		}
	case row.Targets.Name():
		if change.Deleted {
			c.wakeRegistered(change.Key)
		}
	}
}

// taskID is the last part of a task's ARN; of any other ARN it is an id that no worker has.
func taskID(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func (c *Controller) ensure(ctx context.Context, task row.Task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.workers[task.ID]; w != nil {
		w.poke()
		return
	}
	w := newWorker(c.cfg, task.ARN)
	c.workers[task.ID] = w
	c.wg.Go(func() {
		w.run(ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.workers, task.ID)
		if len(c.workers) == 0 {
			select {
			case c.idle <- struct{}{}:
			default:
			}
		}
	})
}

// wake wakes the worker of a task; the empty id is every worker.
func (c *Controller) wake(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id != "" {
		if w := c.workers[id]; w != nil {
			w.poke()
		}
		return
	}
	for _, w := range c.workers {
		w.poke()
	}
}

// wakeRegistered wakes the worker that waits for this target to be drained.
func (c *Controller) wakeRegistered(target string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.workers {
		if w.waitsFor(target) {
			w.poke()
		}
	}
}
