package plan

import (
	"slices"

	"fairlead/internal/api/ecs"
	"fairlead/internal/row"
)

// conclude tells what was stopped, and sees what has come to its end: deployments, the rollout, a
// deleted service, the way to the steady state.
func (p *planner) conclude() {
	if len(p.stopped) > 0 {
		p.tellStopped(p.stopped)
	}
	if p.in.Service.Status == row.ServiceDraining {
		p.concludeDeletion()
		return
	}
	if p.primary.RolloutState == ecs.DeploymentRolloutStateINPROGRESS && p.settled() && p.alone() &&
		p.baked() {
		p.complete()
	}
	p.drop()
	p.concludeSteady()
}

// settled tells whether the PRIMARY deployment has all its tasks, all healthy, and nothing to do.
func (p *planner) settled() bool {
	tasks := p.primary.tasks
	return len(p.plan.Starts)+len(p.plan.Stops) == 0 &&
		count(tasks, isKept) == p.bounds.Desired && count(tasks, isHealthy) == p.bounds.Desired
}

// alone tells whether no task of another deployment is left.
func (p *planner) alone() bool { return count(p.old(), isOpen) == 0 }

// complete ends the rollout.
func (p *planner) complete() {
	now, d := p.in.Now, p.primary
	reason := "ECS deployment " + d.ID + " completed."
	if p.endRollback(ecs.ServiceDeploymentStatusROLLBACKSUCCESSFUL) {
		reason = d.rolledBack()
	}
	d.rollout(now, ecs.DeploymentRolloutStateCOMPLETED, reason)
	d.CompletedAt, d.FailedTasks = &now, 0
	if !final(d.Record.Status) {
		d.record(now, ecs.ServiceDeploymentStatusSUCCESSFUL, "")
		if d.Record.Breaker.Status == ecs.ServiceDeploymentRollbackMonitorsStatusMONITORING {
			d.Record.Breaker.Status = ecs.ServiceDeploymentRollbackMonitorsStatusMONITORINGCOMPLETE
		}
	}
	p.tell(" (deployment %s) deployment completed.", d.ID)
}

// drop removes replaced deployments that have no task left. One that was completed stays until the
// rollout is over, because it may be rolled back to; so does one that is being rolled back.
func (p *planner) drop() {
	over := p.primary.RolloutState == ecs.DeploymentRolloutStateCOMPLETED
	p.deployments = slices.DeleteFunc(p.deployments, func(d *deployment) bool {
		needed := d.RolloutState == ecs.DeploymentRolloutStateCOMPLETED ||
			d.Record.Status == ecs.ServiceDeploymentStatusROLLBACKINPROGRESS
		if d == p.primary || count(d.tasks, isOpen) > 0 || needed && !over {
			return false
		}
		p.plan.Drained = append(p.plan.Drained, d.Deployment.Deployment)
		if d.recordChanged {
			p.plan.Records = append(p.plan.Records, d.Record)
		}
		return true
	})
}

// concludeSteady tells when the service reaches its steady state, and again while it stays there.
// Tasks that drain do not keep it from that.
func (p *planner) concludeSteady() {
	m := &p.plan.Memory
	steady := p.primary.RolloutState == ecs.DeploymentRolloutStateCOMPLETED && p.settled() && p.alone() &&
		count(p.primary.tasks, isLeaving) == 0
	reached := steady && !m.Steady
	if steady != m.Steady {
		m.Steady = steady
		p.plan.Changed = true
	}
	if !steady {
		return
	}
	text := p.told(" has reached a steady state.")
	if reached || !p.in.Now.Before(m.Said[text].Add(repeatTime)) {
		p.plan.Events = append(p.plan.Events, text)
		p.say(text)
	}
	p.wake(p.plan.Memory.Said[text].Add(repeatTime))
}

// concludeDeletion ends a deleted service when its last task is STOPPED.
func (p *planner) concludeDeletion() {
	if count(p.tasks, isOpen) > 0 {
		return
	}
	p.plan.Inactive = true
	for _, d := range p.deployments {
		if !final(d.Record.Status) {
			d.record(p.in.Now, ecs.ServiceDeploymentStatusSTOPPED, "The service was deleted.")
		}
		if d.recordChanged {
			p.plan.Records = append(p.plan.Records, d.Record)
		}
		p.plan.Drained = append(p.plan.Drained, d.Deployment.Deployment)
	}
	p.deployments = nil
}

// byAge sorts deployments, the oldest first.
func byAge(deployments []Deployment) []Deployment {
	sorted := slices.Clone(deployments)
	slices.SortFunc(sorted, func(a, b Deployment) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return sorted
}
