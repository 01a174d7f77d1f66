package statetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"

	"fairlead/internal/state"
)

func watchStart(t *testing.T, s *state.Store) {
	put(t, s, Item{ID: "b"}, Item{ID: "a"})
	Update(t, s, func(tx *state.Tx) { ItemsToo.Put(tx, Item{ID: "c"}) })
	all, one, none := s.Watch(), s.Watch(ItemsToo), s.Watch(ItemsToo)
	none.Close()
	none.Close()
	wantChanges(t, all, state.Change{Table: "items", Key: "a"},
		state.Change{Table: "items", Key: "b"}, state.Change{Table: "items-too", Key: "c"})
	wantChanges(t, one, state.Change{Table: "items-too", Key: "c"})
	if _, _, err := none.Next(t.Context()); !errors.Is(err, state.ErrClosed) {
		t.Errorf("a closed watcher says %v, want ErrClosed", err)
	}
	all.Close()
	one.Close()
}

func watchCoalesces(t *testing.T, s *state.Store) {
	put(t, s, Item{ID: "old"})
	w := s.Watch(Items)
	defer w.Close()
	next(t, w)
	for count := range 5 {
		put(t, s, Item{ID: "a", Count: count}, Item{ID: "brief"})
	}
	Update(t, s, func(tx *state.Tx) {
		Items.Delete(tx, "old")
		Items.Delete(tx, "brief")
		ItemsToo.Put(tx, Item{ID: "not watched"})
	})
	snapshot := wantChanges(t, w, state.Change{Table: "items", Key: "a"},
		state.Change{Table: "items", Key: "brief", Deleted: true},
		state.Change{Table: "items", Key: "old", Deleted: true})
	if got, _ := Items.Get(snapshot, "a"); got.Count != 4 {
		t.Errorf("the snapshot shows count %d, want 4", got.Count)
	}
	Update(t, s, func(tx *state.Tx) { ItemsToo.Put(tx, Item{ID: "nor this"}) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// watchReplica follows a busy table through its changes alone and must arrive at the same rows.
func watchReplica(t *testing.T, s *state.Store) {
	w := s.Watch(Items)
	defer w.Close()
	var writers sync.WaitGroup
	for writer := range 4 {
		random := rand.New(rand.NewPCG(uint64(writer), 1))
		writers.Go(func() {
			for range 50 {
				mutate(t, s, random)
			}
		})
	}
	go func() {
		writers.Wait()
		put(t, s, Item{ID: "~last"})
	}()
	replica := make(map[string]Item)
	for last := false; !last; _, last = replica["~last"] {
		follow(t, w, replica)
	}
	if want := contents(s.View()); !reflect.DeepEqual(replica, want) {
		t.Errorf("the replica has %v, want %v", replica, want)
	}
}

func mutate(t *testing.T, s *state.Store, random *rand.Rand) {
	id := fmt.Sprint(random.IntN(10))
	count := random.Int()
	err := s.Update(t.Context(), func(tx *state.Tx) error {
		if count%3 == 0 {
			Items.Delete(tx, id)
		} else {
			Items.Put(tx, Item{ID: id, Count: count})
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// follow applies one report of the watcher to a replica of the table.
func follow(t *testing.T, w *state.Watcher, replica map[string]Item) {
	t.Helper()
	snapshot, changes, err := w.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		row, ok := Items.Get(snapshot, c.Key)
		if ok == c.Deleted {
			t.Errorf("%+v does not agree with its snapshot", c)
		}
		if ok {
			replica[c.Key] = row
		} else {
			delete(replica, c.Key)
		}
	}
}

func contents(r state.Reader) map[string]Item {
	rows := make(map[string]Item)
	for row := range Items.Scan(r, "") {
		rows[row.ID] = row
	}
	return rows
}

func next(t *testing.T, w *state.Watcher) (*state.Snapshot, []state.Change) {
	t.Helper()
	snapshot, changes, err := w.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return snapshot, changes
}

func wantChanges(t *testing.T, w *state.Watcher, want ...state.Change) *state.Snapshot {
	t.Helper()
	snapshot, got := next(t, w)
	if !slices.Equal(got, want) {
		t.Errorf("got changes %+v, want %+v", got, want)
	}
	return snapshot
}
