package event_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	api "fairlead/internal/api/ecs"
	"fairlead/internal/event"
	"fairlead/internal/row"
	"fairlead/internal/service/ecs"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

var (
	scope = row.Scope{Account: "123456789012", Region: "eu-west-1"}
	now   = time.Date(2026, 7, 1, 12, 0, 0, 123456789, time.UTC)
)

const (
	service = "arn:aws:ecs:eu-west-1:123456789012:service/c/web"
	cluster = "arn:aws:ecs:eu-west-1:123456789012:cluster/c"
	taskARN = "arn:aws:ecs:eu-west-1:123456789012:task/c/1"
)

func open(t *testing.T, dir string) *state.Store {
	t.Helper()
	recorder := event.Recorder{Now: func() time.Time { return now }, Show: ecs.ShowTask}
	s := statetest.OpenWith(t, state.Config{Dir: dir, Derive: recorder.Record}, row.Tables()...)
	statetest.Update(t, s, func(tx *state.Tx) {
		row.Services.Put(tx, row.Service{Scope: scope, ARN: service, Name: "web", Cluster: cluster})
	})
	return s
}

// after lists the events after a number.
func after(t *testing.T, r state.Reader, number int64) (events []event.Envelope) {
	t.Helper()
	_, err := event.Since(r, number, func(e row.Event) error {
		events = append(events, event.EnvelopeOf(e))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func task() row.Task {
	return row.Task{
		Scope: scope, ARN: taskARN, ID: "1", Cluster: cluster, Service: service, Version: 1,
		DesiredStatus: row.TaskRunning, LastStatus: row.TaskPending, CreatedAt: now,
		Attachment: &row.TaskAttachment{ID: "a", Status: "ATTACHED", Address: "10.0.0.4"},
	}
}

func TestATaskIsToldOncePerVersion(t *testing.T) {
	s := open(t, t.TempDir())
	put := func(task row.Task) {
		statetest.Update(t, s, func(tx *state.Tx) { row.Tasks.Put(tx, task) })
	}
	v := task()
	put(v)
	v.Notes.Registered = true // nothing that AWS would send an event for
	put(v)
	v.LastStatus, v.Version, v.StartedAt = row.TaskRunning, 2, new(now)
	put(v)
	events := after(t, s.View(), 0)
	if len(events) != 2 {
		t.Fatalf("%d events, want one for each version", len(events))
	}
	e := events[1]
	if e.Version != "0" || len(e.ID) != 36 || e.DetailType != "ECS Task State Change" ||
		e.Source != "aws.ecs" || e.Account != scope.Account || e.Region != scope.Region ||
		!e.Time.Equal(now.Truncate(time.Second)) || !slices.Equal(e.Resources, []string{taskARN}) ||
		e.Sequence != 2 {
		t.Errorf("envelope %+v", e)
	}
	var detail map[string]any
	if err := json.Unmarshal(e.Detail, &detail); err != nil {
		t.Fatal(err)
	}
	for member, want := range map[string]any{
		"taskArn": taskARN, "clusterArn": cluster, "lastStatus": "RUNNING", "desiredStatus": "RUNNING",
		"version": 2.0, "createdAt": "2026-07-01T12:00:00.123Z",
		"startedAt": "2026-07-01T12:00:00.123Z", "updatedAt": "2026-07-01T12:00:00.123Z",
	} {
		if detail[member] != want {
			t.Errorf("detail: %s is %v, want %v", member, detail[member], want)
		}
	}
	attachment := detail["attachments"].([]any)[0].(map[string]any)
	if attachment["type"] != "eni" || attachment["status"] != "ATTACHED" {
		t.Errorf("attachment %v", attachment)
	}
}

// line is what an event is about, in short.
func line(t *testing.T, e event.Envelope) string {
	t.Helper()
	var d struct {
		EventType, EventName, DeploymentID, Reason, LastStatus string
		TaskArns                                               []string
	}
	if err := json.Unmarshal(e.Detail, &d); err != nil {
		t.Fatal(err)
	}
	parts := []string{d.EventType, d.EventName, d.DeploymentID, d.Reason, d.LastStatus}
	parts = append(parts, d.TaskArns...)
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

func TestWhatIsToldOfAService(t *testing.T) {
	rollout := func(id string, state api.DeploymentRolloutState, reason string) row.Deployment {
		return row.Deployment{Service: service, ID: id, RolloutState: state, RolloutReason: reason}
	}
	said := func(number int64, text string) row.ServiceEvent {
		return row.ServiceEvent{Service: service, Number: number, Message: "(service web)" + text}
	}
	tests := []struct {
		name   string
		update func(tx *state.Tx)
		want   []string
	}{
		{"a deployment begins", func(tx *state.Tx) {
			row.Deployments.Put(tx, rollout("ecs-svc/1", "IN_PROGRESS", "begun"))
		}, []string{"INFO SERVICE_DEPLOYMENT_IN_PROGRESS ecs-svc/1 begun"}},
		{"a count of failures is no event", func(tx *state.Tx) {
			d := rollout("ecs-svc/1", "IN_PROGRESS", "begun")
			d.FailedTasks = 3
			row.Deployments.Put(tx, d)
		}, nil},
		{"it completes and the service is steady", func(tx *state.Tx) {
			row.Deployments.Put(tx, rollout("ecs-svc/1", "COMPLETED", "done"))
			row.ServiceEvents.Put(tx, said(1, " (deployment ecs-svc/1) deployment completed."))
			row.ServiceEvents.Put(tx, said(2, " has reached a steady state."))
		}, []string{"INFO SERVICE_DEPLOYMENT_COMPLETED ecs-svc/1 done", "INFO SERVICE_STEADY_STATE"}},
		{"another fails and is rolled back", func(tx *state.Tx) {
			row.Deployments.Put(tx, rollout("ecs-svc/1", "IN_PROGRESS", "back"))
			row.Deployments.Put(tx, rollout("ecs-svc/2", "FAILED", "broken"))
		}, []string{"ERROR SERVICE_DEPLOYMENT_FAILED ecs-svc/2 broken",
			"INFO SERVICE_DEPLOYMENT_IN_PROGRESS ecs-svc/1 back"}},
		{"tasks do not start", func(tx *state.Tx) {
			row.ServiceEvents.Put(tx, said(3, " is unable to consistently start tasks successfully."))
		}, []string{"WARN SERVICE_TASK_START_IMPAIRED"}},
		{"a task has no place", func(tx *state.Tx) {
			row.ServiceEvents.Put(tx, said(4, " was unable to place a task because no capacity."))
		}, []string{"ERROR SERVICE_TASK_PLACEMENT_FAILURE no capacity."}},
		{"a task starts", func(tx *state.Tx) { row.Tasks.Put(tx, task()) }, []string{"PENDING"}},
		{"the scheduler stops it", func(tx *state.Tx) {
			v := task()
			v.DesiredStatus, v.StopCode, v.Version = row.TaskStopped, "ServiceSchedulerInitiated", 2
			row.Tasks.Put(tx, v)
		}, []string{"PENDING", "INFO TASKS_STOPPED " + taskARN}},
		{"it is forgotten", func(tx *state.Tx) { row.Tasks.Delete(tx, taskARN) }, nil},
	}
	s := open(t, t.TempDir())
	for _, tt := range tests {
		count, _ := row.EventCounts.Get(s.View(), row.EventCountKey)
		statetest.Update(t, s, tt.update)
		var got []string
		for _, e := range after(t, s.View(), count.Last) {
			got = append(got, line(t, e))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.want)
		}
	}
}

// versions writes a number of versions of the task, each in its own transaction.
func versions(t *testing.T, s *state.Store, from, to int64) {
	t.Helper()
	for n := from; n <= to; n++ {
		v := task()
		v.Version = n
		statetest.Update(t, s, func(tx *state.Tx) { row.Tasks.Put(tx, v) })
	}
}

func TestNumbersGoOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	versions(t, s, 1, 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	versions(t, s, 4, 5)
	wantVersions(t, after(t, s.View(), 0), 1, 5)
	wantVersions(t, after(t, s.View(), 2), 3, 5)
	if got := after(t, s.View(), 5); len(got) != 0 {
		t.Errorf("after the last come %v", got)
	}
}

// wantVersions checks that the events are the versions first to last, numbered likewise.
func wantVersions(t *testing.T, events []event.Envelope, first, last int64) {
	t.Helper()
	if int64(len(events)) != last-first+1 {
		t.Fatalf("%d events, want %d to %d", len(events), first, last)
	}
	for i, e := range events {
		if v := versionOf(t, e.Detail); v != first+int64(i) || e.Sequence != v {
			t.Errorf("event %d tells version %d, want %d", e.Sequence, v, first+int64(i))
		}
	}
}

func versionOf(t *testing.T, detail []byte) int64 {
	t.Helper()
	var d struct{ Version int64 }
	if err := json.Unmarshal(detail, &d); err != nil {
		t.Fatal(err)
	}
	return d.Version
}

// TestTheRingKeepsTheNewest fills the ring a little more than once, many events to a transaction.
func TestTheRingKeepsTheNewest(t *testing.T) {
	s := open(t, t.TempDir())
	const extra, batch = 100, 500
	for first := 0; first < row.MaxEvents+extra; first += batch {
		statetest.Update(t, s, func(tx *state.Tx) {
			for n := first; n < min(first+batch, row.MaxEvents+extra); n++ {
				v := task()
				v.ARN = fmt.Sprintf("%s/%05d", taskARN, n)
				row.Tasks.Put(tx, v)
			}
		})
	}
	events := after(t, s.View(), 0)
	if len(events) != row.MaxEvents || events[0].Sequence != extra+1 ||
		events[len(events)-1].Sequence != row.MaxEvents+extra {
		t.Errorf("%d events from %d on", len(events), events[0].Sequence)
	}
	if n := row.Events.Len(s.View()); n != row.MaxEvents {
		t.Errorf("%d rows", n)
	}
}

// TestFollow has a reader that blocks in the middle of a burst: writers go on, and it gets all.
func TestFollow(t *testing.T) {
	s := open(t, t.TempDir())
	versions(t, s, 1, 2)
	first, burst := make(chan struct{}), make(chan struct{})
	enough := errors.New("enough")
	var got []event.Envelope
	done := make(chan error, 1)
	go func() {
		done <- event.Follow(t.Context(), s, 0, func(e row.Event) error {
			got = append(got, event.EnvelopeOf(e))
			if e.Number == 1 {
				close(first)
				<-burst
			}
			if e.Number == 200 {
				return enough
			}
			return nil
		})
	}()
	<-first
	versions(t, s, 3, 200) // would hang if the reader held anything up
	close(burst)
	if err := <-done; !errors.Is(err, enough) {
		t.Fatal(err)
	}
	wantVersions(t, got, 1, 200)
}

func TestFollowGoesOnAfterAReset(t *testing.T) {
	s := open(t, t.TempDir())
	versions(t, s, 1, 3)
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan int64)
	done := make(chan error, 1)
	go func() {
		done <- event.Follow(ctx, s, 2, func(e row.Event) error {
			told <- e.Number
			return nil
		})
	}()
	if n := <-told; n != 3 {
		t.Errorf("after 2 came %d", n)
	}
	if err := s.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	versions(t, s, 1, 1)
	if n := <-told; n != 1 {
		t.Errorf("after a reset came %d", n)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
