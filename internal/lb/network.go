package lb

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// hostNetwork knows only the network that the process itself lives in.
type hostNetwork struct{}

// Socket implements Network.
func (hostNetwork) Socket(node string, domain, typ, proto int) (int, error) {
	if node != "" {
		return -1, fmt.Errorf("network %q is not known", node)
	}
	return unix.Socket(domain, typ, proto)
}

const (
	// backlog is how many connections wait for a loop to accept them; the kernel caps it at
	// net.core.somaxconn.
	backlog = 4096
	// streamSocket is the type of all our sockets.
	streamSocket = unix.SOCK_STREAM | unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
)

func domainOf(a netip.Addr) int {
	if a.Is4() || a.Is4In6() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() || a.Addr().Is4In6() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().Unmap().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// openListeners opens n listening sockets on the same address, one per loop, between which the
// kernel distributes connections. Port 0 is replaced by the port that the first one got.
func openListeners(nw Network, b Bind, n int) (fds []int, addr netip.AddrPort, err error) {
	if err := probeAddr(nw, b); err != nil {
		return nil, netip.AddrPort{}, err
	}
	addr = b.Addr
	for range n {
		fd, err := openListener(nw, b.Node, addr)
		if err != nil {
			closeAll(fds)
			return nil, netip.AddrPort{}, err
		}
		fds = append(fds, fd)
		if addr.Port() == 0 {
			sa, err := unix.Getsockname(fd)
			if err != nil {
				closeAll(fds)
				return nil, netip.AddrPort{}, fmt.Errorf("read address of listener: %w", err)
			}
			addr = addrPort(sa)
		}
	}
	return fds, addr, nil
}

// probeAddr binds the address once without SO_REUSEPORT: with it, another process of the same user
// that listens there would silently share its connections with us.
func probeAddr(nw Network, b Bind) error {
	fd, err := nw.Socket(b.Node, domainOf(b.Addr.Addr()), streamSocket, 0)
	if err != nil {
		return fmt.Errorf("open socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fmt.Errorf("set SO_REUSEADDR: %w", err)
	}
	if err := unix.Bind(fd, sockaddr(b.Addr)); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

func openListener(nw Network, node string, addr netip.AddrPort) (fd int, err error) {
	fd, err = nw.Socket(node, domainOf(addr.Addr()), streamSocket, 0)
	if err != nil {
		return -1, fmt.Errorf("open socket: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), // accepted ones inherit it
	)
	if addr.Addr().IsLoopback() {
		dontProbePath(fd)
	}
	if err == nil {
		err = unix.Bind(fd, sockaddr(addr))
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("listen: %w", err)
	}
	return fd, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// dial opens a socket in the group's network and begins to connect it.
func dial(nw Network, node string, source netip.Addr, to netip.AddrPort) (fd int, err error) {
	fd, err = nw.Socket(node, domainOf(to.Addr()), streamSocket, 0)
	if err != nil {
		return -1, fmt.Errorf("open socket: %w", err)
	}
	err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err == nil && source.IsValid() {
		err = bindSource(fd, source)
	}
	if node != "" || to.Addr().IsLoopback() {
		dontProbePath(fd)
	}
	if err == nil {
		err = unix.Connect(fd, sockaddr(to))
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		unix.Close(fd)
		return -1, fmt.Errorf("connect to %s: %w", to, err)
	}
	return fd, nil
}

// dontProbePath gives a connection that does not leave the machine the plainest congestion control.
// There is no path to find out about, and one that paces what it sends, like BBR, which many
// machines have as their default, costs a quarter of the throughput of large bodies. Connections
// that a listener accepts inherit it.
func dontProbePath(fd int) {
	unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno") // or it stays as it is
}

// bindSource chooses the local address and leaves the port to connect(2), so that the port range
// is available once per destination and not once in all.
func bindSource(fd int, source netip.Addr) error {
	err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	if err != nil {
		return err
	}
	return unix.Bind(fd, sockaddr(netip.AddrPortFrom(source, 0)))
}
