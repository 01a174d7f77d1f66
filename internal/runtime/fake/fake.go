// Package fake is a runtime.Runtime in this process: its containers are goroutines that run a
// [Program], an ordinary function that tests write. It keeps the contract that runtimetest
// states, needs no root, and takes its time from package time alone, so that it works inside a
// testing/synctest bubble.
//
// Every image has a program. fairlead/hello has [Hello], which understands the one-shot flags
// of the real one; tests add others with [Runtime.AddImage] and make calls fail with
// [Runtime.FailNext].
package fake

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"fairlead/internal/runtime"
)

var _ runtime.Runtime = (*Runtime)(nil)

// Runtime is a machine without a kernel. Make one with New and end it with Close.
type Runtime struct {
	mu         sync.Mutex
	images     map[string]*image
	containers map[string]*container
	groups     map[string]runtime.Group
	failures   map[string][]error
	watchers   map[*watcher]struct{}
	lastPid    int
	exec       ExecFunc
	running    sync.WaitGroup
}

// image is what a registry or archive gave.
type image struct {
	runtime.Image
	program Program
	local   bool
}

type container struct {
	runtime.Container
	status  runtime.Status
	process *Process
	program Program
}

// ExecFunc answers Exec in place of the default, which runs the container's program anew with
// the spec's arguments.
type ExecFunc func(ctx context.Context, id string, spec runtime.ExecSpec) (runtime.ExecResult,
	error)

// New returns a runtime that has fairlead/hello.
func New() *Runtime {
	return &Runtime{
		images:     map[string]*image{},
		containers: map[string]*container{},
		groups:     map[string]runtime.Group{},
		failures:   map[string][]error{},
		watchers:   map[*watcher]struct{}{},
		lastPid:    1000,
	}
}

// Close kills all containers and waits for their programs.
func (r *Runtime) Close() {
	r.mu.Lock()
	for _, c := range r.containers {
		r.end(c, killedCode, false)
	}
	r.mu.Unlock()
	r.running.Wait()
}

// FailNext lets the next call of a method, "Start" say, return err. Calls queue up.
func (r *Runtime) FailNext(method string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures[method] = append(r.failures[method], err)
}

// OnExec replaces what Exec does; nil is the default again.
func (r *Runtime) OnExec(f ExecFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exec = f
}

// Exit ends a container's process from outside, as a crash would.
func (r *Runtime) Exit(id string, code int) error {
	return r.finish(id, code, false)
}

// OOM ends a container's process as the kernel does for want of memory.
func (r *Runtime) OOM(id string) error {
	return r.finish(id, killedCode, true)
}

// Reboot ends all processes and loses their exit codes, as a restart of the machine does.
func (r *Runtime) Reboot() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.containers {
		if c.status.Phase == runtime.Created {
			continue
		}
		r.end(c, killedCode, false)
		c.status.Phase, c.status.ExitCode = runtime.Lost, lostCode
		c.status.OOMKilled, c.status.FinishedAt = false, time.Time{}
	}
	r.tell(runtime.Event{Kind: runtime.EventReset})
}

const (
	killedCode = 128 + int(syscall.SIGKILL)
	lostCode   = 255
)

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

func validID(id string) bool {
	return len(id) <= runtime.MaxIDLength && idPattern.MatchString(id)
}

// failure takes the next one that a test ordered. The caller holds mu.
func (r *Runtime) failure(method string) error {
	queue := r.failures[method]
	if len(queue) == 0 {
		return nil
	}
	r.failures[method] = queue[1:]
	return queue[0]
}

// find returns a container. The caller holds mu.
func (r *Runtime) find(id string) (*container, error) {
	c := r.containers[id]
	if c == nil {
		return nil, fmt.Errorf("container %s: %w", id, runtime.ErrNotFound)
	}
	return c, nil
}

// findRunning returns a container with a process. The caller holds mu.
func (r *Runtime) findRunning(id string) (*container, error) {
	c, err := r.find(id)
	if err == nil && c.status.Phase != runtime.Running {
		err = fmt.Errorf("container %s: %w", id, runtime.ErrNotRunning)
	}
	return c, err
}

// Create implements runtime.Containers.
func (r *Runtime) Create(_ context.Context, spec runtime.Container) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.failure("Create"); err != nil {
		return err
	}
	img := r.images[normalize(spec.Image)]
	var problem string
	switch {
	case !validID(spec.ID):
		problem = fmt.Sprintf("%q is no valid container ID", spec.ID)
	case spec.Group != "" && !validID(spec.Group):
		problem = fmt.Sprintf("%q is no valid group ID", spec.Group)
	case !strings.HasPrefix(spec.LogPath, "/"):
		problem = fmt.Sprintf("log path %q is not absolute", spec.LogPath)
	case img == nil || !img.local:
		problem = "get image " + spec.Image + ": not found"
	}
	if problem != "" {
		return &runtime.Failure{Reason: runtime.CannotCreateContainer, Message: problem}
	}
	if r.containers[spec.ID] != nil {
		return nil
	}
	labels := map[string]string{}
	maps.Copy(labels, spec.Labels)
	r.containers[spec.ID] = &container{Container: spec, program: img.program,
		status: runtime.Status{
			ID: spec.ID, Labels: labels, Group: spec.Group, Image: spec.Image,
			Digest: img.Digest, Phase: runtime.Created, CreatedAt: time.Now(),
		}}
	return nil
}

