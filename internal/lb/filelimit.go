package lb

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// wantedFiles is how many file descriptors a process with a data plane asks for: enough for 100,000
// connections and their targets, several times over. It is also the kernel's default fs.nr_open.
const wantedFiles = 1 << 20

// RaiseFileLimit raises the process's limit of open files as far as it may, and returns it. Call it
// before New, which takes its limit of connections from it. Processes that are started afterwards get
// the limit that was there before: old programs walk through all descriptors that they could have.
func RaiseFileLimit() uint64 {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0
	}
	raised := unix.Rlimit{Cur: max(lim.Max, wantedFiles), Max: max(lim.Max, wantedFiles)}
	if !setFileLimit(raised) { // a higher hard limit needs CAP_SYS_RESOURCE
		raised = unix.Rlimit{Cur: lim.Max, Max: lim.Max}
		if !setFileLimit(raised) {
			return lim.Cur
		}
	}
	return raised.Cur
}

// setFileLimit is prlimit(2), past package syscall: that would take the new limit for one that is
// meant for child processes too.
func setFileLimit(lim unix.Rlimit) bool {
	_, _, errno := unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE,
		uintptr(unsafe.Pointer(&lim)), 0, 0, 0)
	return errno == 0
}
