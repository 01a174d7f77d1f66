package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// killInterval is how often Clear looks whether the killed have gone.
const killInterval = 5 * time.Millisecond

// Clear kills the processes in the cgroup and removes it. It returns when both are done: a
// killed process stays until the kernel has taken it apart.
func (t *Tree) Clear(ctx context.Context, path string) error {
	for {
		left, err := t.processes(path)
		if err != nil {
			return err
		}
		if len(left) == 0 {
			return t.Remove(path)
		}
		for _, pid := range left {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("kill %d in cgroup %s: %w", pid, path, err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %d processes in cgroup %s: %w", len(left), path, ctx.Err())
		case <-time.After(killInterval):
		}
	}
}

// processes lists those in the cgroup itself. Every hierarchy has the same ones, and one that
// somebody mounted later may have none, so the one with the memory controller is asked.
func (t *Tree) processes(path string) ([]int, error) {
	mount := t.unified
	if !t.Unified() {
		mount = t.controllers["memory"]
	}
	text, err := os.ReadFile(filepath.Join(mount, path, "cgroup.procs"))
	// A cgroup that is removed while it is read answers ENODEV.
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list processes of cgroup: %w", err)
	}
	var pids []int
	for _, field := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("list processes of cgroup: %w", err)
		}
		if pid > 0 { // 0 is a process of another PID namespace
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
