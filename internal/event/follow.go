package event

import (
	"context"
	"encoding/json"
	"time"

	"fairlead/internal/row"
	"fairlead/internal/state"
)

// Envelope is an event as EventBridge delivers it, with its number in the history.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
type Envelope struct {
	Version    string          `json:"version"` // "0"
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"` // "aws.ecs"
	Account    string          `json:"account"`
	Time       time.Time       `json:"time"` // whole seconds
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
	// Sequence is not EventBridge's: events are numbered 1, 2, 3 …
	Sequence int64 `json:"sequence"`
}

// EnvelopeOf puts an event into its envelope.
func EnvelopeOf(e row.Event) Envelope {
	return Envelope{
		Version: "0", ID: e.ID, DetailType: e.Type, Source: "aws.ecs", Account: e.Account,
		Time: e.Time.UTC().Truncate(time.Second), Region: e.Region, Resources: e.Resources,
		Detail: e.Detail, Sequence: e.Number,
	}
}

// Since calls yield with the events after number since, the oldest first, until it fails, and
// returns the number of the last. A number that is higher than any was given before everything was
// reset; then the history begins anew.
func Since(r state.Reader, since int64, yield func(row.Event) error) (int64, error) {
	count, _ := row.EventCounts.Get(r, row.EventCountKey)
	if since > count.Last {
		since = 0
	}
	for n := max(since, count.Last-row.MaxEvents) + 1; n <= count.Last; n++ {
		if e, ok := row.Events.Get(r, row.EventKey(n)); ok && e.Number == n {
			if err := yield(e); err != nil {
				return since, err
			}
		}
		since = n
	}
	return since, nil
}

// Follow calls yield with the events after number since and with every new one, until ctx ends or
// yield fails, whose error it returns. A slow yield holds up nobody: what it misses is read from the
// history once it returns.
func Follow(ctx context.Context, s *state.Store, since int64, yield func(row.Event) error) error {
	watcher := s.Watch(row.EventCounts)
	defer watcher.Close()
	for {
		view, _, err := watcher.Next(ctx)
		if err != nil {
			return err
		}
		if since, err = Since(view, since, yield); err != nil {
			return err
		}
	}
}
