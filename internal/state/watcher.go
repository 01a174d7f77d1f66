package state

import "context"

// Change names a row that differs from what the watcher was last told.
type Change struct {
	Table   string
	Key     string
	Deleted bool // the row is not there any more
}

// Watcher reports which rows of its tables have changed. Changes coalesce while nobody asks, so a
// slow reader skips intermediate states but never misses that a row changed. It serves one reader.
type Watcher struct{}

// Next waits until something has changed and returns a snapshot together with the rows that differ
// from the snapshot returned before, sorted by table and key. The first call returns at once, with
// every row there is. A row that came and went in between is reported as deleted. The error is
// ctx's, or [ErrClosed] once the watcher or its store is closed.
func (w *Watcher) Next(ctx context.Context) (*Snapshot, []Change, error) {
	return nil, nil, ErrClosed
}

// Close ends the watch; a Next that waits returns [ErrClosed].
func (w *Watcher) Close() {}
