package containerd

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"

	"fairlead/internal/runtime"
)

// lostExitCode is what a container reports whose process ended unseen.
const lostExitCode = 255

// Status implements runtime.Containers.
func (e *Engine) Status(ctx context.Context, id string) (runtime.Status, error) {
	row, err := e.client.ContainerService().Get(ctx, id)
	if err != nil {
		return runtime.Status{}, named("container", id, err)
	}
	response, err := e.client.TaskService().Get(ctx, &tasksapi.GetRequest{ContainerID: id})
	if err = errgrpc.ToNative(err); err != nil && !errdefs.IsNotFound(err) {
		return runtime.Status{}, fmt.Errorf("ask for task of %s: %w", id, err)
	}
	return e.status(row, response.GetProcess()), nil
}

// List implements runtime.Containers.
func (e *Engine) List(ctx context.Context) ([]runtime.Status, error) {
	rows, err := e.client.ContainerService().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	tasks, err := e.client.TaskService().List(ctx, &tasksapi.ListTasksRequest{})
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", errgrpc.ToNative(err))
	}
	processes := map[string]*tasktypes.Process{}
	for _, process := range tasks.Tasks {
		processes[process.ID] = process
	}
	all := make([]runtime.Status, 0, len(rows))
	for _, row := range rows {
		all = append(all, e.status(row, processes[row.ID]))
	}
	slices.SortFunc(all, func(a, b runtime.Status) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// status joins the container's row with its task, nil if there is none.
func (e *Engine) status(row containers.Container, process *tasktypes.Process) runtime.Status {
	s := runtime.Status{
		ID: row.ID, Group: row.Labels[labelGroup], Image: row.Labels[labelImage],
		Digest: row.Labels[labelDigest], Labels: ownLabels(row.Labels), CreatedAt: row.CreatedAt,
	}
	if at, err := time.Parse(time.RFC3339Nano, row.Labels[labelStarted]); err == nil {
		s.StartedAt = at
	}
	switch {
	case process == nil && s.StartedAt.IsZero():
		s.Phase = runtime.Created
	case process == nil:
		s.Phase, s.ExitCode = runtime.Lost, lostExitCode
	case process.Status == tasktypes.Status_STOPPED:
		s.Phase, s.ExitCode = runtime.Exited, int(process.ExitStatus)
		s.FinishedAt = process.ExitedAt.AsTime()
		s.OOMKilled = e.cgroups.OOMKills(e.containerCgroup(s.Group, s.ID)) > 0
	case process.Status == tasktypes.Status_CREATED:
		s.Phase = runtime.Created
	default:
		s.Phase, s.Pid = runtime.Running, int(process.Pid)
	}
	return s
}

// ownLabels leaves out those of the engine and of containerd.
func ownLabels(all map[string]string) map[string]string {
	own := map[string]string{}
	for name, value := range all {
		if !strings.HasPrefix(name, labelPrefix) && !strings.HasPrefix(name, "containerd.io/") {
			own[name] = value
		}
	}
	return own
}

// Stats implements runtime.Containers.
func (e *Engine) Stats(ctx context.Context, id string) (runtime.Stats, error) {
	status, err := e.Status(ctx, id)
	if err != nil {
		return runtime.Stats{}, err
	}
	if status.Phase != runtime.Running {
		return runtime.Stats{}, fmt.Errorf("container %s: %w", id, runtime.ErrNotRunning)
	}
	usage := e.cgroups.Usage(e.containerCgroup(status.Group, id))
	stats := runtime.Stats{
		At: time.Now(), CPU: usage.CPU, Memory: usage.Memory,
		MemoryLimit: usage.MemoryLimit, Pids: usage.Pids,
	}
	readNetwork(status.Pid, &stats)
	return stats, nil
}
