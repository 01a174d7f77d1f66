// Command bench measures Fairlead's data plane beside HAProxy, nginx, Traefik and Caddy on one
// machine. Rivals that are not installed are left out.
//
// What counts is requests per CPU second of the proxy process, not requests per second: the proxies
// run pinned to the first core, load generator (wrk, h2load) and target (nginx) to the second, and
// the rivals take turns within every round, so that noise meets all of them. The result of a
// workload is the median of the ratios of the rounds. The proxies append X-Forwarded-* headers and a
// trace id; Fairlead also writes its access log (to /dev/null), counts, and checks health.
//
// Latency is measured in workloads of its own, at a rate of requests that all rivals can serve, with
// h2load's log of every request: percentiles at full load would compare different loads. Memory is
// that of connections which do nothing.
//
// Usage: go run ./bench [-rounds 8] [-seconds 2] [-only h1-64,...] [-syscalls]
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// workload is one kind of load.
type workload struct {
	name   string
	args   string // of the load generator; URL and duration are filled in
	tls    bool
	path   string
	rivals []string
	// rules is how many path rules the proxies have before the one that matches; only Fairlead's
	// own cost is compared then.
	rules int
	// latency says that the rate is fixed, and that what counts is how long requests take.
	latency bool
	// idle is how many connections are held that do nothing; what counts is their memory.
	idle int
}

var (
	fast = []string{"haproxy", "nginx"}
	all  = []string{"haproxy", "nginx", "traefik", "traefik-fast", "caddy"}
)

var workloads = []workload{
	{name: "h1-64", args: "wrk -t1 -c64", path: "/", rivals: all},
	{name: "h1-1024", args: "wrk -t1 -c1024", path: "/", rivals: fast},
	{name: "tls-64", args: "wrk -t1 -c64", tls: true, path: "/", rivals: fast},
	{name: "h2-16x32", args: "h2load -t1 -c16 -m32", tls: true, path: "/", rivals: fast},
	{name: "10k-64", args: "wrk -t1 -c64", path: "/10k", rivals: fast},
	{name: "1m-16", args: "wrk -t1 -c16", path: "/1m", rivals: fast},
	{name: "rules-100", args: "wrk -t1 -c64", path: "/r99/x", rules: 100},
	{name: "rules-1000", args: "wrk -t1 -c64", path: "/r999/x", rules: 1000},
	{name: "p99-h1", args: "h2load --h1 -t1 -c64 --rps=150", path: "/", rivals: all, latency: true},
	{name: "p99-tls", args: "h2load --h1 -t1 -c64 --rps=150", tls: true, path: "/", rivals: fast,
		latency: true},
	{name: "p99-h2", args: "h2load -t1 -c16 -m32 --rps=600", tls: true, path: "/", rivals: fast,
		latency: true},
	{name: "idle-8000", args: "wrk -t1 -c64", path: "/", rivals: all, idle: 8000},
}

