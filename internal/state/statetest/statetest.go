// Package statetest opens stores for tests and holds the contract that every store fulfils,
// whichever etcd is under it.
package statetest

import (
	"testing"

	"fairlead/internal/state"
)

// Open returns an empty store over the given tables, in a directory that the test removes. It is
// closed when the test ends. It takes about 50 ms.
func Open(t testing.TB, tables ...state.TableInfo) *state.Store {
	t.Helper()
	return OpenWith(t, state.Config{Dir: t.TempDir()}, tables...)
}

// OpenWith is Open with a configuration of the test's, of which it changes NoSync alone.
func OpenWith(t testing.TB, cfg state.Config, tables ...state.TableInfo) *state.Store {
	t.Helper()
	cfg.NoSync = true
	store, err := state.Open(t.Context(), cfg, tables...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// Update runs fn as one update of store and fails the test when that fails.
func Update(t testing.TB, store *state.Store, fn func(tx *state.Tx)) {
	t.Helper()
	err := store.Update(t.Context(), func(tx *state.Tx) error {
		fn(tx)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
