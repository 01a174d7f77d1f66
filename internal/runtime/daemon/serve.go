package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/containerd/containerd/v2/cmd/containerd/server"
	srvconfig "github.com/containerd/containerd/v2/cmd/containerd/server/config"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/version"
	"github.com/containerd/log"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/grpclog"
)

// Command is the name of the hidden sub-command that cmd/fairlead gives to ServeContainerd.
const Command = "containerd"

// readyFD is the descriptor on which a containerd that was spawned with --notify says that its
// sockets answer.
const readyFD = 3

// Options say where a containerd keeps its things. All paths are absolute.
type Options struct {
	// Root keeps images, snapshots and metadata over restarts of the machine.
	Root string
	// State keeps what a restart of the machine ends: bundles, shim sockets, the pid file.
	State string
	// Address is the unix socket; the one for shims is beside it with the suffix .ttrpc.
	Address string
	// Notify closes descriptor 3 after writing a byte to it when the sockets answer.
	Notify bool
}

// Args returns the arguments that ParseArgs turns back into o.
func (o Options) Args() []string {
	args := []string{"--root", o.Root, "--state", o.State, "--address", o.Address}
	if o.Notify {
		args = append(args, "--notify")
	}
	return args
}

// ParseArgs reads Options from the arguments of the sub-command.
func ParseArgs(args []string) (Options, error) {
	var o Options
	flags := flag.NewFlagSet(Command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.Root, "root", "", "directory of images and snapshots")
	flags.StringVar(&o.State, "state", "", "directory of running containers")
	flags.StringVar(&o.Address, "address", "", "unix socket to serve")
	flags.BoolVar(&o.Notify, "notify", false, "tell descriptor 3 when ready")
	if err := flags.Parse(args); err != nil {
		return Options{}, fmt.Errorf("parse arguments of %s: %w", Command, err)
	}
	for _, path := range []string{o.Root, o.State, o.Address} {
		if !filepath.IsAbs(path) {
			return Options{}, fmt.Errorf("%s: %q is not an absolute path", Command, path)
		}
	}
	return o, nil
}

// ServeContainerd is the whole process behind the sub-command: it parses args and serves until
// ctx is done, SIGTERM or SIGINT. Containers go on running under their shims when it ends.
func ServeContainerd(ctx context.Context, args []string) error {
	options, err := ParseArgs(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return Serve(ctx, options)
}

// Serve runs containerd in this process until ctx is done. It may be called once per process,
// because containerd keeps its plugins in a global registry.
func Serve(ctx context.Context, o Options) error {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	if err := log.SetLevel("warn"); err != nil {
		return fmt.Errorf("set log level: %w", err)
	}
	config := o.config()
	if err := server.CreateTopLevelDirectories(config); err != nil {
		return fmt.Errorf("create containerd's directories: %w", err)
	}
	lock, err := lockPidFile(o.State)
	if err != nil {
		return err
	}
	defer lock.Close()
	cleanTempMounts(ctx, o.Root)
	srv, err := server.New(ctx, config)
	if err != nil {
		return fmt.Errorf("load containerd's plugins: %w", err)
	}
	defer srv.Stop()
	if err := srv.Start(ctx); err != nil {
		return fmt.Errorf("serve %s: %w", o.Address, err)
	}
	srv.Wait()
	if o.Notify {
		if err := notifyReady(); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// config is containerd's configuration, written as a value instead of a file.
func (o Options) config() *srvconfig.Config {
	return &srvconfig.Config{
		Version: version.ConfigVersion,
		Root:    o.Root,
		State:   o.State,
		RequiredPlugins: []string{
			"io.containerd.runtime.v2.task",
			"io.containerd.grpc.v1.tasks",
			"io.containerd.grpc.v1.images",
			"io.containerd.server.v1.grpc",
			"io.containerd.server.v1.ttrpc",
		},
		// A second containerd on the same root must fail, not wait for the first one's lock.
		Timeouts: map[string]string{"io.containerd.timeout.bolt.open": "5s"},
		Plugins: map[string]any{
			"io.containerd.server.v1.grpc":           map[string]any{"address": o.Address},
			"io.containerd.server.v1.ttrpc":          map[string]any{"address": o.Address + ".ttrpc"},
			"io.containerd.shim.v1.manager":          map[string]any{"socket_dir": o.State + "/s"},
			"io.containerd.monitor.task.v1.cgroups":  map[string]any{"no_prometheus": true},
			"io.containerd.gc.v1.scheduler":          map[string]any{"startup_delay": "5s"},
			"io.containerd.snapshotter.v1.overlayfs": map[string]any{"sync_remove": true},
		},
	}
}

// cleanTempMounts unmounts what a killed containerd left of unpacking images.
func cleanTempMounts(ctx context.Context, root string) {
	if err := mount.SetTempMountLocation(filepath.Join(root, "tmpmounts")); err != nil {
		log.G(ctx).WithError(err).Error("set temporary mount location")
		return
	}
	warnings, err := mount.CleanupTempMounts(0)
	if err := errors.Join(append(warnings, err)...); err != nil {
		log.G(ctx).WithError(err).Warn("unmount temporary mounts")
	}
}

// notifyReady tells the process that spawned this one.
func notifyReady() error {
	ready := os.NewFile(readyFD, "ready")
	defer ready.Close()
	if _, err := ready.Write([]byte{1}); err != nil && !errors.Is(err, syscall.EPIPE) {
		return fmt.Errorf("say that containerd is ready: %w", err)
	}
	return nil
}

// lockPidFile takes the lock that says that a containerd serves this state directory, and
// writes the process's ID into the locked file. The lock ends with the process.
func lockPidFile(state string) (*os.File, error) {
	file, err := os.OpenFile(pidFile(state), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open pid file: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("another containerd serves %s: %w", state, err)
	}
	if err := errors.Join(file.Truncate(0), writePid(file)); err != nil {
		file.Close()
		return nil, fmt.Errorf("write pid file: %w", err)
	}
	return file, nil
}

func writePid(file *os.File) error {
	_, err := fmt.Fprintln(file, os.Getpid())
	return err
}

func pidFile(state string) string { return filepath.Join(state, "containerd.pid") }
