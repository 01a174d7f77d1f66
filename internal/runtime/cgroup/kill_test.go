package cgroup

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

func TestClearKills(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("cgroups are made by root")
	}
	tree, err := Open()
	if err != nil {
		t.Skip(err)
	}
	path := fmt.Sprintf("/fairlead-test-kill-%d", os.Getpid())
	if err := tree.Ensure(path, Limits{}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for _, mount := range tree.mounts {
		dir := filepath.Join(mount, path)
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if err := write(dir, "cgroup.procs", strconv.Itoa(cmd.Process.Pid)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := tree.Clear(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-ended; err == nil {
		t.Error("the process ended by itself")
	}
}