func main() {
	rounds := flag.Int("rounds", 8, "rounds per workload")
	seconds := flag.Int("seconds", 2, "seconds of load per rival and round")
	only := flag.String("only", "", "workloads to run, with commas; empty runs all")
	syscalls := flag.Bool("syscalls", false, "count system calls per request instead (needs strace)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *rounds, *seconds, *only, *syscalls); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// known says which of the names is no workload's.
func known(only string) error {
	var names []string
	for _, w := range workloads {
		names = append(names, w.name)
	}
	for name := range strings.SplitSeq(only, ",") {
		if only != "" && !slices.Contains(names, name) {
			return fmt.Errorf("no workload %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}

func run(ctx context.Context, rounds, seconds int, only string, syscalls bool) error {
	if err := known(only); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "fairlead-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // nginx reads as another user
		return err
	}
	lab, err := newLab(ctx, dir)
	if err != nil {
		return err
	}
	defer lab.close()
	for _, w := range workloads {
		if only != "" && !slices.Contains(strings.Split(only, ","), w.name) {
			continue
		}
		if syscalls {
			rounds = 0
			if w.idle > 0 {
				continue
			}
		}
		if err := lab.measure(ctx, w, rounds, seconds); err != nil {
			return fmt.Errorf("workload %s: %w", w.name, err)
		}
	}
	return nil
}

// sample is what one rival did in one round.
type sample struct {
	micros    float64         // CPU time per request
	durations []time.Duration // of requests, sorted; only of workloads for latency
}

// measure lets the rivals of a workload take turns. No rounds means to count system calls instead.
func (l *lab) measure(ctx context.Context, w workload, rounds, seconds int) error {
	defer l.stopRivals()
	if w.idle > 0 {
		return l.measureIdle(ctx, w, rounds)
	}
	if err := l.startRivals(ctx, w); err != nil {
		return err
	}
	if rounds == 0 {
		return l.countSyscalls(ctx, w)
	}
	results := map[string][]sample{}
	for range rounds {
		for _, r := range l.rivals {
			s, err := l.load(ctx, r, w, seconds)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			results[r.name] = append(results[r.name], s)
		}
	}
	report(w, l.rivals, results)
	return nil
}

var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in`)
	h2Requests  = regexp.MustCompile(`(\d+) succeeded, (\d+) failed`)
)

// load runs the load generator against a rival.
func (l *lab) load(ctx context.Context, r *rival, w workload, seconds int) (s sample, err error) {
	before, err := cpuTime(r.cmd.Process.Pid)
	if err != nil {
		return sample{}, err
	}
	out, err := l.generate(ctx, r, w, seconds)
	if err != nil {
		return sample{}, err
	}
	after, err := cpuTime(r.cmd.Process.Pid)
	if err != nil {
		return sample{}, err
	}
	n, err := requests(out)
	if err != nil {
		return sample{}, err
	}
	s.micros = float64((after - before).Microseconds()) / n
	if w.latency {
		s.durations, err = readDurations(filepath.Join(l.dir, latencyLog))
	}
	return s, err
}

// generate runs the load generator and returns what it says.
func (l *lab) generate(ctx context.Context, r *rival, w workload, seconds int) ([]byte, error) {
	url := fmt.Sprintf("http://127.0.0.1:%d%s", r.port, w.path)
	if w.tls {
		url = fmt.Sprintf("https://127.0.0.1:%d%s", r.tlsPort, w.path)
	}
	args := strings.Fields("taskset -c 1 " + w.args)
	tool := args[3]
	switch {
	case tool == "wrk":
		args = append(args, "-d"+strconv.Itoa(seconds)+"s")
	case w.latency:
		args = append(args, "-D"+strconv.Itoa(seconds), "--log-file="+filepath.Join(l.dir, latencyLog))
	default:
		args = append(args, "-D"+strconv.Itoa(seconds))
	}
	out, err := exec.CommandContext(ctx, args[0], append(args[1:], url)...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", tool, err, out)
	}
	return out, nil
}

// requests reads the number of answered requests from the output of a load generator. Errors make
// a round worthless.
func requests(out []byte) (float64, error) {
	m := wrkRequests.FindSubmatch(out)
	failed := bytes.Contains(out, []byte("Non-2xx")) || bytes.Contains(out, []byte("Socket errors"))
	if m == nil {
		if m = h2Requests.FindSubmatch(out); m == nil {
			return 0, fmt.Errorf("no result in %q", out)
		}
		failed = string(m[2]) != "0"
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil || n == 0 || failed {
		return 0, fmt.Errorf("requests failed:\n%s", out)
	}
	return n, nil
}

// tick is the unit of CPU times in /proc (USER_HZ).
const tick = 10 * time.Millisecond

// cpuTime is what a process and its children have used.
func cpuTime(pid int) (total time.Duration, err error) {
	for _, pid := range family(pid) {
		t, err := ownTime(pid)
		if err != nil {
			return 0, err
		}
		total += t
	}
	return total, nil
}

func ownTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(rest)
	user, err1 := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s)%2 == 1 {
		return s[len(s)/2]
	}
	return (s[len(s)/2-1] + s[len(s)/2]) / 2
}

// report prints the medians, and the ratios of the others to the first rival.
func report(w workload, rivals []*rival, results map[string][]sample) {
	ours := results[rivals[0].name]
	for _, r := range rivals {
		var micros, ratios []float64
		for i, s := range results[r.name] {
			micros = append(micros, s.micros)
			ratios = append(ratios, s.micros/ours[i].micros)
		}
		fmt.Printf("%-11s %-12s %8.1f µs/request  ratio %5.2f [%.2f-%.2f]", w.name, r.name,
			median(micros), median(ratios), slices.Min(ratios), slices.Max(ratios))
		if w.latency {
			fmt.Print(latencies(results[r.name], ours))
		}
		fmt.Println()
	}
}
