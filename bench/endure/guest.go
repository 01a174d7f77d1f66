package main

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// userModeLinux is a kernel that runs as a program of its user (Debian's package user-mode-linux). In it
// this program is root, whatever the limits of the machine are.
const userModeLinux = "linux.uml"

// guestFiles is how many files a process in the guest may have open.
const guestFiles = 1 << 20

// inGuest runs this program with args in a guest with so much memory (such as 14G).
func inGuest(ctx context.Context, memory string, args []string) error {
	if _, err := exec.LookPath(userModeLinux); err != nil {
		return fmt.Errorf("%w; install the package user-mode-linux", err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	if err := static(self); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "endure")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	image := filepath.Join(dir, "initrd")
	if err := os.WriteFile(image, initrd(self), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, userModeLinux, append([]string{"mem=" + memory,
		"initrd=" + image, "quiet", "con=null", "con0=null,fd:1", "ssl=null", "--"}, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// static says why a program could not run without libraries.
func static(program []byte) error {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return err
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("the guest has no libraries: set CGO_ENABLED=0 and build this program again")
		}
	}
	return nil
}

// initrd is an archive in the format of cpio (newc) whose only program is init.
func initrd(init []byte) []byte {
	var b bytes.Buffer
	entry := func(name string, mode int, data []byte) {
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0, mode, 0, 0, 1, 0,
			len(data), 0, 0, 0, 0, len(name)+1, 0)
		b.WriteString(name + "\x00")
		pad(&b)
		b.Write(data)
		pad(&b)
	}
	for _, dir := range []string{"proc", "sys", "dev"} {
		entry(dir, unix.S_IFDIR|0o755, nil)
	}
	entry("init", unix.S_IFREG|0o755, init)
	entry("TRAILER!!!", 0, nil)
	return b.Bytes()
}

// pad fills up to a multiple of four bytes.
func pad(b *bytes.Buffer) { b.Write(make([]byte, -b.Len()&3)) }

// runInit is the first process of the guest: it makes a world for this program, runs it, and ends the
// world.
func runInit(args []string) error {
	err := prepareGuest()
	if err == nil {
		cmd := exec.Command("/proc/self/exe", args...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		err = cmd.Run()
	}
	if err != nil {
		fmt.Println("endure: in the guest:", err)
	}
	return errors.Join(err, unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF))
}

func prepareGuest() error {
	var errs []error
	for _, m := range [][2]string{{"/proc", "proc"}, {"/sys", "sysfs"}, {"/dev", "devtmpfs"}} {
		if err := unix.Mount(m[1], m[0], m[1], 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			errs = append(errs, fmt.Errorf("mount %s: %w", m[0], err))
		}
	}
	for _, name := range []string{"fs/file-max", "fs/nr_open"} {
		path := "/proc/sys/" + name
		errs = append(errs, os.WriteFile(path, fmt.Append(nil, guestFiles), 0))
	}
	limit := unix.Rlimit{Cur: guestFiles, Max: guestFiles}
	return errors.Join(append(errs, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit), loopbackUp())...)
}

// loopbackUp makes the loopback interface work.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return os.NewSyscallError("ioctl SIOCSIFFLAGS", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req))
}

// withoutFlag are the arguments without a flag and its value.
func withoutFlag(args []string, name string) []string {
	var rest []string
	for i := 0; i < len(args); i++ {
		switch arg := strings.TrimLeft(args[i], "-"); {
		case arg == name:
			i++
		case !strings.HasPrefix(arg, name+"="):
			rest = append(rest, args[i])
		}
	}
	return rest
}
