// Package poll waits for many sockets at once: a thin layer over epoll, edge triggered, for one
// goroutine, which lets what was begun be finished before more is begun (see [Class]). Besides
// readiness it delivers functions posted by other goroutines and the expiry of coarse timers (see
// [Wheel]).
//
// Edge triggered means that a handler hears of readiness once and has to use it up, or to remember
// it. In return a socket is registered once in its life and never modified.
package poll

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Events is the set of things that happened to a socket; EPOLLIN and friends.
type Events uint32

// Readable says that a read would return data, the end of the stream or an error.
func (e Events) Readable() bool {
	return e&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
}

// Writable says that a write would take something or return an error.
func (e Events) Writable() bool { return e&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 }

// PeerClosed says that the peer will send no more.
func (e Events) PeerClosed() bool { return e&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 }

// Broken says that the connection is gone in both directions.
func (e Events) Broken() bool { return e&(unix.EPOLLHUP|unix.EPOLLERR) != 0 }

// Handler is told what happened to its socket.
type Handler interface{ Ready(Events) }

// Token names a registration. The zero Token is none.
type Token struct{ slot, gen int32 }

// Class says whose turn comes first.
type Class uint8

const (
	// First is for sockets whose events bring work to its end, and for those that must not wait.
	First Class = iota
	// Later is for sockets whose events bring new work. They get their turn when nothing of First is
	// ready, or after a batch of it, and only a few at a time: under load that keeps the work that is
	// under way small, which the caches of the machine like, and lets what was begun be finished.
	Later
	classes
)

// batches are how many events of each class one wait fetches at most. That of Later was measured:
// with less the calls to the kernel weigh more, with more the work under way does not fit the caches.
var batches = [classes]int{First: 256, Later: 32}

// Poller is two epoll instances, one per class, of which that of Later is registered with that of
// First, so that waiting for the one is waiting for both. Only Post may be called from other
// goroutines.
type Poller struct {
	epfds  [classes]int
	wakefd int
	later  bool // there may be events of Later
	slots  []slot
	free   []int32
	events []unix.EpollEvent

	mu     sync.Mutex // guards what follows
	posted []func()
	woken  bool
	closed bool
}

type slot struct {
	handler Handler
	gen     int32
}

// wakeSlot and laterSlot stand for the eventfd and for the epoll instance of Later in the data of an
// event.
const (
	wakeSlot  = -1
	laterSlot = -2
)

// Open makes a poller. It holds three file descriptors until Close.
func Open() (*Poller, error) {
	p := &Poller{epfds: [classes]int{-1, -1}, wakefd: -1}
	p.events = make([]unix.EpollEvent, slices.Max(batches[:]))
	if err := p.open(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Poller) open() (err error) {
	for c := range p.epfds {
		if p.epfds[c], err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
			return fmt.Errorf("create epoll instance: %w", err)
		}
	}
	if p.wakefd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("create eventfd: %w", err)
	}
	wake := unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeSlot}
	later := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: laterSlot}
	for fd, ev := range map[int]*unix.EpollEvent{p.wakefd: &wake, p.epfds[Later]: &later} {
		if err := unix.EpollCtl(p.epfds[First], unix.EPOLL_CTL_ADD, fd, ev); err != nil {
			return fmt.Errorf("watch own descriptor: %w", err)
		}
	}
	return nil
}

// Close frees the poller's own descriptors, not those registered. What is posted later is dropped.
func (p *Poller) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var errs []error
	for _, fd := range []int{p.wakefd, p.epfds[Later], p.epfds[First]} {
		if fd >= 0 {
			errs = append(errs, unix.Close(fd))
		}
	}
	return errors.Join(errs...)
}

// Add registers a socket for everything that can happen to it.
func (p *Poller) Add(fd int, h Handler, c Class) (Token, error) {
	return p.add(fd, h, c, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET)
}

// AddListener registers a listening socket, level triggered: a handler may leave connections in
// the queue and is told again. It is of the class First, for only edge-triggered sockets of Later
// announce themselves to First.
func (p *Poller) AddListener(fd int, h Handler) (Token, error) {
	return p.add(fd, h, First, unix.EPOLLIN)
}

