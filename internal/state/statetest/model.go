package statetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"fairlead/internal/state"
)

// model runs random transactions against the store and against a map, and compares every answer.
func model(t *testing.T, s *state.Store) {
	for seed := range uint64(3) {
		if err := s.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		h := &history{t: t, random: rand.New(rand.NewPCG(seed, 0)), rows: map[string]Item{}}
		for range 60 {
			h.transaction(s)
			h.check(s.View())
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// history is a random sequence of transactions with the rows that must result.
type history struct {
	t      *testing.T
	random *rand.Rand
	rows   map[string]Item
}

// transaction makes a few changes, reading in between, and sometimes gives them up.
func (h *history) transaction(s *state.Store) {
	before := maps.Clone(h.rows)
	abort := fmt.Errorf("aborted")
	err := s.Update(h.t.Context(), func(tx *state.Tx) error {
		for range 1 + h.random.IntN(6) {
			h.step(tx)
			h.check(tx)
		}
		if h.random.IntN(5) == 0 {
			return abort
		}
		return nil
	})
	switch {
	case err == abort: //nolint:errorlint // the error is promised to come back as it is
		h.rows = before
	case err != nil:
		h.t.Fatal(err)
	}
}

func (h *history) step(tx *state.Tx) {
	id := h.pick("a", "a/1", "a/2", "ab", "b", "b/1", "c")
	if h.random.IntN(3) == 0 {
		Items.Delete(tx, id)
		delete(h.rows, id)
		return
	}
	row := Item{ID: id, Owner: h.pick("", "x", "xy"), Count: h.random.IntN(3)}
	for range h.random.IntN(3) {
		row.Tags = append(row.Tags, h.pick("red", "green", "blue"))
	}
	Items.Put(tx, row)
	h.rows[id] = row
}

func (h *history) pick(from ...string) string { return from[h.random.IntN(len(from))] }

// check compares every way to read with the model.
func (h *history) check(r state.Reader) {
	h.t.Helper()
	for _, prefix := range []string{"", "a", "a/", "c", "d"} {
		want := h.want(func(i Item) bool { return strings.HasPrefix(i.ID, prefix) })
		wantIDs(h.t, "prefix "+prefix, Items.Scan(r, prefix), want...)
	}
	for _, owner := range []string{"", "x", "xy", "none"} {
		want := h.want(func(i Item) bool { return i.Owner == owner })
		wantIDs(h.t, "owner "+owner, Items.By(r, "owner", owner), want...)
	}
	for _, tag := range []string{"red", "green", "blue"} {
		want := h.want(func(i Item) bool { return slices.Contains(i.Tags, tag) })
		wantIDs(h.t, "tag "+tag, Items.By(r, "tag", tag), want...)
	}
	for id, want := range h.rows {
		if got, ok := Items.Get(r, id); !ok || got.Count != want.Count {
			h.t.Errorf("%s: got %+v, %t, want %+v", id, got, ok, want)
		}
	}
	if got := Items.Len(r); got != len(h.rows) {
		h.t.Errorf("%d rows, want %d", got, len(h.rows))
	}
}

// want lists the keys of the model's rows that match, in order.
func (h *history) want(match func(Item) bool) []string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(h.rows)) {
		if match(h.rows[id]) {
			ids = append(ids, id)
		}
	}
	return ids
}
