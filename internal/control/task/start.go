package task

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/eni"
	"fairlead/internal/node"
	"fairlead/internal/row"
	"fairlead/internal/runtime"
	"fairlead/internal/state"
)

// provision gives the task its network interface and waits until the devices are there.
func (w *worker) provision(ctx context.Context, task row.Task) (next, error) {
	if task.DesiredStatus == row.TaskStopped {
		return w.advance(ctx, row.TaskDeprovisioning)
	}
	if task.ENI == "" {
		err := w.observe(ctx, allocate)
		if fault, ok := errors.AsType[*aws.Fault](err); ok {
			return w.fail(ctx, "ResourceInitializationError: "+fault.Message)
		}
		return atOnce, err
	}
	view := w.cfg.Store.View()
	if nic, ok := row.NetworkInterfaces.Get(view, task.Scope.Key(task.ENI)); !ok || !nic.Ready {
		return next{}, nil
	}
	return atOnce, w.observe(ctx, func(_ *state.Tx, t *row.Task) error {
		attached := *t.Attachment
		attached.Status = "ATTACHED"
		t.Attachment = &attached
		t.ConnectivityAt = new(w.cfg.Now())
		w.enter(t, row.TaskPending)
		return nil
	})
}

// allocate takes an address in the task's subnet, in the transaction that notes it in the task.
func allocate(tx *state.Tx, t *row.Task) error {
	attachment := aws.UUID()
	nic, err := eni.Allocate(tx, eni.Request{
		Scope:         t.Scope,
		Subnet:        t.Network.Subnet,
		Groups:        t.Network.SecurityGroups,
		Description:   t.Scope.ARN("ecs", "attachment/"+attachment),
		Owner:         t.ARN,
		Requester:     "amazon-ecs",
		InstanceOwner: "amazon-ecs",
		Public:        t.Network.AssignPublicIP,
	})
	if err != nil {
		return err
	}
	t.ENI = nic.ID
	t.Attachment = &row.TaskAttachment{
		ID: attachment, Status: "ATTACHING", Subnet: nic.Subnet, ENI: nic.ID, MAC: nic.MAC,
		Address: nic.Address,
	}
	return nil
}

// open returns the handle of the task's containers.
func (w *worker) open(task row.Task) (*node.Containers, error) {
	if w.containers == nil {
		def, ok := row.TaskDefinitions.Get(w.cfg.Store.View(), task.TaskDefinition)
		if !ok {
			return nil, fmt.Errorf("task definition %s is gone", task.TaskDefinition)
		}
		w.containers = w.cfg.Node.Open(task, def.Definition, w.poke)
	}
	return w.containers, nil
}

// start pulls the images and starts the containers as their dependencies allow.
func (w *worker) start(ctx context.Context, task row.Task) (next, error) {
	if task.DesiredStatus == row.TaskStopped {
		return w.advance(ctx, row.TaskStopping)
	}
	containers, err := w.open(task)
	if err != nil {
		return w.fail(ctx, "TaskFailedToStart: "+err.Error())
	}
	if task.PullStoppedAt == nil {
		return w.pull(ctx, task, containers)
	}
	up, at, err := containers.Run(ctx)
	if reason, ok := final(err); ok {
		return w.fail(ctx, reason)
	}
	if err != nil {
		return next{}, err
	}
	if containers.EssentialExited() {
		return w.exited(ctx)
	}
	if !up {
		return next{at: at}, w.observe(ctx, unchanged)
	}
	return w.advance(ctx, row.TaskActivating)
}

// pull pulls the images: those that the task's revision names, and what it does not name yet by tag.
// If another task of the revision was faster to say what a tag means, it pulls again, as told.
func (w *worker) pull(
	ctx context.Context, task row.Task, containers *node.Containers,
) (next, error) {
	started := w.cfg.Now()
	revision, _ := row.RevisionOf(w.cfg.Store.View(), task)
	err := containers.Pull(ctx, revision.Images)
	if reason, ok := final(err); ok {
		return w.fail(ctx, reason)
	}
	if err != nil {
		return next{}, err
	}
	return atOnce, w.observe(ctx, func(tx *state.Tx, t *row.Task) error {
		if resolve(tx, *t, containers.Resolved()) {
			t.PullStartedAt, t.PullStoppedAt = &started, new(w.cfg.Now())
		}
		return nil
	})
}

// resolve notes in the task's revision what its images were found to be. It returns false, and notes
// nothing, where the revision says otherwise.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerImage.html
func resolve(tx *state.Tx, t row.Task, found []node.Resolved) bool {
	revision, ok := row.RevisionOf(tx, t)
	if !ok {
		return true
	}
	images := maps.Clone(revision.Images)
	if images == nil {
		images = map[string]string{}
	}
	for _, r := range found {
		if have := images[r.Container]; r.Movable && have != "" && have != r.Digest {
			return false
		}
		images[r.Container] = r.Digest
	}
	if !maps.Equal(images, revision.Images) {
		revision.Images = images
		row.ServiceRevisions.Put(tx, revision)
	}
	return true
}

// final reports whether err will not go away by trying again, and its reason in AWS's words.
func final(err error) (string, bool) {
	if f, ok := errors.AsType[*node.Failure](err); ok {
		return f.Reason, true
	}
	if f, ok := errors.AsType[*runtime.Failure](err); ok {
		return f.Error(), true
	}
	return "", false
}

// fail ends a task that could not start. The log says so too: the reason may be the machine.
func (w *worker) fail(ctx context.Context, reason string) (next, error) {
	w.cfg.Logger.Warn("a task could not start", "task", w.arn, "reason", reason)
	return w.end(ctx, ecs.TaskStopCodeTaskFailedToStart, reason)
}

// exited ends a task whose essential container has stopped.
func (w *worker) exited(ctx context.Context) (next, error) {
	return w.end(ctx, ecs.TaskStopCodeEssentialContainerExited, "Essential container in task exited")
}

// end sets the task's desired status to STOPPED unless somebody else already did.
func (w *worker) end(ctx context.Context, code ecs.TaskStopCode, reason string) (next, error) {
	return atOnce, w.observe(ctx, func(_ *state.Tx, t *row.Task) error {
		if t.DesiredStatus == row.TaskStopped {
			return nil
		}
		t.DesiredStatus, t.StopCode, t.StoppedReason = row.TaskStopped, code, reason
		t.StopAskedAt = new(w.cfg.Now())
		return nil
	})
}

// activate registers the task in every target group; then it is RUNNING.
func (w *worker) activate(ctx context.Context, task row.Task) (next, error) {
	if task.DesiredStatus == row.TaskStopped {
		return w.advance(ctx, row.TaskDeactivating)
	}
	if _, err := w.open(task); err != nil {
		return next{}, err
	}
	return atOnce, w.observe(ctx, func(tx *state.Tx, t *row.Task) error {
		t.Registered = register(tx, *t, w.cfg.Now())
		w.enter(t, row.TaskRunning)
		return nil
	})
}

func register(tx *state.Tx, t row.Task, now time.Time) []row.Target {
	var targets []row.Target
	for _, lb := range t.LoadBalancers {
		group := aws.Val(lb.TargetGroupArn)
		if _, ok := row.TargetGroups.Get(tx, group); !ok {
			continue // deleted under the service; the task runs on without it, as on AWS
		}
		target := row.Target{
			TargetGroup: group, ID: t.Attachment.Address, Port: int(aws.Val(lb.ContainerPort)),
			Zone: t.Zone, RegisteredAt: now,
		}
		row.Targets.Put(tx, target)
		targets = append(targets, target)
	}
	return targets
}
