package task

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"fairlead/internal/node"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

const (
	// retryFirst and retryMax bound the pause after a step that failed; it doubles in between.
	retryFirst = 100 * time.Millisecond
	retryMax   = 10 * time.Second
	// lookAgain is the longest sleep of a worker: events are only hints, and one may be lost.
	lookAgain = 30 * time.Second
)

// worker owns one task.
type worker struct {
	cfg        Config
	arn        string
	pokes      chan struct{}
	containers *node.Containers // nil until the task has its network interface

	mu       sync.Mutex      // guards draining
	draining map[string]bool // keys of targets that are waited for
}

func newWorker(cfg Config, arn string) *worker {
	return &worker{cfg: cfg, arn: arn, pokes: make(chan struct{}, 1)}
}

// poke makes the worker look again; it never blocks.
func (w *worker) poke() {
	select {
	case w.pokes <- struct{}{}:
	default:
	}
}

func (w *worker) waitsFor(target string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.draining[target]
}

// run steps until the task has stopped or ctx ends.
func (w *worker) run(ctx context.Context) {
	defer func() {
		if w.containers != nil {
			w.containers.Close()
		}
	}()
	retry := retryFirst
	for ctx.Err() == nil {
		task, ok := row.Tasks.Get(w.cfg.Store.View(), w.arn)
		if !ok {
			w.abandon(ctx)
			return
		}
		if task.LastStatus == row.TaskStopped {
			return
		}
		next, err := w.step(ctx, task)
		if err != nil {
			if ctx.Err() == nil {
				w.cfg.Logger.Warn("task step failed; it is tried again", "task", w.arn,
					"status", task.LastStatus, "err", err)
			}
			w.sleep(ctx, retry)
			retry = min(2*retry, retryMax)
			continue
		}
		retry = retryFirst
		if next.again {
			continue
		}
		w.sleep(ctx, w.pause(next.at))
	}
}

// abandon removes the containers of a task whose row was removed under it, by a reset.
func (w *worker) abandon(ctx context.Context) {
	if w.containers == nil {
		return
	}
	if err := w.containers.Remove(ctx); err != nil {
		w.cfg.Logger.Warn("remove the containers of a task that is gone; tidying will", "err", err)
	}
}

func (w *worker) pause(at time.Time) time.Duration {
	if at.IsZero() {
		return lookAgain
	}
	return max(0, min(at.Sub(w.cfg.Now()), lookAgain))
}

func (w *worker) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-w.pokes:
	case <-timer.C:
	}
}

// next is when a worker steps again: at once, at a time, or when it is poked.
type next struct {
	again bool
	at    time.Time
}

var atOnce = next{again: true}

// step does what is due in the task's status.
func (w *worker) step(ctx context.Context, task row.Task) (next, error) {
	switch task.LastStatus {
	case row.TaskProvisioning:
		return w.provision(ctx, task)
	case row.TaskPending:
		return w.start(ctx, task)
	case row.TaskActivating:
		return w.activate(ctx, task)
	case row.TaskRunning:
		return w.watch(ctx, task)
	case row.TaskDeactivating:
		return w.deactivate(ctx, task)
	case row.TaskStopping:
		return w.stop(ctx, task)
	case row.TaskDeprovisioning:
		return w.deprovision(ctx, task)
	}
	return next{}, errors.New("unknown status " + task.LastStatus)
}

// observe writes what change makes of the task's observed fields, together with the containers as
// they are known now. A row that would stay the same is not written.
func (w *worker) observe(ctx context.Context, change func(tx *state.Tx, t *row.Task) error) error {
	return w.cfg.Store.Update(ctx, func(tx *state.Tx) error {
		before, ok := row.Tasks.Get(tx, w.arn)
		if !ok {
			return nil
		}
		after := before
		if w.containers != nil {
			after.Containers, after.HealthStatus = w.containers.States(), w.containers.Health()
		}
		if err := change(tx, &after); err != nil {
			return err
		}
		if same(before, after) {
			return nil
		}
		after.Version++
		row.Tasks.Put(tx, after)
		return nil
	})
}

// same tells whether two rows are stored alike. A clock that only this process has is no difference:
// a time that was just read never equals the same time out of the store.
func same(a, b row.Task) bool {
	one, err := json.Marshal(a)
	other, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(one, other)
}

// unchanged is the change of a step that only looked.
func unchanged(*state.Tx, *row.Task) error { return nil }

// advance writes the next status.
func (w *worker) advance(ctx context.Context, status string) (next, error) {
	return atOnce, w.observe(ctx, func(_ *state.Tx, t *row.Task) error {
		w.enter(t, status)
		return nil
	})
}

// enter sets a status and the time that ECS shows for it.
func (w *worker) enter(t *row.Task, status string) {
	t.LastStatus = status
	now := w.cfg.Now()
	switch status {
	case row.TaskRunning:
		t.StartedAt = &now
	case row.TaskDeactivating, row.TaskStopping:
		if t.StoppingAt == nil {
			t.StoppingAt = &now
		}
	case row.TaskStopped:
		t.StoppedAt = &now
	}
}
