// Package handover passes listening sockets from a process to its successor over a Unix socket, so
// that a restart or an upgrade of the binary refuses no connection: the successor accepts on the
// same sockets, while the predecessor finishes what it has begun.
//
//	predecessor                         successor
//	Offer(path) ──────── sockets ─────> Take(path)
//	    <──────────────── ready ─────── Taken.Ready
//	Shutdown
package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"fairlead/internal/lb"
)

const (
	// maxSockets is how many sockets fit into one message (SCM_MAX_FD of Linux).
	maxSockets = 253
	// maxHeader bounds the description of an address in bytes.
	maxHeader = 4 << 10
	// patience bounds every step of a hand-over.
	patience = 10 * time.Second
)

// header describes the sockets of a message. The last message of a hand-over is empty.
type header struct {
	Node string         `json:"node,omitempty"`
	Addr netip.AddrPort `json:"addr,omitzero"`
	Last bool           `json:"last,omitempty"`
}

// Offer waits on the Unix socket at path for a successor and hands it what listeners returns. It
// returns nil once the successor is ready, so that the caller can begin to drain, or the error of
// ctx when that ends first. Whoever may connect to path may take the sockets over: it is made for
// the owner only.
func Offer(ctx context.Context, path string, listeners func() ([]lb.Inherited, error)) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("offer hand-over: %w", err)
	}
	ln, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return fmt.Errorf("offer hand-over: %w", err)
	}
	defer ln.Close()
	ln.SetUnlinkOnClose(false) // by then the name may belong to the successor
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("offer hand-over: %w", err)
	}
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	for {
		conn, err := ln.AcceptUnix()
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), os.Remove(path))
		}
		if err != nil {
			return fmt.Errorf("offer hand-over: %w", err)
		}
		if err := give(conn, listeners); err == nil {
			return nil
		}
		// The successor has failed before it was ready; another may come.
	}
}

// give sends the sockets and waits for the successor.
func give(conn *net.UnixConn, listeners func() ([]lb.Inherited, error)) error {
	defer conn.Close()
	all, err := listeners()
	if err != nil {
		return err
	}
	defer func() {
		for _, in := range all {
			for _, f := range in.Files {
				f.Close()
			}
		}
	}()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	for _, in := range all {
		if err := send(conn, header{Node: in.Node, Addr: in.Addr}, in.Files); err != nil {
			return err
		}
	}
	if err := send(conn, header{Last: true}, nil); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, len(ready)))
	return err
}

// ready is what the successor says when it accepts connections.
const ready = "ready"

func send(conn *net.UnixConn, h header, files []*os.File) error {
	if len(files) > maxSockets {
		return fmt.Errorf("%d sockets on %s, limit is %d", len(files), h.Addr, maxSockets)
	}
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	var fds []int
	for _, f := range files {
		if err := lb.FD(f, func(fd int) { fds = append(fds, fd) }); err != nil {
			return err
		}
	}
	_, _, err = conn.WriteMsgUnix(b, unix.UnixRights(fds...), nil)
	return err
}

// Taken is a hand-over that the successor has to confirm.
type Taken struct {
	Sockets []lb.Inherited
	conn    *net.UnixConn
}

// Take asks the predecessor at path for its sockets. Without a predecessor it returns a Taken
// without sockets.
func Take(path string) (*Taken, error) {
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return &Taken{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("take over sockets: %w", err)
	}
	t := &Taken{conn: conn}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	for {
		in, last, err := receive(conn)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("take over sockets: %w", err), conn.Close())
		}
		if last {
			return t, nil
		}
		t.Sockets = append(t.Sockets, in)
	}
}

// receive reads one message.
func receive(conn *net.UnixConn) (in lb.Inherited, last bool, err error) {
	b, oob := make([]byte, maxHeader), make([]byte, unix.CmsgSpace(4*maxSockets))
	n, oobn, _, _, err := conn.ReadMsgUnix(b, oob)
	if err != nil {
		return in, false, err
	}
	files, err := filesOf(oob[:oobn])
	if err != nil {
		return in, false, err
	}
	var h header
	if err := json.Unmarshal(b[:n], &h); err != nil {
		return in, false, fmt.Errorf("read description: %w", err)
	}
	return lb.Inherited{Node: h.Node, Addr: h.Addr, Files: files}, h.Last, nil
}

// filesOf takes the descriptors out of control messages.
func filesOf(oob []byte) ([]*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("read sockets: %w", err)
	}
	var files []*os.File
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return nil, fmt.Errorf("read sockets: %w", err)
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "inherited"))
		}
	}
	return files, nil
}

// Ready tells the predecessor that it can stop accepting.
func (t *Taken) Ready() error {
	if t.conn == nil {
		return nil
	}
	_, err := io.WriteString(t.conn, ready)
	return errors.Join(err, t.conn.Close())
}
