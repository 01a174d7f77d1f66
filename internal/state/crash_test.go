package state_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

// The tests below run this test binary again as a process that can be killed or robbed of its disk.
// childRole says what it does there, in childDir.
const (
	childRole = "FAIRLEAD_STATE_TEST_ROLE"
	childDir  = "FAIRLEAD_STATE_TEST_DIR"
)

func TestMain(m *testing.M) {
	state.ShrinkSegments()
	roles := map[string]func(dir string) error{"write": writeForever, "fill": fillDisk}
	role, isChild := roles[os.Getenv(childRole)]
	if !isChild {
		os.Exit(m.Run())
	}
	if err := role(os.Getenv(childDir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func child(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childRole+"="+role, childDir+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// TestKill kills a writer again and again, at any moment, and looks for every row that was
// acknowledged.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := 0
	for _, lines := range []int{1, 3, 40, 0, 100, 17} {
		acknowledged = max(acknowledged, killAfter(t, dir, lines))
		s, err := state.Open(t.Context(), state.Config{Dir: dir}, items)
		if err != nil {
			t.Fatal(err)
		}
		for n := range acknowledged {
			if row, ok := items.Get(s.View(), fmt.Sprint(n+1)); !ok || row.Count != n+1 {
				t.Errorf("row %d of %d is lost: %+v", n+1, acknowledged, row)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if acknowledged < 100 {
		t.Errorf("only %d rows were acknowledged in all", acknowledged)
	}
}

// killAfter kills a writer once it has acknowledged so many rows, and returns the last one.
func killAfter(t *testing.T, dir string, lines int) (last int) {
	t.Helper()
	cmd := child(t, "write", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	written := bufio.NewScanner(out)
	for n := 0; n < lines && written.Scan(); n++ {
		fmt.Sscan(written.Text(), &last)
	}
	kill(t, cmd)
	for written.Scan() { // what it said before it died counts
		fmt.Sscan(written.Text(), &last)
	}
	waitKilled(t, cmd)
	return last
}

// TestKillAtFirstStart kills a process while it makes its etcd, at the moments when the files of a
// new one appear.
func TestKillAtFirstStart(t *testing.T) {
	for _, file := range []string{
		"lock", "starting", "etcd/member", "etcd/member/snap/db", "etcd/member/wal",
		"etcd/member/wal/0.tmp",
	} {
		dir := t.TempDir()
		cmd := child(t, "write", dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		awaitFile(t, filepath.Join(dir, file))
		kill(t, cmd)
		waitKilled(t, cmd)
		s := openDir(t, state.Config{Dir: dir})
		if err := statetest.Increment(t.Context(), s, "after"); err != nil {
			t.Errorf("killed when %s appeared: %v", file, err)
		}
	}
}

func awaitFile(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if _, err := os.Stat(path); err == nil {
			return
		}
	}
	t.Fatalf("%s does not appear", path)
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
}

func waitKilled(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	err := cmd.Wait()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || status.Signal() != unix.SIGKILL {
		t.Fatalf("the writer ended with %v", err)
	}
}

// writeForever puts row after row and prints the number of each that is acknowledged.
func writeForever(dir string) error {
	ctx := context.Background()
	s, err := state.Open(ctx, state.Config{Dir: dir}, items)
	if err != nil {
		return err
	}
	for n := items.Len(s.View()) + 1; ; n++ {
		err := s.Update(ctx, func(tx *state.Tx) error {
			items.Put(tx, statetest.Item{ID: fmt.Sprint(n), Count: n})
			return nil
		})
		if err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// TestDiskFull fills the file system under a store. The process must survive, read, and say why it
// cannot write.
func TestDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	cmd := child(t, "fill", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
}

// fillDisk runs in a mount namespace of its own, so its file system ends with it.
func fillDisk(dir string) error {
	const size = "size=32m"
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, size); err != nil {
		return fmt.Errorf("mounting a small file system: %w", err)
	}
	ctx := context.Background()
	s, err := state.Open(ctx, state.Config{Dir: dir}, items)
	if err != nil {
		return err
	}
	if err := statetest.Increment(ctx, s, "before"); err != nil {
		return err
	}
	if err := fill(filepath.Join(dir, "filler")); err != nil {
		return err
	}
	text := strings.Repeat("x", state.MaxRowBytes/2)
	for n := 0; err == nil && n < 1000; n++ {
		err = s.Update(ctx, func(tx *state.Tx) error {
			items.Put(tx, statetest.Item{ID: fmt.Sprint(n), Owner: text})
			return nil
		})
	}
	if !errors.Is(err, state.ErrStopped) {
		return fmt.Errorf("the full disk gave %w, want ErrStopped", err)
	}
	if !errors.Is(s.Err(), state.ErrStopped) {
		return fmt.Errorf("the store itself says %w, want ErrStopped", s.Err())
	}
	if items.Len(s.View()) == 0 {
		return errors.New("the rows cannot be read")
	}
	if err := s.Reset(ctx); !errors.Is(err, state.ErrStopped) {
		return fmt.Errorf("the reset gave %w, want ErrStopped", err)
	}
	s.Close() // it may fail to stop what has lost its disk, but it must return
	return nil
}

// fill writes until no space is left.
func fill(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	for err == nil {
		_, err = io.WriteString(file, strings.Repeat("x", 1<<16))
	}
	if !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("filling the disk: %w", err)
	}
	return nil
}

// TestDamagedLog breaks etcd's write-ahead log. The rows must not be lost in silence.
func TestDamagedLog(t *testing.T) {
	dir := t.TempDir()
	s := openDir(t, state.Config{Dir: dir})
	for range 20 {
		if err := statetest.Increment(t.Context(), s, "n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "etcd/member/wal/*.wal"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("found %q, %v", logs, err)
	}
	damage(t, logs[0])
	quiet := state.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)}
	_, err = state.Open(t.Context(), quiet, items)
	if err == nil || !strings.Contains(err.Error(), "crc mismatch") {
		t.Errorf("got %v, want what is wrong with the log", err)
	}
}

// damage overwrites a part of a row: not the frame of a record, which would read as a log that ends
// there.
func damage(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(content, []byte(`"Count":`))
	if at < 0 {
		t.Fatal("there is no row in the log")
	}
	copy(content[at:], "damage")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
