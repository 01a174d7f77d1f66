package plan

import (
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
)

// judge ends the PRIMARY deployment when an alarm fires, its circuit breaker trips or somebody asks
// for it.
func (p *planner) judge() {
	d := p.primary
	if d.RolloutState != ecs.DeploymentRolloutStateINPROGRESS {
		return
	}
	if stop := d.Record.StopAsked; stop != "" && !final(d.Record.Status) {
		p.stopDeployment(stop)
		return
	}
	if p.watchAlarms() {
		return
	}
	b := p.breaker()
	if !aws.Val(b.Enable) {
		return
	}
	threshold := BreakerThreshold(p.bounds.Desired, b.ThresholdConfiguration)
	p.showBreaker(d, threshold)
	if d.FailedTasks >= threshold {
		p.trip(aws.Val(b.Rollback))
	}
}

// final tells whether a record's status is its last.
func final(s ecs.ServiceDeploymentStatus) bool {
	switch s {
	case ecs.ServiceDeploymentStatusSUCCESSFUL, ecs.ServiceDeploymentStatusSTOPPED,
		ecs.ServiceDeploymentStatusROLLBACKSUCCESSFUL, ecs.ServiceDeploymentStatusROLLBACKFAILED:
		return true
	}
	return false
}

// showBreaker keeps the record's view of the circuit breaker up to date.
func (p *planner) showBreaker(d *deployment, threshold int) {
	b := &d.Record.Breaker
	if final(d.Record.Status) || d.Record.ARN == "" ||
		int(aws.Val(b.FailureCount)) == d.FailedTasks && int(aws.Val(b.Threshold)) == threshold {
		return
	}
	b.FailureCount, b.Threshold = new(int32(d.FailedTasks)), new(int32(threshold))
	b.Status = ecs.ServiceDeploymentRollbackMonitorsStatusMONITORING
	d.recordChanged = true
}

// trip fails the deployment and, if wanted and possible, goes back to the last completed one.
func (p *planner) trip(rollback bool) {
	const reason = "ECS deployment circuit breaker: tasks failed to start."
	d := p.primary
	d.rollout(p.in.Now, ecs.DeploymentRolloutStateFAILED, reason)
	d.Record.Breaker.Status = ecs.ServiceDeploymentRollbackMonitorsStatusTRIGGERED
	p.tell(" (deployment %s) deployment failed: tasks failed to start.", d.ID)
	target := p.lastCompleted()
	if !rollback || target == nil {
		d.record(p.in.Now, ecs.ServiceDeploymentStatusSTOPPED, reason)
		p.endRollback(ecs.ServiceDeploymentStatusROLLBACKFAILED)
		return
	}
	p.rollBack(target, reason,
		"ECS deployment circuit breaker: rolling back to deploymentId "+target.ID+".")
}

// stopDeployment does what StopServiceDeployment asked for.
func (p *planner) stopDeployment(how ecs.StopServiceDeploymentStopType) {
	const reason = "Service deployment stopped by user."
	d := p.primary
	d.rollout(p.in.Now, ecs.DeploymentRolloutStateFAILED, reason)
	target := p.lastCompleted()
	switch {
	case how == ecs.StopServiceDeploymentStopTypeABORT:
		d.record(p.in.Now, ecs.ServiceDeploymentStatusSTOPPED, reason)
	case target == nil:
		d.record(p.in.Now, ecs.ServiceDeploymentStatusROLLBACKFAILED,
			"There is no completed service deployment to roll back to.")
	default:
		p.rollBack(target, reason, "ECS deployment "+target.ID+" in progress.")
	}
}

// lastCompleted is the newest deployment that a rollback can go to.
func (p *planner) lastCompleted() (found *deployment) {
	for _, d := range p.deployments {
		if d != p.primary && d.RolloutState == ecs.DeploymentRolloutStateCOMPLETED {
			found = d
		}
	}
	return found
}

// rollBack makes target PRIMARY again, with its old id and revision.
func (p *planner) rollBack(target *deployment, reason, progress string) {
	now, failed := p.in.Now, p.primary
	failed.Status = row.DeploymentActive
	failed.record(now, ecs.ServiceDeploymentStatusROLLBACKINPROGRESS, reason)
	failed.Record.Rollback = &ecs.Rollback{
		Reason: new(reason), StartedAt: &now, ServiceRevisionArn: new(target.Revision),
	}
	target.Status = row.DeploymentPrimary
	target.FailedTasks = 0
	target.rollout(now, ecs.DeploymentRolloutStateINPROGRESS, progress)
	p.primary = target
	p.plan.RollBack = new(target.Spec)
	p.plan.Memory.StartFailures, p.plan.Memory.Throttled = 0, nil
	p.tell(" rolling back to deployment %s.", target.ID)
}

// endRollback ends the records of the deployments that were being rolled back, and tells whether
// there were any.
func (p *planner) endRollback(status ecs.ServiceDeploymentStatus) (any bool) {
	for _, d := range p.deployments {
		if d.Record.Status == ecs.ServiceDeploymentStatusROLLBACKINPROGRESS {
			d.record(p.in.Now, status, d.Record.StatusReason)
			any = true
		}
	}
	return any
}

// throttled tells until when nothing is started; zero if nothing keeps from it.
func (p *planner) throttled() time.Time {
	if until := p.plan.Memory.Throttled; until != nil && p.in.Now.Before(*until) {
		return *until
	}
	return time.Time{}
}
