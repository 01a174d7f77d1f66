package containerd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/sandbox"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"

	"fairlead/internal/runtime"
)

// Labels in which the engine keeps what containerd has no field for.
const (
	labelPrefix  = "fairlead.internal/"
	labelImage   = labelPrefix + "image"
	labelDigest  = labelPrefix + "digest"
	labelGroup   = labelPrefix + "group"
	labelLog     = labelPrefix + "log"
	labelStarted = labelPrefix + "started"
	labelPinned  = labelPrefix + "pinned" // on an image
	// labelRoot on a snapshot keeps containerd's garbage collector away until we remove it.
	labelRoot = "containerd.io/gc.root"
)

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

func validID(id string) bool {
	return len(id) <= runtime.MaxIDLength && idPattern.MatchString(id)
}

// Create implements runtime.Containers.
func (e *Engine) Create(ctx context.Context, c runtime.Container) error {
	if err := validate(c); err != nil {
		return createFailure(err)
	}
	if _, err := e.client.ContainerService().Get(ctx, c.ID); err == nil {
		return nil
	}
	image, err := e.client.GetImage(ctx, normalize(c.Image))
	if err != nil {
		return createFailure(fmt.Errorf("get image %s: %w", c.Image, err))
	}
	if err := e.prepareSnapshot(ctx, c.ID, image); err != nil {
		return createFailure(err)
	}
	if err := e.record(ctx, c, image); err != nil {
		err = errors.Join(err, e.removeSnapshot(context.WithoutCancel(ctx), c.ID))
		return createFailure(err)
	}
	return nil
}

func validate(c runtime.Container) error {
	switch {
	case !validID(c.ID):
		return fmt.Errorf("%q is no valid container ID", c.ID)
	case c.Group != "" && !validID(c.Group):
		return fmt.Errorf("%q is no valid group ID", c.Group)
	case !strings.HasPrefix(c.LogPath, "/"):
		return fmt.Errorf("log path %q is not absolute", c.LogPath)
	}
	for name := range c.Labels {
		if strings.HasPrefix(name, labelPrefix) {
			return fmt.Errorf("label %s is reserved", name)
		}
	}
	return nil
}

// prepareSnapshot makes the container's writable layer, anew if a crash left one behind.
func (e *Engine) prepareSnapshot(ctx context.Context, id string, image client.Image) error {
	if err := e.unpack(ctx, image); err != nil {
		return err
	}
	parent, err := chainID(ctx, image)
	if err != nil {
		return err
	}
	keep := snapshots.WithLabels(map[string]string{
		labelRoot: time.Now().UTC().Format(time.RFC3339),
	})
	service := e.client.SnapshotService(e.config.Snapshotter)
	_, err = service.Prepare(ctx, id, parent, keep)
	if errdefs.IsAlreadyExists(err) {
		if err := service.Remove(ctx, id); err != nil {
			return fmt.Errorf("remove stale snapshot: %w", err)
		}
		_, err = service.Prepare(ctx, id, parent, keep)
	}
	if err != nil {
		return fmt.Errorf("prepare snapshot: %w", err)
	}
	return nil
}

func (e *Engine) removeSnapshot(ctx context.Context, id string) error {
	err := e.client.SnapshotService(e.config.Snapshotter).Remove(ctx, id)
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove snapshot %s: %w", id, err)
	}
	return nil
}

// record writes the container into containerd's metadata, and the sandbox record before it.
func (e *Engine) record(ctx context.Context, c runtime.Container, image client.Image) error {
	labels := map[string]string{
		labelImage:  c.Image,
		labelDigest: image.Target().Digest.String(),
		labelGroup:  c.Group,
		labelLog:    c.LogPath,
	}
	maps.Copy(labels, c.Labels)
	if err := e.recordSandbox(ctx, c.ID); err != nil {
		return err
	}
	_, err := e.client.NewContainer(ctx, c.ID,
		client.WithImageName(image.Name()),
		client.WithSnapshotter(e.config.Snapshotter),
		client.WithContainerLabels(labels),
		client.WithRuntime(e.config.Shim, e.runcOptions()),
		func(_ context.Context, _ *client.Client, row *containers.Container) error {
			row.SnapshotKey = c.ID
			return nil
		},
		e.withSpec(c, image),
	)
	if err != nil && !errdefs.IsAlreadyExists(err) {
		return err
	}
	return nil
}

// recordSandbox keeps a restarted containerd from forgetting exit codes, see the package.
func (e *Engine) recordSandbox(ctx context.Context, id string) error {
	_, err := e.client.SandboxStore().Create(ctx, sandbox.Sandbox{
		ID:        id,
		Sandboxer: "shim",
		Runtime:   sandbox.RuntimeOpts{Name: e.config.Shim},
	})
	// A containerd before 1.7 has no sandboxes, and loses exit codes.
	if err != nil && !errdefs.IsAlreadyExists(err) && !errdefs.IsNotImplemented(err) {
		return fmt.Errorf("record sandbox: %w", err)
	}
	return nil
}

func (e *Engine) runcOptions() *runcoptions.Options {
	return &runcoptions.Options{
		BinaryName: e.config.Runc,
		Root:       e.config.Run + "/runc",
	}
}

// pruneSnapshots removes the writable layers that have no container.
func (e *Engine) pruneSnapshots(ctx context.Context) error {
	var stale []string
	service := e.client.SnapshotService(e.config.Snapshotter)
	err := service.Walk(ctx, func(ctx context.Context, info snapshots.Info) error {
		_, err := e.client.ContainerService().Get(ctx, info.Name)
		if errdefs.IsNotFound(err) && info.Kind == snapshots.KindActive {
			stale = append(stale, info.Name)
		}
		return nil
	}, "labels.\""+labelRoot+"\"")
	if err != nil {
		return fmt.Errorf("list snapshots: %w", err)
	}
	for _, id := range stale {
		if err := e.removeSnapshot(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// pruneSandboxes removes the records that have no container.
func (e *Engine) pruneSandboxes(ctx context.Context) error {
	records, err := e.client.SandboxStore().List(ctx)
	if err != nil && !errdefs.IsNotImplemented(err) {
		return fmt.Errorf("list sandbox records: %w", err)
	}
	for _, record := range records {
		_, err := e.client.ContainerService().Get(ctx, record.ID)
		if !errdefs.IsNotFound(err) {
			continue
		}
		if err := e.deleteSandbox(ctx, record.ID); err != nil {
			return err
		}
	}
	return nil
}

func createFailure(err error) error {
	return &runtime.Failure{
		Reason: runtime.CannotCreateContainer, Message: oneLine(err), Err: err,
	}
}

// oneLine is how an error reads in a reason field.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
