package plan

import (
	"fmt"
	"slices"
	"strings"

	"fairlead/internal/api/ecs"
	"fairlead/internal/row"
)

// rebalance moves tasks, one at a time, from the fullest zone to the emptiest: the new task first,
// then, once it is healthy, an old one goes. It does so only while nothing else is to be done and
// the upper bound leaves room.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-rebalancing.html
func (p *planner) rebalance() {
	if mover := p.mover(); mover != nil {
		if mover.health == Healthy && p.canMoveOut() {
			p.moveOut()
		}
		return
	}
	if m := &p.plan.Memory; m.Moving != "" {
		m.Moving = ""
		p.plan.Events = append(p.plan.Events, "service ("+p.in.Service.Name+") stopped AZ Rebalancing.")
	}
	if p.in.Service.Rebalancing != ecs.AvailabilityZoneRebalancingENABLED || !p.resting() {
		return
	}
	zones, used := p.zones()
	if spread(zones, used) <= 1 || p.room() <= 0 || !p.throttled().IsZero() {
		return
	}
	if movable, spared := p.leavable(zones, used); len(movable) == 0 {
		p.tellUnmovable(spared)
		return
	}
	p.moveIn(zones, used)
}

// leavable lists the tasks in the fullest zone: those that may be stopped, and the protected ones.
func (p *planner) leavable(zones []string, used Usage) (movable, spared []*task) {
	fullest := slices.MaxFunc(zones, func(a, b string) int { return used.Zones[a] - used.Zones[b] })
	for _, t := range p.primary.tasks {
		switch {
		case !t.kept || t.Zone != fullest:
		case p.protected(t):
			spared = append(spared, t)
		default:
			movable = append(movable, t)
		}
	}
	return movable, spared
}

// tellUnmovable says that protected tasks are in the way, and plans again when a protection ends.
func (p *planner) tellUnmovable(spared []*task) {
	for _, t := range spared {
		p.wake(*t.Protection)
	}
	p.once("service (" + p.in.Service.Name + ") was unable to AZ Rebalance because " + p.primary.ID +
		" was unable to scale in due to The number of protected tasks are more than the desired count " +
		"of tasks.")
}

// mover is the task that was started to even the zones out, while it is still to run.
func (p *planner) mover() *task {
	id := p.plan.Memory.Moving
	at := slices.IndexFunc(p.primary.tasks, func(t *task) bool { return t.kept && t.ID == id })
	if id == "" || at < 0 {
		return nil
	}
	return p.primary.tasks[at]
}

// resting tells whether the rollout is over and the service has its tasks, all healthy.
func (p *planner) resting() bool {
	return p.in.Service.Status == row.ServiceActive && p.alone() && p.settled() &&
		p.primary.RolloutState == ecs.DeploymentRolloutStateCOMPLETED
}

// zones lists the zones that the service can be in, and counts its tasks by zone. Unhealthy ones do
// not count: their place is taken by those that replace them.
func (p *planner) zones() (zones []string, used Usage) {
	for _, s := range p.primary.Subnets {
		zones = append(zones, s.Zone)
	}
	slices.Sort(zones)
	used = NewUsage()
	for _, t := range p.primary.tasks {
		if t.kept && !isBad(t) {
			used.Add(t.place())
		}
	}
	return slices.Compact(zones), used
}

// spread is how many more tasks the fullest zone has than the emptiest.
func spread(zones []string, used Usage) int {
	if len(zones) == 0 {
		return 0
	}
	low, high := used.Zones[zones[0]], used.Zones[zones[0]]
	for _, zone := range zones {
		low, high = min(low, used.Zones[zone]), max(high, used.Zones[zone])
	}
	return high - low
}

// moveIn starts a task where there are too few.
func (p *planner) moveIn(zones []string, used Usage) {
	p.tellZones("is not AZ balanced with %s. AZ Rebalancing in progress.", zones, used)
	s := p.newStart(used, p.providers())
	p.plan.Memory.Moving = s.ID
	p.plan.Starts = append(p.plan.Starts, s)
	p.plan.Events = append(p.plan.Events, fmt.Sprintf("%s has started 1 tasks in %s to AZ Rebalance: %s.",
		p.in.Service.Name, s.Subnet.Zone, s.ID))
}

// canMoveOut tells whether a task can go without being missed, or whether none is to go any more. While
// others than the moved one are unhealthy or starting, it cannot.
func (p *planner) canMoveOut() bool {
	tasks := p.primary.tasks
	return count(tasks, isHealthy) > p.bounds.Desired || count(tasks, isKept) <= p.bounds.Desired
}

// moveOut stops a task where there are too many, unless there are no longer more than wanted.
func (p *planner) moveOut() {
	zones, used := p.zones()
	p.plan.Memory.Moving = ""
	p.plan.Changed = true
	if count(p.primary.tasks, isKept) <= p.bounds.Desired {
		return
	}
	candidates, spared := p.leavable(zones, used)
	if len(candidates) == 0 {
		p.tellUnmovable(spared) // they were protected meanwhile
		return
	}
	t := candidates[victim(candidates, used)]
	t.kept = false
	used.Remove(t.place())
	p.plan.Stops = append(p.plan.Stops, Stop{
		Task: t.ARN, Code: ecs.TaskStopCodeServiceSchedulerInitiated,
		Reason: fmt.Sprintf("Availability-zone rebalancing initiated by (deployment %s)", t.Deployment),
	})
	p.plan.Events = append(p.plan.Events, fmt.Sprintf(
		"%s has stopped 1 running tasks in %s due to AZ rebalancing: %s.", p.in.Service.Name, t.Zone, t.ID))
	if spread(zones, used) <= 1 {
		p.tellZones("is AZ balanced with %s.", zones, used)
	}
}

// tellZones tells how many tasks each zone has.
func (p *planner) tellZones(format string, zones []string, used Usage) {
	var parts []string
	for i, zone := range zones {
		part := fmt.Sprintf("%d in %s", used.Zones[zone], zone)
		switch i {
		case 0:
			part = fmt.Sprintf("%d tasks in %s", used.Zones[zone], zone)
		case len(zones) - 1:
			part = "and " + part
		}
		parts = append(parts, part)
	}
	p.plan.Events = append(p.plan.Events, "service ("+p.in.Service.Name+") "+
		fmt.Sprintf(format, strings.Join(parts, ", ")))
}
