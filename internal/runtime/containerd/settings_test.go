package containerd

import (
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"fairlead/internal/runtime"
)

// runToEnd runs a command in a new container and returns what it wrote and its exit code.
func (m *machine) runToEnd(c runtime.Container) (string, int) {
	m.t.Helper()
	m.start(c)
	m.waitFor(c.ID+" has exited", func() bool { return m.status(c.ID).Phase == runtime.Exited })
	text, err := os.ReadFile(m.log(c.ID))
	m.must(err)
	return string(text), m.status(c.ID).ExitCode
}

func TestSettingsReachTheContainer(t *testing.T) {
	m := newMachine(t)
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		m.must(os.WriteFile(path, []byte(content), 0o644))
		return path
	}
	hosts, resolv := file("hosts", "10.0.0.5 db\n"), file("resolv", "nameserver 10.0.0.2\n")
	cat := func(path string) []string { return []string{"--cat", path} }
	for _, test := range []struct {
		name string
		runtime.Container
		want string
	}{
		{"hosts", runtime.Container{Hosts: hosts, Command: cat("/etc/hosts")}, "10.0.0.5 db"},
		{"resolv", runtime.Container{ResolvConf: resolv, Command: cat("/etc/resolv.conf")},
			"nameserver 10.0.0.2"},
		{"hostname", runtime.Container{
			Hostname: "ip-10-0-0-7", Command: cat("/proc/sys/kernel/hostname"),
		}, "ip-10-0-0-7"},
		{"user", runtime.Container{User: "nobody", Command: cat("/proc/self/status")},
			"Uid:\t65534\t65534"},
		{"ids", runtime.Container{User: "1000:1001", Command: cat("/proc/self/status")},
			"Gid:\t1001\t1001"},
		{"nnp", runtime.Container{NoNewPrivileges: true, Command: cat("/proc/self/status")},
			"NoNewPrivs:\t1"},
		{"seccomp", runtime.Container{Command: cat("/proc/self/status")}, "Seccomp:\t2"},
		{"drop", runtime.Container{CapDrop: []string{"ALL"}, Command: cat("/proc/self/status")},
			"CapEff:\t0000000000000000"},
		{"add", runtime.Container{
			CapDrop: []string{"ALL"}, CapAdd: []string{"NET_ADMIN"},
			Command: cat("/proc/self/status"),
		}, "CapEff:\t0000000000001000"},
		{"privileged", runtime.Container{Privileged: true, Command: cat("/proc/self/status")},
			"Seccomp:\t0"},
		{"add all", runtime.Container{CapAdd: []string{"ALL"}, Command: cat("/proc/self/status")},
			"CapEff:\t" + ownCapabilities(t)},
		{"ulimit", runtime.Container{
			Ulimits: []runtime.Ulimit{{Name: "core", Soft: 123, Hard: 456}},
			Command: cat("/proc/self/limits"),
		}, "Max core file size        123                  456"},
		{"sysctl", runtime.Container{
			Sysctls: map[string]string{"net.core.somaxconn": "77"},
			Command: cat("/proc/sys/net/core/somaxconn"),
		}, "77"},
		{"workdir", runtime.Container{WorkDir: "/etc", Command: cat("passwd")}, "nobody:x:65534"},
		{"bind", runtime.Container{
			Mounts:  []runtime.Mount{{Source: hosts, Target: "/data/file", ReadOnly: true}},
			Command: cat("/data/file"),
		}, "10.0.0.5 db"},
		{"tmpfs", runtime.Container{
			Mounts:  []runtime.Mount{{Target: "/scratch", SizeMiB: 3, Options: []string{"noexec"}}},
			Command: cat("/proc/self/mounts"),
		}, "/scratch tmpfs rw,nosuid,nodev,noexec,relatime,size=3072k"},
		{"shm", runtime.Container{ShmSize: 7, Command: cat("/proc/self/mounts")},
			"/dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=7168k"},
		{"entrypoint", runtime.Container{
			EntryPoint: []string{"/usr/bin/hello", "--print", "from entry point"},
		}, "from entry point"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.ID = strings.ReplaceAll(test.name, " ", "-")
			got, code := m.runToEnd(test.Container)
			if code != 0 || !strings.Contains(got, test.want) {
				t.Errorf("exit code %d, output lacks %q:\n%s", code, test.want, got)
			}
		})
	}
}

// ownCapabilities is CapEff of this process.
func ownCapabilities(t *testing.T) string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "CapEff:\t")
	return rest[:16]
}

func TestReadOnly(t *testing.T) {
	m := newMachine(t)
	write := func(path string) []string { return []string{"--write", path} }
	mounts := []runtime.Mount{
		{Source: t.TempDir(), Target: "/ro", ReadOnly: true}, {Target: "/rw"},
	}
	limit := "/sys/fs/cgroup/memory/memory.limit_in_bytes"
	if m.cgroups.Unified() {
		limit = "/sys/fs/cgroup/memory.max"
	}
	for id, test := range map[string]struct {
		readOnly bool
		path     string
		code     int
	}{
		"root":       {true, "/etc/new", 1},
		"writable":   {false, "/etc/new", 0},
		"bind":       {false, "/ro/new", 1},
		"tmpfs":      {true, "/rw/new", 0},
		"own-cgroup": {false, limit, 1},
	} {
		got, code := m.runToEnd(runtime.Container{
			ID: id, ReadOnlyRoot: test.readOnly, Mounts: mounts, Command: write(test.path),
		})
		if code != test.code {
			t.Errorf("%s: writing %s exits with %d: %s", id, test.path, code, got)
		}
	}
}

