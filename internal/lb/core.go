package lb

import (
	"context"
	"sync"
)

// engine is the inside of an Engine.
type engine struct {
	cfg   Config
	mu    sync.Mutex // guards table
	table *Table
}

func newEngine(cfg Config) (*engine, error) { return &engine{cfg: cfg, table: &Table{}}, nil }

func (e *engine) swap(t *Table) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.table = t
	return nil
}

func (e *engine) bound(string) []Bind { return nil }

func (e *engine) health() []TargetHealth { return nil }

func (e *engine) watchHealth(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{})
	context.AfterFunc(ctx, func() { close(ch) })
	return ch
}

func (e *engine) outstanding(TargetKey) int          { return 0 }
func (e *engine) stats() Stats                       { return Stats{} }
func (e *engine) shutdown(ctx context.Context) error { return e.close() }
func (e *engine) close() error                       { return nil }
