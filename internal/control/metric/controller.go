// Package metric publishes what load balancers do as metrics of CloudWatch: every ten
// seconds it takes what the data plane has counted since the last time, and the health of targets,
// and puts them under AWS's names and dimensions into the metrics' store. It writes no rows.
//
// Published are, as on AWS, numbers that are not zero. AWS publishes load balancers' metrics by the
// minute; here alarms of ten seconds see them, too.
package metric

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"fairlead/internal/alarm"
	"fairlead/internal/api/cloudwatch"
	"fairlead/internal/lb"
	"fairlead/internal/metric"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// cadence is how often metrics are published: alarms can look at as short periods.
const cadence = alarm.Cadence

// Engine is what counts; *lb.Engine is one.
type Engine interface{ Stats() lb.Stats }

// Config is what a Controller needs.
type Config struct {
	Store   *state.Store
	Engine  Engine
	Metrics *metric.Store
	Logger  *slog.Logger
	Now     func() time.Time
}

// Controller is the publisher. Its fields belong to the goroutine of Run.
type Controller struct {
	cfg  Config
	last lb.Stats // as published last
	full bool     // whether it was said that there is no room
}

// New returns a controller; Run starts it.
func New(cfg Config) *Controller { return &Controller{cfg: cfg, last: cfg.Engine.Stats()} }

// Run publishes until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	for {
		now := c.cfg.Now()
		at := now.Truncate(cadence).Add(cadence)
		timer := time.NewTimer(at.Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		c.Publish(at)
		if at.Truncate(time.Minute).Equal(at) {
			c.cfg.Metrics.Sweep(at)
		}
	}
}

// Publish publishes what was counted in the period that ends at a time.
func (c *Controller) Publish(end time.Time) {
	view, stats := c.cfg.Store.View(), c.cfg.Engine.Stats()
	p := &publication{controller: c, at: end.Add(-cadence), now: end}
	p.balancers(view, stats)
	p.groups(view, stats)
	p.health(view)
	c.last = stats
}

// publication is what is published at one time.
type publication struct {
	controller *Controller
	at, now    time.Time
}

// namespace of application load balancers' metrics.
const namespace = "AWS/ApplicationELB"

// dimensions are pairs of names and values.
func dimensions(pairs ...string) (list []cloudwatch.Dimension) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, cloudwatch.Dimension{Name: &pairs[i], Value: &pairs[i+1]})
	}
	return list
}

// put puts numbers under a name.
func (p *publication) put(
	sc row.Scope, name string, unit cloudwatch.StandardUnit, dims []cloudwatch.Dimension,
	values ...metric.Value,
) {
	id := alarm.Metric(sc, namespace, name, dims)
	sample := metric.Sample{At: p.at, Unit: string(unit), Fine: true, Values: values}
	err := p.controller.cfg.Metrics.Add(p.now, id, sample)
	if errors.Is(err, metric.ErrFull) && !p.controller.full {
		p.controller.full = true
		p.controller.cfg.Logger.Warn("there is no room for more metrics; see SCOPE.md")
	}
}

// count puts n times the number 1, which is how AWS publishes counts: Sum and SampleCount are n.
func (p *publication) count(sc row.Scope, name string, dims []cloudwatch.Dimension, n uint64) {
	if n > 0 {
		p.put(sc, name, cloudwatch.StandardUnitCount, dims, metric.Value{Value: 1, Count: float64(n)})
	}
}

// gauge puts one number, if it is not zero.
func (p *publication) gauge(
	sc row.Scope, name string, unit cloudwatch.StandardUnit, dims []cloudwatch.Dimension, v float64,
) {
	if v != 0 {
		p.put(sc, name, unit, dims, metric.Value{Value: v, Count: 1})
	}
}
