package plan

import (
	"maps"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
)

// Service plans one service.
func Service(in Input) Plan {
	p := newPlanner(in)
	if in.Service.Status == row.ServiceInactive {
		p.forget()
		return p.plan
	}
	if p.primary == nil {
		return p.plan
	}
	p.remember()
	p.observe()
	p.judge()
	p.scaleIn()
	p.replace()
	p.start()
	p.rebalance()
	p.conclude()
	return p.finish()
}

// planner makes one plan. Its methods each do one part, in the order of Service.
type planner struct {
	in     Input
	plan   Plan
	bounds Bounds

	primary     *deployment
	deployments []*deployment // oldest first, the PRIMARY one included
	tasks       []*task
	stopped     []string // ids of RUNNING tasks that the plan stops
}

// deployment is a deployment with its tasks, and whether the plan has changed it or its record.
type deployment struct {
	Deployment
	tasks                  []*task
	changed, recordChanged bool
}

// task is a task with what the scheduler thinks of it.
type task struct {
	Task
	verdict
	deployment *deployment
	// open is whether it is not STOPPED yet, kept whether nobody has asked it to stop.
	open, kept bool
	noted      bool // whether its notes have changed
}

func newPlanner(in Input) *planner {
	p := &planner{in: in, bounds: BoundsOf(in.Service.DesiredCount, in.Service.Configuration)}
	if in.Service.Status != row.ServiceActive {
		p.bounds = Bounds{}
	}
	p.plan.Memory = in.Memory
	p.plan.Memory.Service = in.Service.ARN
	byID := make(map[string]*deployment, len(in.Deployments))
	for _, d := range byAge(in.Deployments) {
		own := &deployment{Deployment: d}
		byID[d.ID] = own
		p.deployments = append(p.deployments, own)
		if d.Status == row.DeploymentPrimary {
			p.primary = own
		}
	}
	grace := time.Duration(aws.Val(in.Service.GracePeriod)) * time.Second
	for _, t := range in.Tasks {
		p.add(t, byID[t.Deployment], grace)
	}
	return p
}

// add takes a task in. One whose deployment is gone is an old one's: it is to stop.
func (p *planner) add(t Task, d *deployment, grace time.Duration) {
	if d == nil {
		d = &deployment{Deployment: Deployment{Deployment: row.Deployment{ID: t.Deployment}}}
	}
	own := &task{Task: t, deployment: d}
	own.open = t.LastStatus != row.TaskStopped
	own.kept = own.open && t.DesiredStatus == row.TaskRunning
	if own.kept {
		own.verdict = judgeTask(t, d.HealthChecked, grace, p.in.Now)
		p.wake(own.until)
	}
	d.tasks = append(d.tasks, own)
	p.tasks = append(p.tasks, own)
}

// count counts the tasks that pass.
func count(tasks []*task, pass func(*task) bool) (n int) {
	for _, t := range tasks {
		if pass(t) {
			n++
		}
	}
	return n
}

func isKept(t *task) bool    { return t.kept }
func isOpen(t *task) bool    { return t.open }
func isHealthy(t *task) bool { return t.kept && t.health == Healthy }
func isBad(t *task) bool     { return t.kept && t.health == Unhealthy }

// isUnproven tells whether a task is neither healthy nor unhealthy yet.
func isUnproven(t *task) bool { return t.kept && (t.health == Starting || t.health == Waiting) }

// isLeaving tells whether a task is to stop and still has to be deregistered from its target groups.
func isLeaving(t *task) bool {
	return t.open && !t.kept && t.Notes.Registered && !t.Notes.Draining
}

// occupies tells whether a task counts against the upper bound: all that are not STOPPED do, but for
// those whose containers are gone.
func occupies(t *task) bool { return t.open && !endedItself(t.Task.Task) }

