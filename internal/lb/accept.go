package lb

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"fairlead/internal/lb/poll"
	"fairlead/internal/lb/sslpolicy"
)

const (
	// acceptBurst is how many connections are accepted before others get their turn.
	acceptBurst = 64
	// handshakeTimeout bounds the TLS handshake of a client; our own, nginx has the same.
	handshakeTimeout = 60 * time.Second
)

// acceptor is one listening socket of a loop.
type acceptor struct {
	loop  *loop
	fd    int
	token poll.Token
	addr  netip.AddrPort // as bound
	bind  Bind
	front *front // nil once the address is gone from the table
}

func (l *loop) newAcceptor(fd int, addr netip.AddrPort, f *front) (*acceptor, error) {
	a := &acceptor{loop: l, fd: fd, addr: addr, bind: f.bind, front: f}
	var err error
	if a.token, err = l.poll.AddListener(fd, a); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return a, nil
}

// serverTLS is the configuration that every TLS connection of a client begins with: it finds the
// listener's own by name. All loops share it, and with it the keys of session tickets, which
// thereby outlive tables.
func serverTLS() *tls.Config {
	return &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		t, ok := h.Conn.(*tlsTransport)
		if !ok {
			return nil, errors.New("not a connection of a loop")
		}
		ln := t.front().listener([]byte(h.ServerName))
		if ln == nil || ln.tls == nil {
			return nil, fmt.Errorf("no listener for name %q", h.ServerName)
		}
		return ln.tls.config, nil
	}}
}

// front is what the address serves that a client has connected to.
func (c *tlsTransport) front() *front {
	if g, ok := c.sock.owner.(*greeter); ok && g.info.acc.front != nil {
		return g.info.acc.front
	}
	return &front{}
}

// Ready implements poll.Handler.
func (a *acceptor) Ready(poll.Events) {
	a.loop.tick()
	for range acceptBurst {
		fd, sa, err := unix.Accept4(a.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
			continue
		case errors.Is(err, unix.EAGAIN):
			return
		case err != nil:
			a.refuse(err)
			return
		}
		a.take(fd, addrPort(sa))
	}
}

// refuse deals with the lack of file descriptors: the one that the loop keeps in reserve takes the
// connection out of the queue, and is used to close it. Left in the queue, it would wake the loop
// again and again.
func (a *acceptor) refuse(err error) {
	l := a.loop
	l.eng.warn.warn(l.log, "accept connection", err)
	l.rejected(a)
	if l.reserve < 0 {
		return
	}
	unix.Close(l.reserve)
	if fd, _, err := unix.Accept4(a.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC); err == nil {
		unix.Close(fd)
	}
	l.reserve = reserveFD()
}

// reserveFD takes a descriptor that only has to be there; -1 if there is none.
func reserveFD() int {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return -1
	}
	return fd
}

// rejected counts a connection that was not taken.
func (l *loop) rejected(a *acceptor) {
	for _, ln := range a.listeners() {
		l.counters.lb(ln.LoadBalancer).RejectedConnectionCount++
	}
}

func (a *acceptor) listeners() []*listener {
	if a.front == nil {
		return nil
	}
	return a.front.listeners
}

// take begins to serve a connection.
func (a *acceptor) take(fd int, remote netip.AddrPort) {
	l := a.loop
	if a.front == nil || l.clients >= l.maxClients {
		unix.Close(fd)
		l.rejected(a)
		return
	}
	info := connInfo{acc: a, remote: remote, created: l.now}
	if len(a.front.listeners) == 1 {
		info.count(l, a.front.listeners[0])
	}
	if !a.front.secure {
		l.logConn(&info, a.front.listeners[0], ConnRecord{})
	}
	var err error
	if a.front.secure {
		_, err = l.newGreeter(fd, info)
	} else {
		_, err = l.newClient(fd, info)
	}
	if err != nil {
		l.eng.warn.warn(l.log, "take connection", err)
		info.uncount(l)
		return
	}
	l.clients++
}

// setFront changes what the address serves; nil closes it.
func (a *acceptor) setFront(f *front) {
	if a.front = f; f == nil {
		a.close()
		return
	}
	a.bind = f.bind
}

func (a *acceptor) close() {
	a.loop.poll.RemoveListener(a.fd, a.token)
	unix.Close(a.fd)
}

// connInfo is what is known about a client's connection.
type connInfo struct {
	acc     *acceptor
	remote  netip.AddrPort
	created time.Duration
	tls     *tlsInfo
	counted *lbCounters // the load balancer that counts it as active; nil until it is known
}

// tlsInfo is what is known about the TLS of a client's connection.
type tlsInfo struct {
	version, cipher string // with the names of OpenSSL
	serverName      string // if a certificate has it
	certificate     string // Certificate.ID
	traceID         string
}

// idleTimeout is that of the listener, or of the first one when several share the address.
func (c *connInfo) idleTimeout() time.Duration {
	if ls := c.acc.listeners(); len(ls) > 0 {
		return ls[0].Attributes.IdleTimeout
	}
	return defaultIdle
}

// keepAlive is the longest life of the connection.
func (c *connInfo) keepAlive() time.Duration {
	if ls := c.acc.listeners(); len(ls) > 0 {
		return ls[0].Attributes.ClientKeepAlive
	}
	return defaultKeepAlive
}

