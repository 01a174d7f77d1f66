package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// tellEvery is after how many connections a process that makes them tells how far it is.
	tellEvery = 5_000
	// dialTries is how often a connection is tried that was not accepted.
	dialTries = 3
)

// held are connections that a process holds.
type held struct {
	to  netip.AddrPort
	fds []int
}

// tally is what came of asking on many connections.
type tally struct {
	Asked, Failed int
	First         string // the first failure
	P50, P99      time.Duration
}

// runHold holds connections until its input ends: arguments are the address, the number, and the
// first number. After "ask" it makes a request on each, after "busy N MILLISECONDS" it makes N
// requests per second in all for a time, and it writes a tally for each.
func runHold(args []string) error {
	if len(args) != 3 {
		return errors.New("hold needs an address and two numbers")
	}
	to, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	first, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	h := &held{to: to}
	if err := h.open(n, first); err != nil {
		return err
	}
	out, in := json.NewEncoder(os.Stdout), bufio.NewScanner(os.Stdin)
	if err := out.Encode(h.ask()); err != nil {
		return err
	}
	for in.Scan() {
		var rate, millis int
		t := tally{}
		if _, err := fmt.Sscanf(in.Text(), "busy %d %d", &rate, &millis); err != nil {
			t = h.ask()
		} else if t, err = pace(h.fds, rate, time.Duration(millis)*time.Millisecond); err != nil {
			return err
		}
		if err := out.Encode(t); err != nil {
			return err
		}
	}
	return in.Err()
}

func (h *held) open(n, first int) error {
	for i := range n {
		fd, err := dialPatiently(first+i, h.to)
		if err != nil {
			return err
		}
		h.fds = append(h.fds, fd)
		if k := i + 1; k%tellEvery == 0 && k < n {
			fmt.Fprintf(os.Stderr, "(%d connections of %d stand in this process)\n", k, n)
		}
	}
	return nil
}

func dialPatiently(i int, to netip.AddrPort) (fd int, err error) {
	for range dialTries {
		if fd, err = dial(i, to); err == nil {
			return fd, nil
		}
	}
	return -1, err
}

// ask makes a request on every connection.
func (h *held) ask() tally {
	var c collector
	for i, fd := range h.fds {
		if fd < 0 {
			c.note(0, errGone)
			continue
		}
		begin := time.Now()
		err := ask(fd)
		if c.note(time.Since(begin), err); err != nil {
			unix.Close(fd)
			h.fds[i] = -1
		}
	}
	return c.tally()
}

var errGone = errors.New("the connection had failed before")

// collector collects what comes of requests.
type collector struct {
	mu    sync.Mutex // guards what follows
	took  []time.Duration
	fails int
	first error
}

func (c *collector) note(took time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = append(c.took, took)
	if err == nil {
		return
	}
	if c.fails++; c.first == nil {
		c.first = err
	}
}

func (c *collector) tally() tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := tally{Asked: len(c.took), Failed: c.fails}
	if c.first != nil {
		t.First = c.first.Error()
	}
	if n := len(c.took); n > 0 {
		slices.Sort(c.took)
		t.P50, t.P99 = c.took[n/2], c.took[n*99/100]
	}
	return t
}

// String is a tally as the report shows it.
func (t tally) String() string {
	s := fmt.Sprintf("%d requests, %d failed, p50 %.1f ms, p99 %.1f ms", t.Asked, t.Failed,
		millis(t.P50), millis(t.P99))
	if t.First != "" {
		s += " (" + t.First + ")"
	}
	return s
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
