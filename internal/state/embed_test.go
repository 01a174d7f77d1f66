package state_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/v3"

	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	for count := range 3 {
		s := openDir(t, state.Config{Dir: dir})
		if got, _ := items.Get(s.View(), "a"); got.Count != count {
			t.Errorf("start %d: got count %d", count, got.Count)
		}
		if n := len(collect(items.By(s.View(), "owner", "x"))); count > 0 && n != 3000 {
			t.Errorf("start %d: the index has %d rows, want 3000", count, n)
		}
		statetest.Update(t, s, func(tx *state.Tx) {
			for i := range 3000 { // more than one page
				items.Put(tx, statetest.Item{ID: fmt.Sprintf("row-%d", i), Owner: "x"})
			}
			items.Put(tx, statetest.Item{ID: "a", Count: count + 1})
		})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	key := func(i statetest.Item) string { return i.ID }
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := func() state.Config { return state.Config{Dir: t.TempDir(), NoSync: true} }
	elsewhere := []string{"http://127.0.0.1:1"}
	for _, c := range []struct {
		name   string
		cfg    state.Config
		tables []state.TableInfo
		want   string
	}{
		{"nowhere", state.Config{}, nil, "neither"},
		{"both", state.Config{Dir: file, Endpoints: elsewhere}, nil, "Dir and NoSync"},
		{"no sync elsewhere", state.Config{NoSync: true, Endpoints: elsewhere}, nil, "Dir and NoSync"},
		{"a file for a directory", state.Config{Dir: file}, nil, "state directory"},
		{"a table twice", good(), []state.TableInfo{items, items}, "twice"},
		{"a slash in a name", good(),
			[]state.TableInfo{state.NewTable("a/b", key)}, "does not match"},
		{"no key", good(), []state.TableInfo{state.NewTable[int]("a", nil)}, "no key function"},
		{"an index without keys", good(), []state.TableInfo{
			state.NewTable("a", key, state.Index[statetest.Item]{Name: "x"})}, "incomplete"},
	} {
		s, err := state.Open(t.Context(), c.cfg, c.tables...)
		if err == nil {
			t.Errorf("%s: was opened: %v", c.name, s.Close())
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %q, want %q in it", c.name, err, c.want)
		}
	}
}

func TestDirectoryIsLocked(t *testing.T) {
	cfg := state.Config{Dir: t.TempDir(), NoSync: true}
	first := openDir(t, cfg)
	_, err := state.Open(t.Context(), cfg, items)
	if err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("the second process got %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openDir(t, cfg)
}

// TestHistoryIsBounded writes without end into little room: old revisions must make way.
func TestHistoryIsBounded(t *testing.T) {
	const quota, row = 16 << 20, 500_000
	s := openDir(t, state.Config{Dir: t.TempDir(), NoSync: true}.WithQuota(quota))
	text := strings.Repeat("x", row)
	for i := range 3 * quota / row {
		statetest.Update(t, s, func(tx *state.Tx) {
			items.Put(tx, statetest.Item{ID: "a", Owner: text, Count: i})
		})
	}
}

func TestNoSpace(t *testing.T) {
	const quota, row = 8 << 20, 500_000
	s := openDir(t, state.Config{Dir: t.TempDir(), NoSync: true}.WithQuota(quota))
	text := strings.Repeat("x", row)
	var full error
	for i := 0; full == nil && i < 10*quota/row; i++ {
		full = s.Update(t.Context(), func(tx *state.Tx) error {
			items.Put(tx, statetest.Item{ID: fmt.Sprint(i), Owner: text})
			return nil
		})
	}
	if !errors.Is(full, state.ErrNoSpace) {
		t.Fatalf("got %v, want ErrNoSpace", full)
	}
	if n := items.Len(s.View()); n < 2 {
		t.Errorf("%d rows can be read", n)
	}
	if err := s.Reset(t.Context()); err != nil {
		t.Fatalf("resetting a full etcd: %v", err)
	}
	if err := statetest.Increment(t.Context(), s, "a"); err != nil {
		t.Errorf("after the reset: %v", err)
	}
}

func TestCompaction(t *testing.T) {
	s := openDir(t, state.Config{Dir: t.TempDir(), NoSync: true})
	first := s.View().Revision()
	var work sync.WaitGroup
	for writer := range 8 {
		work.Go(func() {
			for range state.CompactEvery/8 + 1 {
				key := fmt.Sprintf("/fairlead/items/%d", writer)
				if _, err := s.Client().Put(t.Context(), key, `{}`); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	if err := statetest.Increment(t.Context(), s, "a"); err != nil {
		t.Fatal(err)
	}
	var err error // the compaction runs beside the updates, so it may take a moment to show
	for end := time.Now().Add(patience); err == nil && time.Now().Before(end); {
		_, err = s.Client().Get(t.Context(), "none", clientv3.WithRev(first))
	}
	if !errors.Is(err, rpctypes.ErrCompacted) {
		t.Errorf("reading the first revision: %v, want ErrCompacted", err)
	}
	kept := s.View().Revision() - state.CompactKeep + 10
	if _, err := s.Client().Get(t.Context(), "none", clientv3.WithRev(kept)); err != nil {
		t.Errorf("reading revision %d: %v", kept, err)
	}
}

// openDir opens a store over the items, closed when the test ends.
func openDir(t testing.TB, cfg state.Config) *state.Store {
	t.Helper()
	s, err := state.Open(t.Context(), cfg, items, statetest.ItemsToo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func collect(rows func(func(statetest.Item) bool)) (all []statetest.Item) {
	for row := range rows {
		all = append(all, row)
	}
	return all
}
