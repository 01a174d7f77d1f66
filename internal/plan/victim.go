package plan

import (
	"cmp"
	"slices"

	"fairlead/internal/api/ecs"
	"fairlead/internal/row"
)

// place is where a task is.
func (t *task) place() Subnet {
	if t.Network == nil {
		return Subnet{Zone: t.Zone}
	}
	return Subnet{ID: t.Network.Subnet, Zone: t.Zone}
}

// stop stops up to n of the tasks that pass and are not protected, and returns how many. One plan
// stops maxStep at most.
func (p *planner) stop(tasks []*task, pass func(*task) bool, n int) (stopped int) {
	n = min(n, maxStep-len(p.plan.Stops))
	if n <= 0 {
		return 0
	}
	var candidates, spared []*task
	used := NewUsage()
	for _, t := range tasks {
		if t.kept {
			used.Add(t.place())
		}
		switch {
		case pass(t) && p.protected(t):
			spared = append(spared, t)
		case pass(t):
			candidates = append(candidates, t)
		}
	}
	for ; stopped < n && len(candidates) > 0; stopped++ {
		at := victim(candidates, used)
		used.Remove(candidates[at].place())
		p.stopTask(candidates[at])
		candidates = slices.Delete(candidates, at, at+1)
	}
	if stopped < n {
		p.wait(spared)
	}
	return stopped
}

// wait tells that protected tasks are in the way, and plans again when a protection ends.
func (p *planner) wait(spared []*task) {
	for _, t := range spared {
		p.wake(*t.Protection)
		p.tellOnce(" was unable to reach steady state because task set (%s) was unable to scale in. "+
			"Reason: The number of protected tasks are more than the desired count of tasks.",
			t.Deployment)
	}
}

// protected tells whether a task is protected from being scaled in. That does not save a task that
// is unhealthy, nor one of a service that was deleted.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection.html
func (p *planner) protected(t *task) bool {
	return t.Protection != nil && p.in.Now.Before(*t.Protection) && t.health != Unhealthy &&
		p.in.Service.Status == row.ServiceActive
}

// victim chooses the task to stop: the one that serves least, of the oldest deployment, in the zone
// with the most tasks, the youngest.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-service-scale-in.html
func victim(candidates []*task, used Usage) int {
	best := 0
	for i, t := range candidates {
		if i > 0 && sooner(t, candidates[best], used) {
			best = i
		}
	}
	return best
}

func sooner(a, b *task, used Usage) bool {
	return cmp.Or(
		cmp.Compare(a.health, b.health),
		a.deployment.CreatedAt.Compare(b.deployment.CreatedAt),
		cmp.Compare(used.Zones[b.Zone], used.Zones[a.Zone]),
		b.CreatedAt.Compare(a.CreatedAt),
		cmp.Compare(a.ARN, b.ARN),
	) < 0
}

// stopTask stops a task and says why: that it is unhealthy, which counts as a failure of its
// deployment, or else that it is not needed.
func (p *planner) stopTask(t *task) {
	reason := scalingReason(t.Task.Task)
	if t.health == Unhealthy {
		reason = unhealthyReason(t.bad)
		p.tellUnhealthy(t)
		p.countFailures(t.deployment, 1)
	}
	if t.health != Starting {
		p.stopped = append(p.stopped, t.ID)
	}
	t.kept = false
	p.plan.Stops = append(p.plan.Stops, Stop{
		Task: t.ARN, Code: ecs.TaskStopCodeServiceSchedulerInitiated, Reason: reason,
	})
}
