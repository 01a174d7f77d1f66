package state_test

import (
	"log/slog"
	"strings"
	"testing"

	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

// TestMisusePanics tries what no program that was tested once can do.
func TestMisusePanics(t *testing.T) {
	s := statetest.Open(t, items)
	var left *state.Tx
	statetest.Update(t, s, func(tx *state.Tx) { left = tx })
	other := state.NewTable("items", func(n int) string { return "n" })
	for name, misuse := range map[string]func(){
		"a transaction after its end": func() { items.Get(left, "a") },
		"a table that was not given":  func() { statetest.ItemsToo.Get(s.View(), "a") },
		"watching such a table":       func() { s.Watch(statetest.ItemsToo) },
		"another table of that name":  func() { other.Get(s.View(), "a") },
		"an index that is not there":  func() { items.By(s.View(), "colour", "red") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it did not panic")
				}
			}()
			misuse()
		})
	}
}

// TestPanicReleasesTheTurn lets a function die within its update. Others must still get their turn.
func TestPanicReleasesTheTurn(t *testing.T) {
	s := statetest.Open(t, items)
	func() {
		defer func() { recover() }()
		statetest.Update(t, s, func(tx *state.Tx) {
			items.Put(tx, statetest.Item{ID: "half"})
			panic("midway")
		})
	}()
	if err := statetest.Increment(t.Context(), s, "a"); err != nil {
		t.Error(err)
	}
	wantOnly(t, s, "a")
}

func wantOnly(t *testing.T, s *state.Store, id string) {
	t.Helper()
	if all := collect(items.Scan(s.View(), "")); len(all) != 1 || all[0].ID != id {
		t.Errorf("got %+v, want %s alone", all, id)
	}
}

// TestQuietStart opens, writes, and opens again: none of it is worth a warning.
func TestQuietStart(t *testing.T) {
	var said strings.Builder
	warnings := slog.HandlerOptions{Level: slog.LevelWarn}
	cfg := state.Config{Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&said, &warnings))}
	for range 2 {
		s, err := state.Open(t.Context(), cfg, items)
		if err != nil {
			t.Fatal(err)
		}
		if err := statetest.Increment(t.Context(), s, "n"); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if said.Len() > 0 {
		t.Errorf("it said:\n%s", said.String())
	}
}
