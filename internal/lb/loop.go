package lb

import (
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"fairlead/internal/lb/http1"
	"fairlead/internal/lb/match"
	"fairlead/internal/lb/poll"
)

// readSize is how much a loop reads at once. Its one buffer has room for that and for a head that was
// read before.
const readSize = 64 << 10

// expireBurst is how many timers fire before others have their turn: connections that came together time
// out together, and each of them has to be answered.
const expireBurst = 16

// loop is one event loop: a goroutine that owns a set of connections and everything about them.
// Its fields are touched by that goroutine only.
type loop struct {
	id     int
	eng    *Engine
	log    *slog.Logger
	poll   *poll.Poller
	wheel  poll.Wheel
	start  time.Time     // of the engine; the zero of now
	now    time.Duration // when the current event was taken up
	date   dateCache
	random *rand.ChaCha8

	live      *live // the table for requests that begin now
	acceptors map[bindKey][]*acceptor
	flights   []*exchange // in any order

	rbuf      []byte // what is read, by whatever connection is being read
	bufs      bufPool
	pipes     stock[*pipe] // empty pipes
	noSplice  bool         // no pipes can be had
	dirty     []*sock      // to flush after the current event
	lazy      []*sock      // to flush after the current batch of events
	lazySpare []*sock      // memory for lazy
	requeued  []*sock      // to look at again after the current event
	yielded   []*sock      // to look at again after the next batch of events
	ended     []*exchange
	spare     stock[*exchange]

	endedStreams []*h2stream
	spareStreams stock[*h2stream]
	trimmer      trimmer

	// Scratch space of parsers, valid during one event.
	req   http1.Request
	resp  http1.Response
	upReq http1.Request // a request head that we have written ourselves
	view  match.View

	posted     int // pieces of work that goroutines do for it
	collected  int // bytes of request bodies held for functions
	records    *recordBatch
	counters   *loopCounters
	clients    int // client connections
	maxClients int // the limit of clients
	reserve    int // a file descriptor to give up when there is no other
	draining   bool
	stopping   atomic.Bool
}

func newLoop(e *Engine, id int) (*loop, error) {
	p, err := poll.Open()
	if err != nil {
		return nil, fmt.Errorf("open event loop: %w", err)
	}
	var seed [32]byte
	for i := range 4 {
		for j, v := 0, rand.Uint64(); j < 8; j++ {
			seed[i*8+j] = byte(v >> (8 * j))
		}
	}
	return &loop{
		id: id, eng: e, log: e.log, poll: p, start: e.start, live: emptyLive(),
		random: rand.NewChaCha8(seed), rbuf: make([]byte, readSize+maxKept),
		acceptors: map[bindKey][]*acceptor{}, counters: newLoopCounters(),
		reserve: reserveFD(), maxClients: e.maxClients,
	}, nil
}

// run serves until stopping is set.
func (l *loop) run() {
	settle, flushLazy := l.settle, l.flushLazy
	l.trimmer.start(l)
	for !l.stopping.Load() {
		l.tick()
		l.wheel.Advance(l.now, l.expire, expireBurst)
		l.flushLazy()
		l.sendRecords()
		if err := l.poll.Wait(l.timeout(), settle, flushLazy); err != nil {
			l.log.Error("event loop cannot wait", "loop", l.id, "error", err)
			return
		}
		l.resume()
	}
	l.closeAll()
}

// resume gives another turn to the connections that had let others go first.
func (l *loop) resume() {
	batch := l.yielded
	l.yielded = nil
	for _, s := range batch {
		s.yielded = false
		l.attend(s)
		l.settle()
	}
}

// flushLazy sends what many events have written to the same connection.
func (l *loop) flushLazy() {
	for len(l.lazy) > 0 {
		batch := l.lazy
		l.lazy = l.lazySpare[:0]
		for _, s := range batch {
			l.flush(s)
		}
		l.lazySpare = batch
		l.settle()
	}
}

// timeout is how long the loop may sleep.
func (l *loop) timeout() time.Duration {
	if len(l.yielded) > 0 {
		return 0
	}
	d := l.wheel.Next(l.now)
	if l.records != nil && (d < 0 || d > recordDelay) {
		return recordDelay
	}
	return d
}

// tick takes the time. One look at the clock serves all that an event does.
func (l *loop) tick() { l.now = time.Since(l.start) }

// wall is the time of day of a moment.
func (l *loop) wall(at time.Duration) time.Time { return l.start.Add(at) }

// settle does what an event left to do: it looks again at connections that have more to do, and
// sends what was written.
func (l *loop) settle() {
	for len(l.requeued)+len(l.dirty)+len(l.ended)+len(l.endedStreams) > 0 {
		if n := len(l.requeued); n > 0 {
			s := l.requeued[n-1]
			l.requeued = l.requeued[:n-1]
			s.queued = false
			l.attend(s)
			continue
		}
		if n := len(l.dirty); n > 0 {
			s := l.dirty[n-1]
			l.dirty = l.dirty[:n-1]
			l.flush(s)
			continue
		}
		l.recycle()
		l.recycleStreams()
	}
}

// attend calls the owner of a socket.
func (l *loop) attend(s *sock) {
	if !s.closed {
		defer s.rescue()
		s.owner.onEvent()
	}
}

func (l *loop) flush(s *sock) {
	if !s.closed {
		defer s.rescue()
		s.flush()
	}
}

// expire tells the owner of a timer that its time has come.
func (l *loop) expire(h poll.Expirer) {
	defer l.settle()
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		l.complain(r)
		switch h := h.(type) {
		case sockOwner:
			h.abandon()
		case *exchange:
			h.cut("defect")
		}
	}()
	h.Expired()
}

// rescue, deferred, makes a panic cost one connection, and the exchange that it takes part in, and
// nothing else.
func (s *sock) rescue() {
	if r := recover(); r != nil {
		s.loop.complain(r)
		s.owner.abandon()
		s.reset()
	}
}

// complain reports a defect.
func (l *loop) complain(r any) {
	l.log.Error("connection failed by a defect", "panic", r, "stack", string(debug.Stack()))
}

// socks returns all connections of the loop.
func (l *loop) socks() iter.Seq[*sock] {
	return func(yield func(*sock) bool) {
		for h := range l.poll.Handlers() {
			if s, ok := h.(*sock); ok && !yield(s) {
				return
			}
		}
	}
}

// dateCache formats the Date header once per second.
type dateCache struct {
	second int64
	text   []byte
}

// httpTime is the format of the Date header (RFC 9110, section 5.6.7).
const httpTime = "Mon, 02 Jan 2006 15:04:05 GMT"

// dateNow returns the value of a Date header.
func (l *loop) dateNow() []byte {
	if s := int64(l.now / time.Second); s != l.date.second || l.date.text == nil {
		l.date.second = s
		l.date.text = l.wall(l.now).UTC().AppendFormat(l.date.text[:0], httpTime)
	}
	return l.date.text
}

// closeAll ends all connections; the requests in flight are logged.
func (l *loop) closeAll() {
	l.tick()
	for _, ex := range slices.Clone(l.flights) {
		ex.cut("load balancer is closed")
	}
	l.settle()
	l.flushLazy()
	for s := range l.socks() {
		s.close()
	}
	for _, as := range l.acceptors {
		for _, a := range as {
			a.close()
		}
	}
	for _, p := range l.pipes.items {
		p.close()
	}
	if l.reserve >= 0 {
		unix.Close(l.reserve)
	}
	l.sendRecords()
	if err := l.poll.Close(); err != nil {
		l.log.Error("close event loop", "error", err)
	}
}
