package state_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3"

	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

// patience is how long a test waits for what must come, before it fails.
const patience = 10 * time.Second

var items = statetest.Items

// TestConflicts lets another process write between the reads and the commit of a transaction. The
// transaction must run again exactly when what it read has changed.
func TestConflicts(t *testing.T) {
	etcd := startEtcd(t)
	type tx = *state.Tx
	get := func(id string) func(tx) { return func(r tx) { items.Get(r, id) } }
	scan := func(r tx) {
		for range items.Scan(r, "") {
			return // looking at one row is reading the table
		}
	}
	by := func(r tx) {
		for range items.By(r, "owner", "nobody") {
			return
		}
	}
	put := func(id string) func(tx) {
		return func(w tx) { items.Put(w, statetest.Item{ID: id, Count: 7}) }
	}
	remove := func(id string) func(tx) { return func(w tx) { items.Delete(w, id) } }
	for _, c := range []struct {
		name        string
		read, other func(tx)
		conflict    bool
	}{
		{"a row that was read changes", get("a"), put("a"), true},
		{"a row that was read goes", get("a"), remove("a"), true},
		{"a row that was missed comes", get("new"), put("new"), true},
		{"another row changes", get("a"), put("b"), false},
		{"the row that is written changes", func(tx) {}, put("out"), true},
		{"a row comes into a scan", scan, put("new"), true},
		{"a row goes from a scan", scan, remove("b"), true},
		{"a row comes into an index", by, put("new"), true},
		{"another table changes under a scan", scan, func(w tx) {
			statetest.ItemsToo.Put(w, statetest.Item{ID: "a"})
		}, false},
		{"the other row was deleted before", get("a"), remove("none"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := etcd.open(t, "/"+t.Name(), items, statetest.ItemsToo)
			b := etcd.open(t, "/"+t.Name(), items, statetest.ItemsToo)
			statetest.Update(t, a, func(w tx) {
				items.Put(w, statetest.Item{ID: "a"})
				items.Put(w, statetest.Item{ID: "b"})
			})
			await(t, b, func(v *state.Snapshot) bool { return items.Len(v) == 2 })
			runs := 0
			statetest.Update(t, a, func(w tx) {
				if c.read(w); runs == 0 {
					statetest.Update(t, b, c.other)
				}
				runs++
				items.Put(w, statetest.Item{ID: "out", Count: runs})
			})
			if conflict := runs > 1; conflict != c.conflict {
				t.Errorf("ran %d times, conflict wanted: %t", runs, c.conflict)
			}
		})
	}
}

