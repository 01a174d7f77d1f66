package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/node/metadata"
	"fairlead/internal/row"
	"fairlead/internal/runtime"
)

// Containers is the handle of one task's containers. It is used by one goroutine at a time; Close
// ends what it started beside that.
type Containers struct {
	node   *Node
	task   row.Task
	def    ecs.TaskDefinition
	all    []container
	states []row.TaskContainer
	wake   func()

	ctx      context.Context // of the probes and tails; cancelled by Close
	cancel   context.CancelFunc
	probes   map[int]*probe
	tails    map[int]*tail
	deadline map[int]time.Time // when a container that was told to stop is killed

	unserve   func()                        // ends the metadata endpoint; nil while there is none
	published atomic.Pointer[metadata.Task] // what the endpoint's readers see
	keys      roleKeys
}

// Open returns the handle of a task; def is its task definition. wake is called, from any goroutine,
// when the owner should look again.
func (n *Node) Open(task row.Task, def ecs.TaskDefinition, wake func()) *Containers {
	ctx, cancel := context.WithCancel(context.Background())
	t := &Containers{
		node: n, task: task, def: def, wake: wake, ctx: ctx, cancel: cancel,
		all:    containersOf(task, def),
		probes: map[int]*probe{}, tails: map[int]*tail{}, deadline: map[int]time.Time{},
	}
	t.states = t.initialStates()
	n.register(t)
	t.publish()
	return t
}

// register counts the handle in, with the images that its row remembers.
func (n *Node) register(t *Containers) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open[t] = nil
	for _, s := range t.states {
		n.open[t] = append(n.open[t], s.ImageDigest)
	}
}

// initialStates takes up what the row remembers, or begins with every container PENDING.
func (t *Containers) initialStates() []row.TaskContainer {
	if len(t.task.Containers) == len(t.all) {
		return append([]row.TaskContainer(nil), t.task.Containers...)
	}
	states := make([]row.TaskContainer, len(t.all))
	for i, c := range t.all {
		states[i] = row.TaskContainer{
			Name:       c.name(),
			ARN:        t.task.InnerARN("container", aws.UUID()),
			RuntimeID:  c.runtimeID(t.task.ID, 0),
			Image:      aws.Val(c.Image),
			LastStatus: containerPending,
		}
		states[i].HealthStatus = unknown
	}
	return states
}

// States returns what is known of each container, in the order of the task definition.
func (t *Containers) States() []row.TaskContainer {
	return append([]row.TaskContainer(nil), t.states...)
}

// Health returns the task's health status.
func (t *Containers) Health() string { return healthOf(t.all, t.states) }

// Run creates and starts every container that may start now. up reports that all of them run or
// have finished; the time, if not zero, is when to look again without being woken. An error that is
// a *runtime.Failure will not go away.
func (t *Containers) Run(ctx context.Context) (up bool, next time.Time, err error) {
	defer t.publish()
	cfg := t.node.cfg
	group := runtime.Group{ID: t.task.ID, CPU: size(t.task.CPU), Memory: size(t.task.Memory)}
	if err := cfg.Runtime.EnsureGroup(ctx, group); err != nil {
		return false, next, fmt.Errorf("limit the task's cpu and memory: %w", err)
	}
	if err := t.Observe(ctx); err != nil {
		return false, next, err
	}
	up = true
	for i, c := range t.all {
		if t.states[i].LastStatus != containerPending {
			continue
		}
		v := mayStart(c, t.all, t.states, cfg.Now())
		if v.never != "" {
			return false, next, t.fail(i, "TaskDependencyError: "+v.never)
		}
		if !v.now {
			up, next = false, sooner(next, v.recheck)
			continue
		}
		if err := t.start(ctx, i); err != nil {
			return false, next, err
		}
	}
	return up, next, nil
}

// fail notes a reason on container i and returns it as a failure of the task.
func (t *Containers) fail(i int, reason string) error {
	t.states[i].Reason = reason
	return &Failure{Reason: reason}
}

// Failure is why a task cannot go on, in AWS's words.
type Failure struct{ Reason string }

// Error implements error.
func (f *Failure) Error() string { return f.Reason }

// start creates and starts container i; both may have happened before a crash.
func (t *Containers) start(ctx context.Context, i int) error {
	c, cfg := t.all[i], t.node.cfg
	if err := t.openLog(ctx, c); err != nil {
		return t.fail(i, err.Error())
	}
	spec := t.spec(c, t.states[i].Restarts)
	if err := cfg.Runtime.Create(ctx, spec); err != nil {
		return t.failed(i, err)
	}
	if err := cfg.Runtime.Start(ctx, spec.ID); err != nil {
		return t.failed(i, err)
	}
	return t.observe(ctx, i)
}

func (t *Containers) failed(i int, err error) error {
	if f, ok := errors.AsType[*runtime.Failure](err); ok && !f.Retry {
		return t.fail(i, f.Error())
	}
	return err
}

