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
	store, err := state.Open(t.Context(), state.Config{Dir: t.TempDir(), NoSync: true}, tables...)
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
