package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be the containerd that its tests start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		if err := ServeContainerd(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// config is that of a containerd with directories of its own.
func config(t *testing.T) Config {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("containerd mounts and needs root")
	}
	run, err := os.MkdirTemp("/tmp", "fl-") // t.TempDir is too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	return Config{Exec: []string{"/proc/self/exe", Command}, Data: t.TempDir(), Run: run}
}

func start(t *testing.T, config Config) *Daemon {
	t.Helper()
	d, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Remove(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return d
}

func dial(d *Daemon) error {
	conn, err := net.Dial("unix", d.Address())
	if err != nil {
		return err
	}
	return conn.Close()
}

func TestStartAndStop(t *testing.T) {
	d := start(t, config(t))
	pid := d.Pid()
	if pid == 0 {
		t.Fatal("no containerd after Start")
	}
	if err := dial(d); err != nil {
		t.Errorf("it does not answer: %v", err)
	}
	if session, err := unix.Getsid(pid); err != nil || session != pid {
		t.Errorf("session %d, %v, want one of its own: %d", session, err, pid)
	}
	for range 2 {
		if err := d.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if d.Pid() != 0 || dial(d) == nil {
		t.Error("it answers after Stop")
	}
}

func TestRunRestarts(t *testing.T) {
	d := start(t, config(t))
	ctx, cancel := context.WithCancel(t.Context())
	var supervisor sync.WaitGroup
	supervisor.Go(func() { _ = d.Run(ctx) })
	for range 2 {
		killed := d.Pid()
		if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			if pid := d.Pid(); pid != 0 && pid != killed && dial(d) == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("it was not started again")
			}
		}
	}
	cancel()
	supervisor.Wait()
	if err := dial(d); err != nil {
		t.Errorf("the end of Run ended containerd: %v", err)
	}
}

func TestSecondOneIsRefused(t *testing.T) {
	c := config(t)
	start(t, c)
	options := Options{Root: c.Data, State: c.Run, Address: c.Run + "/other.sock"}
	err := Serve(t.Context(), options)
	if err == nil || !strings.Contains(err.Error(), "another containerd serves") {
		t.Errorf("got %v", err)
	}
}

func TestStartSaysWhyItFailed(t *testing.T) {
	c := config(t)
	c.Exec = []string{"/bin/sh", "-c", "echo reason >&2; exit 1", "sh"}
	_, err := Start(t.Context(), c)
	if err == nil || !strings.HasSuffix(err.Error(), "reason") {
		t.Errorf("got %v", err)
	}
}

func TestStaleFilesMisleadNobody(t *testing.T) {
	c := config(t)
	stale := filepath.Join(c.Run, "containerd.pid")
	if err := os.WriteFile(stale, []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.Run, "containerd.sock"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if d := start(t, c); d.Pid() <= 1 {
		t.Errorf("pid %d", d.Pid())
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	c := config(t)
	d := start(t, c)
	mounted := filepath.Join(c.Data, "mounted")
	if err := errors.Join(os.Mkdir(mounted, 0o755),
		unix.Mount("none", mounted, "tmpfs", 0, "")); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{c.Data, c.Run} {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left", dir)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, c := range map[string]Config{
		"no command":    {Data: "/a"},
		"relative data": {Exec: []string{"x"}, Data: "a"},
		"relative run":  {Exec: []string{"x"}, Data: "/a", Run: "b"},
		"long run":      {Exec: []string{"x"}, Data: "/a", Run: "/" + strings.Repeat("a", 40)},
	} {
		if _, err := newDaemon(c); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	one, err := newDaemon(Config{Exec: []string{"x"}, Data: "/var/lib/one"})
	if err != nil {
		t.Fatal(err)
	}
	two, err := newDaemon(Config{Exec: []string{"x"}, Data: "/var/lib/two"})
	if err != nil {
		t.Fatal(err)
	}
	if one.Address() == two.Address() {
		t.Errorf("two data directories share %s", one.Address())
	}
}

func TestArgs(t *testing.T) {
	want := Options{Root: "/r", State: "/s", Address: "/a", Notify: true}
	if got, err := ParseArgs(want.Args()); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, args := range [][]string{
		nil, {"--root", "/r"}, {"--unknown"}, {"--root", "r", "--state", "/s", "--address", "/a"},
	} {
		if got, err := ParseArgs(args); err == nil {
			t.Errorf("%v: got %+v", args, got)
		}
	}
}
