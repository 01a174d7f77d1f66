package containerd

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	apievents "github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/typeurl/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"fairlead/internal/runtime"
)

// reconnect paces the attempts to reach a containerd that went away.
var reconnect = grpc.ConnectParams{
	Backoff: backoff.Config{
		BaseDelay: 10 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: time.Second,
	},
	MinConnectTimeout: time.Second,
}

const (
	// resubscribeDelay is the pause before events are asked for again.
	resubscribeDelay = 50 * time.Millisecond
	// syncInterval is how often a new subscription is tested until it answers.
	syncInterval = 20 * time.Millisecond
	// topicSync is that of the test.
	topicSync = "/fairlead/sync"
)

// Watch implements runtime.Runtime.
func (e *Engine) Watch(ctx context.Context) <-chan runtime.Event {
	out := make(chan runtime.Event)
	go func() { // ends with ctx
		defer close(out)
		for ctx.Err() == nil {
			e.watchOnce(ctx, out)
			select {
			case <-ctx.Done():
			case <-time.After(resubscribeDelay):
			}
		}
	}()
	return out
}

// watchOnce passes on events until the subscription breaks. A subscription takes effect some
// time after it was asked for, so events of our own are sent until one comes back: from then
// on nothing is missed, and the reader is told to list.
func (e *Engine) watchOnce(ctx context.Context, out chan<- runtime.Event) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	envelopes, broken := e.client.Subscribe(ctx, e.filters()...)
	token := rand.Text()
	ticker := time.NewTicker(syncInterval)
	defer ticker.Stop()
	test := ticker.C
	for {
		select {
		case <-ctx.Done():
			return
		case <-broken:
			return
		case <-test:
			ping := &apievents.ContainerDelete{ID: token}
			_ = e.client.EventService().Publish(ctx, topicSync, ping)
		case envelope := <-envelopes:
			event, ok := translate(envelope, token)
			if !ok {
				continue
			}
			if event.Kind == runtime.EventReset {
				if test == nil {
					continue
				}
				test = nil
			}
			select {
			case out <- event:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (e *Engine) filters() []string {
	var filters []string
	for _, topic := range []string{
		"/tasks/start", "/tasks/exit", "/tasks/oom", "/containers/delete", topicSync,
	} {
		filters = append(filters, fmt.Sprintf("namespace==%q,topic==%q", e.namespace, topic))
	}
	return filters
}

// translate turns containerd's event into ours. Exits of execs are not ours.
func translate(envelope *events.Envelope, token string) (runtime.Event, bool) {
	if envelope == nil || envelope.Event == nil {
		return runtime.Event{}, false
	}
	decoded, err := typeurl.UnmarshalAny(envelope.Event)
	if err != nil {
		return runtime.Event{}, false
	}
	switch event := decoded.(type) {
	case *apievents.TaskStart:
		return runtime.Event{Kind: runtime.EventStart, ID: event.ContainerID}, true
	case *apievents.TaskExit:
		own := event.ID == event.ContainerID
		return runtime.Event{Kind: runtime.EventExit, ID: event.ContainerID}, own
	case *apievents.TaskOOM:
		return runtime.Event{Kind: runtime.EventOOM, ID: event.ContainerID}, true
	case *apievents.ContainerDelete:
		if envelope.Topic == topicSync {
			return runtime.Event{Kind: runtime.EventReset}, event.ID == token
		}
		return runtime.Event{Kind: runtime.EventDelete, ID: event.ID}, true
	}
	return runtime.Event{}, false
}
