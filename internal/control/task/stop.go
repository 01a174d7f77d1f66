package task

import (
	"context"
	"slices"
	"time"

	"fairlead/internal/aws"
	"fairlead/internal/eni"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// watch looks after a running task.
func (w *worker) watch(ctx context.Context, task row.Task) (next, error) {
	if task.DesiredStatus == row.TaskStopped {
		return w.advance(ctx, row.TaskDeactivating)
	}
	containers, err := w.open(task)
	if err != nil {
		return next{}, err
	}
	if err := containers.Observe(ctx); err != nil {
		return next{}, err
	}
	if containers.EssentialExited() {
		return w.exited(ctx)
	}
	return next{}, w.observe(ctx, unchanged)
}

// deactivate deregisters the task's targets and waits until they are drained: the balancer
// controller deletes a target's row when no request is left in it or its delay is over. Nothing is
// waited for when the container behind the target has already stopped.
func (w *worker) deactivate(ctx context.Context, task row.Task) (next, error) {
	containers, err := w.open(task)
	if err != nil {
		return next{}, err
	}
	if err := containers.Observe(ctx); err != nil {
		return next{}, err
	}
	w.setDraining(task.Registered)
	err = w.observe(ctx, func(tx *state.Tx, t *row.Task) error {
		drain(tx, t.Registered, w.cfg.Now())
		return nil
	})
	if err != nil {
		return next{}, err
	}
	view := w.cfg.Store.View()
	for _, target := range task.Registered {
		_, left := row.Targets.Get(view, target.Key())
		if left && !containers.Exited(servedBy(task, target)) {
			return next{}, w.observe(ctx, unchanged)
		}
	}
	return w.advance(ctx, row.TaskStopping)
}

func drain(tx *state.Tx, targets []row.Target, now time.Time) {
	for _, target := range targets {
		have, ok := row.Targets.Get(tx, target.Key())
		if ok && have.DrainingSince == nil {
			have.DrainingSince = &now
			row.Targets.Put(tx, have)
		}
	}
}

// servedBy names the container behind a target.
func servedBy(task row.Task, target row.Target) string {
	for _, lb := range task.LoadBalancers {
		if aws.Val(lb.TargetGroupArn) == target.TargetGroup && int(aws.Val(lb.ContainerPort)) == target.Port {
			return aws.Val(lb.ContainerName)
		}
	}
	return ""
}

func (w *worker) setDraining(targets []row.Target) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = map[string]bool{}
	for _, target := range targets {
		w.draining[target.Key()] = true
	}
}

// stop ends the containers and removes them.
func (w *worker) stop(ctx context.Context, task row.Task) (next, error) {
	containers, err := w.open(task)
	if err != nil {
		return w.advance(ctx, row.TaskDeprovisioning)
	}
	done, at, err := containers.Stop(ctx)
	if err != nil {
		return next{}, err
	}
	if !done {
		return next{at: at}, w.observe(ctx, unchanged)
	}
	// Exit codes first: nobody can tell them any more once the containers are gone.
	if err := w.observe(ctx, unchanged); err != nil {
		return next{}, err
	}
	if err := containers.Remove(ctx); err != nil {
		return next{}, err
	}
	return atOnce, w.observe(ctx, func(_ *state.Tx, t *row.Task) error {
		t.ExecutionStoppedAt = new(w.cfg.Now())
		w.enter(t, row.TaskDeprovisioning)
		return nil
	})
}

// deprovision gives the network interface back; the network controller removes its devices.
func (w *worker) deprovision(ctx context.Context, task row.Task) (next, error) {
	return atOnce, w.observe(ctx, func(tx *state.Tx, t *row.Task) error {
		if t.ENI != "" {
			eni.Release(tx, t.Scope.Key(t.ENI))
		}
		if t.Attachment != nil {
			gone := *t.Attachment
			gone.Status = "DELETED"
			t.Attachment = &gone
		}
		t.Registered = nil
		t.Containers = slices.Clone(t.Containers)
		for i := range t.Containers {
			t.Containers[i].LastStatus = row.TaskStopped
		}
		w.enter(t, row.TaskStopped)
		return nil
	})
}
