package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// countSyscalls counts the system calls of each rival under a workload. A traced process is slow,
// so nothing else is measured at the same time.
func (l *lab) countSyscalls(ctx context.Context, w workload) error {
	const seconds = 2
	for _, r := range l.rivals {
		report := filepath.Join(l.dir, "strace.out")
		trace := exec.CommandContext(ctx, "strace", "-f", "-c", "-o", report)
		for _, pid := range family(r.cmd.Process.Pid) {
			trace.Args = append(trace.Args, "-p", strconv.Itoa(pid))
		}
		if err := trace.Start(); err != nil {
			return fmt.Errorf("count system calls: %w", err)
		}
		out, err := l.generate(ctx, r, w, seconds)
		stop(trace)
		if err != nil {
			return err
		}
		n, err := requests(out)
		if err != nil {
			return err
		}
		counts, err := readCounts(report)
		if err != nil {
			return err
		}
		fmt.Printf("%-11s %-12s %s\n", w.name, r.name, perRequest(counts, n))
	}
	return nil
}

// family is a process with its children, of which nginx has one per worker.
func family(pid int) []int {
	all := []int{pid}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, name := range lists {
		list, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		for child := range strings.FieldsSeq(string(list)) {
			if n, err := strconv.Atoi(child); err == nil {
				all = append(all, family(n)...)
			}
		}
	}
	return all
}

// call is a system call and how often it was made.
type call struct {
	name  string
	times int
}

// readCounts reads the table that strace -c writes, the most frequent calls first.
func readCounts(name string) (counts []call, err error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 5 || f[len(f)-1] == "total" {
			continue
		}
		if n, err := strconv.Atoi(f[3]); err == nil {
			counts = append(counts, call{f[len(f)-1], n})
		}
	}
	slices.SortFunc(counts, func(a, b call) int { return b.times - a.times })
	return counts, lines.Err()
}

// perRequest tells the calls per request in all, and those that matter by name.
func perRequest(counts []call, requests float64) string {
	const worthTelling = 0.01
	var total float64
	var parts []string
	for _, c := range counts {
		n := float64(c.times) / requests
		total += n
		if n >= worthTelling {
			parts = append(parts, fmt.Sprintf("%s %.2f", c.name, n))
		}
	}
	return fmt.Sprintf("%.2f system calls per request: %s", total, strings.Join(parts, ", "))
}
