package fake

import (
	"context"

	"fairlead/internal/runtime"
)

// watcher is a reader of events that may be slow.
type watcher struct {
	queue []runtime.Event // guarded by Runtime.mu
	wake  chan struct{}
}

// Watch implements runtime.Runtime.
func (r *Runtime) Watch(ctx context.Context) <-chan runtime.Event {
	w := &watcher{
		queue: []runtime.Event{{Kind: runtime.EventReset}},
		wake:  make(chan struct{}, 1),
	}
	r.mu.Lock()
	r.watchers[w] = struct{}{}
	r.mu.Unlock()
	out := make(chan runtime.Event)
	go func() { // ends with ctx
		defer close(out)
		r.forward(ctx, w, out)
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, w)
	}()
	return out
}

func (r *Runtime) forward(ctx context.Context, w *watcher, out chan<- runtime.Event) {
	for {
		r.mu.Lock()
		events := w.queue
		w.queue = nil
		r.mu.Unlock()
		for _, event := range events {
			select {
			case out <- event:
			case <-ctx.Done():
				return
			}
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return
		}
	}
}

// tell sends an event to all watchers. The caller holds mu.
func (r *Runtime) tell(event runtime.Event) {
	for w := range r.watchers {
		w.queue = append(w.queue, event)
		select {
		case w.wake <- struct{}{}:
		default: // it is awake
		}
	}
}
