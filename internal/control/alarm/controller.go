// Package alarm is the controller of CloudWatch alarms: every ten seconds it evaluates the alarms
// that are due, by package alarm, and writes the state of those that change. The state of an alarm
// is its own; SetAlarmState overrides it until the next evaluation. What a state leads to is others'
// to see.
package alarm

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"fairlead/internal/alarm"
	"fairlead/internal/aws"
	"fairlead/internal/metric"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// Config is what a Controller needs.
type Config struct {
	Store   *state.Store
	Metrics *metric.Store
	Logger  *slog.Logger
	Now     func() time.Time
}

// Controller is the alarm controller. Run is its one goroutine.
type Controller struct {
	cfg Config
	// began is since when datapoints are known: those before went with the last process.
	began time.Time
}

// New returns a controller; Run starts it.
func New(cfg Config) *Controller { return &Controller{cfg: cfg, began: cfg.Now()} }

// Run evaluates what is due until ctx ends. Nothing needs to wake it: all of an alarm's state is in
// its row and in the metrics, which are looked at anew each time.
func (c *Controller) Run(ctx context.Context) error {
	for {
		at := next(c.cfg.Now())
		timer := time.NewTimer(at.Sub(c.cfg.Now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		if err := c.Evaluate(ctx, at); err != nil && ctx.Err() == nil {
			c.cfg.Logger.Error("evaluating alarms", "err", err)
		}
	}
}

// next is the next time for an evaluation: a little after a multiple of the cadence, when what
// belongs to the time before it has come.
func next(now time.Time) time.Time {
	return now.Add(-alarm.Delay).Truncate(alarm.Cadence).Add(alarm.Cadence + alarm.Delay)
}

// Evaluate evaluates the alarms that are due at a time that next named.
func (c *Controller) Evaluate(ctx context.Context, at time.Time) error {
	for a := range row.Alarms.Scan(c.cfg.Store.View(), "") {
		to, changed := c.evaluate(a, at)
		if !changed {
			continue
		}
		if err := c.change(ctx, a, to); err != nil {
			return fmt.Errorf("change the state of alarm %s: %w", a.Name, err)
		}
		c.cfg.Logger.Info("alarm", "name", a.Name, "was", a.State.Value, "is", to.Value,
			"why", to.Reason)
	}
	return nil
}

// evaluate finds what an alarm is to say. Datapoints of the time before this process are not known
// to be missing, so that as long as the alarm looks at that time, only what is there counts.
func (c *Controller) evaluate(a row.Alarm, at time.Time) (to row.AlarmState, changed bool) {
	rule := alarm.RuleOf(a.Definition)
	if !rule.Due(at) {
		return to, false
	}
	q := rule.Query(at)
	if q.From.Before(c.began) {
		rule.Missing = alarm.Ignore
	}
	def := a.Definition
	id := alarm.Metric(a.Scope, aws.Val(def.Namespace), aws.Val(def.MetricName), def.Dimensions)
	return alarm.Evaluate(rule, a.State, rule.Datapoints(c.cfg.Metrics.Points(id, q)), at.UTC())
}

// change writes a state, unless the alarm has been changed since it was evaluated.
func (c *Controller) change(ctx context.Context, was row.Alarm, to row.AlarmState) error {
	return c.cfg.Store.Update(ctx, func(tx *state.Tx) error {
		a, ok := row.Alarms.Get(tx, was.ARN)
		if !ok || !a.UpdatedAt.Equal(was.UpdatedAt) || !a.State.Since.Equal(was.State.Since) {
			return nil
		}
		a.Change(tx, to)
		row.Alarms.Put(tx, a)
		return nil
	})
}
