package lb

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"time"

	"fairlead/internal/lb/http1"
)

const (
	// connectTimeout bounds the connection to a target, and the TLS handshake with it, each
	// (ALB guide, HTTP 504).
	connectTimeout = 10 * time.Second
	// poolIdle is how long a connection to a target waits for its next request.
	poolIdle = 60 * time.Second
	// poolSize is how many connections a loop keeps for a target.
	poolSize = 1024
)

// upConn is an HTTP/1 connection to a target. It serves one request at a time.
type upConn struct {
	opener
	ex   *exchange
	kept []byte // the beginning of a response head

	body    http1.Body // of the response, once its head has come
	inBody  bool
	closing bool // the target closes the connection after the response
	chunked bool // the request body is sent in chunks
	pooled  bool
	fresh   bool // its buffer holds nothing but what belongs to the request
}

// pool holds the connections of a loop to a target that requests can use: idle ones of HTTP/1, of
// which the last one used is used first, and shared ones of HTTP/2.
type pool struct {
	idle   []*upConn
	shared []*h2up
}

// upstreamFor finds or opens a connection for an exchange.
func (l *loop) upstreamFor(ex *exchange, mayReuse bool) (up upstream, reused bool, err error) {
	if ex.grp.Lambda {
		return &call{ex: ex, loop: l}, false, nil
	}
	if ex.grp.Version != HTTP1 {
		u, reused, err := l.h2For(ex)
		if err != nil {
			return nil, false, err
		}
		return u.open(ex), reused, nil
	}
	p := &ex.tgt.pools[l.id]
	if n := len(p.idle); n > 0 && mayReuse {
		u := p.idle[n-1]
		p.idle = p.idle[:n-1]
		u.pooled = false
		u.ex = ex
		l.wheel.Pause(&u.timer)
		return u, true, nil
	}
	u, err := l.openUpstream(ex)
	return u, false, err
}

func (l *loop) openUpstream(ex *exchange) (*upConn, error) {
	u := &upConn{ex: ex}
	s, err := l.openSock(ex.grp, ex.tgt, u, targetTLS)
	if err != nil {
		return nil, err
	}
	u.opener = opener{sock: s, tgt: ex.tgt, grp: ex.grp}
	u.timer.H = u
	l.wheel.Set(&u.timer, l.now+connectTimeout)
	return u, nil
}

// targetTLS is how targets are spoken to over TLS: like AWS, without validating certificates.
var targetTLS = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10,
	DynamicRecordSizingDisabled: true}

// sendHead implements upstream.
func (u *upConn) sendHead(ex *exchange) {
	u.chunked = ex.chunked
	u.inBody, u.closing = false, false
	u.fresh = u.out == nil
	u.write(ex.head)
}

// sendBody implements upstream.
func (u *upConn) sendBody(p []byte) {
	if !u.chunked {
		u.write(p)
		return
	}
	u.out = http1.AppendChunkSize(u.buffer(), len(p))
	u.write(p)
	u.out = append(u.buffer(), "\r\n"...)
}

// sendEnd implements upstream.
func (u *upConn) sendEnd(trailers []byte) {
	if u.ex != nil && u.ex.tunnelled() {
		u.finish()
		return
	}
	if u.chunked {
		b := append(u.buffer(), "0\r\n"...)
		b = append(b, trailers...)
		u.out = append(b, "\r\n"...)
	}
}

// congested implements upstream.
func (u *upConn) congested() bool { return u.sock.congested() }

// wantBody implements upstream.
func (u *upConn) wantBody() { u.again() }

// release implements upstream.
func (u *upConn) release(reusable bool) {
	u.ex = nil
	l := u.loop
	p := &u.tgt.pools[l.id]
	if !reusable || u.closed || u.peerDone || u.broken || u.tgt.gone.Load() || l.draining ||
		len(p.idle) >= poolSize {
		u.end()
		return
	}
	u.pooled = true
	p.idle = append(p.idle, u)
	l.wheel.Set(&u.timer, l.now+poolIdle)
}

// abort implements upstream. A connection on which nothing of the request has been sent yet is as good
// as before, so that clients that reset their requests at once cost no connections.
func (u *upConn) abort() {
	u.ex = nil
	if u.fresh && u.stands() && u.out != nil && u.sock.sent == 0 {
		u.dropBuf()
		u.release(true)
		return
	}
	u.end()
}

// end closes the connection.
func (u *upConn) end() {
	if u.closed {
		return
	}
	if u.pooled {
		u.pooled = false
		p := &u.tgt.pools[u.loop.id]
		for i, other := range p.idle {
			if other == u {
				p.idle = append(p.idle[:i], p.idle[i+1:]...)
				break
			}
		}
	}
	u.loop.wheel.Stop(&u.timer)
	if u.kept != nil {
		u.loop.bufs.put(u.kept)
		u.kept = nil
	}
	u.close()
}

func (u *upConn) abandon() {
	if ex := u.ex; ex != nil {
		u.ex = nil
		ex.up = nil
		ex.cut("defect")
	}
	u.end()
}

