package service

import (
	"slices"
	"testing"
	"time"

	"fairlead/internal/plan"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

// fleet sizes, in services of ten tasks, between which nothing that is read may differ.
const (
	smallFleet = 100
	largeFleet = 10_000
	shortFleet = 1_000 // in place of the large one with -short
)

// TestNoScan: when one task of one service changes, as many rows are read among many services as
// among few, and only that service is due.
func TestNoScan(t *testing.T) {
	large := largeFleet
	if testing.Short() {
		large = shortFleet
	}
	few, many := readsOfOneChange(t, smallFleet), readsOfOneChange(t, large)
	t.Logf("%d rows are read among %d services, %d among %d", few, smallFleet, many, large)
	if few != many {
		t.Errorf("the cost of a change depends on how many services there are")
	}
	// The service, its memory, its deployment with record and definition, its ten tasks, and the task
	// that tells which service is meant.
	if own := 1 + 1 + 3 + 10 + 1; many != own {
		t.Errorf("%d rows are read, want the %d of the service itself", many, own)
	}
}

// readsOfOneChange changes a task of a service among others and counts the rows that the controller
// reads until it has a plan.
func readsOfOneChange(t *testing.T, services int) int {
	store := statetest.Open(t, row.Tables()...)
	populate(t, store, services)
	watcher := store.Watch(row.Services, row.Deployments, row.Tasks, row.TargetHealths)
	defer watcher.Close()
	if _, _, err := watcher.Next(t.Context()); err != nil {
		t.Fatal(err) // the full pass, which comes first
	}
	arn, now := arnOf(services/2), time.Now()
	stopTask(t, store, arn+"/3")
	view, changes, err := watcher.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := state.NewCounted(view)
	var due []string
	for _, change := range changes {
		due = append(due, concerned(r, change)...)
	}
	if !slices.Equal(due, []string{arn}) {
		t.Errorf("due are %v, want %s", due, arn)
	}
	in, _ := gather(r, arn)
	in.Now, in.NewID = now, func() string { return "id" }
	if p := plan.Service(in); len(p.Starts) != 0 || !p.Changed {
		t.Errorf("planned %+v, want notes of the task that ended", p)
	}
	return r.Rows()
}

func stopTask(t *testing.T, store *state.Store, arn string) {
	t.Helper()
	statetest.Update(t, store, func(tx *state.Tx) {
		task, _ := row.Tasks.Get(tx, arn)
		task.DesiredStatus, task.LastStatus = row.TaskStopped, row.TaskStopped
		row.Tasks.Put(tx, task)
	})
}
