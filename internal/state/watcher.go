package state

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
)

// Change names a row that differs from what the watcher was last told.
type Change struct {
	Table   string
	Key     string
	Deleted bool // the row is not there any more
}

// Watcher reports which rows of its tables have changed. Changes coalesce while nobody asks, so a
// slow reader skips intermediate states but never misses that a row changed. It serves one reader.
type Watcher struct {
	store  *Store
	tables map[string]bool
	ready  chan struct{} // holds a token when there may be something to report
	closed chan struct{}
	once   sync.Once

	mu       sync.Mutex // guards what follows
	snapshot *Snapshot  // the latest that pending leads to
	begun    bool       // the first report was given
	pending  map[rowID]bool
}

// rowID names a row of any table.
type rowID struct{ table, key string }

// Watch starts to watch the given tables, or all tables when none is given. It panics when a table
// was not given to Open.
func (s *Store) Watch(tables ...TableInfo) *Watcher {
	w := &Watcher{
		store:   s,
		tables:  make(map[string]bool),
		ready:   make(chan struct{}, 1),
		closed:  make(chan struct{}),
		pending: make(map[rowID]bool),
	}
	for _, table := range tables {
		s.View().content(table.Name())
		w.tables[table.Name()] = true
	}
	if len(tables) == 0 {
		for name := range s.tables {
			w.tables[name] = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.snapshot = s.View()
	s.watchers[w] = struct{}{}
	return w
}

// publish makes next the current snapshot and tells the watchers what is different in it.
func (s *Store) publish(next *Snapshot, changes []Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.current.Swap(next)
	for w := range s.watchers {
		w.add(next, changes)
	}
	close(old.superseded)
}

// Next waits until something has changed and returns a snapshot together with the rows that differ
// from the snapshot returned before, sorted by table and key. The first call returns at once, with
// every row there is. A row that came and went in between is reported as deleted. The error is
// ctx's, or [ErrClosed] once the watcher or its store is closed.
func (w *Watcher) Next(ctx context.Context) (*Snapshot, []Change, error) {
	for {
		if err := w.ended(ctx); err != nil {
			return nil, nil, fmt.Errorf("watching state: %w", err)
		}
		if snapshot, changes, ok := w.collect(); ok {
			return snapshot, changes, nil
		}
		select {
		case <-w.ready:
		case <-w.closed:
		case <-w.store.life.Done():
		case <-ctx.Done():
		}
	}
}

// Close ends the watch; a Next that waits returns [ErrClosed].
func (w *Watcher) Close() {
	w.once.Do(func() {
		close(w.closed)
		w.store.mu.Lock()
		defer w.store.mu.Unlock()
		delete(w.store.watchers, w)
	})
}

func (w *Watcher) ended(ctx context.Context) error {
	select {
	case <-w.closed:
		return ErrClosed
	case <-w.store.life.Done():
		return ErrClosed
	default:
		return ctx.Err()
	}
}

// add notes changes that lead to next. Rows of other tables do not matter.
func (w *Watcher) add(next *Snapshot, changes []Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.snapshot = next
	for _, c := range changes {
		if w.tables[c.Table] {
			w.pending[rowID{c.Table, c.Key}] = c.Deleted
		}
	}
	if len(w.pending) > 0 {
		select {
		case w.ready <- struct{}{}:
		default: // a token is waiting already
		}
	}
}

// collect takes what is pending, in order; the first time that is every row of the snapshot.
func (w *Watcher) collect() (*Snapshot, []Change, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun && len(w.pending) == 0 {
		return nil, nil, false
	}
	var changes []Change
	if !w.begun {
		w.begun = true
		changes = w.everything()
	} else {
		for id, deleted := range w.pending {
			changes = append(changes, Change{id.table, id.key, deleted})
		}
	}
	clear(w.pending)
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Key, b.Key))
	})
	return w.snapshot, changes, true
}

func (w *Watcher) everything() (changes []Change) {
	for table := range w.tables {
		for key := range w.snapshot.content(table).keys() {
			changes = append(changes, Change{Table: table, Key: key})
		}
	}
	return changes
}
