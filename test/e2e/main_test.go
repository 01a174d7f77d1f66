// Package e2e tests the whole of Fairlead as its users meet it: the binary, driven by the
// unmodified Terraform AWS provider, the AWS CLI and plain HTTP clients, with real containers.
//
// The test binary runs itself again inside network and mount namespaces of its own, so that ports 80
// and 443 are free, nothing touches the machine's network, and whatever is left over is seen.
//
// Needed: root, runc, FAIRLEAD_BIN (make test sets it). Tests that need Terraform and the AWS
// provider (FAIRLEAD_TF_PLUGIN_DIR), or the AWS CLI, skip without them and say so.
package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

// stageVar tells the test binary where it runs: "" on the machine, stageInit as process 1 of new
// namespaces, stageTests as the tests themselves inside them.
const (
	stageVar   = "FAIRLEAD_E2E_STAGE"
	stageInit  = "init"
	stageTests = "tests"
)

func TestMain(m *testing.M) {
	switch os.Getenv(stageVar) {
	case stageInit:
		os.Exit(initProcess())
	case stageTests:
		os.Exit(m.Run())
	}
	if reason := cannotRun(); reason != "" {
		fmt.Println("e2e: every test of this package is skipped:", reason)
		skipReason = reason
		os.Exit(m.Run())
	}
	os.Exit(namespaced())
}

// skipReason makes start skip every test.
var skipReason string

func cannotRun() string {
	if os.Geteuid() != 0 {
		return "network namespaces and containers need root"
	}
	if os.Getenv("FAIRLEAD_BIN") == "" {
		return "FAIRLEAD_BIN does not name the binary; use make test"
	}
	if _, err := exec.LookPath("runc"); err != nil {
		return "runc is not installed"
	}
	return ""
}

// namespaced runs the test binary as process 1 of new network, mount and process namespaces, which
// end with it: whatever a test leaves running dies then.
func namespaced() int {
	cmd := self(stageInit)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Println("e2e: run the tests in namespaces of their own:", err)
		return 1
	}
	return 0
}

// self is the test binary with the same arguments at another stage.
func self(stage string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), stageVar+"="+stage)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}

// initProcess prepares the namespaces, runs the tests and, as process 1 must, reaps the orphans.
func initProcess() int {
	if err := prepare(); err != nil {
		fmt.Println("e2e: prepare the namespaces:", err)
		return 1
	}
	tests := self(stageTests)
	if err := tests.Start(); err != nil {
		fmt.Println("e2e: start the tests:", err)
		return 1
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err == nil && pid == tests.Process.Pid {
			return status.ExitStatus()
		}
	}
}

// prepare gives the namespaces a /proc of their own and a loopback link that is up.
func prepare() error {
	// Mounts that tests make must not reach the machine.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}