// TestConflictAfterReset resets the state between the scan and the commit of another process.
func TestConflictAfterReset(t *testing.T) {
	etcd := startEtcd(t)
	a, b := etcd.open(t, "", items), etcd.open(t, "", items)
	statetest.Update(t, a, func(tx *state.Tx) { items.Put(tx, statetest.Item{ID: "a"}) })
	await(t, b, func(v *state.Snapshot) bool { return items.Len(v) == 1 })
	runs := 0
	statetest.Update(t, b, func(tx *state.Tx) {
		rows := items.Len(tx)
		if runs++; runs == 1 {
			if err := a.Reset(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		items.Put(tx, statetest.Item{ID: "count", Count: rows})
	})
	if got, _ := items.Get(b.View(), "count"); got.Count != 0 || items.Len(b.View()) != 1 {
		t.Errorf("got %+v after %d runs, want no rows counted", got, runs)
	}
}

func TestTwoProcessesCount(t *testing.T) {
	etcd := startEtcd(t)
	stores := []*state.Store{etcd.open(t, "", items), etcd.open(t, "", items)}
	const each = 100
	var work sync.WaitGroup
	for _, store := range stores {
		work.Go(func() {
			for range each {
				if err := statetest.Increment(t.Context(), store, "n"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	for _, store := range stores {
		await(t, store, func(v *state.Snapshot) bool {
			n, _ := items.Get(v, "n")
			return n.Count == 2*each
		})
	}
}

func TestManyReadsFitOneTransaction(t *testing.T) {
	etcd := startEtcd(t)
	s := etcd.open(t, "", items)
	statetest.Update(t, s, func(tx *state.Tx) {
		for i := range 1000 { // an etcd accepts 128 comparisons
			items.Get(tx, fmt.Sprint(i))
		}
		items.Put(tx, statetest.Item{ID: "a"})
	})
}

func TestTransactionTooLarge(t *testing.T) {
	const rows = 3000
	write := func(tx *state.Tx) error {
		for i := range rows {
			items.Put(tx, statetest.Item{ID: fmt.Sprint(i)})
		}
		return nil
	}
	external := startEtcd(t).open(t, "", items)
	if err := external.Update(t.Context(), write); !errors.Is(err, state.ErrTooLarge) {
		t.Errorf("too many rows: got %v, want ErrTooLarge", err)
	}
	bulk := func(tx *state.Tx) error {
		for i := range 20 {
			items.Put(tx, statetest.Item{ID: fmt.Sprint(i), Owner: strings.Repeat("x", 1<<20-100)})
		}
		return nil
	}
	embedded := statetest.Open(t, items)
	for name, s := range map[string]*state.Store{"external": external, "embedded": embedded} {
		if err := s.Update(t.Context(), bulk); !errors.Is(err, state.ErrTooLarge) {
			t.Errorf("too many bytes, %s: got %v, want ErrTooLarge", name, err)
		}
		if n := items.Len(s.View()); n != 0 {
			t.Errorf("%s has %d rows, want none", name, n)
		}
	}
	if err := embedded.Update(t.Context(), write); err != nil {
		t.Errorf("%d rows into the embedded etcd: %v", rows, err)
	}
}

// TestEtcdGoesAway stops the etcd under a store, changes and compacts it behind the store's back,
// and brings it back: the watch cannot resume, so everything has to be loaded again.
func TestEtcdGoesAway(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := etcd.open(t, "", items)
	statetest.Update(t, s, func(tx *state.Tx) {
		items.Put(tx, statetest.Item{ID: "kept"})
		items.Put(tx, statetest.Item{ID: "changed", Owner: "x"})
		items.Put(tx, statetest.Item{ID: "removed", Owner: "x"})
	})
	w := s.Watch()
	defer w.Close()
	nextChanges(t, w)

	etcd.stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := statetest.Increment(ctx, s, "n"); err == nil {
		t.Error("an update without etcd reports success")
	}
	if items.Len(s.View()) != 3 {
		t.Error("the rows cannot be read without etcd")
	}
	home := etcd.address
	etcd.address.Host = "127.0.0.1:0"
	etcd.start(t)
	etcd.address.Host = etcd.server.Clients[0].Addr().String()
	behindTheBack(t, etcd.client(t))
	etcd.stop()
	etcd.address = home
	etcd.start(t)

	seen := make(map[state.Change]bool)
	for len(seen) < 3 {
		for _, c := range nextChanges(t, w) {
			seen[c] = true
		}
	}
	for _, c := range []state.Change{
		{Table: "items", Key: "added"},
		{Table: "items", Key: "changed"},
		{Table: "items", Key: "removed", Deleted: true},
	} {
		if !seen[c] {
			t.Errorf("%+v was not reported, only %v", c, seen)
		}
	}
	if got, _ := items.Get(s.View(), "changed"); got.Owner != "y" {
		t.Errorf("changed is %+v", got)
	}
	if err := statetest.Increment(t.Context(), s, "n"); err != nil {
		t.Errorf("updating after etcd is back: %v", err)
	}
}

// behindTheBack is what another process does while the store cannot see it.
func behindTheBack(t *testing.T, client *clientv3.Client) {
	t.Helper()
	ctx := t.Context()
	done, err := client.Txn(ctx).Then(
		clientv3.OpPut("/fairlead/items/added", `{"ID":"added"}`),
		clientv3.OpPut("/fairlead/items/changed", `{"ID":"changed","Owner":"y"}`),
		clientv3.OpDelete("/fairlead/items/removed"),
		clientv3.OpPut("/fairlead/.changed/items", ""),
	).Commit()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Compact(ctx, done.Header.Revision); err != nil {
		t.Fatal(err)
	}
}

func TestForeignKeys(t *testing.T) {
	etcd := startEtcd(t)
	client := etcd.client(t)
	for _, key := range []string{"/fairlead/unknown/a", "/fairlead-b/items/a", "/fairlead/items"} {
		if _, err := client.Put(t.Context(), key, "not JSON"); err != nil {
			t.Fatal(err)
		}
	}
	s := etcd.open(t, "", items)
	if n := items.Len(s.View()); n != 0 {
		t.Errorf("%d rows were made of others' keys", n)
	}
	if err := s.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := client.Get(t.Context(), "/", clientv3.WithPrefix())
	if err != nil || left.Count != 1 || string(left.Kvs[0].Key) != "/fairlead-b/items/a" {
		t.Errorf("after the reset: %v, %v", left, err)
	}
}

func TestDamagedRow(t *testing.T) {
	etcd := startEtcd(t)
	client := etcd.client(t)
	s := etcd.open(t, "", items)
	statetest.Update(t, s, func(tx *state.Tx) { items.Put(tx, statetest.Item{ID: "a", Count: 1}) })
	if _, err := client.Put(t.Context(), "/fairlead/items/a", "{"); err != nil {
		t.Fatal(err)
	}
	// A store that runs goes on, one that starts refuses.
	statetest.Update(t, s, func(tx *state.Tx) { items.Put(tx, statetest.Item{ID: "b"}) })
	if got, _ := items.Get(s.View(), "a"); got.Count != 1 {
		t.Errorf("the row became %+v", got)
	}
	cfg := state.Config{Endpoints: []string{etcd.address.String()}}
	_, err := state.Open(t.Context(), cfg, items)
	if err == nil || !strings.Contains(err.Error(), "items/a") {
		t.Errorf("got %v, want an error that names the row", err)
	}
}

// await waits until the view of s fulfils a condition.
func await(t testing.TB, s *state.Store, ok func(*state.Snapshot) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w := s.Watch()
	defer w.Close()
	for {
		snapshot, _, err := w.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if ok(snapshot) {
			return
		}
	}
}

func nextChanges(t testing.TB, w *state.Watcher) []state.Change {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, changes, err := w.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return changes
}
