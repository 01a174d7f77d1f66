package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// abuses are what clients do to a data plane; each does one of it, the i-th, and returns. What it
// opens and does not close it holds until the process ends.
var abuses = map[string]func(a *abuser, i int){
	"slowloris":          (*abuser).slowloris,
	"half-open":          (*abuser).halfOpen,
	"slow readers":       (*abuser).slowReader,
	"RST flood":          (*abuser).rst,
	"rapid reset":        (*abuser).rapidReset,
	"CONTINUATION flood": (*abuser).continuation,
	"SETTINGS flood":     (*abuser).settings,
	"targets hang":       func(a *abuser, _ int) { a.visit("/hang") },
	"targets lie":        func(a *abuser, _ int) { a.visit("/lie") },
	"targets break off":  func(a *abuser, _ int) { a.visit("/breaks") },
	"targets say nonsense": func(a *abuser, _ int) {
		a.visit("/garbage")
	},
	"targets reset": func(a *abuser, _ int) { a.visit("/resets") },
}

const (
	// rudeRate is the requests per second to targets that break the rules.
	rudeRate = 40
	// slowReads is how many slow readers come per second. Each is sent what fits into the kernel's
	// buffers, which costs more than the reader does.
	slowReads = 20
	// rudeTime is how long a client waits for such a target; longer than abuseIdle.
	rudeTime = abuseIdle + 2*time.Second
	// abuseIdle is the idle timeout while there is abuse.
	abuseIdle = 3 * time.Second
)

// abuser is a process that abuses.
type abuser struct {
	plain  netip.AddrPort
	secure string
	link   *h2link // of the HTTP/2 floods
	slow   []int   // connections over which a byte comes now and then
	turn   int     // which of the slow ones are next
}

// abusePhase measures good traffic alone and beside each kind of abuse, in turns, so that what else
// the machine does meets both. The row of a kind is the round with the median ratio.
func abusePhase(ctx context.Context, l *lab, p plan) error {
	fmt.Printf("%-22s %10s %10s %7s  %s\n", "abuse beside "+strconv.Itoa(p.rate)+"/s", "p99 alone",
		"p99 beside", "ratio", "statuses counted; failures of good requests")
	for _, name := range sortedKeys(abuses) {
		if p.kinds != "" && !slices.Contains(strings.Split(p.kinds, ","), name) {
			continue
		}
		var rounds []round
		for range p.rounds {
			r, err := l.round(ctx, p, name)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			rounds = append(rounds, r)
		}
		fmt.Println(summary(name, rounds))
	}
	return nil
}

// round is good traffic alone and beside abuse, one after the other.
type round struct {
	alone, beside tally
	seen          map[string]int // statuses counted meanwhile
}

func (l *lab) round(ctx context.Context, p plan, name string) (r round, err error) {
	good, _, err := l.holders(ctx, goodConns, goodNumber)
	defer endAll(good)
	if err != nil {
		return r, err
	}
	if r.alone, err = busyFor(good, p); err == nil {
		r.beside, r.seen, err = l.goodBeside(ctx, good, p, name)
	}
	return r, err
}

const (
	// goodConns are the connections of the good traffic, and goodNumber the number of the first: with
	// addresses of their own.
	goodConns  = 64
	goodNumber = 1_000_000
)

func (r round) ratio() float64 { return ratio(r.beside.P99, r.alone.P99) }

func summary(name string, rounds []round) string {
	seen, failed, asked := map[string]int{}, 0, 0
	for _, r := range rounds {
		for status, n := range r.seen {
			seen[status] += n
		}
		failed, asked = failed+r.beside.Failed, asked+r.beside.Asked
	}
	slices.SortFunc(rounds, func(a, b round) int { return cmp.Compare(a.ratio(), b.ratio()) })
	r := rounds[len(rounds)/2]
	return fmt.Sprintf("%-22s %7.1f ms %7.1f ms %7.2f  %v; %d of %d", name, millis(r.alone.P99),
		millis(r.beside.P99), r.ratio(), seen, failed, asked)
}

