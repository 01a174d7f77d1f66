package containerd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"

	"fairlead/internal/runtime"
	"fairlead/internal/runtime/daemon"
)

// alive is whether the process exists and is no zombie.
func alive(pid int) bool {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	return err == nil && !strings.Contains(string(status), "State:\tZ")
}

// killContainerd ends containerd as a crash does.
func (m *machine) killContainerd() {
	m.t.Helper()
	pid := m.daemon.Pid()
	if pid == 0 {
		m.t.Fatal("containerd does not run")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		m.t.Fatal(err)
	}
	m.waitFor("containerd is dead", func() bool { return !alive(pid) && m.daemon.Pid() != pid })
}

func TestContainerOutlivesContainerd(t *testing.T) {
	m := newMachine(t)
	m.start(runtime.Container{ID: "a"})
	before := m.status("a")
	events := m.Watch(t.Context())
	<-events
	supervised, cancel := context.WithCancel(t.Context())
	var supervisor sync.WaitGroup
	supervisor.Go(func() { _ = m.daemon.Run(supervised) })
	defer supervisor.Wait()
	defer cancel()
	m.killContainerd()
	if !alive(before.Pid) {
		t.Fatal("the container died with containerd")
	}
	for event := range events {
		if event.Kind == runtime.EventReset {
			break
		}
	}
	after := m.status("a")
	if after.Phase != runtime.Running || after.Pid != before.Pid ||
		!after.StartedAt.Equal(before.StartedAt) {
		t.Errorf("before %+v, after %+v", before, after)
	}
	result, err := m.Exec(t.Context(), "a", runtime.ExecSpec{Args: []string{"/hello", "--exit", "4"}})
	if err != nil || result.ExitCode != 4 {
		t.Errorf("exec after the restart: %+v %v", result, err)
	}
	m.start(runtime.Container{ID: "b"})
	m.must(m.Signal(t.Context(), "a", syscall.SIGTERM))
	for event := range events {
		if event == (runtime.Event{Kind: runtime.EventExit, ID: "a"}) {
			break
		}
	}
	if status := m.status("a"); status.Phase != runtime.Exited || status.ExitCode != 0 {
		t.Errorf("after SIGTERM: %+v", status)
	}
}

func TestExitCodeOfProcessThatEndedWhileContainerdWasDown(t *testing.T) {
	m := newMachine(t)
	m.start(runtime.Container{ID: "code", Command: []string{"--sleep", "500ms", "--exit", "42"}})
	m.start(runtime.Container{ID: "signal"})
	pids := []int{m.status("code").Pid, m.status("signal").Pid}
	m.killContainerd()
	m.must(syscall.Kill(pids[1], syscall.SIGKILL))
	for _, pid := range pids {
		m.waitFor("the process has ended", func() bool { return !alive(pid) })
	}
	// Everything is new now, as after a restart of Fairlead.
	started, err := daemon.Start(t.Context(), daemon.Config{
		Exec: []string{"/proc/self/exe", daemon.Command}, Data: m.data, Run: m.run,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.must(m.Close())
	m.daemon, m.Engine = started, m.open()
	for id, want := range map[string]int{"code": 42, "signal": 137} {
		status := m.status(id)
		if status.Phase != runtime.Exited || status.ExitCode != want {
			t.Errorf("%s: %+v, want exit code %d", id, status, want)
		}
		if status.FinishedAt.Before(status.StartedAt) || status.OOMKilled {
			t.Errorf("%s: %+v", id, status)
		}
	}
}

func TestStartFindsRunningContainerd(t *testing.T) {
	m := newMachine(t)
	again, err := daemon.Start(t.Context(), daemon.Config{
		Exec: []string{"/nonexistent"}, Data: m.data, Run: m.run,
	})
	if err != nil {
		t.Fatal(err)
	}
	if again.Pid() == 0 || again.Pid() != m.daemon.Pid() {
		t.Errorf("found %d, want %d", again.Pid(), m.daemon.Pid())
	}
}

func TestDeadShimIsLost(t *testing.T) {
	m := newMachine(t)
	m.start(runtime.Container{ID: "a"})
	pid := m.status("a").Pid
	shim := parent(t, pid)
	m.must(syscall.Kill(shim, syscall.SIGKILL))
	m.waitFor("the container is lost", func() bool {
		return m.status("a").Phase == runtime.Lost
	})
	if status := m.status("a"); status.ExitCode != lostExitCode {
		t.Errorf("lost: %+v", status)
	}
	m.must(m.Delete(t.Context(), "a"))
	m.waitFor("its process is gone", func() bool { return !alive(pid) })
}

func parent(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "PPid:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no parent")
	return 0
}

// A crash between the snapshot and the container must leave nothing for ever.
func TestOpenPrunesSnapshots(t *testing.T) {
	m := newMachine(t)
	m.start(runtime.Container{ID: "kept"})
	image, err := m.client.GetImage(t.Context(), normalize(runtime.HelloImage))
	if err != nil {
		t.Fatal(err)
	}
	m.must(m.prepareSnapshot(t.Context(), "stale", image))
	m.must(m.prepareSnapshot(t.Context(), "stale", image)) // and does not stand in the way
	m.must(m.recordSandbox(t.Context(), "stale"))
	m.must(m.open().Close())
	records, err := m.client.SandboxStore().List(t.Context())
	m.must(err)
	if len(records) != 1 || records[0].ID != "kept" {
		t.Errorf("sandbox records %v, want only that of the container", records)
	}
	var left []string
	service := m.client.SnapshotService(m.config.Snapshotter)
	m.must(service.Walk(t.Context(), func(_ context.Context, info snapshots.Info) error {
		if info.Kind == snapshots.KindActive {
			left = append(left, info.Name)
		}
		return nil
	}))
	if len(left) != 1 || left[0] != "kept" {
		t.Errorf("snapshots %v, want only that of the container", left)
	}
}

func TestOpenRefusesBadInstance(t *testing.T) {
	for _, instance := range []string{"", "A", "a/b", "-"} {
		_, err := Open(t.Context(), Config{Address: "/nonexistent", Instance: instance})
		if err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%q: %v", instance, err)
		}
	}
}

