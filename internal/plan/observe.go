package plan

import (
	"maps"
	"slices"
	"time"

	"fairlead/internal/row"
)

// observe draws from the tasks' lives what was not drawn yet: events, recoveries, failures.
func (p *planner) observe() {
	registered, deregistered, draining := map[string]int{}, map[string]int{}, map[string]int{}
	for _, t := range p.tasks {
		n := &t.Notes
		if len(t.Registered) > 0 && !n.Registered {
			n.Registered, t.noted = true, true
			countGroups(registered, t)
		}
		if n.Registered && !n.Draining && pastRunning(t.LastStatus) {
			n.Draining, t.noted = true, true
			countGroups(deregistered, t)
			draining[t.Deployment]++
		}
	}
	for group, n := range sorted(registered) {
		p.tell(" registered %d targets in (target-group %s)", n, group)
	}
	for group, n := range sorted(deregistered) {
		p.tell(" deregistered %d targets in (target-group %s)", n, group)
	}
	for id, n := range sorted(draining) {
		p.tellDraining(id, n)
	}
	p.observeRecoveries()
	p.observeFailures()
}

func countGroups(n map[string]int, t *task) {
	for _, target := range t.Registered {
		n[target.TargetGroup]++
	}
}

// sorted walks a map by key, so that a plan is the same each time.
func sorted(m map[string]int) func(yield func(string, int) bool) {
	return func(yield func(string, int) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}

// pastRunning tells whether a task has begun to stop: its targets are deregistered.
func pastRunning(status string) bool {
	switch status {
	case row.TaskDeactivating, row.TaskStopping, row.TaskDeprovisioning, row.TaskStopped:
		return true
	}
	return false
}

// observeRecoveries lets a task that is healthy for the first time end its deployment's row of
// failures.
func (p *planner) observeRecoveries() {
	for _, t := range p.tasks {
		if !isHealthy(t) || t.Notes.Healthy {
			continue
		}
		t.Notes.Healthy, t.noted = true, true
		if p.forgives() {
			p.countFailures(t.deployment, -t.deployment.FailedTasks)
		}
		p.plan.Memory.StartFailures, p.plan.Memory.Throttled = 0, nil
	}
}

// observeFailures counts tasks that ended by themselves before they were healthy, and slows down
// the starts that follow.
func (p *planner) observeFailures() {
	var failures, crashes int
	for _, t := range p.tasks {
		if !t.open && !t.Notes.Stopped {
			t.Notes.Stopped, t.noted = true, true
		}
		if t.Notes.Ended || t.DesiredStatus != row.TaskStopped || !endedItself(t.Task.Task) {
			continue
		}
		t.Notes.Ended, t.noted = true, true
		if t.Notes.Healthy {
			continue
		}
		p.countFailures(t.deployment, 1)
		switch {
		case t.deployment != p.primary:
		case t.StartedAt == nil:
			failures++
		default:
			crashes++
		}
	}
	if failures > 0 {
		p.slowDown(maxThrottle)
	} else if crashes > 0 {
		p.slowDown(maxPace)
	}
}

// slowDown waits longer after each attempt that failed; what fails while it waits belongs to the
// attempt before.
func (p *planner) slowDown(longest time.Duration) {
	m := &p.plan.Memory
	if m.Throttled != nil && p.in.Now.Before(*m.Throttled) {
		return
	}
	m.StartFailures++
	m.Throttled = new(p.in.Now.Add(throttle(m.StartFailures, longest)))
	if m.StartFailures >= toldThrottle && longest == maxThrottle {
		p.tellOnce(" is unable to consistently start tasks successfully.")
	}
}

// countFailures adds to a deployment's failures.
func (p *planner) countFailures(d *deployment, n int) {
	if n == 0 {
		return
	}
	d.FailedTasks += n
	d.UpdatedAt = p.in.Now
	d.changed = true
}
