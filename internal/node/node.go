// Package node runs the containers of one task on this machine: it pulls images, creates containers
// in the task's network namespace and cgroup, starts them in the order of dependsOn, probes their
// health, ships their logs and stops them in the reverse order.
//
// A [Containers] is the handle of one task. Its owner (package control/task) calls it from one
// goroutine, whenever something may have changed: every method looks at what the runtime says, does
// what can be done now and tells when to come back. Nothing is remembered that the runtime or the
// task's row would not tell again, so a killed Fairlead finds its containers by their names and goes
// on.
//
// Files of a task live in Dir/<task id>: hosts, resolv.conf, volumes, and a log per container, which
// the runtime's shim writes and a [tail] reads, so that no container ever waits for Fairlead.
package node

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"fairlead/internal/node/metadata"
	"fairlead/internal/row"
	"fairlead/internal/runtime"
)

// Config is what a Node needs.
type Config struct {
	Runtime runtime.Runtime
	Dir     string                  // of the tasks' files
	Logs    LogSink                 // where the awslogs driver writes
	NetNS   func(eni string) string // path of a network interface's namespace
	// Nameservers go into the containers' resolv.conf.
	Nameservers []string
	// Endpoints serve 169.254.170.2; nil serves none.
	Endpoints Endpoints
	// AssumeRole returns keys of a task role, which are valid for a while; nil gives none.
	AssumeRole func(ctx context.Context, scope row.Scope, roleARN, session string) (metadata.Credentials, error)
	Logger     *slog.Logger
	Now        func() time.Time
}

// Endpoints let containers reach the task metadata endpoint.
type Endpoints interface {
	// Serve answers the containers of the task with handler until stop is called.
	Serve(task row.Task, handler http.Handler) (stop func(), err error)
}

// LogSink is CloudWatch Logs as the awslogs driver sees it.
type LogSink interface {
	// OpenStream makes sure that the stream exists. A missing group is an error unless create.
	OpenStream(ctx context.Context, scope row.Scope, group, stream string, create bool) error
	// Append adds events to the stream, oldest first.
	Append(ctx context.Context, scope row.Scope, group, stream string, events []LogEvent) error
}

// LogEvent is one line that a container wrote.
type LogEvent struct {
	Time    time.Time
	Message string
}

// Node runs tasks on this machine.
type Node struct {
	cfg Config

	mu   sync.Mutex               // guards open, and is held while images are removed
	open map[*Containers][]string // handles that are not closed, and the digests that they need
}

// New returns a node; it starts nothing.
func New(cfg Config) *Node { return &Node{cfg: cfg, open: map[*Containers][]string{}} }

// taskLabel is the label by which containers are found again; ECS uses the same.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html
const taskLabel = "com.amazonaws.ecs.task-arn"

// Prune deletes the containers, groups and files of tasks that are not open: the crash clean-up.
// open reports whether the task with this id is.
func (n *Node) Prune(ctx context.Context, open func(taskID string) bool) error {
	list, err := n.cfg.Runtime.List(ctx)
	if err != nil {
		return err
	}
	for _, c := range list {
		if open(taskIDOf(c.ID)) {
			continue
		}
		n.cfg.Logger.Info("delete the container of a task that is gone", "container", c.ID)
		if err := n.cfg.Runtime.Delete(ctx, c.ID); err != nil {
			return err
		}
	}
	return n.pruneGroups(ctx, open)
}

// Trim removes the built-in image, so that nothing of Fairlead's own is left on a machine without
// tasks; it costs nothing but its unpacking to have it again. Images that were pulled or loaded stay.
// The caller knows of no open task: one that has pulled, and whose worker has not come back after a
// restart, would miss its image. A task that begins meanwhile waits in Open.
func (n *Node) Trim(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.open) > 0 {
		return nil
	}
	images, err := n.cfg.Runtime.ListImages(ctx)
	if err != nil {
		return err
	}
	for _, image := range images {
		if !builtIn(image.Ref) {
			continue
		}
		if err := n.cfg.Runtime.RemoveImage(ctx, image.Ref); err != nil {
			return err
		}
	}
	return nil
}

// builtIn tells whether a reference, completed or not, is one of the image that Fairlead carries.
func builtIn(ref string) bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(ref, "docker.io/"), ":")
	return name == runtime.HelloImage
}

func (n *Node) pruneGroups(ctx context.Context, open func(taskID string) bool) error {
	groups, err := n.cfg.Runtime.ListGroups(ctx)
	if err != nil {
		return err
	}
	for _, id := range groups {
		if open(id) {
			continue
		}
		if err := n.cfg.Runtime.DeleteGroup(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// Watch wakes the owner of a task when one of its containers changed; an empty id is all of them.
func (n *Node) Watch(ctx context.Context, wake func(taskID string)) {
	for event := range n.cfg.Runtime.Watch(ctx) {
		wake(taskIDOf(event.ID))
	}
}
