package containerd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"

	"fairlead/internal/runtime"
)

// Start implements runtime.Containers.
func (e *Engine) Start(ctx context.Context, id string) error {
	container, row, err := e.load(ctx, id)
	if err != nil {
		return err
	}
	if row.Labels[labelStarted] != "" {
		return nil
	}
	if err := e.installShim(); err != nil {
		return e.startFailure(ctx, id, err)
	}
	task, err := container.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		task, err = container.NewTask(ctx, logTo(row.Labels[labelLog]))
	}
	if err != nil {
		return e.startFailure(ctx, id, err)
	}
	status, err := task.Status(ctx)
	if err != nil {
		return e.startFailure(ctx, id, err)
	}
	if status.Status == client.Created {
		if err := task.Start(ctx); err != nil {
			// What the user is to read is why it did not start.
			_, _ = task.Delete(context.WithoutCancel(ctx), client.WithProcessKill)
			return e.startFailure(ctx, id, err)
		}
	}
	return e.noteStart(ctx, id)
}

// noteStart writes down when the container was started, for the time after its process.
func (e *Engine) noteStart(ctx context.Context, id string) error {
	_, err := e.client.ContainerService().Update(ctx, containers.Container{
		ID:     id,
		Labels: map[string]string{labelStarted: time.Now().UTC().Format(time.RFC3339Nano)},
	}, "labels."+labelStarted)
	if err != nil {
		return fmt.Errorf("note start of %s: %w", id, err)
	}
	return nil
}

func (e *Engine) startFailure(ctx context.Context, id string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("start container %s: %w", id, err)
	}
	return &runtime.Failure{
		Reason: runtime.CannotStartContainer, Message: oneLine(err), Err: err,
	}
}

// logTo lets the shim append stdout and stderr to the file, whether we live or not.
func logTo(path string) cio.Creator {
	uri := (&url.URL{Scheme: "file", Path: path}).String()
	return func(string) (cio.IO, error) { return &logIO{uri: uri}, nil }
}

type logIO struct{ uri string }

func (l *logIO) Config() cio.Config { return cio.Config{Stdout: l.uri, Stderr: l.uri} }
func (*logIO) Cancel()              {}
func (*logIO) Wait()                {}
func (*logIO) Close() error         { return nil }

// load finds a container and its row; none is runtime.ErrNotFound.
func (e *Engine) load(ctx context.Context, id string) (client.Container, containers.Container,
	error) {
	container, err := e.client.LoadContainer(ctx, id)
	if err != nil {
		return nil, containers.Container{}, named("container", id, err)
	}
	row, err := container.Info(ctx, client.WithoutRefreshedMetadata)
	if err != nil {
		return nil, containers.Container{}, named("container", id, err)
	}
	return container, row, nil
}

// running finds the task of a container that has been started.
func (e *Engine) running(ctx context.Context, id string) (client.Task, containers.Container,
	error) {
	container, row, err := e.load(ctx, id)
	if err != nil {
		return nil, row, err
	}
	task, err := container.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		return nil, row, fmt.Errorf("container %s: %w", id, runtime.ErrNotRunning)
	}
	if err != nil {
		return nil, row, fmt.Errorf("load task of %s: %w", id, err)
	}
	return task, row, nil
}

func named(kind, id string, err error) error {
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("%s %s: %w", kind, id, runtime.ErrNotFound)
	}
	return fmt.Errorf("load %s %s: %w", kind, id, err)
}

// Signal implements runtime.Containers.
func (e *Engine) Signal(ctx context.Context, id string, sig syscall.Signal) error {
	task, _, err := e.running(ctx, id)
	if err != nil {
		return err
	}
	err = task.Kill(ctx, sig)
	if errdefs.IsNotFound(err) || errdefs.IsFailedPrecondition(err) {
		return fmt.Errorf("container %s: %w", id, runtime.ErrNotRunning)
	}
	if err != nil {
		return fmt.Errorf("signal container %s: %w", id, err)
	}
	return nil
}

// Delete implements runtime.Containers. What depends on the container goes first, so that a
// Delete that was interrupted finds the rest.
func (e *Engine) Delete(ctx context.Context, id string) error {
	container, row, err := e.load(ctx, id)
	if errors.Is(err, runtime.ErrNotFound) {
		return e.deleteSandbox(ctx, id)
	}
	if err != nil {
		return err
	}
	if err := e.deleteTask(ctx, container); err != nil {
		return err
	}
	// Nothing is there unless the shim died before its container did.
	left := e.containerCgroup(row.Labels[labelGroup], id)
	if err := e.cgroups.Clear(ctx, left); err != nil {
		return fmt.Errorf("delete container %s: %w", id, err)
	}
	if err := e.removeSnapshot(ctx, id); err != nil {
		return err
	}
	if err := e.client.ContainerService().Delete(ctx, id); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("delete container %s: %w", id, err)
	}
	return e.deleteSandbox(ctx, id)
}

func (e *Engine) deleteTask(ctx context.Context, container client.Container) error {
	task, err := container.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("load task of %s: %w", container.ID(), err)
	}
	if _, err := task.Delete(ctx, client.WithProcessKill); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("delete task of %s: %w", container.ID(), err)
	}
	return nil
}

func (e *Engine) deleteSandbox(ctx context.Context, id string) error {
	err := e.client.SandboxStore().Delete(ctx, id)
	if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsNotImplemented(err) {
		return fmt.Errorf("delete sandbox record of %s: %w", id, err)
	}
	return nil
}
