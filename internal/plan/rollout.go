package plan

import (
	"fairlead/internal/api/ecs"
)

// scaleIn stops tasks of the PRIMARY deployment that it has too many of. Unhealthy ones go as soon
// as healthy ones have taken their place, others when there are more than wanted: those first that
// are not known to be healthy, and healthy ones within the lower bound, which counts where protected
// tasks that are not healthy stay in their place.
func (p *planner) scaleIn() {
	desired, d := p.bounds.Desired, p.primary
	kept, bad := count(d.tasks, isKept), count(d.tasks, isBad)
	replaced := count(d.tasks, isHealthy) - (desired - bad)
	p.stop(d.tasks, isBad, replaced)
	surplus := kept - bad - desired
	if p.mover() != nil {
		surplus-- // it is there in addition until it is healthy
	}
	surplus -= p.stop(d.tasks, isUnproven, surplus)
	p.stop(d.tasks, isHealthy, min(surplus, count(p.tasks, isHealthy)-p.bounds.Lower))
}

// replace stops tasks of older deployments. What is not RUNNING yet goes at once. The others are
// stopped one for one as new tasks become healthy; only where the upper bound leaves no room for new
// tasks does the lower bound say how many go before.
func (p *planner) replace() {
	old := p.old()
	if p.primary.RolloutState == ecs.DeploymentRolloutStateFAILED && p.bounds.Desired > 0 {
		p.stop(old, isKept, count(old, isKept)-p.bounds.Desired)
		return
	}
	p.stop(old, func(t *task) bool { return t.kept && t.health == Starting }, len(old))
	healthy := count(p.tasks, isHealthy)
	if healthy >= p.bounds.Desired {
		p.stop(old, func(t *task) bool { return t.kept && t.health != Healthy }, len(old))
		healthy -= p.stop(old, isHealthy, healthy-p.bounds.Desired)
	}
	p.makeRoom(old, healthy)
}

// makeRoom stops tasks so that new ones can be started under the upper bound: those first that do
// nothing for the lower bound.
func (p *planner) makeRoom(old []*task, healthy int) {
	blocked := p.wanted() - max(p.room(), 0)
	if blocked <= 0 || p.throttled().After(p.in.Now) {
		return
	}
	blocked -= p.leaving()
	blocked -= p.stop(old, isBad, blocked)
	if healthy >= p.bounds.Lower {
		blocked -= p.stop(old, func(t *task) bool { return t.kept && t.health == Waiting }, blocked)
		blocked -= p.stop(old, isHealthy, min(blocked, healthy-p.bounds.Lower))
	}
	if blocked <= 0 || p.leaving() > 0 {
		return
	}
	// An unhealthy task counts nothing towards the lower bound, so stopping it breaks no promise.
	if p.stop(p.primary.tasks, isBad, 1) == 0 && len(old) > 0 {
		p.tellStuck()
	}
}

// old lists the tasks of all deployments but the PRIMARY one, those of the oldest first.
func (p *planner) old() (tasks []*task) {
	for _, t := range p.tasks {
		if t.deployment != p.primary {
			tasks = append(tasks, t)
		}
	}
	return tasks
}

// wanted is how many more tasks the PRIMARY deployment should have: an unhealthy one does not count,
// because its replacement comes first.
func (p *planner) wanted() int {
	tasks := p.primary.tasks
	return p.bounds.Desired - (count(tasks, isKept) - count(tasks, isBad))
}

// room is how many tasks can be started under the upper bound. A task that stops takes its place
// until it is STOPPED.
func (p *planner) room() int { return p.bounds.Upper - count(p.tasks, occupies) }

// leaving is how many tasks will make room without being asked.
func (p *planner) leaving() int {
	return count(p.tasks, func(t *task) bool { return occupies(t) && !t.kept })
}

// tellStuck says that nothing can ever move between the bounds.
func (p *planner) tellStuck() {
	if p.bounds.Lower < p.bounds.Desired || p.bounds.Upper > p.bounds.Desired {
		return
	}
	p.tellOnce(" was unable to stop or start tasks during a deployment because of the service " +
		"deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try " +
		"again.")
}

// start starts tasks of the PRIMARY deployment, as many as are wanted and the upper bound allows.
func (p *planner) start() {
	d := p.primary
	n := min(p.wanted(), p.room(), maxStep)
	if n <= 0 || len(d.Subnets) == 0 || d.RolloutState == ecs.DeploymentRolloutStateFAILED {
		return
	}
	if until := p.throttled(); !until.IsZero() {
		p.wake(until)
		return
	}
	_, used := p.zones()
	providers := p.providers()
	var ids []string
	for range n {
		s := p.newStart(used, providers)
		p.plan.Starts = append(p.plan.Starts, s)
		ids = append(ids, s.ID)
	}
	p.tellStarted(ids)
}

// newStart places one more task of the PRIMARY deployment and counts it.
func (p *planner) newStart(used Usage, providers map[string]int) Start {
	d := p.primary
	s := Start{
		ID: p.in.NewID(), Deployment: d.ID, Subnet: Place(d.Subnets, used),
		Provider: Provider(d.Spec.CapacityStrategy, providers),
	}
	used.Add(s.Subnet)
	providers[s.Provider]++
	return s
}

// providers counts the tasks of the PRIMARY deployment by capacity provider.
func (p *planner) providers() map[string]int {
	n := map[string]int{}
	for _, t := range p.primary.tasks {
		if t.kept {
			n[t.CapacityProvider]++
		}
	}
	return n
}