// Observe brings States up to date with the runtime and performs restart policies.
func (t *Containers) Observe(ctx context.Context) error {
	t.serveMetadata()
	defer t.publish()
	for i := range t.all {
		if err := t.observe(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (t *Containers) observe(ctx context.Context, i int) error {
	s := &t.states[i]
	if s.LastStatus == containerStopped {
		return nil
	}
	status, err := t.node.cfg.Runtime.Status(ctx, s.RuntimeID)
	if errors.Is(err, runtime.ErrNotFound) {
		t.missing(i)
		return nil
	}
	if err != nil {
		return fmt.Errorf("ask for container %s: %w", s.Name, err)
	}
	switch status.Phase {
	case runtime.Running:
		s.LastStatus = containerRunning
		s.StartedAt = new(status.StartedAt)
		t.follow(i)
	case runtime.Exited, runtime.Lost:
		return t.exited(ctx, i, status)
	}
	t.readProbe(i)
	return nil
}

// missing handles a container that the runtime does not know: not created yet, or lost.
func (t *Containers) missing(i int) {
	if s := &t.states[i]; s.LastStatus == containerRunning {
		s.LastStatus = containerStopped
		s.Reason = "The container was lost: the runtime does not know it any more"
		s.FinishedAt = new(t.node.cfg.Now())
	}
}

func (t *Containers) exited(ctx context.Context, i int, status runtime.Status) error {
	s := &t.states[i]
	code := int32(status.ExitCode)
	s.StartedAt, s.FinishedAt = new(status.StartedAt), new(status.FinishedAt)
	ran := status.FinishedAt.Sub(status.StartedAt).Seconds()
	if len(t.deadline) == 0 && t.all[i].restarts(code, ran) {
		return t.restart(ctx, i)
	}
	s.LastStatus, s.ExitCode = containerStopped, &code
	if status.OOMKilled {
		s.Reason = "OutOfMemoryError: Container killed due to memory usage"
	}
	t.unprobe(i)
	return nil
}

// restart replaces an exited container by a fresh one; to ECS it stays the same container.
func (t *Containers) restart(ctx context.Context, i int) error {
	s := &t.states[i]
	t.unprobe(i)
	if err := t.node.cfg.Runtime.Delete(ctx, s.RuntimeID); err != nil {
		return fmt.Errorf("delete exited container %s: %w", s.Name, err)
	}
	s.Restarts++
	s.RuntimeID = t.all[i].runtimeID(t.task.ID, s.Restarts)
	s.LastStatus = containerPending
	return t.start(ctx, i)
}

// EssentialExited reports whether an essential container has stopped, which ends the task.
func (t *Containers) EssentialExited() bool {
	for i, c := range t.all {
		if c.essential() && t.states[i].LastStatus == containerStopped {
			return true
		}
	}
	return false
}

// Exited reports whether the named container has stopped.
func (t *Containers) Exited(name string) bool {
	i := indexOf(t.all, name)
	return i >= 0 && t.states[i].LastStatus == containerStopped
}

// Stop asks the containers to end, those first on which no other depends, and kills them when their
// stopTimeout is over. done reports that none runs; the time is when to look again.
func (t *Containers) Stop(ctx context.Context) (done bool, next time.Time, err error) {
	if err := t.Observe(ctx); err != nil {
		return false, next, err
	}
	done = true
	for i := range t.all {
		if t.states[i].LastStatus == containerPending {
			t.states[i].LastStatus = containerStopped
		}
		if t.states[i].LastStatus != containerRunning {
			continue
		}
		done = false
		if !mayStop(i, t.all, t.states) {
			continue
		}
		at, err := t.stop(ctx, i)
		if err != nil {
			return false, next, err
		}
		next = sooner(next, at)
	}
	return done, next, nil
}

// killPause is how long to wait for the end of a container that got SIGKILL before sending another.
const killPause = time.Second

// stop sends the signal that is due to container i and returns when the next one is.
func (t *Containers) stop(ctx context.Context, i int) (time.Time, error) {
	now := t.node.cfg.Now()
	deadline, told := t.deadline[i]
	switch {
	case !told:
		timeout := aws.Or(t.all[i].StopTimeout, defaultStopTimeout)
		deadline = now.Add(time.Duration(timeout) * time.Second)
		t.deadline[i] = deadline
		return deadline, t.signal(ctx, i, runtime.StopSignal)
	case now.Before(deadline):
		return deadline, nil
	}
	return now.Add(killPause), t.signal(ctx, i, runtime.KillSignal)
}

// Remove deletes the containers and the cgroup after everything was read from the logs; the
// task's files go too.
func (t *Containers) Remove(ctx context.Context) error {
	t.finishLogs(ctx)
	t.stopMetadata()
	for _, s := range t.states {
		if err := t.node.cfg.Runtime.Delete(ctx, s.RuntimeID); err != nil {
			return fmt.Errorf("delete container %s: %w", s.Name, err)
		}
	}
	if err := t.node.cfg.Runtime.DeleteGroup(ctx, t.task.ID); err != nil {
		return fmt.Errorf("delete the task's cgroup: %w", err)
	}
	if err := os.RemoveAll(t.file("")); err != nil {
		return fmt.Errorf("delete the task's files: %w", err)
	}
	return nil
}

// Close ends probes and log readers and leaves the containers alone.
func (t *Containers) Close() {
	t.cancel()
	for i := range t.probes {
		<-t.probes[i].done
	}
	for i := range t.tails {
		<-t.tails[i].done
	}
	t.stopMetadata()
	t.node.mu.Lock()
	delete(t.node.open, t)
	t.node.mu.Unlock()
}
