package state_test

import (
	"strconv"
	"testing"

	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

// TestCounted counts every way to read a table, and what a walk does not reach.
func TestCounted(t *testing.T) {
	type thing struct{ Name, Kind string }
	things := state.NewTable("thing", func(x thing) string { return x.Name },
		state.Index[thing]{Name: "kind", Keys: func(x thing) []string { return []string{x.Kind} }})
	store := statetest.Open(t, things)
	statetest.Update(t, store, func(tx *state.Tx) {
		for i := range 10 {
			things.Put(tx, thing{Name: strconv.Itoa(i), Kind: strconv.Itoa(i % 5)})
		}
	})
	for what, c := range map[string]struct {
		read func(r state.Reader)
		want int
	}{
		"nothing":   {func(state.Reader) {}, 0},
		"get":       {func(r state.Reader) { things.Get(r, "3") }, 1},
		"a miss":    {func(r state.Reader) { things.Get(r, "x") }, 1},
		"scan":      {func(r state.Reader) { drainAll(things.Scan(r, "")) }, 10},
		"prefix":    {func(r state.Reader) { drainAll(things.Scan(r, "7")) }, 1},
		"index":     {func(r state.Reader) { drainAll(things.By(r, "kind", "2")) }, 2},
		"cut short": {func(r state.Reader) { things.Scan(r, "")(func(thing) bool { return false }) }, 1},
		"length":    {func(r state.Reader) { things.Len(r) }, 10},
	} {
		r := state.NewCounted(store.View())
		c.read(r)
		if r.Rows() != c.want {
			t.Errorf("%s: %d rows, want %d", what, r.Rows(), c.want)
		}
	}
}

func drainAll[R any](seq func(func(R) bool)) {
	seq(func(R) bool { return true })
}
