package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// perSource is how many connections come from one loopback address.
	perSource = 10_000
	// dialsAtOnce bounds the connections that are being made.
	dialsAtOnce = 64
	// answerTime bounds the wait for one answer.
	answerTime = 60 * time.Second
	// tellEvery is after how many connections a process that makes them tells how far it is.
	tellEvery = 5_000
	// dialTries is how often a connection is tried that was not accepted.
	dialTries = 3
)

// dialFrom connects the i-th connection, from the address that is its.
func dialFrom(i int, to string) (c net.Conn, err error) {
	from := &net.TCPAddr{IP: net.IPv4(127, 100, byte(i/perSource/250), byte(i/perSource%250+1))}
	d := net.Dialer{LocalAddr: from, Timeout: answerTime}
	for range dialTries {
		if c, err = d.Dial("tcp", to); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// held are connections that a process holds.
type held struct {
	to    string
	conns []net.Conn
}

// tally is what came of asking on many connections.
type tally struct {
	Asked, Failed int
	First         string // the first failure
	P50, P99      time.Duration
}

// runHold holds connections until its input ends: arguments are the address, the number, and the
// first number. After "ask" it makes a request on each, after "busy N SECONDS" it makes N requests
// per second in all for a time, and it writes a tally for each.
func runHold(args []string) error {
	if len(args) != 3 {
		return errors.New("hold needs an address and two numbers")
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	first, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	h := &held{to: args[0]}
	if err := h.open(n, first); err != nil {
		return err
	}
	out, in := json.NewEncoder(os.Stdout), bufio.NewScanner(os.Stdin)
	if err := out.Encode(h.ask()); err != nil {
		return err
	}
	for in.Scan() {
		var rate, seconds int
		t := tally{}
		if _, err := fmt.Sscanf(in.Text(), "busy %d %d", &rate, &seconds); err == nil {
			t = h.busy(rate, time.Duration(seconds)*time.Second)
		} else {
			t = h.ask()
		}
		if err := out.Encode(t); err != nil {
			return err
		}
	}
	return in.Err()
}

func (h *held) open(n, first int) error {
	h.conns = make([]net.Conn, n)
	errs := make([]error, n)
	var done atomic.Int64
	atOnce(n, func(i int) {
		h.conns[i], errs[i] = dialFrom(first+i, h.to)
		if k := int(done.Add(1)); k%tellEvery == 0 && k < n {
			fmt.Fprintf(os.Stderr, "(%d of %d connections stand)\n", first+k, first+n)
		}
	})
	return errors.Join(errs...)
}

// atOnce calls do for 0 to n-1, several at a time.
func atOnce(n int, do func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, dialsAtOnce)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	wg.Wait()
}

func (h *held) ask() tally {
	var c collector
	atOnce(len(h.conns), func(i int) {
		begin := time.Now()
		err := request(h.conns[i], "/")
		c.note(time.Since(begin), err)
	})
	return c.tally()
}

// busy spreads requests evenly over the connections and over the time.
func (h *held) busy(rate int, d time.Duration) tally {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	pause := time.Duration(len(h.conns)) * time.Second / time.Duration(rate)
	var c collector
	var wg sync.WaitGroup
	for i, conn := range h.conns {
		wg.Go(func() {
			due := time.Now().Add(pause * time.Duration(i) / time.Duration(len(h.conns)))
			for sleepUntil(ctx, due) {
				err := request(conn, "/")
				if c.note(time.Since(due), err); err != nil {
					return
				}
				due = due.Add(pause)
			}
		})
	}
	wg.Wait()
	return c.tally()
}

// request makes one request on a connection of its own.
func request(c net.Conn, path string) error {
	c.SetDeadline(time.Now().Add(answerTime))
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 1<<10), nil)
	if err != nil {
		return err
	}
	return finish(resp)
}

// sleepUntil reports false when ctx ends before.
func sleepUntil(ctx context.Context, due time.Time) bool {
	t := time.NewTimer(time.Until(due))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

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
