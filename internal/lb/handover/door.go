package handover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Door is where successors knock.
type Door struct {
	path string
	ln   *net.UnixListener
}

// Open makes the Unix socket at path. Whoever may connect to it may take everything over: it is made
// for the owner only.
func Open(path string) (*Door, error) {
	d, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("offer hand-over: %w", err)
	}
	return d, nil
}

func open(path string) (*Door, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	short, done, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer done()
	ln, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: short, Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false) // by then the name may belong to the successor
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return &Door{path: path, ln: ln}, nil
}

// shorten returns another name of path that fits into the 108 bytes of a socket's address, until
// done is called.
func shorten(path string) (short string, done func(), err error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { dir.Close() }, nil
}

// Accept waits for a successor: a process of the same user, or of root.
func (d *Door) Accept(ctx context.Context) (*Conn, error) {
	defer context.AfterFunc(ctx, func() { d.ln.SetDeadline(time.Now()) })()
	for {
		conn, err := d.ln.AcceptUnix()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("offer hand-over: %w", err)
		}
		if mayTake(conn) {
			return &Conn{conn}, nil
		}
		conn.Close()
	}
}

// mayTake tells whether the process at the other end is one of ours. The mode of the socket says the
// same, unless somebody changes it.
func mayTake(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return err == nil && failed == nil && (peer.Uid == 0 || int(peer.Uid) == os.Geteuid())
}

// Close lets nobody in any more. The name stays: it may be the successor's already.
func (d *Door) Close() error { return d.ln.Close() }

// Remove closes the door and removes its name.
func (d *Door) Remove() error { return errors.Join(d.ln.Close(), os.Remove(d.path)) }
