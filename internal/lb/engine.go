package lb

import (
	"context"
	"fmt"
	"log/slog"
)

// Network opens sockets inside named networks: a network namespace, usually. The empty node is the
// host.
type Network interface {
	// Socket is socket(2) inside the node's network; the descriptor belongs to the caller.
	Socket(node string, domain, typ, proto int) (fd int, err error)
}

// Config is what an [Engine] needs besides a table.
type Config struct {
	Loops   int          // event loops; 0 means one per CPU
	Network Network      // nil means that only the host ("") exists
	Logger  *slog.Logger // nil means slog.Default
	// AccessLog receives the records of finished requests, in batches, from one goroutine of the
	// engine. The slice is valid only during the call. It must not block for long: while it does,
	// records wait in memory up to a limit and are then dropped and counted.
	AccessLog func([]AccessRecord)
}

// BindError says that one address of a listener could not be opened, because it is in use, say.
type BindError struct {
	Listener string
	Bind     Bind
	Err      error
}

// Error implements error.
func (e *BindError) Error() string {
	return fmt.Sprintf("listener %s: bind %s in network %q: %v",
		e.Listener, e.Bind.Addr, e.Bind.Node, e.Err)
}

// Unwrap returns what the system said.
func (e *BindError) Unwrap() error { return e.Err }

// Engine serves tables. All methods may be called from any goroutine.
type Engine struct {
	*engine
}

// New starts an engine with an empty table. The caller ends it with Shutdown or Close.
func New(cfg Config) (*Engine, error) {
	e, err := newEngine(cfg)
	if err != nil {
		return nil, fmt.Errorf("start load balancer engine: %w", err)
	}
	return &Engine{e}, nil
}

// Swap makes t the table for all requests that begin from now on, opens the addresses that are new
// and closes those that are gone. Addresses that cannot be opened are reported, as *BindError
// joined with errors.Join, and tried again by the next Swap; everything else takes effect
// nevertheless.
func (e *Engine) Swap(t *Table) error { return e.swap(t) }

// Bound returns the addresses on which a listener accepts connections, in the order of its Binds,
// with the real ports where the table said 0. Addresses that could not be opened are left out.
func (e *Engine) Bound(listener string) []Bind { return e.bound(listener) }

// Health returns the health of every target of the table.
func (e *Engine) Health() []TargetHealth { return e.health() }

// WatchHealth returns a channel that receives a value whenever something in Health may have
// changed since the last receive. Changes that come faster than the receiver reads are merged.
// The channel is closed when ctx ends.
func (e *Engine) WatchHealth(ctx context.Context) <-chan struct{} { return e.watchHealth(ctx) }

// Outstanding returns the number of requests in flight at a target, over all loops; a tunnel
// (WebSocket) is one. It also counts for targets that draining or removal keeps from new requests.
func (e *Engine) Outstanding(k TargetKey) int { return e.outstanding(k) }

// Stats returns the counters since the start of the engine.
func (e *Engine) Stats() Stats { return e.stats() }

// Shutdown stops accepting, lets requests in flight finish and closes idle connections. When ctx
// ends first, what is left is cut and the error of ctx is returned. The engine is closed afterwards.
func (e *Engine) Shutdown(ctx context.Context) error { return e.shutdown(ctx) }

// Close ends everything at once and waits for the loops.
func (e *Engine) Close() error { return e.close() }
