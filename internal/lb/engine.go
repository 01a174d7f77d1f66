package lb

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"fairlead/internal/lb/jwt"
	"fairlead/internal/lb/lambda"
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
	// engine. The slice and the texts in it are valid only during the call; [AccessRecord.Clone]
	// makes a record that can be kept. It must not block for long: while it does, records wait in
	// memory up to a limit and are then dropped and counted.
	AccessLog func([]AccessRecord)
	// ConnectionLog receives the records of connections, from one goroutine of the engine, with
	// the same limits.
	ConnectionLog func(ConnRecord)
	// Inherited are listening sockets of a predecessor, see [Engine.Listeners]. A Swap takes them
	// over instead of opening the same addresses; the engine closes what the first Swap leaves.
	Inherited []Inherited
	// CookieKey seals the cookies of stickiness, [CookieKeySize] bytes: engines with the same key
	// understand each other's, so that clients stay with their targets over a restart. Nil is a
	// random one.
	CookieKey []byte
	// RootCAs are the authorities that are trusted for the JWKS endpoints of jwt-validation; nil
	// means those of the system.
	RootCAs *x509.CertPool

	keys *jwt.Cache // instead of the usual one, in tests
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
	log        *slog.Logger
	network    Network
	accessLog  func([]AccessRecord)
	start      time.Time // the zero of all durations within
	loops      []*loop
	running    sync.WaitGroup
	maxClients int // per loop
	sealer     sealer
	tls        *tls.Config
	warn       warnings

	functions      *lambda.Invoker
	keys           *jwt.Cache     // for the validation of tokens
	posting        sync.WaitGroup // work that exchanges have posted
	batches        chan *recordBatch
	spareBatches   chan *recordBatch
	conns          chan ConnRecord // nil if nobody wants them
	logging        sync.WaitGroup
	droppedRecords atomic.Uint64

	mu        sync.Mutex // guards what follows; loops never take it
	live      *live
	inherited []Inherited
	targets   map[identity]*target
	bindings  map[bindKey]*binding
	watches   map[*target]*watch
	watchers  map[chan struct{}]struct{}
	probing   sync.WaitGroup
	closed    bool
}

// binding is an address that is open.
type binding struct {
	node string
	addr netip.AddrPort
	fds  []int // owned by the loops
}

// New starts an engine with an empty table. The caller ends it with Shutdown or Close.
func New(cfg Config) (*Engine, error) {
	e := &Engine{
		log: cmp.Or(cfg.Logger, slog.Default()), network: cfg.Network, accessLog: cfg.AccessLog,
		start: time.Now(), live: emptyLive(), targets: map[identity]*target{},
		bindings: map[bindKey]*binding{}, watches: map[*target]*watch{},
		watchers: map[chan struct{}]struct{}{}, batches: make(chan *recordBatch, recordQueue),
		inherited: slices.Clone(cfg.Inherited), functions: lambda.NewInvoker(), keys: cfg.keys,
		tls: serverTLS(), spareBatches: make(chan *recordBatch, 4),
	}
	if e.network == nil {
		e.network = hostNetwork{}
	}
	if e.keys == nil {
		e.keys = jwt.NewCache(jwt.NewClient(cfg.RootCAs), jwt.FetchTimeout)
	}
	var err error
	if e.sealer, err = newSealer(cfg.CookieKey); err != nil {
		return nil, fmt.Errorf("start load balancer engine: %w", err)
	}
	if cfg.ConnectionLog != nil {
		e.conns = make(chan ConnRecord, connQueue)
		e.logging.Go(func() { e.passConns(cfg.ConnectionLog) })
	}
	n := cmp.Or(cfg.Loops, runtime.GOMAXPROCS(0))
	share := clientLimit() / n
	e.maxClients = share + share/loopSlack
	for id := range n {
		l, err := newLoop(e, id)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("start load balancer engine: %w", err), e.Close())
		}
		e.loops = append(e.loops, l)
		e.running.Go(l.run)
	}
	e.logging.Go(e.passRecords)
	return e, nil
}

// loopSlack is the part of its share of all connections that a loop may take beyond it, an eighth: the
// kernel does not share them out evenly.
const loopSlack = 8

// clientLimit is how many client connections the process can hold: two thirds of its file
// descriptors, for an active one needs a second to its target.
func clientLimit() int {
	const reserve = 256
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 1 << 16
	}
	return int(max(lim.Cur, reserve*2)-reserve) * 2 / 3
}

// passRecords hands batches of records to the receiver until the engine is closed.
func (e *Engine) passRecords() {
	for b := range e.batches {
		e.accessLog(b.records)
		b.records, b.text = b.records[:0], b.text[:0]
		select {
		case e.spareBatches <- b:
		default:
		}
	}
}

