package state

import (
	"context"
	"log/slog"
)

// Config says where the rows are.
type Config struct {
	// Dir is the directory of the embedded etcd, made if missing. One process uses it at a time.
	Dir string
	// Endpoints are the client URLs of an external etcd. If there are any, none is embedded and
	// neither Dir nor NoSync may be set.
	Endpoints []string
	// Prefix starts every key in etcd; "/fairlead" when empty. Processes with the same prefix on
	// the same etcd share their rows.
	Prefix string
	// NoSync leaves writing to disk to the operating system: rows survive the death of the
	// process, but not that of the machine.
	NoSync bool
	// Logger receives warnings and errors, etcd's included; slog.Default() when nil.
	Logger *slog.Logger
}

// Store holds the tables. It is safe for concurrent use.
type Store struct{}

// Open starts or dials etcd and loads all rows of the given tables into memory; ctx bounds the
// opening only. Rows of tables that are not given stay in etcd untouched.
func Open(ctx context.Context, cfg Config, tables ...TableInfo) (*Store, error) {
	return nil, ErrClosed
}

// Close ends all watchers and stops the embedded etcd. Snapshots stay readable.
func (s *Store) Close() error { return nil }

// View returns the latest snapshot this process knows. It costs nothing.
func (s *Store) View() *Snapshot { return nil }

// Update runs fn and commits what it wrote, all or nothing. fn sees the latest snapshot and its own
// writes. If another process has changed what fn read, fn runs again on a fresh transaction, so it
// must have no effect but through tx, and must not call Update. An error of fn is returned as it is
// and nothing is written. After a nil return View includes the writes.
//
// Updates of one process run one after another. When ctx ends, or etcd fails, during the commit, it
// is unknown whether the writes were made.
func (s *Store) Update(ctx context.Context, fn func(tx *Tx) error) error { return ErrClosed }

// Reset deletes every row under the prefix, also of tables that were not given to Open.
func (s *Store) Reset(ctx context.Context) error { return ErrClosed }

// Watch starts to watch the given tables, or all tables when none is given.
func (s *Store) Watch(tables ...TableInfo) *Watcher { return nil }
