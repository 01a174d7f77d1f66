// Package event tells what happens to tasks, deployments and services as Amazon EventBridge would be
// told, and keeps the newest of it.
//
// A [Recorder] is a part of every transaction (state.Config.Derive): it looks at the rows that the
// transaction has written, whoever wrote them, and adds the events that follow to the same commit.
// So there is an event for a change if and only if there is the change. None is lost because a state
// passed quickly, as a watch of the rows would lose it, none is told twice after a crash, and no
// writer can forget to tell. The price is two rows more per transaction.
//
// Events are numbered without gaps and live in a ring of [row.MaxEvents] rows: a new one takes the
// place of the oldest, so there is nothing to prune. Readers ([Follow]) go through the ring by number
// at their own pace and hold nobody up; one that is slower than the ring turns sees a gap in the
// numbers.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_cwe_events.html
package event

import (
	"encoding/json"
	"fmt"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// The types of events, EventBridge's detail-type.
const (
	TaskStateChange       = "ECS Task State Change"
	DeploymentStateChange = "ECS Deployment State Change"
	ServiceAction         = "ECS Service Action"
)

// Recorder makes events of what transactions write.
type Recorder struct {
	// Now is the clock of the events' times.
	Now func() time.Time
	// Show is a task as DescribeTasks shows it.
	Show func(r state.Reader, t row.Task) ecs.Task
}

// Record adds the events that follow from what tx has written: first what became of tasks, then of
// deployments, then what the scheduler says of the service.
func (r Recorder) Record(tx *state.Tx) error {
	b := &batch{tx: tx, now: r.Now()}
	b.tasks(r.Show)
	b.deployments()
	b.actions()
	return b.write()
}

// batch is the events of one transaction.
type batch struct {
	tx     *state.Tx
	now    time.Time
	events []row.Event
	err    error // the first detail that could not be encoded
}

// tell adds an event; what is its resource.
func (b *batch) tell(kind string, scope row.Scope, service, resource string, detail any) {
	encoded, err := json.Marshal(detail)
	if err != nil && b.err == nil {
		b.err = fmt.Errorf("telling of %s: %w", resource, err)
	}
	b.events = append(b.events, row.Event{
		Scope: scope, ID: aws.UUID(), Time: b.now, Type: kind, Service: service,
		Resources: []string{resource}, Detail: encoded,
	})
}

// write numbers the events and puts them into the ring.
func (b *batch) write() error {
	if b.err != nil || len(b.events) == 0 {
		return b.err
	}
	count, _ := row.EventCounts.Get(b.tx, row.EventCountKey)
	for _, e := range b.events {
		count.Last++
		e.Number = count.Last
		row.Events.Put(b.tx, e)
	}
	row.EventCounts.Put(b.tx, count)
	return nil
}

// iso is a time as events write it: ISO 8601 with milliseconds at most.
func iso(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
