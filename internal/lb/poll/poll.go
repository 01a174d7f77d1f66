// Package poll waits for many sockets at once: a thin layer over epoll, edge triggered, for one
// goroutine. Besides readiness it delivers functions posted by other goroutines and the expiry of
// coarse timers (see [Wheel]).
//
// Edge triggered means that a handler hears of readiness once and has to use it up, or to remember
// it. In return a socket is registered once in its life and never modified.
package poll

import (
	"errors"
	"fmt"
	"iter"
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

// batch is how many events one wait fetches at most.
const batch = 256

// Poller is an epoll instance. Only Post and Wake may be called from other goroutines.
type Poller struct {
	epfd, wakefd int
	slots        []slot
	free         []int32
	events       [batch]unix.EpollEvent

	mu     sync.Mutex // guards what follows
	posted []func()
	woken  bool
}

type slot struct {
	handler Handler
	gen     int32
}

// wakeSlot stands for the eventfd in the data of an event.
const wakeSlot = -1

// Open makes a poller. It holds two file descriptors until Close.
func Open() (*Poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epfd)
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	p := &Poller{epfd: epfd, wakefd: wakefd}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeSlot}
	if err := unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, wakefd, &ev); err != nil {
		return nil, errors.Join(fmt.Errorf("watch eventfd: %w", err), p.Close())
	}
	return p, nil
}

// Close frees the poller's own descriptors, not those registered.
func (p *Poller) Close() error {
	return errors.Join(unix.Close(p.wakefd), unix.Close(p.epfd))
}

// Add registers a socket for everything that can happen to it.
func (p *Poller) Add(fd int, h Handler) (Token, error) {
	return p.add(fd, h, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET)
}

// AddListener registers a listening socket, level triggered: a handler may leave connections in
// the queue and is told again.
func (p *Poller) AddListener(fd int, h Handler) (Token, error) {
	return p.add(fd, h, unix.EPOLLIN)
}

func (p *Poller) add(fd int, h Handler, events uint32) (Token, error) {
	if len(p.free) == 0 {
		p.slots = append(p.slots, slot{})
		p.free = append(p.free, int32(len(p.slots)-1))
	}
	i := p.free[len(p.free)-1]
	s := &p.slots[i]
	s.gen++
	ev := unix.EpollEvent{Events: events, Fd: i, Pad: s.gen}
	if err := unix.EpollCtl(p.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
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
	unix.EpollCtl(p.epfd, unix.EPOLL_CTL_DEL, fd, nil) // can only fail if it is not there
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

// Post has f called by the next Wait. It may be called from any goroutine.
func (p *Poller) Post(f func()) {
	p.mu.Lock()
	p.posted = append(p.posted, f)
	wake := !p.woken
	p.woken = true
	p.mu.Unlock()
	if wake {
		one := [8]byte{1}
		unix.Write(p.wakefd, one[:]) // can only fail when the counter is full, and then it wakes
	}
}

// Wait waits up to timeout for events (forever if negative, not at all if 0) and calls their
// handlers and the posted functions, each followed by after.
func (p *Poller) Wait(timeout time.Duration, after func()) error {
	n := p.peek()
	if n == 0 && timeout != 0 {
		var err error
		n, err = unix.EpollWait(p.epfd, p.events[:], millis(timeout))
		if errors.Is(err, unix.EINTR) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait for events: %w", err)
		}
	}
	for i := range p.events[:n] {
		ev := &p.events[i]
		if ev.Fd == wakeSlot {
			p.runPosted(after)
			continue
		}
		if s := p.slots[ev.Fd]; s.gen == ev.Pad && s.handler != nil {
			s.handler.Ready(Events(ev.Events))
			after()
		}
	}
	return nil
}

// peek fetches the events that are there without telling the Go scheduler about the call: it
// returns at once, and under load the scheduler would take the processor away for nothing.
func (p *Poller) peek() int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd),
		uintptr(unsafe.Pointer(&p.events[0])), batch, 0, 0, 0)
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
