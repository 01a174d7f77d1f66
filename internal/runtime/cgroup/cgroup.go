// Package cgroup keeps the cgroups of tasks and reads the counters of containers, on both
// versions of cgroups.
//
// Version 1 has a tree per controller, version 2 one for all. A path here, such as
// /fairlead-a/task/container, means that directory in every tree that is mounted. The hybrid of
// both (controllers in version 1 and an empty version 2 tree beside them) counts as version 1.
package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Period in microseconds over which a CPU quota is measured; Linux's and Docker's default.
const Period = 100_000

// unitsPerCore is how many CPU units a core has.
const unitsPerCore = 1024

// minQuota in microseconds is the least that the kernel accepts.
const minQuota = 1_000

// Limits of a cgroup; zero is none.
type Limits struct {
	// CPU in AWS's CPU units, of which a core has 1024.
	CPU int64
	// Memory in bytes.
	Memory int64
}

// Tree is all mounted cgroup hierarchies.
type Tree struct {
	// unified is the mount point of version 2 if the controllers are there.
	unified string
	// controllers are the mount points of version 1 by controller.
	controllers map[string]string
	// mounts are all mount points, those without controllers too.
	mounts []string
}

// Open finds out what is mounted.
func Open() (*Tree, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find cgroups: %w", err)
	}
	defer file.Close()
	tree, err := parseMounts(file)
	if err != nil {
		return nil, fmt.Errorf("find cgroups: %w", err)
	}
	return tree, nil
}

// parseMounts reads lines such as
//
//	35 30 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
func parseMounts(table io.Reader) (*Tree, error) {
	tree := &Tree{controllers: map[string]string{}}
	var unified string
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		left, right, ok := strings.Cut(lines.Text(), " - ")
		where, kind := strings.Fields(left), strings.Fields(right)
		if !ok || len(where) < 5 || len(kind) < 3 || slices.Contains(tree.mounts, where[4]) {
			continue
		}
		switch kind[0] {
		case "cgroup2":
			unified = where[4]
			tree.mounts = append(tree.mounts, unified)
		case "cgroup":
			tree.mounts = append(tree.mounts, where[4])
			for option := range strings.SplitSeq(kind[2], ",") {
				tree.controllers[option] = where[4]
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if tree.controllers["memory"] == "" && tree.controllers["cpu"] == "" {
		tree.unified = unified
	}
	if len(tree.mounts) == 0 {
		return nil, errors.New("no cgroup file system is mounted")
	}
	return tree, nil
}

// Unified is whether the controllers are those of version 2.
func (t *Tree) Unified() bool { return t.unified != "" }

// Ensure creates the cgroup and its parents and sets its limits.
func (t *Tree) Ensure(path string, limits Limits) error {
	if t.Unified() {
		return t.ensureUnified(path, limits)
	}
	return t.ensureSplit(path, limits)
}

func (t *Tree) ensureUnified(path string, limits Limits) error {
	dir := t.unified
	for _, element := range strings.Split(strings.Trim(path, "/"), "/") {
		if err := delegate(dir); err != nil {
			return err
		}
		dir = filepath.Join(dir, element)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("create cgroup: %w", err)
		}
	}
	if err := delegate(dir); err != nil {
		return err
	}
	return errors.Join(
		write(dir, "cpu.max", fmt.Sprintf("%s %d", orMax(quota(limits.CPU)), Period)),
		write(dir, "memory.max", orMax(limits.Memory)),
		writeIfThere(dir, "memory.swap.max", swapMax(limits.Memory)),
	)
}

// delegate lets the children of a directory have controllers.
func delegate(dir string) error {
	return write(dir, "cgroup.subtree_control", "+cpu +memory +pids")
}

func swapMax(memory int64) string {
	if memory == 0 {
		return "max"
	}
	return "0"
}

func (t *Tree) ensureSplit(path string, limits Limits) error {
	for _, controller := range []string{"cpu", "memory"} {
		if t.controllers[controller] == "" {
			return fmt.Errorf("create cgroup: controller %s is not mounted", controller)
		}
	}
	cpu := filepath.Join(t.controllers["cpu"], path)
	memory := filepath.Join(t.controllers["memory"], path)
	for _, dir := range []string{cpu, memory} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("create cgroup: %w", err)
		}
	}
	return errors.Join(
		write(cpu, "cpu.cfs_period_us", strconv.Itoa(Period)),
		write(cpu, "cpu.cfs_quota_us", orMinusOne(quota(limits.CPU))),
		limitMemory(memory, limits.Memory),
	)
}

// limitMemory sets memory alone and memory with swap. The second may never be below the first,
// so which is first depends on the direction: one of the two orders is refused.
func limitMemory(dir string, limit int64) error {
	value := orMinusOne(limit)
	swap := writeIfThere(dir, "memory.memsw.limit_in_bytes", value)
	if err := write(dir, "memory.limit_in_bytes", value); err != nil {
		return err
	}
	if swap != nil {
		return writeIfThere(dir, "memory.memsw.limit_in_bytes", value)
	}
	return nil
}

func quota(cpu int64) int64 {
	if cpu == 0 {
		return 0
	}
	return max(minQuota, cpu*Period/unitsPerCore)
}

// Remove deletes the cgroup, which must be empty of processes, and empty cgroups in it.
// Removing none succeeds.
func (t *Tree) Remove(path string) error {
	var errs []error
	for _, mount := range t.mounts {
		errs = append(errs, removeTree(filepath.Join(mount, path)))
	}
	return errors.Join(errs...)
}

func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove cgroup: %w", err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	if err := unix.Rmdir(dir); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove cgroup %s: %w", dir, err)
	}
	return nil
}

// List returns the names of the cgroups directly in path, in any hierarchy, in order.
func (t *Tree) List(path string) ([]string, error) {
	var names []string
	for _, mount := range t.mounts {
		entries, err := os.ReadDir(filepath.Join(mount, path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list cgroups: %w", err)
		}
		for _, entry := range entries {
			if entry.IsDir() {
				names = append(names, entry.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func write(dir, name, value string) error {
	if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o644); err != nil {
		return fmt.Errorf("set cgroup limit to %s: %w", value, err)
	}
	return nil
}

// writeIfThere is for limits that a kernel may have been built without.
func writeIfThere(dir, name, value string) error {
	if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
		return nil
	}
	return write(dir, name, value)
}

func orMax(n int64) string {
	if n == 0 {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}

func orMinusOne(n int64) string {
	if n == 0 {
		return "-1"
	}
	return strconv.FormatInt(n, 10)
}
