// Package service keeps services as they are to be: it is the loop around [plan.Service].
//
// A change of a service, of one of its deployments or tasks, of the health of one of its targets, or
// of an alarm that watches it makes the service due; so does a time that its last plan named. For a
// due service the controller gathers the plan's input from one snapshot by index, plans, and performs
// the plan in one transaction, provided that nobody has changed the service since. It holds nothing
// that matters: all that the scheduler remembers is in rows, so a killed controller goes on where it
// was.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"fairlead/internal/aws"
	"fairlead/internal/plan"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// Config is what a Controller needs.
type Config struct {
	Store  *state.Store
	Logger *slog.Logger
	Now    func() time.Time
	// NewID returns ids of tasks, 32 hex digits; random when nil.
	NewID func() string
}

// Controller is the service controller. Run is its one goroutine.
type Controller struct {
	cfg Config
	due alarms
}

// New returns a controller; Run starts it.
func New(cfg Config) *Controller {
	if cfg.NewID == nil {
		cfg.NewID = func() string { return aws.HexID(32) }
	}
	return &Controller{cfg: cfg, due: newAlarms()}
}

// retryTime is how long to wait after a plan that could not be performed.
const retryTime = time.Second

// Run plans what is due until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	watcher := c.cfg.Store.Watch(row.Services, row.Deployments, row.Tasks, row.TargetHealths,
		row.Alarms)
	defer watcher.Close()
	for {
		view, changes, err := c.next(ctx, watcher)
		if err != nil {
			return fmt.Errorf("service controller: %w", err)
		}
		for _, change := range changes {
			for _, arn := range concerned(view, change) {
				c.due.set(arn, c.cfg.Now())
			}
		}
		c.Reconcile(ctx)
	}
}

// next waits for changes, but no longer than until something is due.
func (c *Controller) next(
	ctx context.Context, w *state.Watcher,
) (*state.Snapshot, []state.Change, error) {
	at, ok := c.due.first()
	if !ok {
		return w.Next(ctx)
	}
	wait, cancel := context.WithTimeout(ctx, at.Sub(c.cfg.Now()))
	defer cancel()
	view, changes, err := w.Next(wait)
	if err != nil && wait.Err() != nil && ctx.Err() == nil {
		return nil, nil, nil
	}
	return view, changes, err
}

// concerned lists the services that a change is about.
func concerned(r state.Reader, change state.Change) []string {
	owner, _, _ := strings.Cut(change.Key, "|")
	switch change.Table {
	case row.Services.Name():
		return []string{change.Key}
	case row.Deployments.Name():
		return []string{owner}
	case row.Tasks.Name():
		if t, ok := row.Tasks.Get(r, change.Key); ok && t.Service != "" {
			return []string{t.Service}
		}
	case row.TargetHealths.Name():
		var arns []string
		for d := range row.Deployments.By(r, "targetGroup", owner) {
			arns = append(arns, d.Service)
		}
		return arns
	case row.Alarms.Name():
		return watched(r, change.Key)
	}
	return nil
}

// watched lists the services whose deployments an alarm watches.
func watched(r state.Reader, alarm string) (arns []string) {
	for s := range row.Services.By(r, "alarm", alarm) {
		arns = append(arns, s.ARN)
	}
	return arns
}

// Reconcile plans every service that is due, once.
func (c *Controller) Reconcile(ctx context.Context) {
	for _, arn := range c.due.take(c.cfg.Now()) {
		if ctx.Err() != nil {
			return
		}
		wake, err := c.reconcile(ctx, arn)
		if err != nil && !errors.Is(err, errStale) {
			c.cfg.Logger.ErrorContext(ctx, "planning a service", "service", arn, "error", err)
			wake = c.cfg.Now().Add(retryTime)
		} else if err != nil {
			wake = c.cfg.Now()
		}
		c.due.set(arn, wake)
	}
}

// Touch makes a service due now. Run does so by itself when something has changed.
func (c *Controller) Touch(arn string) { c.due.set(arn, c.cfg.Now()) }

// reconcile plans one service and performs the plan; it returns when to plan again at the latest.
func (c *Controller) reconcile(ctx context.Context, arn string) (wake time.Time, err error) {
	in, ok := gather(c.cfg.Store.View(), arn)
	if !ok {
		return wake, nil
	}
	in.Now, in.NewID = c.cfg.Now(), c.cfg.NewID
	p := plan.Service(in)
	if !p.Changed {
		return p.Wake, nil
	}
	err = c.cfg.Store.Update(ctx, func(tx *state.Tx) error { return perform(tx, in, p) })
	if err != nil {
		return wake, fmt.Errorf("performing a plan of %s: %w", in.Service.Name, err)
	}
	return p.Wake, nil
}