func TestRefusedUlimit(t *testing.T) {
	m := newMachine(t)
	if mayRaiseLimits() {
		t.Skip("this process has CAP_SYS_RESOURCE and may raise any limit")
	}
	if _, err := m.EnsureImage(t.Context(), runtime.HelloImage, runtime.Pull{}); err != nil {
		t.Fatal(err)
	}
	err := m.Create(t.Context(), runtime.Container{
		ID: "a", Image: runtime.HelloImage, LogPath: m.log("a"),
		Ulimits: []runtime.Ulimit{{Name: "nofile", Soft: 1 << 30, Hard: 1 << 30}},
	})
	if err == nil || !strings.Contains(err.Error(), "ulimit nofile") {
		t.Errorf("got %v", err)
	}
}

// firstLine reads a cgroup's file of version 1 or, if that is absent, 2.
func (m *machine) firstLine(controller, v1, v2, path string) string {
	file := filepath.Join("/sys/fs/cgroup", controller, path, v1)
	if m.cgroups.Unified() {
		file = filepath.Join("/sys/fs/cgroup", path, v2)
	}
	text, err := os.ReadFile(file)
	m.must(err)
	return strings.TrimSpace(string(text))
}

func TestLimitsAreInTheCgroup(t *testing.T) {
	m := newMachine(t)
	m.must(m.EnsureGroup(t.Context(), runtime.Group{ID: "g", CPU: 512, Memory: 256}))
	m.start(runtime.Container{ID: "a", Group: "g", CPU: 256, Memory: 128, MemoryReservation: 64})
	group, container := m.cgroupPath("g"), m.cgroupPath("g", "a")
	quota, limit := "50000", fmt.Sprint(256<<20)
	if m.cgroups.Unified() {
		quota = "50000 100000"
	}
	for _, test := range []struct{ controller, v1, v2, path, want string }{
		{"cpu", "cpu.cfs_quota_us", "cpu.max", group, quota},
		{"memory", "memory.limit_in_bytes", "memory.max", group, limit},
		{"memory", "memory.limit_in_bytes", "memory.max", container, fmt.Sprint(128 << 20)},
		{"memory", "memory.soft_limit_in_bytes", "memory.low", container, fmt.Sprint(64 << 20)},
	} {
		if got := m.firstLine(test.controller, test.v1, test.v2, test.path); got != test.want {
			t.Errorf("%s of %s is %s, want %s", test.v1, test.path, got, test.want)
		}
	}
	if !m.cgroups.Unified() {
		if got := m.firstLine("cpu", "cpu.shares", "", container); got != "256" {
			t.Errorf("cpu.shares is %s, want 256", got)
		}
	}
}

func TestGroupLimitsAllContainersTogether(t *testing.T) {
	m := newMachine(t)
	m.must(m.EnsureGroup(t.Context(), runtime.Group{ID: "g", CPU: 256, Memory: 96}))
	m.start(runtime.Container{ID: "a", Group: "g", Command: []string{"--memory", "200"}})
	m.waitFor("a is out of memory", func() bool { return m.status("a").Phase == runtime.Exited })
	if status := m.status("a"); !status.OOMKilled || status.ExitCode != 137 {
		t.Errorf("over the group's limit: %+v", status)
	}
	m.start(runtime.Container{ID: "b", Group: "g"})
	stats, err := m.Stats(t.Context(), "b")
	m.must(err)
	if stats.MemoryLimit != 96<<20 {
		t.Errorf("limit %d, want the group's", stats.MemoryLimit)
	}
}

// newNetNS makes a network namespace with loopback, as a task has.
func newNetNS(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ns")
	failed := make(chan error)
	go func() {
		goruntime.LockOSThread() // never unlocked: the thread ends with its namespace
		failed <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				return err
			}
			if err := netlink.LinkSetUp(lo); err != nil {
				return err
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			return unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
		}()
	}()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return path
}

func TestContainersShareANetwork(t *testing.T) {
	m := newMachine(t)
	ns := newNetNS(t)
	m.start(runtime.Container{ID: "web", NetNS: ns, Env: []string{"PORT=8080"}})
	m.start(runtime.Container{ID: "side", NetNS: ns, Env: []string{"PORT=8081"}})
	m.start(runtime.Container{ID: "alone", Env: []string{"PORT=8082"}})
	check := func(id, port string) int {
		result, err := m.Exec(t.Context(), id, runtime.ExecSpec{
			Args:    []string{"/hello", "--check", "http://localhost:" + port + "/health"},
			Timeout: 5 * time.Second,
		})
		m.must(err)
		return result.ExitCode
	}
	m.waitFor("web answers its neighbour", func() bool { return check("side", "8080") == 0 })
	m.waitFor("side answers its neighbour", func() bool { return check("web", "8081") == 0 })
	m.waitFor("alone answers itself", func() bool { return check("alone", "8082") == 0 })
	result, err := m.Exec(t.Context(), "side", runtime.ExecSpec{
		Args: []string{"/bin/sh", "-c", "curl -f http://localhost:8080/ || exit 1"},
	})
	if err != nil || result.ExitCode != 0 || result.Output != "200 OK\n" {
		t.Errorf("the usual health check: %+v %v", result, err)
	}
	if check("alone", "8080") == 0 || check("web", "8082") == 0 {
		t.Error("a container reaches another's network")
	}
}
