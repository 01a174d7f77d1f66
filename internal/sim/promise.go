package sim

import (
	"fairlead/internal/api/ecs"
	"fairlead/internal/plan"
	"fairlead/internal/row"
)

// check holds a plan against what the scheduler promises, before it is performed.
func (w *World) check(in plan.Input, p plan.Plan) {
	w.checkMaximum(p)
	w.checkMinimum(p)
	w.checkDeployments(in, p)
}

// checkMaximum: a start never takes the service above its maximum. Tasks whose containers are gone
// do not count.
func (w *World) checkMaximum(p plan.Plan) {
	if len(p.Starts) == 0 {
		return
	}
	tasks := len(p.Starts)
	for _, t := range w.Tasks {
		over := t.StopCode == ecs.TaskStopCodeEssentialContainerExited ||
			t.StopCode == ecs.TaskStopCodeTaskFailedToStart
		if t.LastStatus != row.TaskStopped && !over {
			tasks++
		}
	}
	upper := w.Service.DesiredCount * percent(w.Service.Configuration.MaximumPercent) / 100
	if tasks > upper {
		w.fail("%d tasks, above the maximum of %d", tasks, upper)
	}
}

// checkMinimum: a stop never takes a service that is to live below its minimum of healthy tasks,
// but for the stop of a task that is not healthy.
func (w *World) checkMinimum(p plan.Plan) {
	stopped := 0
	for _, s := range p.Stops {
		if w.task(s.Task).good(w) {
			stopped++
		}
	}
	left := -stopped
	for _, t := range w.Tasks {
		if t.good(w) {
			left++
		}
	}
	lower := (w.Service.DesiredCount*percent(w.Service.Configuration.MinimumHealthyPercent) + 99) / 100
	if stopped > 0 && left < lower {
		w.fail("%d healthy tasks left, below the minimum of %d", left, lower)
	}
}

// good tells whether a task counts towards the minimum.
func (t *Task) good(w *World) bool {
	if !t.kept() || t.LastStatus != row.TaskRunning {
		return false
	}
	if !w.Balanced && !w.Checked {
		return !w.Now.Before(t.StartedAt.Add(plan.SettleTime))
	}
	return t.health == healthy
}

// checkDeployments: there is one PRIMARY deployment, only it gets tasks, and a plan does not give
// and take at once.
func (w *World) checkDeployments(in plan.Input, p plan.Plan) {
	primary := w.Primary()
	for _, d := range p.Deployments {
		if d.Status == row.DeploymentPrimary && d.ID != primary.ID {
			primary = w.rollout(d.ID)
		}
	}
	for _, s := range p.Starts {
		if s.Deployment != primary.ID {
			w.fail("a task was started for %s, while %s is PRIMARY", s.Deployment, primary.ID)
		}
	}
	for _, s := range p.Stops {
		t := w.task(s.Task)
		if len(p.Starts) > 0 && t.Deployment == primary.ID && t.good(w) {
			w.fail("%s of %s is healthy and was stopped by a plan that starts others", t.ID, primary.ID)
		}
	}
	if len(in.Deployments) > 0 && w.Service.Status != row.ServiceInactive && primary == nil {
		w.fail("no deployment is PRIMARY")
	}
}
