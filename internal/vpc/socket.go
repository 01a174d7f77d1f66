package vpc

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do runs fn on an OS thread inside the interface's namespace. What fn opens stays there: sockets
// belong to the namespace in which they were made. Goroutines that fn starts are outside. The
// caller's goroutine must not be locked to a thread in another namespace than the process's.
func (h *Host) Do(eniID string, fn func() error) error {
	return h.doors.do(door{kindENI, eniID}, fn)
}

// DoVPC is Do in the VPC's own namespace, where the addresses of routers and DNS are local.
func (h *Host) DoVPC(vpcID string, fn func() error) error {
	return h.doors.do(door{kindVPC, vpcID}, fn)
}

// Socket is socket(2) inside the interface's namespace, always close-on-exec. The caller owns the
// descriptor, and binds and connects it wherever it likes. It costs two system calls more than a
// plain socket, no lock but for reading, and no goroutine switch.
func (h *Host) Socket(eniID string, domain, typ, proto int) (int, error) {
	runtime.LockOSThread()
	if err := h.doors.enter(door{kindENI, eniID}); err != nil {
		runtime.UnlockOSThread()
		return -1, err
	}
	fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC, proto)
	h.doors.leave()
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	return fd, nil
}

// Listen listens for streams inside the interface's namespace. The address is a literal such as
// 10.0.1.5:80 or :80.
func (h *Host) Listen(ctx context.Context, eniID, network, addr string) (net.Listener, error) {
	var l net.Listener
	err := h.Do(eniID, func() (err error) {
		l, err = new(net.ListenConfig).Listen(ctx, network, addr)
		return err
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// ListenPacket listens for datagrams inside the interface's namespace.
func (h *Host) ListenPacket(
	ctx context.Context, eniID, network, addr string,
) (net.PacketConn, error) {
	var c net.PacketConn
	err := h.Do(eniID, func() (err error) {
		c, err = new(net.ListenConfig).ListenPacket(ctx, network, addr)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Dial connects from inside the interface's namespace. Names are not resolved there, so that the
// address must be a literal.
func (h *Host) Dial(ctx context.Context, eniID, network, addr string) (net.Conn, error) {
	if _, err := netip.ParseAddrPort(addr); err != nil {
		return nil, fmt.Errorf("dial from %s: %w", eniID, err)
	}
	var c net.Conn
	err := h.Do(eniID, func() (err error) {
		c, err = new(net.Dialer).DialContext(ctx, network, addr)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}
