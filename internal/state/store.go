package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// defaultPrefix starts every key when Config names no prefix.
	defaultPrefix = "/fairlead"
	// openTimeout bounds the opening of a store whose etcd does not answer.
	openTimeout = 30 * time.Second
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
	// Derive adds what follows from the writes of a transaction, whoever makes it, such as history:
	// it runs at the end of every transaction that has written something, finds those writes with
	// [Table.Written], and what it puts is committed with them. An error fails the Update. It may
	// run more than once, like the function given to Update. None when nil.
	Derive func(tx *Tx) error
	// Logger receives warnings and errors, etcd's included; slog.Default() when nil.
	Logger *slog.Logger

	// quota is the size in bytes at which the embedded etcd refuses writes; quotaBytes when 0.
	quota int64
}

// Store holds the tables. It is safe for concurrent use.
type Store struct {
	prefix string
	log    *slog.Logger
	tables map[string]TableInfo
	derive func(tx *Tx) error
	engine *engine

	// life is the one context that is kept: it is no caller's, it ends with Close.
	life context.Context
	end  context.CancelCauseFunc
	work sync.WaitGroup // the goroutines that end with life
	stop func() error   // does what Close does, once

	turn    chan struct{} // holds a token while an update runs
	current atomic.Pointer[Snapshot]

	mu       sync.Mutex // guards publishing and watchers
	watchers map[*Watcher]struct{}
}

// Open starts or dials etcd and loads all rows of the given tables into memory; ctx bounds the
// opening only. Rows of tables that are not given stay in etcd untouched.
func Open(ctx context.Context, cfg Config, tables ...TableInfo) (*Store, error) {
	s, err := newStore(cfg, tables)
	if err != nil {
		return nil, fmt.Errorf("opening state: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := s.start(ctx, cfg); err != nil {
		return nil, fmt.Errorf("opening state: %w", errors.Join(err, s.Close()))
	}
	return s, nil
}

func newStore(cfg Config, tables []TableInfo) (*Store, error) {
	s := &Store{
		prefix:   defaultPrefix,
		derive:   cfg.Derive,
		log:      slog.Default(),
		tables:   make(map[string]TableInfo, len(tables)),
		turn:     make(chan struct{}, 1),
		watchers: make(map[*Watcher]struct{}),
	}
	if cfg.Prefix != "" {
		s.prefix = strings.TrimSuffix(cfg.Prefix, "/")
	}
	if cfg.Logger != nil {
		s.log = cfg.Logger
	}
	for _, table := range tables {
		if err := table.validate(); err != nil {
			return nil, err
		}
		if _, twice := s.tables[table.Name()]; twice {
			return nil, fmt.Errorf("table %s is given twice", table.Name())
		}
		s.tables[table.Name()] = table
	}
	s.life, s.end = context.WithCancelCause(context.Background())
	s.stop = sync.OnceValue(s.shut)
	return s, nil
}

func (s *Store) start(ctx context.Context, cfg Config) (err error) {
	if s.engine, err = startEngine(ctx, cfg, s.log); err != nil {
		return err
	}
	first, err := s.load(ctx, func(bad error) error { return bad })
	if err != nil {
		return err
	}
	s.current.Store(first)
	s.work.Go(func() { s.feed(s.life) })
	if s.engine.own {
		s.work.Go(func() { s.compact(s.life) })
	}
	return nil
}

// Close ends all watchers and stops the embedded etcd. Snapshots stay readable. A second Close
// does nothing but wait for the first.
func (s *Store) Close() error { return s.stop() }

func (s *Store) shut() error {
	s.end(ErrClosed)
	s.work.Wait()
	if s.engine == nil {
		return nil
	}
	return s.engine.close()
}

// View returns the latest snapshot this process knows. It costs nothing.
func (s *Store) View() *Snapshot { return s.current.Load() }

// Err returns why nothing can be written any more: [ErrClosed], or [ErrStopped] with what etcd
// said. It is nil while the store is in order.
func (s *Store) Err() error {
	if err := context.Cause(s.life); err != nil {
		return err
	}
	return context.Cause(s.engine.alive)
}

// bound derives a context that ends with ctx, with the store and with its etcd; its cause tells
// which.
func (s *Store) bound(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	closed := context.AfterFunc(s.life, func() { cancel(context.Cause(s.life)) })
	failed := context.AfterFunc(s.engine.alive, func() { cancel(context.Cause(s.engine.alive)) })
	return ctx, func() {
		closed()
		failed()
		cancel(nil)
	}
}
