package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// idlePause is how long connections have been silent when their memory is taken.
	idlePause = 3 * time.Second
	// idleRounds bounds the rounds: memory varies less than time, and every round starts all proxies.
	idleRounds = 3
)

// measureIdle compares the memory that idle connections take: what the proportional set size has grown
// by when every one of them has had an answer, per 1,000. Every round has fresh proxies, which have
// served some load before.
func (l *lab) measureIdle(ctx context.Context, w workload, rounds int) error {
	grown := map[string][]float64{}
	var names []string
	for round := range min(rounds, idleRounds) {
		if err := l.startRivals(ctx, w); err != nil {
			return err
		}
		for _, r := range l.rivals {
			kib, err := l.idle(ctx, r, w)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			if grown[r.name] = append(grown[r.name], kib); round == 0 {
				names = append(names, r.name)
			}
		}
		l.stopRivals()
	}
	ours := median(grown[names[0]])
	for _, name := range names {
		kib := grown[name]
		fmt.Printf("%-11s %-12s %8.0f KiB/1,000 connections [%.0f-%.0f]  ratio %5.2f\n", w.name, name,
			median(kib), slices.Min(kib), slices.Max(kib), median(kib)/ours)
	}
	return nil
}

// idle returns the memory of 1,000 idle connections of a rival, in KiB.
func (l *lab) idle(ctx context.Context, r *rival, w workload) (float64, error) {
	if _, err := l.generate(ctx, r, w, 1); err != nil {
		return 0, err
	}
	time.Sleep(idlePause)
	before, err := pss(r.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	for range w.idle {
		c, err := ask(r.port)
		if err != nil {
			return 0, err
		}
		defer c.Close()
	}
	time.Sleep(idlePause)
	after, err := pss(r.cmd.Process.Pid)
	return float64(after-before) * 1000 / float64(w.idle), err
}

// ask opens a connection and makes one request on it.
func ask(port int) (net.Conn, error) {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	var resp *http.Response
	if _, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"); err == nil {
		if resp, err = http.ReadResponse(bufio.NewReader(c), nil); err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
	}
	if err == nil && (resp.StatusCode != http.StatusOK || resp.Close) {
		err = fmt.Errorf("answer %s, to be closed: %t", resp.Status, resp.Close)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// pss is the proportional set size of a process and its children, in KiB.
func pss(pid int) (sum int, err error) {
	for _, pid := range family(pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(text), "Pss:")
		var kib int
		if _, err := fmt.Sscan(rest, &kib); err != nil {
			return 0, fmt.Errorf("memory of process %d: %w", pid, err)
		}
		sum += kib
	}
	return sum, nil
}