// newBatch takes a batch that was passed on before, if there is one.
func (e *Engine) newBatch() *recordBatch {
	select {
	case b := <-e.spareBatches:
		return b
	default:
		return &recordBatch{records: make([]AccessRecord, 0, recordsPerBatch)}
	}
}

// onLoops runs f on every loop and waits for all of them.
func (e *Engine) onLoops(f func(*loop)) {
	var wg sync.WaitGroup
	for _, l := range e.loops {
		wg.Add(1)
		l.poll.Post(func() {
			defer wg.Done()
			l.tick()
			f(l)
		})
	}
	wg.Wait()
}

// Bound returns the addresses on which a listener accepts connections, in the order of its Binds,
// with the real ports where the table said 0. Addresses that could not be opened are left out.
func (e *Engine) Bound(listener string) []Bind {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []Bind
	for _, l := range e.live.table.listeners {
		if l.ID != listener {
			continue
		}
		for i, b := range l.Binds {
			if open := e.bindings[keyOf(l, i, b)]; open != nil {
				b.Addr = open.addr
				out = append(out, b)
			}
		}
	}
	return out
}

// Outstanding returns the number of requests in flight at a target, over all loops; a tunnel
// (WebSocket) is one. It also counts for targets that draining keeps from new requests.
func (e *Engine) Outstanding(k TargetKey) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for id, t := range e.targets {
		if id.key == k {
			n += int(t.outstanding.Load())
		}
	}
	return n
}

// Stats returns the counters since the start of the engine.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	sum := Stats{LoadBalancers: map[string]LoadBalancerStats{}, Groups: map[string]GroupStats{},
		DroppedRecords: e.droppedRecords.Load()}
	if e.closed {
		for _, l := range e.loops {
			l.counters.addTo(&sum) // the loops have ended
		}
		return sum
	}
	var adding sync.Mutex
	e.onLoops(func(l *loop) {
		adding.Lock()
		defer adding.Unlock()
		l.counters.addTo(&sum)
	})
	return sum
}

// drainPoll is how often Shutdown and Retire look what is left.
const drainPoll = 10 * time.Millisecond

// Shutdown stops accepting, lets requests in flight finish and closes idle connections. When ctx
// ends first, what is left is cut and the error of ctx is returned. The engine is closed
// afterwards.
func (e *Engine) Shutdown(ctx context.Context) error {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for e.drain() > 0 {
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("drain load balancer: %w", ctx.Err()), e.Close())
		case <-tick.C:
		}
	}
	return e.Close()
}

// Retire lets the clients of an engine leave whose listening sockets a successor has: every answer
// ends its connection, clients of HTTP/2 are asked to leave, and what is idle stays until its idle
// timeout, for closing it could meet a request on its way. It returns when no client is left, or with
// an error when ctx ends; Shutdown or Close is to follow.
func (e *Engine) Retire(ctx context.Context) error {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	left := e.leftAfter((*loop).retire)
	for left > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d connections have not ended: %w", left, ctx.Err())
		case <-tick.C:
		}
		left = e.leftAfter(func(l *loop) int { return l.clients })
	}
	return nil
}

// drain has the loops stop accepting and returns how many connections are left.
func (e *Engine) drain() int { return e.leftAfter((*loop).drain) }

// leftAfter has the loops do something and adds up what they return; it is 0 after Close.
func (e *Engine) leftAfter(do func(*loop) int) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return 0
	}
	var left atomic.Int64
	e.onLoops(func(l *loop) { left.Add(int64(do(l))) })
	return int(left.Load())
}

// Close ends everything at once and waits for the loops, posted work, the probes and the last log
// records.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	for _, w := range e.watches {
		w.stop()
	}
	e.mu.Unlock()
	for _, l := range e.loops {
		l.stopping.Store(true)
		l.poll.Post(func() {})
	}
	e.running.Wait()
	e.posting.Wait()
	e.keys.Close()
	e.probing.Wait()
	e.functions.Close()
	close(e.batches)
	if e.conns != nil {
		close(e.conns)
	}
	e.logging.Wait()
	return nil
}

// warnings keeps a loop that fails again and again from filling the log.
type warnings struct{ last atomic.Int64 }

// warnEvery is the least time between two warnings.
const warnEvery = 5 * time.Second

func (w *warnings) warn(log *slog.Logger, what string, err error) {
	now, last := time.Now().UnixNano(), w.last.Load()
	if now-last > int64(warnEvery) && w.last.CompareAndSwap(last, now) {
		log.Warn(what, "error", err)
	}
}