// Start implements runtime.Containers.
func (r *Runtime) Start(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.failure("Start"); err != nil {
		return err
	}
	c, err := r.find(id)
	if err != nil {
		return err
	}
	if c.status.Phase != runtime.Created {
		return nil
	}
	img := r.images[normalize(c.Image)]
	args := arguments(c.Container, img)
	if len(args) > 0 && strings.HasPrefix(args[0], "/nonexistent") {
		return &runtime.Failure{Reason: runtime.CannotStartContainer,
			Message: fmt.Sprintf("exec: %q: no such file or directory", args[0])}
	}
	log, err := os.OpenFile(c.LogPath, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return &runtime.Failure{Reason: runtime.CannotStartContainer, Message: err.Error(), Err: err}
	}
	r.lastPid++
	c.status.Phase, c.status.Pid, c.status.StartedAt = runtime.Running, r.lastPid, time.Now()
	c.process = newProcess(c.Container, args, environment(c.Container, img), log)
	r.running.Go(func() { r.run(c) })
	r.tell(runtime.Event{Kind: runtime.EventStart, ID: id})
	return nil
}

// run is a container's goroutine.
func (r *Runtime) run(c *container) {
	defer c.process.log.Close()
	code := c.program(c.process)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end(c, code, c.process.outOfMemory.Load())
}

// finish ends the process of a running container.
func (r *Runtime) finish(id string, code int, oom bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, err := r.findRunning(id)
	if err != nil {
		return err
	}
	r.end(c, code, oom)
	return nil
}

// end writes down how a process ended; whoever is first decides. The caller holds mu.
func (r *Runtime) end(c *container, code int, oom bool) {
	if c.status.Phase != runtime.Running {
		return
	}
	c.process.kill()
	c.status.Phase, c.status.Pid, c.status.ExitCode = runtime.Exited, 0, code
	c.status.OOMKilled, c.status.FinishedAt = oom, time.Now()
	if oom {
		r.tell(runtime.Event{Kind: runtime.EventOOM, ID: c.ID})
	}
	r.tell(runtime.Event{Kind: runtime.EventExit, ID: c.ID})
}

// Signal implements runtime.Containers. SIGKILL ends the process at once; others reach its
// program.
func (r *Runtime) Signal(_ context.Context, id string, sig syscall.Signal) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.failure("Signal"); err != nil {
		return err
	}
	c, err := r.findRunning(id)
	if err != nil {
		return err
	}
	if sig == syscall.SIGKILL {
		r.end(c, killedCode, false)
		return nil
	}
	select {
	case c.process.signals <- sig:
	default: // as the kernel does with a signal that is pending already
	}
	return nil
}

// Delete implements runtime.Containers.
func (r *Runtime) Delete(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.failure("Delete"); err != nil {
		return err
	}
	c := r.containers[id]
	if c == nil {
		return nil
	}
	r.end(c, killedCode, false)
	delete(r.containers, id)
	r.tell(runtime.Event{Kind: runtime.EventDelete, ID: id})
	return nil
}

// Status implements runtime.Containers.
func (r *Runtime) Status(_ context.Context, id string) (runtime.Status, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.failure("Status"); err != nil {
		return runtime.Status{}, err
	}
	c, err := r.find(id)
	if err != nil {
		return runtime.Status{}, err
	}
	return c.copyStatus(), nil
}

func (c *container) copyStatus() runtime.Status {
	status := c.status
	status.Labels = maps.Clone(status.Labels)
	return status
}

// List implements runtime.Containers.
func (r *Runtime) List(context.Context) ([]runtime.Status, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.failure("List"); err != nil {
		return nil, err
	}
	all := make([]runtime.Status, 0, len(r.containers))
	for _, c := range r.containers {
		all = append(all, c.copyStatus())
	}
	slices.SortFunc(all, func(a, b runtime.Status) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// Stats implements runtime.Containers with figures that are not zero.
func (r *Runtime) Stats(_ context.Context, id string) (runtime.Stats, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.failure("Stats"); err != nil {
		return runtime.Stats{}, err
	}
	c, err := r.findRunning(id)
	if err != nil {
		return runtime.Stats{}, err
	}
	return runtime.Stats{
		At: time.Now(), CPU: time.Since(c.status.StartedAt) + time.Millisecond,
		Memory: mebibyte, MemoryLimit: c.Memory * mebibyte, Pids: 1,
	}, nil
}

const mebibyte = 1 << 20
