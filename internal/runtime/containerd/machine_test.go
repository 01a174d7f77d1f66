package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fairlead/internal/runtime"
	"fairlead/internal/runtime/daemon"
	"fairlead/internal/runtime/embedded"
	"fairlead/internal/runtime/runtimetest"
)

// TestMain lets the test binary be the containerd that its tests start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == daemon.Command {
		if err := daemon.ServeContainerd(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// machine is a containerd with directories of its own and an engine on it.
type machine struct {
	*Engine
	t      *testing.T
	daemon *daemon.Daemon
	data   string
	run    string
}

// newMachine starts one. The test's end checks that nothing of it is left.
func newMachine(t *testing.T) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("containerd mounts and needs root")
	}
	if _, err := embedded.Hello(); errors.Is(err, embedded.ErrMissing) {
		t.Skip(err)
	}
	run, err := os.MkdirTemp("/tmp", "fl-") // t.TempDir is too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, data: t.TempDir(), run: run}
	t.Cleanup(m.checkNothingLeft)
	m.daemon, err = daemon.Start(t.Context(), daemon.Config{
		Exec: []string{"/proc/self/exe", daemon.Command}, Data: m.data, Run: run,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.remove)
	m.Engine = m.open()
	return m
}

func (m *machine) open() *Engine {
	m.t.Helper()
	return m.openAs("test-" + filepath.Base(m.run)[3:])
}

func (m *machine) openAs(instance string) *Engine {
	m.t.Helper()
	e, err := Open(m.t.Context(), Config{
		Address: m.daemon.Address(), Instance: instance, Data: m.data, Run: m.run,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return e
}

func (m *machine) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if m.t.Failed() {
		log, _ := os.ReadFile(filepath.Join(m.data, "containerd.log"))
		m.t.Logf("containerd said:\n%s", log)
	}
	if m.Engine != nil {
		m.must(m.Purge(ctx))
		m.must(m.Close())
	}
	m.must(m.daemon.Remove(ctx))
}

func (m *machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Error(err)
	}
}

// checkNothingLeft looks for what a test must not leave on the machine.
func (m *machine) checkNothingLeft() {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	m.must(err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, m.run) || strings.Contains(line, m.data) {
			m.t.Errorf("a mount is left: %s", line)
		}
	}
	// Shims end a moment after their container was deleted.
	m.waitFor("no process is left", func() bool { return len(processesOf(m.run, m.data)) == 0 })
	for _, dir := range []string{m.run, m.data + "/io.containerd.metadata.v1.bolt"} {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			m.t.Errorf("%s is left", dir)
		}
	}
	if m.Engine == nil {
		return
	}
	for _, mount := range []string{"memory", "cpu", "devices", "systemd", "unified", ""} {
		dir := filepath.Join("/sys/fs/cgroup", mount, m.cgroupPath())
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			m.t.Errorf("cgroup %s is left", dir)
		}
	}
}

// processesOf lists the processes that have one of the directories in their command.
func processesOf(dirs ...string) []string {
	var found []string
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range commands {
		text, _ := os.ReadFile(file)
		command := strings.ReplaceAll(string(text), "\x00", " ")
		for _, dir := range dirs {
			if strings.Contains(command, dir) {
				found = append(found, file+" "+command)
			}
		}
	}
	return found
}

func TestContract(t *testing.T) {
	m := newMachine(t)
	for _, c := range runtimetest.Cases() {
		t.Run(c.Name, func(t *testing.T) { c.Run(t, m.Engine) })
	}
}

// start ensures the image, hello unless c says otherwise, and creates and starts c.
func (m *machine) start(c runtime.Container) {
	m.t.Helper()
	if c.Image == "" {
		c.Image = runtime.HelloImage
	}
	if _, err := m.EnsureImage(m.t.Context(), c.Image, runtime.Pull{}); err != nil {
		m.t.Fatal(err)
	}
	c.LogPath = m.log(c.ID)
	if err := m.Create(m.t.Context(), c); err != nil {
		m.t.Fatal(err)
	}
	if err := m.Start(m.t.Context(), c.ID); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) log(id string) string { return filepath.Join(m.data, id+".log") }

func (m *machine) status(id string) runtime.Status {
	m.t.Helper()
	status, err := m.Status(m.t.Context(), id)
	if err != nil {
		m.t.Fatal(err)
	}
	return status
}

// waitFor polls for something that happens in another process.
func (m *machine) waitFor(what string, done func() bool) {
	m.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); {
		if time.Now().After(deadline) {
			m.t.Fatalf("waited too long until %s", what)
		}
		time.Sleep(5 * time.Millisecond) // a real process has no other way to be waited for
	}
}
