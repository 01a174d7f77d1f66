package main

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// pacer sends requests over connections in turn, at a fixed rate, whether answers have come or not,
// and measures each from when it was due.
type pacer struct {
	epoll, timer int
	conns        map[int32]*paced // by descriptor
	free         []*paced         // that wait for no answer, the longest free first
	due          []time.Time      // of requests that wait for a free connection
	out          int              // requests that wait for an answer
	collector
}

// paced is one connection of a pacer.
type paced struct {
	fd   int32
	due  time.Time
	asks bool
	answer
}

// pace makes rate requests per second for a time.
func pace(fds []int, rate int, d time.Duration) (tally, error) {
	p := &pacer{conns: map[int32]*paced{}}
	if err := p.open(fds); err != nil {
		return tally{}, errors.Join(err, p.close())
	}
	begin, pause := time.Now(), time.Second/time.Duration(rate)
	next := begin
	for n := 0; next.Sub(begin) < d || p.out > 0; {
		for ; next.Sub(begin) < d && !time.Now().Before(next); n++ {
			p.due = append(p.due, next)
			next = begin.Add(pause * time.Duration(n+1))
		}
		p.sendDue()
		if time.Since(begin) > d+answerTime {
			break // what is not answered by now fails below
		}
		wake := next
		if next.Sub(begin) >= d {
			wake = time.Now().Add(time.Second) // only answers are waited for
		}
		if err := p.wait(wake); err != nil {
			return tally{}, errors.Join(err, p.close())
		}
	}
	for range p.out + len(p.due) {
		p.note(answerTime, errors.New("no answer"))
	}
	return p.tally(), p.close()
}

func (p *pacer) open(fds []int) (err error) {
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("create epoll instance: %w", err)
	}
	p.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("create timer: %w", err)
	}
	watch := func(fd int) error {
		return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd,
			&unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	}
	if err := watch(p.timer); err != nil {
		return fmt.Errorf("watch timer: %w", err)
	}
	for _, fd := range fds {
		if fd < 0 {
			continue
		}
		if err := watch(fd); err != nil {
			return fmt.Errorf("watch connection: %w", err)
		}
		c := &paced{fd: int32(fd)}
		p.conns[c.fd] = c
		p.free = append(p.free, c)
	}
	return nil
}

func (p *pacer) close() error {
	return errors.Join(unix.Close(p.timer), unix.Close(p.epoll)) // the connections are the caller's
}

// sendDue sends what is due as long as there are free connections.
func (p *pacer) sendDue() {
	for len(p.due) > 0 && len(p.free) > 0 {
		c := p.free[0]
		c.due, c.asks = p.due[0], true
		p.free, p.due = p.free[1:], p.due[1:]
		p.out++
		if err := send(int(c.fd), getRoot); err != nil {
			p.lost(c, err)
		}
	}
}

// lost gives up a connection.
func (p *pacer) lost(c *paced, err error) {
	if c.asks {
		p.out--
		p.note(time.Since(c.due), err)
	}
	unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, int(c.fd), nil)
	delete(p.conns, c.fd)
}

// wait waits for answers until a moment.
func (p *pacer) wait(until time.Time) error {
	in := unix.NsecToTimespec(max(time.Until(until).Nanoseconds(), 1))
	err := unix.TimerfdSettime(p.timer, 0, &unix.ItimerSpec{Value: in}, nil)
	if err != nil {
		return fmt.Errorf("set timer: %w", err)
	}
	var events [64]unix.EpollEvent
	const patience = 1000 // milliseconds
	n, err := unix.EpollWait(p.epoll, events[:], patience)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for answers: %w", err)
	}
	for i := range max(n, 0) {
		if c := p.conns[events[i].Fd]; c != nil {
			p.take(c)
		} // or the timer, which setting it anew quiets
	}
	return nil
}

// take reads what has come.
func (p *pacer) take(c *paced) {
	done, err := c.read(int(c.fd))
	switch {
	case err != nil:
		p.lost(c, err)
	case done:
		p.note(time.Since(c.due), nil)
		p.out--
		c.asks = false
		p.free = append(p.free, c)
	}
}
