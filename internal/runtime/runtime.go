// Package runtime says what Fairlead asks of the thing that runs containers, and nothing about
// how it is done.
//
// The words are few. An [Image] is made available under its reference. A [Group] is the cgroup
// of one task: its CPU and memory are a ceiling over all containers in it. A [Container] is
// created once, started once, exits once and is then deleted; it is never restarted. Everything
// is found again by its ID after a crash of Fairlead or of the runtime, so every call may be
// repeated: creating what exists and deleting what is gone succeed.
//
// The rooms next door:
//
//	containerd   the real thing, on a containerd socket
//	daemon       the containerd that Fairlead carries: serve it, supervise it, stop it
//	fake         an in-process stand-in whose processes are goroutines that tests script
//	runtimetest  the contract that both of them pass
//
// Watch only wakes its reader: the truth is what List and Status say.
package runtime

import (
	"context"
	"io"
	"syscall"
)

// Runtime runs containers. All methods may be called at the same time from several goroutines.
// Errors that AWS shows to users are a [*Failure]; a missing container or image is [ErrNotFound].
type Runtime interface {
	Images
	Groups
	Containers
	// Watch sends an event whenever a container starts, exits, runs out of memory or is deleted,
	// and a Reset when events may have been lost (at the start and after every reconnect), upon
	// which the reader lists. Events wait for a slow reader. The channel is closed when ctx is
	// done.
	Watch(ctx context.Context) <-chan Event
}

// Images keeps the images that containers are made of.
type Images interface {
	// EnsureImage makes the image available and unpacked: found locally, built in
	// (fairlead/hello, any tag) or pulled from its registry, as pull says. A reference by digest
	// is found locally also when the image is there by a tag of the same repository, and the
	// registry is not asked about one that is there. Errors are Failures with
	// CannotPullContainer and AWS's wording.
	EnsureImage(ctx context.Context, ref string, pull Pull) (Image, error)
	// LoadImage imports the images of a Docker save or OCI archive, plain or gzipped.
	LoadImage(ctx context.Context, archive io.Reader) ([]Image, error)
	// ListImages returns the images by reference, in order.
	ListImages(ctx context.Context) ([]Image, error)
	// RemoveImage forgets the image; containers made of it go on. Removing none succeeds.
	RemoveImage(ctx context.Context, ref string) error
}

// Groups keeps the cgroups of tasks.
type Groups interface {
	// EnsureGroup creates the group or brings its limits up to date.
	EnsureGroup(ctx context.Context, group Group) error
	// DeleteGroup removes the group, whose containers must have been deleted before.
	DeleteGroup(ctx context.Context, id string) error
	// ListGroups returns the IDs of the groups that exist, in order.
	ListGroups(ctx context.Context) ([]string, error)
}

// Containers runs processes in containers.
type Containers interface {
	// Create prepares the container without running it. Creating an ID that exists succeeds
	// and changes nothing. Its errors are Failures with CannotCreateContainer.
	Create(ctx context.Context, container Container) error
	// Start runs the container's process. Starting one that has been started succeeds.
	// Its errors are Failures with CannotStartContainer.
	Start(ctx context.Context, id string) error
	// Signal sends sig to the container's first process. One that has exited is ErrNotRunning.
	Signal(ctx context.Context, id string, sig syscall.Signal) error
	// Delete removes the container, its writable layer and its processes, which are killed if
	// they still run. Deleting none succeeds. The log file stays.
	Delete(ctx context.Context, id string) error
	// Exec runs a further process in a running container and waits for its end.
	// One that does not run is ErrNotRunning.
	Exec(ctx context.Context, id string, spec ExecSpec) (ExecResult, error)
	// ExecTerminal runs a further process with a terminal of its own in a running container, until
	// it ends or ctx does, upon which it is killed. It returns the exit code; spec.Timeout is not
	// looked at. A container that does not run is ErrNotRunning.
	ExecTerminal(ctx context.Context, id string, spec ExecSpec, terminal Terminal) (int, error)
	// Status reports on one container.
	Status(ctx context.Context, id string) (Status, error)
	// List reports on all containers of this instance, in order of their IDs.
	List(ctx context.Context) ([]Status, error)
	// Stats measures a running container. One that does not run is ErrNotRunning.
	Stats(ctx context.Context, id string) (Stats, error)
}