func ratio(a, b time.Duration) float64 {
	if b == 0 {
		return math.Inf(1)
	}
	return float64(a) / float64(b)
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func busyFor(good []*child, p plan) (tally, error) {
	return tell(good, fmt.Sprintf("busy %d %d", p.rate, p.abuse.Milliseconds()))
}

// startTime is what the abusers get to start as a program, which is not the abuse.
const startTime = 500 * time.Millisecond

// goodBeside returns what the abusers were answered, besides the good requests' 200s.
func (l *lab) goodBeside(
	ctx context.Context, good []*child, p plan, name string,
) (t tally, seen map[string]int, err error) {
	if _, err := l.vitals(); err != nil { // forgets what was counted before
		return t, nil, err
	}
	n, rate := p.flood*int(p.abuse/time.Second), p.flood
	switch {
	case name == "slowloris" || name == "half-open":
		n, rate = p.slowloris, max(p.slowloris/int(p.abuse/time.Second), 1)
	case name == "slow readers":
		n, rate = slowReads*int(p.abuse/time.Second), slowReads
	case strings.HasPrefix(name, "targets"):
		n, rate = rudeRate*int(p.abuse/time.Second), rudeRate
	}
	c, err := l.spawn(ctx, "abuse", name, l.at.HTTP, l.at.HTTPS, strconv.Itoa(n), strconv.Itoa(rate))
	if err != nil {
		return t, nil, err
	}
	sleepUntil(ctx, time.Now().Add(startTime))
	t, err = busyFor(good, p)
	if err := errors.Join(err, c.end()); err != nil {
		return t, nil, err
	}
	v, err := l.vitals()
	return t, v.Statuses, err
}

// runAbuse abuses so many times, at a rate, and holds what it has until its input ends.
func runAbuse(ctx context.Context, args []string) error {
	if len(args) != 5 || abuses[args[0]] == nil {
		return errors.New("abuse needs a kind, two addresses, a number and a rate")
	}
	n, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	rate, err := strconv.Atoi(args[4])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	plain, err := netip.ParseAddrPort(args[1])
	if err != nil {
		return err
	}
	a := &abuser{plain: plain, secure: args[2]}
	due, drip := time.Now(), time.Now()
	for i := 0; i < n && sleepUntil(ctx, due); i++ {
		abuses[args[0]](a, i)
		due = due.Add(time.Second / time.Duration(rate))
		for ; time.Now().After(drip); drip = drip.Add(dripPause) {
			a.drip()
		}
	}
	for ; sleepUntil(ctx, drip); drip = drip.Add(dripPause) {
		a.drip()
	}
	return nil
}

const (
	// dripEvery is how often a byte comes over a slow connection; well within abuseIdle.
	dripEvery = time.Second
	// dripPause is how often one comes over some of them: their owners would not agree on a moment.
	dripPause = 10 * time.Millisecond
)

// drip sends a byte over the slow connections whose turn it is: one of a header's value.
func (a *abuser) drip() {
	const turns = int(dripEvery / dripPause)
	for i := a.turn; i < len(a.slow); i += turns {
		unix.Sendto(a.slow[i], []byte("x"), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
	}
	a.turn = (a.turn + 1) % turns
}

// open connects; the connection stays until the process ends.
func (a *abuser) open(i int) (fd int, ok bool) {
	fd, err := dial(i, a.plain)
	return fd, err == nil
}

func (a *abuser) slowloris(i int) {
	if fd, ok := a.open(i); ok {
		send(fd, "GET / HTTP/1.1\r\nHost: a\r\nX: ")
		a.slow = append(a.slow, fd)
	}
}

func (a *abuser) halfOpen(i int) { a.open(i) }

// slowReader asks for a megabyte, with a small window, and reads nothing.
func (a *abuser) slowReader(i int) {
	if fd, ok := a.open(i); ok {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10)
		send(fd, "GET /?size=1048576 HTTP/1.1\r\nHost: a\r\n\r\n")
	}
}

// rst makes a request and resets the connection.
func (a *abuser) rst(i int) {
	fd, ok := a.open(i)
	if !ok {
		return
	}
	send(fd, getRoot)
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(fd)
}

// visit makes a request to a rude target and waits for what comes of it, but not for long.
func (a *abuser) visit(path string) {
	go func() {
		c, err := net.Dial("tcp", a.plain.String())
		if err != nil {
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(rudeTime))
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
		io.Copy(io.Discard, c)
	}()
}