// A file system on which overlayfs cannot be mounted is a slower one, not a broken one.
func TestNativeSnapshotter(t *testing.T) {
	m := newMachine(t)
	m.must(m.Close())
	native, err := Open(t.Context(), Config{
		Address: m.daemon.Address(), Instance: strings.TrimPrefix(m.namespace, "fairlead-"),
		Data: m.data, Run: m.run, Snapshotter: "native",
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Engine = native
	m.start(runtime.Container{ID: "a"})
	if status := m.status("a"); status.Phase != runtime.Running {
		t.Errorf("%+v", status)
	}
}

// A Create that broke off after the snapshot can be repeated, and so can Delete at any point.
func TestBrokenOffCallsCanBeRepeated(t *testing.T) {
	m := newMachine(t)
	m.start(runtime.Container{ID: "a"})
	container, _, err := m.load(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	m.must(m.deleteTask(t.Context(), container))
	if status := m.status("a"); status.Phase != runtime.Lost {
		t.Errorf("without a task: %+v", status)
	}
	m.must(m.removeSnapshot(t.Context(), "a"))
	m.must(m.Delete(t.Context(), "a"))
	m.must(m.recordSandbox(t.Context(), "a"))
	m.start(runtime.Container{ID: "a"})
	if status := m.status("a"); status.Phase != runtime.Running {
		t.Errorf("created again: %+v", status)
	}
}

func TestInstancesDoNotSeeEachOther(t *testing.T) {
	m := newMachine(t)
	m.start(runtime.Container{ID: "a"})
	m.must(m.EnsureGroup(t.Context(), runtime.Group{ID: "g"}))
	other := m.openAs("other-" + strings.TrimPrefix(m.namespace, "fairlead-test-"))
	statuses, err := other.List(t.Context())
	if err != nil || len(statuses) != 0 {
		t.Errorf("listed %v, %v", statuses, err)
	}
	groups, err := other.ListGroups(t.Context())
	if err != nil || len(groups) != 0 {
		t.Errorf("groups %v, %v", groups, err)
	}
	if _, err := other.EnsureImage(t.Context(), runtime.HelloImage, runtime.Pull{}); err != nil {
		t.Fatal(err)
	}
	m.must(other.Purge(t.Context()))
	m.must(other.Close())
	namespaces, err := m.client.NamespaceService().List(t.Context())
	if err != nil || len(namespaces) != 1 || namespaces[0] != m.namespace {
		t.Errorf("namespaces %v, %v, want only %s", namespaces, err, m.namespace)
	}
	if status := m.status("a"); status.Phase != runtime.Running {
		t.Errorf("one instance's Purge reached the other: %+v", status)
	}
}