// count makes the connection one of the load balancer's.
func (c *connInfo) count(l *loop, ln *listener) {
	if c.counted == nil {
		c.counted = l.counters.lb(ln.LoadBalancer)
		c.counted.NewConnectionCount++
		c.counted.ActiveConnections++
	}
}

func (c *connInfo) uncount(l *loop) {
	if c.counted != nil {
		c.counted.ActiveConnections--
		c.counted = nil
	}
}

// greeter is a connection during its TLS handshake.
type greeter struct {
	*sock
	info  connInfo
	timer poll.Timer
}

func (l *loop) newGreeter(fd int, info connInfo) (*greeter, error) {
	g := &greeter{info: info}
	var err error
	if g.sock, err = l.newSock(fd, g, poll.Later); err != nil {
		return nil, err
	}
	g.startTLS(tls.Server, l.eng.tls)
	g.timer.H = g
	l.wheel.Set(&g.timer, l.now+handshakeTimeout)
	return g, nil
}

// Expired implements poll.Expirer.
func (g *greeter) Expired() { g.end() }

// end gives the connection up.
func (g *greeter) end() {
	g.loop.wheel.Stop(&g.timer)
	g.loop.clients--
	g.info.uncount(g.loop)
	g.close()
}

func (g *greeter) abandon() { g.end() }

// onEvent implements sockOwner.
func (g *greeter) onEvent() {
	if !g.readable && !g.broken {
		return
	}
	done, err := g.tls.handshake()
	switch {
	case err != nil:
		g.fail(err)
	case done:
		g.welcome()
	case g.broken:
		g.fail(errors.New("connection lost"))
	}
}

// fail counts a failed handshake; an HTTP request on the HTTPS port is told so.
func (g *greeter) fail(err error) {
	if a := g.info.acc; len(a.listeners()) > 0 && g.peerSpoke() {
		g.loop.counters.lb(a.front.listeners[0].LoadBalancer).ClientTLSNegotiationErrorCount++
	}
	if g.peerSpoke() && len(g.info.acc.listeners()) > 0 {
		g.loop.logConn(&g.info, g.info.acc.front.listeners[0], ConnRecord{Failure: err.Error()})
	}
	var header tls.RecordHeaderError
	if errors.As(err, &header) && looksLikeHTTP(header.RecordHeader[:]) {
		g.sendPlain(plainOnTLS)
		return
	}
	if g.sock.tls.wire != nil {
		g.flush() // the alert
	}
	g.end()
}

// peerSpoke tells a failed handshake from a port scan.
func (g *greeter) peerSpoke() bool { return len(g.sock.tls.first) > 0 || g.sock.tls.err != nil }

// looksLikeHTTP says whether a connection begins with a method in capital letters.
func looksLikeHTTP(first []byte) bool {
	for _, c := range first {
		if (c < 'A' || c > 'Z') && c != ' ' && c != '/' {
			return false
		}
	}
	return true
}

// plainOnTLS answers a plain HTTP request on an HTTPS port, with the page of nginx.
const plainOnTLS = "HTTP/1.1 400 Bad Request\r\nServer: awselb/2.0\r\n" +
	"Content-Type: text/html\r\nContent-Length: 220\r\nConnection: close\r\n\r\n" +
	"<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n" +
	"<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n" +
	"<center>The plain HTTP request was sent to HTTPS port</center>\r\n</body>\r\n</html>\r\n"

// sendPlain answers without TLS and ends the connection.
func (g *greeter) sendPlain(text string) {
	g.sock.tls.close(g.sock)
	g.sock.tls = nil
	g.write([]byte(text))
	g.flush()
	lingering := &linger{sock: g.sock}
	g.loop.wheel.Stop(&g.timer)
	g.info.uncount(g.loop)
	lingering.start()
}

// welcome goes on with the protocol that was negotiated.
func (g *greeter) welcome() {
	g.loop.wheel.Stop(&g.timer)
	state := g.sock.tls.conn.ConnectionState()
	info := &tlsInfo{
		version: sslpolicy.VersionName(state.Version),
		cipher:  sslpolicy.CipherName(state.CipherSuite),
		traceID: connTraceID(),
	}
	if c := g.sock.tls.chosen; c != nil {
		info.certificate = c.id
		if g.sock.tls.named {
			info.serverName = state.ServerName
		}
	}
	if state.DidResume {
		info.certificate = "session-reused"
	}
	g.info.tls = info
	if front := g.info.acc.front; front != nil {
		g.loop.logConn(&g.info, front.listener([]byte(state.ServerName)),
			ConnRecord{KeyExchange: keyExchange(state.CurveID)})
	}
	if state.NegotiatedProtocol == "h2" {
		g.loop.newH2Conn(g.sock, g.info)
		return
	}
	g.loop.adopt(g.sock, g.info)
}

// keyExchange is the name of a group; empty if none was used.
func keyExchange(id tls.CurveID) string {
	if id == 0 {
		return ""
	}
	return id.String()
}

// connTraceID makes the identifier that joins the connection log with the access log.
func connTraceID() string {
	var b [16]byte
	rand.Read(b[:])
	return "TID_" + hex.EncodeToString(b[:])
}
