package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	mountsV1 = `25 30 0:23 / /proc rw,nosuid - proc proc rw
30 1 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
34 30 0:30 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
	mountsV2 = "35 30 0:31 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
)

func TestParseMounts(t *testing.T) {
	split, err := parseMounts(strings.NewReader(mountsV1))
	if err != nil {
		t.Fatal(err)
	}
	if split.Unified() || split.controllers["cpuacct"] != "/sys/fs/cgroup/cpu,cpuacct" ||
		split.controllers["memory"] != "/sys/fs/cgroup/memory" || len(split.mounts) != 4 {
		t.Errorf("version 1: %+v", split)
	}
	unified, err := parseMounts(strings.NewReader(mountsV2))
	if err != nil {
		t.Fatal(err)
	}
	if unified.unified != "/sys/fs/cgroup" || len(unified.mounts) != 1 {
		t.Errorf("version 2: %+v", unified)
	}
	if _, err := parseMounts(strings.NewReader("")); err == nil {
		t.Error("a machine without cgroups was accepted")
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add(mountsV1)
	f.Add(mountsV2)
	f.Add("1 2 3 4 5 - cgroup x y")
	f.Fuzz(func(t *testing.T, table string) {
		tree, err := parseMounts(strings.NewReader(table))
		if err == nil && len(tree.mounts) == 0 {
			t.Error("a tree without mounts and without an error")
		}
	})
}

// paper is a tree of ordinary files that remembers what was written.
func paper(t *testing.T, unified bool) *Tree {
	root := t.TempDir()
	if unified {
		return &Tree{unified: root, mounts: []string{root}}
	}
	tree := &Tree{controllers: map[string]string{}}
	for _, name := range []string{"cpu", "cpuacct", "memory", "pids"} {
		tree.controllers[name] = filepath.Join(root, name)
		tree.mounts = append(tree.mounts, tree.controllers[name])
	}
	return tree
}

func put(t *testing.T, file, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755),
		os.WriteFile(file, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestEnsureUnified(t *testing.T) {
	tree := paper(t, true)
	for _, test := range []struct {
		limits         Limits
		cpu, mem, swap string
	}{
		{Limits{CPU: 256, Memory: 1 << 29}, "25000 100000", "536870912", "0"},
		{Limits{CPU: 2048}, "200000 100000", "max", "max"},
		{Limits{CPU: 1}, "1000 100000", "max", "max"},
		{Limits{}, "max 100000", "max", "max"},
	} {
		put(t, filepath.Join(tree.unified, "a/b/memory.swap.max"), "")
		if err := tree.Ensure("/a/b", test.limits); err != nil {
			t.Fatal(err)
		}
		for file, want := range map[string]string{
			"a/b/cpu.max": test.cpu, "a/b/memory.max": test.mem, "a/b/memory.swap.max": test.swap,
			"cgroup.subtree_control":   "+cpu +memory +pids",
			"a/cgroup.subtree_control": "+cpu +memory +pids",
		} {
			if got := get(t, filepath.Join(tree.unified, file)); got != want {
				t.Errorf("%+v: %s is %q, want %q", test.limits, file, got, want)
			}
		}
	}
}

func TestUsageUnified(t *testing.T) {
	tree := paper(t, true)
	for file, content := range map[string]string{
		"a/b/cpu.stat":       "usage_usec 1500\nuser_usec 1\n",
		"a/b/memory.stat":    "anon 1\ninactive_file 1000\n",
		"a/b/memory.current": "5000\n",
		"a/b/memory.max":     "max\n",
		"a/memory.max":       "9000\n",
		"a/b/pids.current":   "7\n",
		"a/b/memory.events":  "oom 3\noom_kill 2\n",
	} {
		put(t, filepath.Join(tree.unified, file), content)
	}
	want := Usage{CPU: 1500_000, Memory: 4000, MemoryLimit: 9000, Pids: 7, OOMKills: 2}
	if got := tree.Usage("/a/b"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := tree.Usage("/absent"); got != (Usage{}) {
		t.Errorf("an absent cgroup used %+v", got)
	}
}

func TestUsageSplit(t *testing.T) {
	tree := paper(t, false)
	for file, content := range map[string]string{
		"cpuacct/a/cpuacct.usage":        "1234\n",
		"memory/a/memory.stat":           "total_inactive_file 100\n",
		"memory/a/memory.usage_in_bytes": "400\n",
		"memory/a/memory.limit_in_bytes": "9223372036854771712\n",
		"memory/a/memory.oom_control":    "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
		"pids/a/pids.current":            "3\n",
	} {
		put(t, filepath.Join(filepath.Dir(tree.mounts[0]), file), content)
	}
	want := Usage{CPU: 1234, Memory: 300, Pids: 3, OOMKills: 1}
	if got := tree.Usage("/a"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestKernel does on this machine's cgroups what the others do on paper.
func TestKernel(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("cgroups are made by root")
	}
	tree, err := Open()
	if err != nil {
		t.Skip(err)
	}
	top := fmt.Sprintf("/fairlead-test-%d", os.Getpid())
	t.Cleanup(func() {
		if err := tree.Remove(top); err != nil {
			t.Error(err)
		}
	})
	for _, memory := range []int64{64 << 20, 128 << 20, 32 << 20} {
		if err := tree.Ensure(top+"/g", Limits{CPU: 512, Memory: memory}); err != nil {
			t.Fatal(err)
		}
		if got := tree.Usage(top + "/g").MemoryLimit; got != memory {
			t.Errorf("limit %d, want %d", got, memory)
		}
	}
	if names, err := tree.List(top); err != nil || !slices.Equal(names, []string{"g"}) {
		t.Errorf("listed %v, %v", names, err)
	}
	for range 2 {
		if err := tree.Remove(top + "/g"); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := tree.List(top); err != nil || len(names) != 0 {
		t.Errorf("listed %v, %v after removal", names, err)
	}
}
