package ecs

import (
	"cmp"
	"context"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// maxStopReason is the length of a stop reason in characters.
const maxStopReason = 1024

// StopTask asks a task to stop, which loses its tags. The task of a service is replaced by the
// service's scheduler.
func (s *Service) StopTask(
	ctx context.Context, in *ecs.StopTaskInput,
) (*ecs.StopTaskOutput, error) {
	reason := cmp.Or(aws.Val(in.Reason), "Task stopped by user")
	if len(reason) > maxStopReason {
		return nil, invalid("reason can have at most %d characters.", maxStopReason)
	}
	out := &ecs.StopTaskOutput{}
	err := s.update(ctx, func(tx *state.Tx, c aws.Caller) error {
		cluster, err := liveCluster(tx, c, in.Cluster)
		if err != nil {
			return err
		}
		t, ok := row.Tasks.Get(tx, memberARN(c, cluster.ARN, "task", aws.Val(in.Task)))
		if !ok || t.Cluster != cluster.ARN {
			return invalid("The referenced task was not found.")
		}
		if t.DesiredStatus != row.TaskStopped {
			t.DesiredStatus, t.StopCode = row.TaskStopped, ecs.TaskStopCodeUserInitiated
			t.StoppedReason, t.StopAskedAt = reason, new(s.now())
			t.Tags = nil
			t.Version++
			row.Tasks.Put(tx, t)
		}
		out.Task = new(describeTask(tx, t, false))
		return nil
	})
	return out, err
}

// Limits of task protection.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateTaskProtection.html
const (
	maxProtectedTasks = 10
	maxProtection     = 2880 // minutes
	defaultProtection = 120  // minutes
)

// UpdateTaskProtection protects tasks of services from scale-in and deployments for a time.
func (s *Service) UpdateTaskProtection(
	ctx context.Context, in *ecs.UpdateTaskProtectionInput,
) (*ecs.UpdateTaskProtectionOutput, error) {
	minutes := aws.Or(in.ExpiresInMinutes, defaultProtection)
	switch {
	case len(in.Tasks) == 0 || len(in.Tasks) > maxProtectedTasks:
		return nil, invalid("tasks must have 1 to %d items.", maxProtectedTasks)
	case minutes < 1 || minutes > maxProtection:
		return nil, invalid("expiresInMinutes must be between 1 and %d.", maxProtection)
	}
	var until *time.Time
	if aws.Val(in.ProtectionEnabled) {
		until = new(s.now().Add(time.Duration(minutes) * time.Minute))
	}
	var out *ecs.UpdateTaskProtectionOutput
	err := s.update(ctx, func(tx *state.Tx, c aws.Caller) error {
		cluster, err := liveCluster(tx, c, in.Cluster)
		if err != nil {
			return err
		}
		out = &ecs.UpdateTaskProtectionOutput{
			ProtectedTasks: []ecs.ProtectedTask{}, Failures: []ecs.Failure{},
		}
		for _, ref := range in.Tasks {
			t, failure := protectable(tx, c, cluster, ref)
			if failure != nil {
				out.Failures = append(out.Failures, *failure)
				continue
			}
			t.Protection = until
			t.Version++
			row.Tasks.Put(tx, t)
			out.ProtectedTasks = append(out.ProtectedTasks, s.protection(t))
		}
		return nil
	})
	return out, err
}

// GetTaskProtection shows the protection of tasks of services.
func (s *Service) GetTaskProtection(
	ctx context.Context, in *ecs.GetTaskProtectionInput,
) (*ecs.GetTaskProtectionOutput, error) {
	if len(in.Tasks) > maxDescribed {
		return nil, invalid("tasks can have at most %d items.", maxDescribed)
	}
	view, c := s.store.View(), aws.CallerFrom(ctx)
	cluster, err := liveCluster(view, c, in.Cluster)
	if err != nil {
		return nil, err
	}
	refs := in.Tasks
	if len(refs) == 0 {
		refs = protectedIn(view, cluster.ARN)
	}
	out := &ecs.GetTaskProtectionOutput{
		ProtectedTasks: []ecs.ProtectedTask{}, Failures: []ecs.Failure{},
	}
	for _, ref := range refs {
		t, failure := protectable(view, c, cluster, ref)
		if failure != nil {
			out.Failures = append(out.Failures, *failure)
			continue
		}
		out.ProtectedTasks = append(out.ProtectedTasks, s.protection(t))
	}
	return out, nil
}

func protectedIn(r state.Reader, cluster string) (arns []string) {
	for t := range row.Tasks.By(r, "cluster", cluster) {
		if t.Protection != nil && t.DesiredStatus == row.TaskRunning {
			arns = append(arns, t.ARN)
		}
	}
	return arns
}

func protectable(
	r state.Reader, c aws.Caller, cluster row.Cluster, ref string,
) (row.Task, *ecs.Failure) {
	arn := memberARN(c, cluster.ARN, "task", ref)
	t, ok := row.Tasks.Get(r, arn)
	switch {
	case !ok || t.Cluster != cluster.ARN || t.DesiredStatus == row.TaskStopped:
		return t, new(missing(arn))
	case t.Service == "":
		return t, &ecs.Failure{Arn: &arn, Reason: new("TASK_NOT_VALID")}
	}
	return t, nil
}

func (s *Service) protection(t row.Task) ecs.ProtectedTask {
	p := ecs.ProtectedTask{TaskArn: &t.ARN, ProtectionEnabled: new(false)}
	if t.Protection != nil && t.Protection.After(s.now()) {
		p.ProtectionEnabled, p.ExpirationDate = new(true), t.Protection
	}
	return p
}
