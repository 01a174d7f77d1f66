// Command endure shows what Fairlead's data plane holds and withstands: idle and active connections
// by the thousand, a long steady load without growth, and abuse beside good traffic.
//
// The data plane, the targets and the clients are processes of their own: the program runs itself
// again in other roles. Clients come from many loopback addresses, for one pair of addresses has
// only 28,000 ports. Every phase is bounded in time; nothing but loopback is used. Where the limit
// of file descriptors does not allow what the flags ask for, it takes what it can get and says so; with
// -guest it runs itself in a Linux of its own, which needs no privileges, instead.
//
// Usage: go run ./bench/endure [-idle 100000] [-active 10000] [-soak 10m] [-slowloris 10000] ...
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"fairlead/internal/lb"
)

// plan is what the flags ask for.
type plan struct {
	idle, active, slowloris int
	hold, soak, abuse       time.Duration
	rate, flood, rounds     int
	activeRate              int
	clients                 int // as many connections as there can be
	only, kinds             string
}

func main() {
	if os.Getpid() == 1 {
		runInit(os.Args[1:])
		return
	}
	role := flag.String("role", "", "for the program's own use")
	core := flag.Int("core", -1, "for the program's own use")
	first := flag.Bool("first", false, "for the program's own use")
	guest := flag.String("guest", "", "run in a user-mode Linux with so much memory, such as 14G, "+
		"where no limit of files is in the way")
	var p plan
	flag.IntVar(&p.idle, "idle", 100_000, "idle connections")
	flag.DurationVar(&p.hold, "hold", 10*time.Second, "how long they are held")
	flag.IntVar(&p.active, "active", 10_000, "active connections")
	flag.DurationVar(&p.soak, "soak", 30*time.Second, "time of the steady mixed load")
	flag.IntVar(&p.activeRate, "active-rate", 2000, "requests per second over all of them")
	flag.IntVar(&p.slowloris, "slowloris", 10_000, "connections that never finish their heads")
	flag.DurationVar(&p.abuse, "abuse", 5*time.Second, "time of each kind of abuse")
	flag.IntVar(&p.rounds, "rounds", 3, "rounds of each kind of abuse")
	flag.IntVar(&p.rate, "rate", 500, "good requests per second beside abuse")
	flag.IntVar(&p.flood, "flood", 1000, "connections or frames per second of a flood")
	flag.StringVar(&p.only, "only", "", "phases to run, with commas: idle, active, both, abuse, soak")
	flag.StringVar(&p.kinds, "kinds", "", "kinds of abuse, with commas; empty is all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := settle(*core, *first)
	switch {
	case err != nil:
	case *guest != "":
		err = inGuest(ctx, *guest, withoutFlag(os.Args[1:], "guest"))
	default:
		err = run(ctx, *role, p, flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "endure:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, role string, p plan, args []string) error {
	limit := lb.RaiseFileLimit()
	switch role {
	case "":
		return p.run(ctx, int(limit))
	case "proxy":
		return runProxy(args)
	case "targets":
		return runTargets(ctx)
	case "hold":
		return runHold(args)
	case "abuse":
		return runAbuse(ctx, args)
	}
	return fmt.Errorf("no role %q", role)
}

// run measures phase by phase.
func (p plan) run(ctx context.Context, limit int) error {
	p.clients = (limit - 256) * 2 / 3 // as the engine reckons
	for _, n := range []*int{&p.idle, &p.active, &p.slowloris} {
		if *n > p.clients {
			fmt.Printf("(%d connections are asked for; %d file descriptors allow %d)\n",
				*n, limit, p.clients)
			*n = p.clients
		}
	}
	for _, phase := range []phase{{"idle", idleTimeout, false, idlePhase},
		{"active", idleTimeout, false, activePhase}, {"both", idleTimeout, false, bothPhase},
		{"abuse", abuseIdle, true, abusePhase}, {"soak", idleTimeout, false, soakPhase}} {
		if p.only != "" && !strings.Contains(","+p.only+",", ","+phase.name+",") {
			continue
		}
		if err := phase.inLab(ctx, p); err != nil {
			return fmt.Errorf("phase %s: %w", phase.name, err)
		}
	}
	return nil
}

// phase is one thing to measure, on a data plane with an idle timeout.
type phase struct {
	name  string
	idle  time.Duration
	apart bool // see lab
	run   func(context.Context, *lab, plan) error
}

// inLab runs a phase on a fresh data plane.
func (ph phase) inLab(ctx context.Context, p plan) error {
	l, err := newLab(ctx, ph.idle, ph.apart)
	if err != nil {
		return err
	}
	defer l.close()
	return ph.run(ctx, l, p)
}