// wake makes the plan's next time no later than at.
func (p *planner) wake(at time.Time) {
	if at.IsZero() || !at.After(p.in.Now) {
		return
	}
	if p.plan.Wake.IsZero() || at.Before(p.plan.Wake) {
		p.plan.Wake = at
	}
}

// remember takes note of a new intent, which forgives what went wrong before, and of the records
// that begin or end with it.
func (p *planner) remember() {
	if m := &p.plan.Memory; m.Seen != p.in.Service.Version {
		m.Seen = p.in.Service.Version
		m.StartFailures, m.Throttled, m.Said, m.Steady, m.Moving = 0, nil, nil, false, ""
		p.plan.Changed = true
	}
	for _, d := range p.deployments {
		switch begun := d.Record.Status; {
		case d == p.primary && begun == ecs.ServiceDeploymentStatusPENDING:
			d.record(p.in.Now, ecs.ServiceDeploymentStatusINPROGRESS, "")
			d.Record.StartedAt = &p.in.Now
		case d == p.primary:
		case begun == ecs.ServiceDeploymentStatusPENDING, begun == ecs.ServiceDeploymentStatusINPROGRESS:
			d.record(p.in.Now, ecs.ServiceDeploymentStatusSTOPPED, "A newer service deployment has begun.")
		}
	}
}

// record sets the status of a deployment's record; the final ones end it for good.
func (d *deployment) record(now time.Time, status ecs.ServiceDeploymentStatus, reason string) {
	if d.Record.ARN == "" || final(d.Record.Status) {
		return
	}
	d.Record.Status, d.Record.StatusReason, d.Record.UpdatedAt = status, reason, now
	switch status {
	case ecs.ServiceDeploymentStatusSTOPPED:
		d.Record.StoppedAt, d.Record.FinishedAt = &now, &now
	case ecs.ServiceDeploymentStatusSUCCESSFUL, ecs.ServiceDeploymentStatusROLLBACKSUCCESSFUL,
		ecs.ServiceDeploymentStatusROLLBACKFAILED:
		d.Record.FinishedAt = &now
	}
	d.recordChanged = true
}

// rollout sets how far a deployment is.
func (d *deployment) rollout(now time.Time, state ecs.DeploymentRolloutState, reason string) {
	d.RolloutState, d.RolloutReason, d.UpdatedAt = state, reason, now
	d.changed = true
}

// say remembers that an event was written.
func (p *planner) say(text string) {
	said := maps.Clone(p.plan.Memory.Said)
	maps.DeleteFunc(said, func(_ string, at time.Time) bool {
		return !p.in.Now.Before(at.Add(repeatTime))
	})
	if said == nil {
		said = map[string]time.Time{}
	}
	said[text] = p.in.Now
	p.plan.Memory.Said = said
	p.plan.Changed = true
}

// forget drops a service that has been INACTIVE for long.
func (p *planner) forget() {
	if p.in.Service.InactiveAt == nil {
		return
	}
	end := p.in.Service.InactiveAt.Add(forgetTime)
	p.plan.Forget = !p.in.Now.Before(end)
	p.plan.Changed = p.plan.Forget
	p.wake(end)
}

// finish collects what has changed.
func (p *planner) finish() Plan {
	for _, t := range p.tasks {
		if t.noted {
			p.plan.Notes = append(p.plan.Notes, Note{Task: t.ARN, Notes: t.Task.Notes})
		}
	}
	for _, d := range p.deployments {
		if d.changed {
			p.plan.Deployments = append(p.plan.Deployments, d.Deployment.Deployment)
		}
		if d.recordChanged {
			p.plan.Records = append(p.plan.Records, d.Record)
		}
	}
	p.plan.Changed = p.plan.Changed || p.plan.Inactive ||
		len(p.plan.Starts)+len(p.plan.Stops)+len(p.plan.Notes)+len(p.plan.Events)+
			len(p.plan.Deployments)+len(p.plan.Drained)+len(p.plan.Records) > 0
	return p.plan
}
