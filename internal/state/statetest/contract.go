package statetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"fairlead/internal/state"
)

// Item is the row that the contract is tried with.
type Item struct {
	ID    string
	Owner string
	Tags  []string
	Count int
}

// Items is the table of the contract. ItemsToo differs from it only in that its name is longer.
var (
	Items    = newItems("items")
	ItemsToo = newItems("items-too")
)

func newItems(name string) *state.Table[Item] {
	return state.NewTable(name, func(i Item) string { return i.ID },
		state.Index[Item]{Name: "owner", Keys: func(i Item) []string { return []string{i.Owner} }},
		state.Index[Item]{Name: "tag", Keys: func(i Item) []string { return i.Tags }},
	)
}

// OpenFunc returns an empty store over the given tables, closed when the test ends.
type OpenFunc func(t testing.TB, tables ...state.TableInfo) *state.Store

// Contract tries what the documentation of package state promises.
func Contract(t *testing.T, open OpenFunc) {
	for _, part := range []struct {
		name string
		run  func(*testing.T, *state.Store)
	}{
		{"a transaction reads its own writes", ownWrites},
		{"a failed function writes nothing", failedFunction},
		{"a refused row makes the update fail", refusedRows},
		{"rows share nothing with their writer", noAliasing},
		{"an unchanged row is not written", unchangedRow},
		{"a snapshot does not change", snapshotIsolation},
		{"a walk does not see what it puts", walkWhilePutting},
		{"tables and prefixes are kept apart", keptApart},
		{"rows are found by index", byIndex},
		{"concurrent updates all count", concurrentUpdates},
		{"a waiting update gives up with its context", waitingGivesUp},
		{"reset leaves nothing", reset},
		{"a closed store says so", closed},
		{"a watcher starts with everything", watchStart},
		{"a watcher coalesces", watchCoalesces},
		{"a watcher leads to the same rows", watchReplica},
		{"random histories agree with a model", model},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			part.run(t, open(t, Items, ItemsToo))
		})
	}
}

func ownWrites(t *testing.T, s *state.Store) {
	put(t, s, Item{ID: "a", Owner: "x"}, Item{ID: "b", Owner: "x"})
	Update(t, s, func(tx *state.Tx) {
		Items.Put(tx, Item{ID: "c", Owner: "x"})
		Items.Put(tx, Item{ID: "a", Owner: "y"})
		Items.Delete(tx, "b")
		if _, ok := Items.Get(tx, "b"); ok {
			t.Error("b is still there")
		}
		wantIDs(t, "scan", Items.Scan(tx, ""), "a", "c")
		wantIDs(t, "x", Items.By(tx, "owner", "x"), "c")
		wantIDs(t, "y", Items.By(tx, "owner", "y"), "a")
		wantIDs(t, "the view", Items.Scan(s.View(), ""), "a", "b")
	})
	wantIDs(t, "committed", Items.Scan(s.View(), ""), "a", "c")
}

func failedFunction(t *testing.T, s *state.Store) {
	before := s.View()
	refusal := errors.New("refused")
	err := s.Update(t.Context(), func(tx *state.Tx) error {
		Items.Put(tx, Item{ID: "a"})
		return refusal
	})
	if err != refusal { //nolint:errorlint // the error is promised to come back as it is
		t.Errorf("got %v, want the function's own error", err)
	}
	if s.View() != before {
		t.Error("the failed update changed the state")
	}
}

