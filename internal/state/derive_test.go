package state_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

// openDeriving opens a store of the two tables of the contract that derives.
func openDeriving(t *testing.T, derive func(tx *state.Tx) error) *state.Store {
	t.Helper()
	cfg := state.Config{Dir: t.TempDir(), Derive: derive}
	return statetest.OpenWith(t, cfg, statetest.Items, statetest.ItemsToo)
}

func TestDerivedRowsAreCommittedWithTheirCause(t *testing.T) {
	count := func(i *statetest.Item) int {
		if i == nil {
			return -1
		}
		return i.Count
	}
	runs := 0
	s := openDeriving(t, func(tx *state.Tx) error {
		runs++
		for w := range statetest.Items.Written(tx) {
			statetest.ItemsToo.Put(tx, statetest.Item{
				ID: fmt.Sprintf("%d: %s %d to %d", runs, w.Key, count(w.Before), count(w.After)),
			})
		}
		return nil
	})
	updates := []func(tx *state.Tx){
		func(tx *state.Tx) {
			statetest.Items.Put(tx, statetest.Item{ID: "b", Count: 1})
			statetest.Items.Put(tx, statetest.Item{ID: "a", Count: 2})
		},
		func(tx *state.Tx) { statetest.Items.Get(tx, "a") },                               // only reads
		func(tx *state.Tx) { statetest.Items.Put(tx, statetest.Item{ID: "a", Count: 2}) }, // the same
		func(tx *state.Tx) {
			statetest.Items.Put(tx, statetest.Item{ID: "a", Count: 3})
			statetest.Items.Put(tx, statetest.Item{ID: "a", Count: 4})
			statetest.Items.Delete(tx, "b")
		},
	}
	for _, update := range updates {
		before := s.View().Revision()
		statetest.Update(t, s, update)
		if after := s.View().Revision(); after > before+1 {
			t.Errorf("one update made %d revisions", after-before)
		}
	}
	var got []string
	for i := range statetest.ItemsToo.Scan(s.View(), "") {
		got = append(got, i.ID)
	}
	want := []string{"1: a -1 to 2", "1: b -1 to 1", "2: a 2 to 4", "2: b 1 to -1"}
	if !slices.Equal(got, want) {
		t.Errorf("derived\n%q, want\n%q", got, want)
	}
}

func TestAnUpdateThatCannotBeDerivedFromFails(t *testing.T) {
	no := errors.New("no")
	s := openDeriving(t, func(*state.Tx) error { return no })
	err := s.Update(t.Context(), func(tx *state.Tx) error {
		statetest.Items.Put(tx, statetest.Item{ID: "a"})
		return nil
	})
	if !errors.Is(err, no) || statetest.Items.Len(s.View()) != 0 {
		t.Errorf("updating: %v, %d rows", err, statetest.Items.Len(s.View()))
	}
}
