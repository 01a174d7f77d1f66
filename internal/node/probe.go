package node

import (
	"context"
	"sync"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/runtime"
)

// Defaults of a container health check, in seconds and attempts.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_HealthCheck.html
const (
	defaultProbeInterval = 30
	defaultProbeTimeout  = 5
	defaultProbeRetries  = 3
)

// probe runs the health check of one container until it is cancelled.
type probe struct {
	done   chan struct{}
	cancel context.CancelFunc

	mu     sync.Mutex
	health string
}

// follow begins what accompanies a running container: its probe and its log reader.
func (t *Containers) follow(i int) {
	t.followLog(i)
	if t.all[i].HealthCheck == nil || t.probes[i] != nil || len(t.deadline) > 0 {
		return
	}
	ctx, cancel := context.WithCancel(t.ctx)
	p := &probe{done: make(chan struct{}), cancel: cancel, health: t.states[i].HealthStatus}
	t.probes[i] = p
	check := newCheck(*t.all[i].HealthCheck)
	id, started := t.states[i].RuntimeID, aws.Val(t.states[i].StartedAt)
	go func() {
		defer close(p.done)
		p.run(ctx, t, check, id, started)
	}()
}

// unprobe ends the probe of container i.
func (t *Containers) unprobe(i int) {
	if p := t.probes[i]; p != nil {
		p.cancel()
		<-p.done
		delete(t.probes, i)
	}
}

// readProbe copies the probe's verdict into the container's state.
func (t *Containers) readProbe(i int) {
	p := t.probes[i]
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t.states[i].HealthStatus = p.health
}

func (p *probe) run(ctx context.Context, t *Containers, c check, id string, started time.Time) {
	ticker := time.NewTicker(c.interval)
	defer ticker.Stop()
	counter := counter{retries: c.retries, graceUntil: started.Add(c.startPeriod), health: p.health}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		result, err := t.node.cfg.Runtime.Exec(ctx, id, runtime.ExecSpec{Args: c.args, Timeout: c.timeout})
		if ctx.Err() != nil {
			return
		}
		ok := err == nil && result.ExitCode == 0 && !result.TimedOut
		p.set(counter.count(ok, t.node.cfg.Now()), t.wake)
	}
}

func (p *probe) set(health string, wake func()) {
	p.mu.Lock()
	changed := p.health != health
	p.health = health
	p.mu.Unlock()
	if changed {
		wake()
	}
}

// check is a health check with its defaults filled in.
type check struct {
	args                           []string
	interval, timeout, startPeriod time.Duration
	retries                        int
}

func newCheck(h ecs.HealthCheck) check {
	seconds := func(p *int32, def int32) time.Duration {
		return time.Duration(aws.Or(p, def)) * time.Second
	}
	return check{
		args:        probeArgs(h.Command),
		interval:    seconds(h.Interval, defaultProbeInterval),
		timeout:     seconds(h.Timeout, defaultProbeTimeout),
		startPeriod: seconds(h.StartPeriod, 0),
		retries:     int(aws.Or(h.Retries, defaultProbeRetries)),
	}
}

// probeArgs reads CMD (arguments follow) and CMD-SHELL (one line for the container's shell).
func probeArgs(command []string) []string {
	if command[0] == "CMD-SHELL" {
		return append([]string{"/bin/sh", "-c"}, command[1:]...)
	}
	if command[0] == "CMD" {
		return command[1:]
	}
	return append([]string{"/bin/sh", "-c"}, command...)
}

// counter turns results into a status: failures before graceUntil do not count, a success ends the
// grace early, and retries failures in a row are unhealthy.
type counter struct {
	retries    int
	graceUntil time.Time
	failures   int
	health     string
}

func (c *counter) count(ok bool, now time.Time) string {
	switch {
	case ok:
		c.failures, c.graceUntil, c.health = 0, time.Time{}, healthy
	case now.Before(c.graceUntil):
	default:
		if c.failures++; c.failures >= c.retries {
			c.health = unhealthy
		}
	}
	return c.health
}