func refusedRows(t *testing.T, s *state.Store) {
	for _, c := range []struct {
		name string
		row  Item
		want error
	}{
		{"no key", Item{}, state.ErrInvalidRow},
		{"long key", Item{ID: strings.Repeat("k", state.MaxKeyBytes+1)}, state.ErrInvalidRow},
		{"NUL in key", Item{ID: "a\x00b"}, state.ErrInvalidRow},
		{"NUL in index", Item{ID: "a", Owner: "x\x00y"}, state.ErrInvalidRow},
		{"large", Item{ID: "a", Owner: strings.Repeat("x", state.MaxRowBytes)}, state.ErrTooLarge},
	} {
		err := s.Update(t.Context(), func(tx *state.Tx) error {
			Items.Put(tx, Item{ID: "good"})
			Items.Put(tx, c.row)
			return nil
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	wantIDs(t, "after refusals", Items.Scan(s.View(), ""))
	put(t, s, Item{ID: strings.Repeat("k", state.MaxKeyBytes)},
		Item{ID: "big", Owner: strings.Repeat("x", state.MaxRowBytes-100)})
}

func noAliasing(t *testing.T, s *state.Store) {
	row := Item{ID: "a", Tags: []string{"old"}}
	Update(t, s, func(tx *state.Tx) {
		Items.Put(tx, row)
		row.Tags[0] = "new"
		if got, _ := Items.Get(tx, "a"); got.Tags[0] != "old" {
			t.Errorf("the transaction shows %q", got.Tags)
		}
	})
	if got, _ := Items.Get(s.View(), "a"); got.Tags[0] != "old" {
		t.Errorf("the view shows %q", got.Tags)
	}
}

func unchangedRow(t *testing.T, s *state.Store) {
	put(t, s, Item{ID: "a", Tags: []string{"x"}, Count: 1})
	before := s.View()
	put(t, s, Item{ID: "a", Tags: []string{"x"}, Count: 1})
	Update(t, s, func(tx *state.Tx) { Items.Delete(tx, "no such row") })
	if s.View() != before {
		t.Error("writing what is there already made a new revision")
	}
	put(t, s, Item{ID: "a", Tags: []string{"x"}, Count: 2})
	if s.View().Revision() <= before.Revision() {
		t.Error("a change made no new revision")
	}
}

func snapshotIsolation(t *testing.T, s *state.Store) {
	put(t, s, Item{ID: "a", Count: 1}, Item{ID: "b", Owner: "x"})
	before := s.View()
	Update(t, s, func(tx *state.Tx) {
		Items.Put(tx, Item{ID: "a", Count: 2})
		Items.Put(tx, Item{ID: "c", Owner: "x"})
		Items.Delete(tx, "b")
	})
	if got, _ := Items.Get(before, "a"); got.Count != 1 {
		t.Errorf("the old snapshot shows count %d", got.Count)
	}
	wantIDs(t, "old scan", Items.Scan(before, ""), "a", "b")
	wantIDs(t, "old index", Items.By(before, "owner", "x"), "b")
	wantIDs(t, "new scan", Items.Scan(s.View(), ""), "a", "c")
	if got, want := Items.Len(s.View()), 2; got != want {
		t.Errorf("%d rows, want %d", got, want)
	}
}

func walkWhilePutting(t *testing.T, s *state.Store) {
	put(t, s, Item{ID: "a"}, Item{ID: "b"}, Item{ID: "c"})
	steps := 0
	Update(t, s, func(tx *state.Tx) {
		steps = 0
		for row := range Items.Scan(tx, "") {
			steps++
			Items.Delete(tx, row.ID)
			Items.Put(tx, Item{ID: row.ID + "-next"})
		}
	})
	if steps != 3 {
		t.Errorf("the walk took %d steps, want 3", steps)
	}
	wantIDs(t, "afterwards", Items.Scan(s.View(), ""), "a-next", "b-next", "c-next")
}

func keptApart(t *testing.T, s *state.Store) {
	Update(t, s, func(tx *state.Tx) {
		for _, id := range []string{"a", "a/b", "a/b/c", "ab", "é", "/"} {
			Items.Put(tx, Item{ID: id})
		}
		ItemsToo.Put(tx, Item{ID: "too"})
	})
	wantIDs(t, "all", Items.Scan(s.View(), ""), "/", "a", "a/b", "a/b/c", "ab", "é")
	wantIDs(t, "a/", Items.Scan(s.View(), "a/"), "a/b", "a/b/c")
	wantIDs(t, "none", Items.Scan(s.View(), "zz"))
	wantIDs(t, "too", ItemsToo.Scan(s.View(), ""), "too")
}

func byIndex(t *testing.T, s *state.Store) {
	put(t, s,
		Item{ID: "1", Owner: "a", Tags: []string{"red", "blue", "red"}},
		Item{ID: "2", Owner: "ab", Tags: []string{"red"}},
		Item{ID: "3", Owner: ""})
	view := s.View()
	wantIDs(t, "owner a", Items.By(view, "owner", "a"), "1")
	wantIDs(t, "owner ab", Items.By(view, "owner", "ab"), "2")
	wantIDs(t, "no owner", Items.By(view, "owner", ""), "3")
	wantIDs(t, "red", Items.By(view, "tag", "red"), "1", "2")
	wantIDs(t, "blue", Items.By(view, "tag", "blue"), "1")
	put(t, s, Item{ID: "1", Owner: "a", Tags: []string{"green"}})
	wantIDs(t, "red later", Items.By(s.View(), "tag", "red"), "2")
	wantIDs(t, "green later", Items.By(s.View(), "tag", "green"), "1")
}

func concurrentUpdates(t *testing.T, s *state.Store) {
	const writers, each = 8, 20
	var work sync.WaitGroup
	for range writers {
		work.Go(func() {
			for range each {
				if err := Increment(t.Context(), s, "counter"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	if got, _ := Items.Get(s.View(), "counter"); got.Count != writers*each {
		t.Errorf("counted %d, want %d", got.Count, writers*each)
	}
}

// Increment adds one to the count of an item, in one update.
func Increment(ctx context.Context, s *state.Store, id string) error {
	return s.Update(ctx, func(tx *state.Tx) error {
		item, _ := Items.Get(tx, id)
		item.ID = id
		item.Count++
		Items.Put(tx, item)
		return nil
	})
}

func waitingGivesUp(t *testing.T, s *state.Store) {
	Update(t, s, func(tx *state.Tx) { // holds the turn
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() { failed <- s.Update(ctx, func(*state.Tx) error { return nil }) }()
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
}

func reset(t *testing.T, s *state.Store) {
	for range 2 {
		put(t, s, Item{ID: "a", Owner: "x"})
		if err := s.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantIDs(t, "scan", Items.Scan(s.View(), ""))
		wantIDs(t, "index", Items.By(s.View(), "owner", "x"))
	}
	if err := s.Reset(t.Context()); err != nil {
		t.Errorf("resetting an empty store: %v", err)
	}
}

func closed(t *testing.T, s *state.Store) {
	put(t, s, Item{ID: "a"})
	w := s.Watch()
	defer w.Close()
	next(t, w)
	waiting := make(chan error)
	go func() {
		_, _, err := w.Next(context.WithoutCancel(t.Context()))
		waiting <- err
	}()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, state.ErrClosed) {
		t.Errorf("the watcher got %v, want ErrClosed", err)
	}
	err := s.Update(t.Context(), func(*state.Tx) error { return nil })
	if !errors.Is(err, state.ErrClosed) {
		t.Errorf("the update got %v, want ErrClosed", err)
	}
	if err := s.Reset(t.Context()); !errors.Is(err, state.ErrClosed) {
		t.Errorf("the reset got %v, want ErrClosed", err)
	}
	wantIDs(t, "after the end", Items.Scan(s.View(), ""), "a")
}

func put(t testing.TB, s *state.Store, rows ...Item) {
	t.Helper()
	Update(t, s, func(tx *state.Tx) {
		for _, row := range rows {
			Items.Put(tx, row)
		}
	})
}

func wantIDs(t testing.TB, what string, rows func(func(Item) bool), want ...string) {
	t.Helper()
	var got []string
	for row := range rows {
		got = append(got, row.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}
