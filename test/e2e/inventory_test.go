package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// inventory is what Fairlead could leave on a machine, seen from this test's namespaces.
type inventory map[string][]string

// takeInventory lists links, nftables tables, mounts, listening sockets, processes, and the cgroups
// of the tasks of the instance with this tag.
func takeInventory(t *testing.T, tag string) inventory {
	t.Helper()
	return inventory{
		"links":     links(t),
		"nftables":  tables(t),
		"mounts":    mounts(t),
		"cgroups":   taskCgroups(t, tag),
		"listening": listening(t),
		"processes": processes(t),
	}
}

// compare fails the test for everything that was not there before.
func (before inventory) compare(t *testing.T, tag string) {
	t.Helper()
	if err := before.difference(t, tag); err != nil {
		t.Error(err)
	}
}

// difference tells what is there now and was not before.
func (before inventory) difference(t *testing.T, tag string) error {
	t.Helper()
	var left []string
	for kind, now := range takeInventory(t, tag) {
		for _, thing := range now {
			if !slices.Contains(before[kind], thing) {
				left = append(left, kind+": "+thing)
			}
		}
	}
	if len(left) == 0 {
		return nil
	}
	return fmt.Errorf("left over:\n\t%s", strings.Join(left, "\n\t"))
}

func links(t *testing.T) []string {
	list, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range list {
		names = append(names, l.Attrs().Name)
	}
	return names
}

func tables(t *testing.T) []string {
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	list, err := conn.ListTables()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, table := range list {
		names = append(names, table.Name)
	}
	return names
}

func mounts(t *testing.T) []string {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var points []string
	for line := range strings.Lines(string(raw)) {
		points = append(points, strings.Fields(line)[4])
	}
	return points
}

// cgroups lists the directories that carry the instance's tag, of any hierarchy. Cgroups have no
// namespace here, and other tests may run beside this one.
func cgroups(t *testing.T, tag string) []string {
	var all []string
	for _, pattern := range []string{"/sys/fs/cgroup/*%s*", "/sys/fs/cgroup/*/*%s*"} {
		found, err := filepath.Glob(fmt.Sprintf(pattern, tag))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

// taskCgroups lists the directories below those, one per task.
func taskCgroups(t *testing.T, tag string) []string {
	var all []string
	for _, dir := range cgroups(t, tag) {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() {
				all = append(all, filepath.Join(dir, e.Name()))
			}
		}
	}
	return all
}

// listening lists the TCP sockets in state LISTEN (0A) of this network namespace.
func listening(t *testing.T) []string {
	var all []string
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			if f := strings.Fields(line); len(f) > 3 && (f[3] == "0A" || f[3] == "07") {
				all = append(all, filepath.Base(file)+" "+f[1])
			}
		}
	}
	return all
}

// processes lists shims, containerd and container processes by pid and command line.
func processes(t *testing.T) []string {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		line := string(bytes.ReplaceAll(raw, []byte{0}, []byte{' '}))
		if strings.Contains(line, "containerd") || strings.HasPrefix(line, "/hello") {
			all = append(all, filepath.Base(filepath.Dir(file))+" "+line)
		}
	}
	return all
}
