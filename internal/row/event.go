package row

import (
	"encoding/json"
	"fmt"
	"time"

	"fairlead/internal/state"
)

// MaxEvents is how many events are kept, the newest; an older one gives its place to a new one. An
// event takes 1 to 2 KiB, which makes a few thousand tasks' lives fit into 10 MiB.
const MaxEvents = 5000

// Event is one line of the history that EventBridge would be sent. Writer: package event, in the
// transaction that did what the event tells.
type Event struct {
	Scope
	Number    int64           `json:"number"` // 1, 2, 3 …
	ID        string          `json:"id"`     // UUID
	Time      time.Time       `json:"time"`
	Type      string          `json:"type"`              // EventBridge's detail-type
	Service   string          `json:"service,omitempty"` // ARN, of what is a service's
	Resources []string        `json:"resources"`         // ARNs
	Detail    json.RawMessage `json:"detail"`
}

// Key returns the row's key.
func (e Event) Key() string { return EventKey(e.Number) }

// EventKey returns the key of an event: its place in a ring of MaxEvents places. Whether it is still
// that event tells its Number.
func EventKey(number int64) string { return fmt.Sprintf("%06d", number%MaxEvents) }

// Events is the table of events.
var Events = state.NewTable("ecs.history", Event.Key)

// EventCount counts the events. Writer: as of Event.
type EventCount struct {
	Last int64 `json:"last"` // Number of the newest
}

// EventCountKey is the key of the one row of EventCounts.
const EventCountKey = "events"

// EventCounts is the table of the one EventCount.
var EventCounts = state.NewTable("ecs.history-count",
	func(EventCount) string { return EventCountKey })