func (p *Poller) add(fd int, h Handler, c Class, events uint32) (Token, error) {
	if len(p.free) == 0 {
		p.slots = append(p.slots, slot{})
		p.free = append(p.free, int32(len(p.slots)-1))
	}
	i := p.free[len(p.free)-1]
	s := &p.slots[i]
	s.gen++
	ev := unix.EpollEvent{Events: events, Fd: i, Pad: s.gen}
	if err := unix.EpollCtl(p.epfds[c], unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return Token{}, fmt.Errorf("watch socket: %w", err)
	}
	p.free = p.free[:len(p.free)-1]
	s.handler = h
	return Token{slot: i, gen: s.gen}, nil
}

// Remove forgets a registration; events that were fetched already are not delivered any more. The
// caller closes the socket, which takes it out of epoll. Removing twice does nothing.
func (p *Poller) Remove(t Token) {
	if t.gen == 0 || p.slots[t.slot].gen != t.gen || p.slots[t.slot].handler == nil {
		return
	}
	p.slots[t.slot].handler = nil
	p.free = append(p.free, t.slot)
}

// RemoveListener forgets a listening socket also for the kernel: another process may hold the same
// socket, and then closing ours does not take it out of epoll.
func (p *Poller) RemoveListener(fd int, t Token) {
	p.Remove(t)
	unix.EpollCtl(p.epfds[First], unix.EPOLL_CTL_DEL, fd, nil) // can only fail if it is not there
}

// Replace gives the registration to another handler.
func (p *Poller) Replace(t Token, h Handler) { p.slots[t.slot].handler = h }

// Handlers returns all registered handlers. Handlers may be removed during the iteration; those
// added during it may be missed.
func (p *Poller) Handlers() iter.Seq[Handler] {
	return func(yield func(Handler) bool) {
		for i := 0; i < len(p.slots); i++ {
			if h := p.slots[i].handler; h != nil && !yield(h) {
				return
			}
		}
	}
}

// Post has f called by the next Wait. It may be called from any goroutine, and after Close, when it
// does nothing.
func (p *Poller) Post(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.posted = append(p.posted, f)
	if !p.woken {
		p.woken = true
		one := [8]byte{1}
		unix.Write(p.wakefd, one[:]) // can only fail when the counter is full, and then it wakes
	}
}

// Wait waits up to timeout for events (forever if negative, not at all if 0) and calls their
// handlers and the posted functions, each followed by each; batch follows all of a class.
func (p *Poller) Wait(timeout time.Duration, each, batch func()) error {
	n := p.peek(First)
	if n == 0 && !p.later && timeout != 0 {
		var err error
		n, err = unix.EpollWait(p.epfds[First], p.events[:batches[First]], millis(timeout))
		if errors.Is(err, unix.EINTR) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait for events: %w", err)
		}
	}
	p.deliver(n, each, batch)
	if p.later {
		n = p.peek(Later)
		p.later = n == batches[Later] // or it announces itself again
		p.deliver(n, each, batch)
	}
	return nil
}

// deliver calls the handlers of the first n events.
func (p *Poller) deliver(n int, each, batch func()) {
	for i := range p.events[:n] {
		ev := &p.events[i]
		switch ev.Fd {
		case wakeSlot:
			p.runPosted(each)
			continue
		case laterSlot:
			p.later = true
			continue
		}
		if s := p.slots[ev.Fd]; s.gen == ev.Pad && s.handler != nil {
			s.handler.Ready(Events(ev.Events))
			each()
		}
	}
	if n > 0 {
		batch()
	}
}

// peek fetches the events that are there without telling the Go scheduler about the call: it
// returns at once, and under load the scheduler would take the processor away for nothing.
func (p *Poller) peek(c Class) int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfds[c]),
		uintptr(unsafe.Pointer(&p.events[0])), uintptr(batches[c]), 0, 0, 0)
	if errno != 0 {
		return 0 // the blocking call that follows reports it
	}
	return int(n)
}

// millis rounds up, so that a timer is not polled for in vain.
func millis(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return int((d + time.Millisecond - 1) / time.Millisecond)
}

func (p *Poller) runPosted(after func()) {
	var buf [8]byte
	unix.Read(p.wakefd, buf[:])
	p.mu.Lock()
	posted := p.posted
	p.posted, p.woken = nil, false
	p.mu.Unlock()
	for _, f := range posted {
		f()
		after()
	}
}
