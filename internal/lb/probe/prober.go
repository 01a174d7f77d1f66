package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"fairlead/internal/lb/http1"
)

// Network opens sockets inside named networks.
type Network interface {
	Socket(node string, domain, typ, proto int) (fd int, err error)
}

// maxAnswer is how many bytes of an answer are read; its head must be complete in them.
const maxAnswer = 64 << 10

// Run probes a target until ctx ends: at once, then at every interval, counted from start to start.
// Each result is reported before the next probe begins.
func Run(ctx context.Context, nw Network, c *Check, target netip.AddrPort, report func(Result)) {
	ticker := time.NewTicker(c.Interval)
	defer ticker.Stop()
	for {
		if r := Probe(ctx, nw, c, target); ctx.Err() == nil {
			report(r)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Probe asks a target once.
func Probe(ctx context.Context, nw Network, c *Check, target netip.AddrPort) Result {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if c.Protocol == Function {
		code, err := c.Invoke(ctx)
		return c.judge(code, err)
	}
	if c.Port != 0 {
		target = netip.AddrPortFrom(target.Addr(), c.Port)
	}
	conn, err := connect(ctx, nw, c, target)
	if err != nil {
		return failure(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
	if c.Protocol == "TCP" {
		return Success
	}
	code, err := ask(conn, c, target)
	return c.judge(code, err)
}

// judge says what an answer means.
func (c *Check) judge(code int, err error) Result {
	switch {
	case err != nil:
		return failure(err)
	case !c.Matcher.Match(code):
		return mismatch(code)
	}
	return Success
}

func failure(err error) Result {
	var t interface{ Timeout() bool }
	if errors.As(err, &t) && t.Timeout() {
		return timedOut
	}
	return failed
}

// connect opens a connection with the deadline of ctx, with TLS if the check wants it. Certificates
// of targets are never validated.
func connect(ctx context.Context, nw Network, c *Check, to netip.AddrPort) (net.Conn, error) {
	conn, err := dial(ctx, nw, c, to)
	if err != nil || c.Protocol != "HTTPS" {
		return conn, err
	}
	cfg := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}
	if c.Version != "HTTP1" {
		cfg.NextProtos = []string{"h2"}
	}
	tc := tls.Client(conn, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return tc, nil
}

// dial connects a socket of the check's network; the runtime's poller waits for it.
func dial(ctx context.Context, nw Network, c *Check, to netip.AddrPort) (net.Conn, error) {
	domain, sa, local := unix.AF_INET6, unix.Sockaddr(nil), unix.Sockaddr(nil)
	if to.Addr().Unmap().Is4() {
		domain = unix.AF_INET
		sa = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().Unmap().As4()}
		if c.Source.Is4() {
			local = &unix.SockaddrInet4{Addr: c.Source.As4()}
		}
	} else {
		sa = &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
		if c.Source.Is6() {
			local = &unix.SockaddrInet6{Addr: c.Source.As16()}
		}
	}
	fd, err := nw.Socket(c.Node, domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open socket: %w", err)
	}
	if local != nil {
		if err := unix.Bind(fd, local); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("bind to %v: %w", c.Source, err)
		}
	}
	if err := unix.Connect(fd, sa); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		unix.Close(fd)
		return nil, fmt.Errorf("connect to %v: %w", to, err)
	}
	return await(ctx, fd)
}

// await waits until the connection stands and makes a net.Conn of it.
func await(ctx context.Context, fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "probe")
	defer f.Close() // FileConn duplicates it
	if deadline, ok := ctx.Deadline(); ok {
		if err := f.SetDeadline(deadline); err != nil {
			return nil, fmt.Errorf("set deadline: %w", err)
		}
	}
	defer context.AfterFunc(ctx, func() { f.SetDeadline(time.Now()) })()
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("watch socket: %w", err)
	}
	var connErr error
	err = raw.Write(func(fd uintptr) bool {
		n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && n != 0 {
			err = unix.Errno(n)
		}
		connErr = err
		_, peer := unix.Getpeername(int(fd))
		return err != nil || peer == nil
	})
	if err := errors.Join(err, connErr); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("use socket: %w", err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		err = conn.SetDeadline(deadline)
	}
	return conn, err
}

// ask sends the request of the check and returns the code of the answer.
func ask(conn net.Conn, c *Check, target netip.AddrPort) (int, error) {
	if c.Version == "HTTP2" || c.Version == "GRPC" {
		return askHTTP2(conn, c, hostOf(target))
	}
	request := "GET " + c.Path + " HTTP/1.1\r\nHost: " + hostOf(target) +
		"\r\nConnection: close\r\nUser-Agent: " + userAgent +
		"\r\nAccept-Encoding: gzip, compressed\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return 0, fmt.Errorf("send request: %w", err)
	}
	var resp http1.Response
	buf := make([]byte, 0, 4<<10)
	for len(buf) < maxAnswer {
		buf = append(buf, make([]byte, 512)...)[:len(buf)]
		n, err := conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		used, perr := http1.ParseResponse(buf, &resp, false)
		switch {
		case perr == nil && resp.Interim():
			buf = buf[used:]
			continue
		case perr == nil:
			return resp.Status, nil
		case perr != http1.ErrIncomplete:
			return 0, perr
		case err != nil:
			return 0, fmt.Errorf("read answer: %w", err)
		}
	}
	return 0, errors.New("answer is too long")
}

// userAgent is how the health checker of AWS names itself.
const userAgent = "ELB-HealthChecker/2.0"

// hostOf is the Host of a probe: the address of the target, with the port unless it is a default.
func hostOf(a netip.AddrPort) string {
	host := a.Addr().Unmap().String()
	if a.Addr().Unmap().Is6() {
		host = "[" + host + "]"
	}
	if a.Port() == 80 || a.Port() == 443 {
		return host
	}
	return host + ":" + strconv.Itoa(int(a.Port()))
}
