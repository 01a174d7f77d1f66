package state_test

import (
	"testing"

	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

func TestEmbedded(t *testing.T) {
	statetest.Contract(t, statetest.Open)
}

func TestExternal(t *testing.T) {
	etcd := startEtcd(t)
	statetest.Contract(t, func(t testing.TB, tables ...state.TableInfo) *state.Store {
		// The parts of the contract share the etcd and are kept apart by their prefix.
		return etcd.open(t, "/"+t.Name(), tables...)
	})
}
