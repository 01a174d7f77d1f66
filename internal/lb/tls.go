package lb

import (
	"crypto/tls"
	"errors"
	"io"
	"iter"
	"net"
	"time"
)

// tlsSock is the TLS layer of a socket. Cryptography and records are those of crypto/tls, driven
// without a goroutine: the handshake runs as a coroutine that yields when it lacks input; after it,
// reads and writes are plain calls on a net.Conn whose reads fail with a temporary error, which
// crypto/tls survives, and whose writes always succeed into a buffer.
type tlsSock struct {
	conn *tls.Conn
	sock *sock
	wire []byte // records waiting to be sent, from sent on
	sent int

	next  func() (struct{}, bool) // resumes the handshake; nil before and after it
	stop  func()
	yield func(struct{}) bool
	err   error // of the handshake
	ready bool  // the handshake is done

	first []byte // the first bytes of the peer, to recognise plain HTTP

	chosen *serverCert // the certificate that the client was shown
	named  bool        // it has the name that the client asked for
}

// startTLS puts a TLS layer on a socket; mk is tls.Server or tls.Client.
func (s *sock) startTLS(mk func(net.Conn, *tls.Config) *tls.Conn, cfg *tls.Config) {
	t := &tlsSock{sock: s}
	t.conn = mk((*tlsTransport)(t), cfg)
	s.tls = t
}

// handshake goes on with the handshake and says whether it is done.
func (t *tlsSock) handshake() (done bool, err error) {
	if t.next == nil {
		t.next, t.stop = iter.Pull(func(yield func(struct{}) bool) {
			t.yield = yield
			t.err = t.conn.Handshake()
		})
	}
	if _, waiting := t.next(); waiting {
		t.sock.markDirty()
		return false, nil
	}
	t.next, t.stop, t.yield, t.first = nil, nil, nil, nil
	t.ready = t.err == nil
	t.sock.markDirty()
	return true, t.err
}

// read reads decrypted data.
func (t *tlsSock) read(s *sock, p []byte) (int, error) {
	n, err := t.conn.Read(p)
	if n > 0 {
		return n, nil
	}
	if errors.Is(err, errTLSAgain) {
		return 0, errAgain
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, io.EOF
	}
	s.broken = true
	return 0, err
}

// flush encrypts what waits and sends what it can.
func (t *tlsSock) flush(s *sock) {
	if t.ready && len(s.out) > 0 && !s.broken {
		if _, err := t.conn.Write(s.out); err != nil {
			s.broken = true
			s.again()
		}
		s.dropBuf()
	}
	if s.finAfter && !s.finSent && t.ready && len(s.out) == 0 {
		t.conn.CloseWrite() // appends close_notify to wire; a second call does nothing
	}
	if t.wire != nil && s.canSend() {
		t.sent += s.send(t.wire[t.sent:])
	}
	if t.sent == len(t.wire) || s.broken {
		s.loop.bufs.put(t.wire)
		t.wire, t.sent = nil, 0
	}
}

// close ends a handshake that is under way.
func (t *tlsSock) close(s *sock) {
	if t.stop != nil {
		t.stop()
		t.stop, t.next = nil, nil
	}
	s.loop.bufs.put(t.wire)
	t.wire, t.sent = nil, 0
}

// tlsTransport is the net.Conn below the TLS layer.
type tlsTransport tlsSock

// errTLSAgain tells crypto/tls that a read can be repeated.
var errTLSAgain net.Error = tlsAgain{}

type tlsAgain struct{}

func (tlsAgain) Error() string   { return "no input yet" }
func (tlsAgain) Timeout() bool   { return true }
func (tlsAgain) Temporary() bool { return true }

// firstBytes is how much of the beginning is kept to recognise plain HTTP.
const firstBytes = 5

// Read implements net.Conn: it yields to the loop during the handshake and fails temporarily
// after it.
func (c *tlsTransport) Read(p []byte) (int, error) {
	for {
		n, err := c.sock.recv(p)
		if n > 0 && len(c.first) < firstBytes && !c.ready {
			c.first = append(c.first, p[:min(n, firstBytes)]...)
		}
		if !errors.Is(err, errAgain) {
			return n, err
		}
		if c.yield == nil {
			return 0, errTLSAgain
		}
		c.sock.markDirty()
		if !c.yield(struct{}{}) {
			return 0, net.ErrClosed
		}
	}
}

// Write implements net.Conn.
func (c *tlsTransport) Write(p []byte) (int, error) {
	if c.wire == nil {
		c.wire = c.sock.loop.bufs.get(len(p))
	}
	c.wire = append(c.sock.loop.bufs.grow(c.wire, len(p)), p...)
	return len(p), nil
}

// Close implements net.Conn; the socket is closed by its owner.
func (c *tlsTransport) Close() error { return nil }

// LocalAddr implements net.Conn.
func (c *tlsTransport) LocalAddr() net.Addr { return nil }

// RemoteAddr implements net.Conn.
func (c *tlsTransport) RemoteAddr() net.Addr { return nil }

// SetDeadline implements net.Conn; deadlines are the loop's.
func (c *tlsTransport) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (c *tlsTransport) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (c *tlsTransport) SetWriteDeadline(time.Time) error { return nil }
