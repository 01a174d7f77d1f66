package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what the kernel counted for a cgroup. What it does not tell is zero.
type Usage struct {
	CPU time.Duration
	// Memory in bytes without the page cache that can be dropped at once.
	Memory int64
	// MemoryLimit in bytes is the lowest of the cgroup and its parents; 0 is none.
	MemoryLimit int64
	Pids        int64
	// OOMKills is how many processes the kernel killed for want of memory.
	OOMKills int64
}

// unlimited in bytes is what version 1 shows for no limit, rounded down to any page size.
const unlimited = 1 << 62

// Usage reads the counters of the cgroup.
func (t *Tree) Usage(path string) Usage {
	if t.Unified() {
		return t.usageUnified(path)
	}
	return t.usageSplit(path)
}

// OOMKills reads only that counter.
func (t *Tree) OOMKills(path string) int64 {
	if t.Unified() {
		return readField(filepath.Join(t.unified, path, "memory.events"), "oom_kill")
	}
	return readField(filepath.Join(t.controllers["memory"], path, "memory.oom_control"), "oom_kill")
}

// HasSwapLimit is whether this kernel can limit memory with swap.
func (t *Tree) HasSwapLimit() bool {
	if t.Unified() {
		return true
	}
	_, err := os.Stat(filepath.Join(t.controllers["memory"], "memory.memsw.limit_in_bytes"))
	return err == nil
}

func (t *Tree) usageUnified(path string) Usage {
	dir := filepath.Join(t.unified, path)
	micros := readField(filepath.Join(dir, "cpu.stat"), "usage_usec")
	cache := readField(filepath.Join(dir, "memory.stat"), "inactive_file")
	return Usage{
		CPU:         time.Duration(micros) * time.Microsecond,
		Memory:      max(0, readInt(filepath.Join(dir, "memory.current"))-cache),
		MemoryLimit: lowestLimit(t.unified, path, "memory.max"),
		Pids:        readInt(filepath.Join(dir, "pids.current")),
		OOMKills:    t.OOMKills(path),
	}
}

func (t *Tree) usageSplit(path string) Usage {
	memory := filepath.Join(t.controllers["memory"], path)
	cache := readField(filepath.Join(memory, "memory.stat"), "total_inactive_file")
	cpu := filepath.Join(t.controllers["cpuacct"], path, "cpuacct.usage")
	return Usage{
		CPU:         time.Duration(readInt(cpu)),
		Memory:      max(0, readInt(filepath.Join(memory, "memory.usage_in_bytes"))-cache),
		MemoryLimit: lowestLimit(t.controllers["memory"], path, "memory.limit_in_bytes"),
		Pids:        readInt(filepath.Join(t.controllers["pids"], path, "pids.current")),
		OOMKills:    t.OOMKills(path),
	}
}

// lowestLimit looks at the cgroup and at its parents, the root excepted.
func lowestLimit(mount, path, file string) int64 {
	lowest := int64(0)
	for path = filepath.Clean("/" + path); path != "/"; path = filepath.Dir(path) {
		limit := readInt(filepath.Join(mount, path, file))
		if limit > 0 && limit < unlimited && (lowest == 0 || limit < lowest) {
			lowest = limit
		}
	}
	return lowest
}

// readInt reads a file that holds one number; anything else, such as "max", is 0.
func readInt(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// readField reads the number behind a name in a file of such lines.
func readField(path, name string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key != name {
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	return 0
}
