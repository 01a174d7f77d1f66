// Stack measures Fairlead as a whole, on the example stack: how fast it is ready, how long the stack
// takes to apply, how soon the first request is answered, and how much memory Fairlead needs.
//
//	sudo FAIRLEAD_BIN=$PWD/bin/fairlead go run ./bench/stack
//
// Method, figure by figure, is in docs/bench.md. It needs root and ports 80 and 443 of loopback.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	endpoint = "http://127.0.0.1:4566"
	patience = time.Minute
	poll     = 2 * time.Millisecond
)

func main() {
	rounds := flag.Int("rounds", 10, "how often to start and to apply")
	flag.Parse()
	binary := os.Getenv("FAIRLEAD_BIN")
	if binary == "" || os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "bench: needs root and FAIRLEAD_BIN, the path of the binary")
		os.Exit(2)
	}
	if err := run(context.Background(), binary, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// figures are the measurements of all rounds.
type figures struct {
	ready, apply, first []time.Duration
	memory              []float64 // MiB
}

func run(ctx context.Context, binary string, rounds int) error {
	var f figures
	for n := range rounds {
		if err := f.round(ctx, binary); err != nil {
			return fmt.Errorf("round %d: %w", n+1, err)
		}
	}
	fmt.Println("| figure | min | median | max |\n|---|---|---|---|")
	line("ready from a cold start, empty data directory", f.ready)
	line("the stack applied with the AWS SDK, until every call returned", f.apply)
	line("first HTTPS 200 after the first task is RUNNING", f.first)
	slices.Sort(f.memory)
	fmt.Printf("| resident memory of fairlead with the stack up | %.0f MiB | %.0f MiB | %.0f MiB |\n",
		f.memory[0], f.memory[len(f.memory)/2], f.memory[len(f.memory)-1])
	return nil
}

func line(name string, d []time.Duration) {
	slices.Sort(d)
	ms := func(d time.Duration) string { return d.Round(time.Millisecond).String() }
	fmt.Printf("| %s | %s | %s | %s |\n", name, ms(d[0]), ms(d[len(d)/2]), ms(d[len(d)-1]))
}

// round starts a Fairlead on an empty directory, applies the stack, and removes both.
func (f *figures) round(ctx context.Context, binary string) (err error) {
	dir, err := os.MkdirTemp("", "fairlead-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	begin := time.Now()
	cmd := exec.Command(binary, "serve", "--ephemeral", "--log-level", "warn", "--data-dir", filepath.Join(dir, "data"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		err = errors.Join(err, cmd.Wait())
	}()
	if err := wait(ctx, healthy); err != nil {
		return err
	}
	f.ready = append(f.ready, time.Since(begin))
	if err := f.stack(ctx, binary, dir); err != nil {
		return err
	}
	mib, err := residentMiB(cmd.Process.Pid)
	f.memory = append(f.memory, mib)
	return err
}

func healthy() error {
	resp, err := http.Get(endpoint + "/_fairlead/health")
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health answers %s", resp.Status)
	}
	return nil
}

// wait tries until look returns nil.
func wait(ctx context.Context, look func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := look()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(poll):
		}
	}
}

// residentMiB reads the resident memory of a process.
func residentMiB(pid int) (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kib); err == nil {
			return kib / 1024, nil
		}
	}
	return 0, errors.New("no VmRSS")
}
