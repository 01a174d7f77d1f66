// Package containerd runs containers on a containerd socket: Fairlead's own (package daemon) or
// one that the machine has.
//
// Everything lives in one containerd namespace, so two Fairleads do not see each other's things.
// A container is a containerd container, a snapshot and, once started, a task under a shim, all
// three by the container's ID. Nothing is remembered in this process: what exists is asked for.
//
// One trick needs telling. A containerd that starts reaps every shim that has no process left,
// and the exit code with it, unless a sandbox of the same ID is on record. So each container
// gets such a record, which is a row in containerd's metadata and nothing else; then the code of
// a process that ended while containerd was down is still there (shouldCleanupShim in
// containerd's core/runtime/v2/shim_load.go).
package containerd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay/overlayutils"
	"github.com/containerd/errdefs"
	"google.golang.org/grpc"

	"fairlead/internal/runtime"
	"fairlead/internal/runtime/cgroup"
	"fairlead/internal/runtime/embedded"
)

var _ runtime.Runtime = (*Engine)(nil)

// Config says which containerd to use and where our own files go. Address, Instance and Data
// are required.
type Config struct {
	// Address is containerd's unix socket.
	Address string
	// Instance names this Fairlead, as no other on the machine: containerd's namespace and the
	// cgroups are fairlead-<instance>. It is lower-case letters, digits and single hyphens.
	Instance string
	// Data is a directory on the file system of the snapshots, where the shim is installed.
	Data string
	// Run is a directory that a restart of the machine may empty: runc's state and the pipes
	// of Exec. Empty is Data.
	Run string
	// Shim is the path of containerd-shim-runc-v2; empty is the one that Fairlead carries.
	Shim string
	// Runc is the OCI runtime's path; empty is runc or crun, whichever is in PATH.
	Runc string
	// Snapshotter is containerd's name of one; empty is overlayfs, or native where overlayfs
	// cannot be mounted.
	Snapshotter string
}

// dialTimeout limits the wait for a connection to containerd.
const dialTimeout = 10 * time.Second

// Engine is a runtime.Runtime on containerd. While containerd restarts its calls wait, as long
// as their ctx lets them.
type Engine struct {
	config    Config
	client    *client.Client
	cgroups   *cgroup.Tree
	namespace string
	// unpacking keeps two callers from building the same built-in image at once.
	unpacking chan struct{}
	// installShim waits until the shim is there; background is where that happens.
	installShim func() error
	background  sync.WaitGroup
}

var instancePattern = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Open connects to containerd, which must answer, and prunes what a crash in the middle of
// Create left behind.
func Open(ctx context.Context, config Config) (*Engine, error) {
	if !instancePattern.MatchString(config.Instance) {
		return nil, fmt.Errorf("open containerd: %q is no name of an instance", config.Instance)
	}
	config.Run = cmp.Or(config.Run, config.Data)
	if err := config.complete(); err != nil {
		return nil, fmt.Errorf("open containerd: %w", err)
	}
	cgroups, err := cgroup.Open()
	if err != nil {
		return nil, fmt.Errorf("open containerd: %w", err)
	}
	namespace := "fairlead-" + config.Instance
	c, err := client.New(config.Address,
		client.WithDefaultNamespace(namespace),
		client.WithTimeout(dialTimeout),
		client.WithExtraDialOpts([]grpc.DialOption{
			// A restarted containerd is reached again within this, not within 10 s.
			grpc.WithConnectParams(reconnect),
			grpc.WithDefaultCallOptions(grpc.WaitForReady(true)),
		}))
	if err != nil {
		return nil, fmt.Errorf("open containerd: %w", err)
	}
	e := &Engine{
		config: config, client: c, cgroups: cgroups, namespace: namespace,
		unpacking:   make(chan struct{}, 1),
		installShim: sync.OnceValue(config.shimInstaller()),
	}
	e.background.Go(func() { _ = e.installShim() }) // Start reports the error
	if err := e.ready(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// complete fills in what the machine decides.
func (c *Config) complete() error {
	if c.Runc == "" {
		for _, name := range []string{"runc", "/usr/sbin/runc", "crun"} {
			if found, err := exec.LookPath(name); err == nil {
				c.Runc = found
				break
			}
		}
	}
	if c.Runc == "" {
		return errors.New("neither runc nor crun is installed")
	}
	if c.Shim == "" {
		shim, err := embedded.ShimPath(c.shimDir())
		if err != nil {
			return err
		}
		c.Shim = shim
	}
	if c.Snapshotter == "" {
		c.Snapshotter = "overlayfs"
		if err := overlayutils.Supported(c.Data); err != nil {
			c.Snapshotter = "native"
		}
	}
	return nil
}

func (c *Config) shimDir() string { return filepath.Join(c.Data, "bin") }

// shimInstaller returns what puts the shim to where the configuration says it is.
func (c *Config) shimInstaller() func() error {
	if filepath.Dir(c.Shim) != c.shimDir() {
		return func() error { return nil }
	}
	return func() error { return embedded.InstallShim(c.shimDir()) }
}

func (e *Engine) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if _, err := e.client.Version(ctx); err != nil {
		return fmt.Errorf("ask containerd at %s: %w", e.config.Address, err)
	}
	if err := e.client.NamespaceService().Create(ctx, e.namespace, nil); err != nil &&
		!errdefs.IsAlreadyExists(err) {
		return fmt.Errorf("create namespace %s: %w", e.namespace, err)
	}
	return errors.Join(e.pruneSnapshots(ctx), e.pruneSandboxes(ctx))
}

// Close ends the connection; containers go on.
func (e *Engine) Close() error {
	e.background.Wait()
	return e.client.Close()
}

// Purge deletes all containers, groups and images of this instance and its namespace: what
// --ephemeral and destroy do before containerd is stopped. The engine is of no use after it.
func (e *Engine) Purge(ctx context.Context) error {
	statuses, err := e.List(ctx)
	if err != nil {
		return err
	}
	for _, status := range statuses {
		if err := e.Delete(ctx, status.ID); err != nil {
			return err
		}
	}
	if err := e.purgeImages(ctx); err != nil {
		return err
	}
	if err := e.cgroups.Remove(e.cgroupPath()); err != nil {
		return err
	}
	err = e.client.NamespaceService().Delete(ctx, e.namespace)
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("delete namespace %s: %w", e.namespace, err)
	}
	return nil
}

// purgeImages also waits until their content and snapshots are collected, without which the
// namespace is not empty.
func (e *Engine) purgeImages(ctx context.Context) error {
	all, err := e.client.ImageService().List(ctx)
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	for _, image := range all {
		err := e.client.ImageService().Delete(ctx, image.Name, images.SynchronousDelete())
		if err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("delete image %s: %w", image.Name, err)
		}
	}
	return nil
}

// cgroupPath is the cgroup of this instance, of a group or container in it.
func (e *Engine) cgroupPath(elements ...string) string {
	return path.Join(append([]string{"/", e.namespace}, elements...)...)
}