// lose ends the connection and tells the exchange.
func (u *upConn) lose(status int, detail string) {
	ex, stood := u.ex, u.stands()
	u.ex = nil
	u.end()
	switch {
	case ex == nil:
	case stood:
		ex.upstreamLost(status, detail)
	default:
		ex.unreachable(status, detail)
	}
}

// Expired implements poll.Expirer.
func (u *upConn) Expired() {
	if u.ex != nil && !u.stands() {
		u.loop.counters.group(u.grp.ID).TargetConnectionErrorCount++
		u.lose(504, "target did not accept the connection in time")
		return
	}
	if u.pooled {
		u.end()
	}
}

// onEvent implements sockOwner.
func (u *upConn) onEvent() {
	stood := u.stands()
	if status, err := u.stand(); err != nil {
		u.lose(status, err.Error())
		return
	} else if status != 0 {
		return
	}
	if u.ex == nil {
		u.idleEvent()
		return
	}
	if !stood {
		u.ex.roomUp()
	}
	if u.moves() {
		u.ex.touch()
	}
	if u.hasRoom() {
		u.ex.roomUp()
	}
	u.pump()
}

// idleEvent deals with a pooled connection that says something: that it is over, mostly.
func (u *upConn) idleEvent() {
	if u.readable || u.peerDone || u.broken {
		u.end()
	}
}

// pump reads the response as long as the client takes it.
func (u *upConn) pump() {
	for range readBudget {
		if u.ex == nil || u.closed || u.inBody && u.ex.down.congested() {
			return
		}
		if c, n := u.canSplice(); c != nil {
			err := u.splice(c, n)
			switch {
			case errors.Is(err, errNoPipe):
				u.loop.noSplice = true
			case err != nil && u.ex != nil:
				u.inputEnded(err)
				return
			}
			continue
		}
		buf := u.loop.rbuf
		n := copy(buf, u.kept)
		m, err := u.read(buf[n : n+readSize])
		if err != nil {
			u.inputEnded(err)
			return
		}
		if u.kept != nil {
			u.loop.bufs.put(u.kept)
			u.kept = nil
		}
		u.ex.spoke = true
		u.process(buf[:n+m])
		if !u.readable {
			return
		}
	}
	if u.ex != nil {
		u.yield()
	}
}

// inputEnded deals with the end of the target's stream, and with nothing to read.
func (u *upConn) inputEnded(err error) {
	ex := u.ex
	switch {
	case errors.Is(err, errAgain):
		if u.broken {
			u.lose(502, "target reset the connection")
		}
	case ex.tunnelled() && errors.Is(err, io.EOF):
		ex.targetEOF()
	case u.inBody && u.body.UntilClose() && errors.Is(err, io.EOF):
		ex.bodyDownEnd(nil, false)
	case u.inBody && errors.Is(err, io.EOF):
		u.lose(502, "target closed the connection within the response body")
	case ex.spoke:
		u.lose(502, "target closed the connection before the response was complete")
	default:
		u.lose(502, "target closed the connection without a response")
	}
}

// process uses what the target has sent.
func (u *upConn) process(buf []byte) {
	for u.ex != nil && !u.closed {
		if u.ex.tunnelled() {
			if len(buf) > 0 {
				u.ex.bodyDown(buf)
			}
			return
		}
		if !u.inBody {
			n, ok := u.head(buf)
			if !ok {
				return
			}
			buf = buf[n:]
			continue
		}
		if u.body.Done() {
			u.ex.bodyDownEnd(u.body.Trailers(), len(buf) == 0 && !u.closing)
			return
		}
		if len(buf) == 0 {
			return
		}
		data, n, err := u.body.Next(buf)
		if err != nil {
			u.lose(502, fmt.Sprintf("response body of target: %v", err))
			return
		}
		if buf = buf[n:]; len(data) > 0 {
			u.ex.bodyDown(data)
		}
	}
}

// head parses the head of a response; ok is false if it is not complete or not good.
func (u *upConn) head(buf []byte) (n int, ok bool) {
	r := &u.loop.resp
	n, err := http1.ParseResponse(buf, r, u.ex.isHead)
	if errors.Is(err, http1.ErrIncomplete) {
		if len(buf) > 0 {
			u.kept = append(u.loop.bufs.get(len(buf)), buf...)
		}
		return 0, false
	}
	if err != nil {
		u.lose(502, err.Error())
		return 0, false
	}
	if r.Interim() {
		return n, u.ex.responseHead(r, false)
	}
	u.closing = u.closing || r.Close
	more := u.startBody(r)
	return n, u.ex.responseHead(r, more)
}

// startBody prepares for the body of a response and says whether there is one.
func (u *upConn) startBody(r *http1.Response) bool {
	u.inBody = true
	switch {
	case r.Status == 101:
		u.body.StartUntilClose()
		return true
	case u.ex.isHead || r.Status == 204 || r.Status == 304 || r.Length == 0:
		u.body.StartSized(0)
		return false
	case r.Chunked:
		u.body.StartChunked()
	case r.Length > 0:
		u.body.StartSized(r.Length)
	default:
		u.body.StartUntilClose()
	}
	return true
}
