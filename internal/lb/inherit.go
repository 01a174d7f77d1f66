package lb

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Inherited is an address with its listening sockets, on the way from a process to its successor:
// as long as one of them holds the sockets, no connection is refused.
type Inherited struct {
	Node  string
	Addr  netip.AddrPort
	Files []*os.File
}

// Listeners returns duplicates of all listening sockets, for a successor. The engine goes on to
// accept until Shutdown; the caller closes the files.
func (e *Engine) Listeners() ([]Inherited, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errClosed
	}
	var out []Inherited
	var errs []error
	for _, b := range e.bindings {
		in := Inherited{Node: b.node, Addr: b.addr}
		for _, fd := range b.fds {
			dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				errs = append(errs, fmt.Errorf("duplicate socket of %s: %w", b.addr, err))
				continue
			}
			in.Files = append(in.Files, os.NewFile(uintptr(dup), b.addr.String()))
		}
		out = append(out, in)
	}
	if err := errors.Join(errs...); err != nil {
		closeFiles(out)
		return nil, err
	}
	return out, nil
}

// FD calls use with the descriptor of a file. Other than os.File.Fd it leaves the socket
// non-blocking, which it must stay for the process that shares it.
func FD(f *os.File, use func(fd int)) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("use %s: %w", f.Name(), err)
	}
	return raw.Control(func(fd uintptr) { use(int(fd)) })
}

// fds takes duplicates of the descriptors out of the files, which are closed. One that cannot be
// duplicated is left out: a new socket is opened in its place.
func (in *Inherited) fds() []int {
	var fds []int
	for _, f := range in.Files {
		FD(f, func(fd int) {
			if dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err == nil {
				fds = append(fds, dup)
			}
		})
		f.Close()
	}
	return fds
}

// dropInherited closes sockets of addresses that the table does not have.
func (e *Engine) dropInherited() {
	closeFiles(e.inherited)
	e.inherited = nil
}

func closeFiles(all []Inherited) {
	for _, in := range all {
		for _, f := range in.Files {
			f.Close()
		}
	}
}
