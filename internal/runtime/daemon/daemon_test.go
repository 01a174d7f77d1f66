package daemon

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
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

func start(t *testing.T) *Daemon {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("containerd mounts and needs root")
	}
	run, err := os.MkdirTemp("/tmp", "fl-")
	if err != nil {
		t.Fatal(err)
	}
	d, err := Start(t.Context(), Config{
		Exec: []string{"/proc/self/exe", Command}, Data: t.TempDir(), Run: run,
	})
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

func TestStart(t *testing.T) {
	s := time.Now()
	d := start(t)
	t.Log(time.Since(s), d.Pid())
	st, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.Pid()))
	t.Log(string(st))
	lg, _ := os.ReadFile(d.logFile())
	t.Log(string(lg))
}
