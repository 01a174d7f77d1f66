package lb

import (
	"errors"
	"io"
	"time"

	"fairlead/internal/lb/http1"
	"fairlead/internal/lb/poll"
)

const (
	// maxKept bounds what is read ahead of an HTTP/1 client: a head, or the beginning of a body
	// that the target does not take yet.
	maxKept = http1.MaxHead + http1.MaxLine + readSize
	// maxSkip is how much of a request body is read and thrown away to keep the connection after
	// a response that did not wait for it; our own.
	maxSkip = 256 << 10
	// readBudget is how many reads a connection gets before others have their turn.
	readBudget = 8
)

// client is a client's HTTP/1 connection. It serves one request after the other; while one is in
// flight, ex is set and what the client sends ahead is kept, not parsed.
type client struct {
	*sock
	info  connInfo
	timer poll.Timer
	kept  []byte // read but not used
	ex    *exchange
	body  *http1.Body // of the request, until it has been read completely
	skip  int32       // how much of body may still be thrown away, once ex has ended

	minor   uint8 // of the HTTP version of the request in flight
	used    bool  // a request has come
	heading bool  // the beginning of a request has come
	ahead   bool  // kept has not been looked at since it could be used
	last    bool  // the connection ends after the response in flight
	chunked bool  // the response in flight is sent in chunks
}

// newClient begins to serve HTTP/1 on a fresh socket.
func (l *loop) newClient(fd int, info connInfo) (*client, error) {
	s, err := l.newSock(fd, nil, poll.Later)
	if err != nil {
		return nil, err
	}
	return l.adopt(s, info), nil
}

// adopt goes on with a socket whose protocol turned out to be HTTP/1.
func (l *loop) adopt(s *sock, info connInfo) *client {
	c := &client{sock: s, info: info}
	c.timer.H = c
	s.owner = c
	l.wheel.Set(&c.timer, l.now+info.idleTimeout())
	s.again()
	return c
}

// onEvent implements sockOwner.
func (c *client) onEvent() {
	if c.ex != nil {
		if c.broken || c.peerDone && c.body == nil && !c.ex.tunnelled() {
			c.ex.clientGone()
			c.end()
			return
		}
		if c.moves() {
			c.ex.touch()
		}
		if c.hasRoom() {
			c.ex.roomDown()
		}
	}
	if c.closed {
		return
	}
	c.pump()
}

// pump reads and uses what the client sends, as long as it can be used.
func (c *client) pump() {
	for range readBudget {
		if c.closed || !c.wantsInput() {
			return
		}
		if c.ahead {
			c.processKept()
			continue
		}
		buf := c.loop.rbuf
		n := copy(buf, c.kept)
		m, err := c.read(buf[n : n+readSize])
		if err != nil {
			c.inputEnded(err)
			return
		}
		c.dropKept()
		c.process(buf[:n+m])
	}
	c.yield()
}

// wantsInput says whether more input can be used now.
func (c *client) wantsInput() bool {
	if c.finAfter {
		return false
	}
	if c.ex == nil {
		return true
	}
	return (c.body != nil || c.ex.tunnelled()) && c.ex.acceptsBody()
}

// inputEnded deals with the end of the client's stream, and with nothing to read.
func (c *client) inputEnded(err error) {
	switch {
	case errors.Is(err, errAgain):
	case c.ex != nil && c.ex.tunnelled() && errors.Is(err, io.EOF):
		c.ex.clientEOF()
	case c.ex != nil:
		c.ex.clientGone()
		c.end()
	default:
		c.end()
	}
}

// process uses input: as the head of a request, as its body, or as bytes of a tunnel. The rest is
// kept.
func (c *client) process(buf []byte) {
	for len(buf) > 0 && !c.closed {
		n := 0
		switch {
		case c.ex == nil && c.body == nil:
			n = c.head(buf)
		case c.ex == nil:
			n = c.skipBody(buf)
		case c.ex.tunnelled():
			n = c.ex.tunnelUp(buf)
		case c.body != nil:
			n = c.feed(buf)
		}
		if n == 0 {
			break
		}
		buf = buf[n:]
	}
	c.keep(buf)
}

// processKept takes up what was kept before.
func (c *client) processKept() {
	kept := c.kept
	c.kept, c.ahead = nil, false
	c.process(kept)
	c.loop.bufs.put(kept)
}

// keep stores input that cannot be used yet.
func (c *client) keep(buf []byte) {
	if len(buf) == 0 || c.closed {
		return
	}
	c.kept, c.ahead = append(c.loop.bufs.get(len(buf)), buf...), c.ex != nil
}

func (c *client) dropKept() {
	if c.kept != nil {
		c.loop.bufs.put(c.kept)
		c.kept = nil
	}
}

// head parses the head of a request and begins its exchange.
func (c *client) head(buf []byte) int {
	l := c.loop
	n, err := http1.ParseRequest(buf, &l.req)
	if errors.Is(err, http1.ErrIncomplete) {
		if !c.heading {
			c.heading = true
			// From its first byte on, a head has as long as an idle connection, and no longer
			// however slowly it trickles in.
			l.wheel.Set(&c.timer, l.now+c.info.idleTimeout())
		}
		return 0
	}
	c.heading = false
	l.wheel.Pause(&c.timer)
	if err != nil {
		c.last = true
		c.minor = 1
		l.refuse(c, &c.info, err, buf)
		return len(buf)
	}
	c.begin(&l.req, n)
	return n
}

// begin starts the exchange of a parsed request.
func (c *client) begin(r *http1.Request, size int) {
	ex := c.loop.newExchange(c, &c.info)
	c.ex = ex
	c.minor, c.chunked, c.used = uint8(r.Minor), false, true
	age := c.loop.now - c.info.created
	c.last = r.Close || c.loop.draining || c.info.acc.front == nil || age > c.info.keepAlive()
	c.body = ex.startBody(r)
	ex.received = int64(size)
	ex.begin(r)
}

// freshGrace is how long a new connection may take to send its first request before it counts as
// idle: closing it earlier would reset it with the request under way.
const freshGrace = time.Second

// endIfIdle closes the connection if it waits for a request; a new one a little later.
func (c *client) endIfIdle() {
	switch {
	case c.ex != nil || c.body != nil || len(c.kept) > 0:
	case !c.used && c.loop.now-c.info.created < freshGrace:
		c.loop.wheel.Set(&c.timer, c.info.created+freshGrace)
	default:
		c.end()
	}
}

// feed hands bytes of the request body to the exchange.
func (c *client) feed(buf []byte) int {
	if !c.ex.acceptsBody() {
		return 0
	}
	data, n, err := c.body.Next(buf)
	ex := c.ex
	ex.received += int64(n)
	if err != nil {
		c.last = true
		c.body = nil
		ex.clientMalformed(err)
		return n
	}
	done := c.body.Done()
	var trailers []byte
	if done {
		trailers = c.body.Trailers()
		c.body = nil
	}
	if len(data) > 0 {
		ex.bodyUp(data)
	}
	if done && c.ex == ex {
		ex.bodyUpEnd(trailers)
	}
	return n
}

// skipBody throws away the rest of a body that nobody wants.
func (c *client) skipBody(buf []byte) int {
	_, n, err := c.body.Next(buf)
	if c.skip -= int32(n); err != nil || c.skip < 0 {
		c.endSoftly()
		return len(buf)
	}
	if c.body.Done() {
		c.body = nil
	}
	return n
}

// finished is called by the exchange when it is over and its response is written.
func (c *client) finished(ex *exchange) {
	if c.ex != ex {
		return
	}
	c.ex = nil
	if c.closed {
		return
	}
	if c.last {
		c.endSoftly()
		return
	}
	if c.body != nil {
		c.body, c.skip = new(*c.body), maxSkip // the exchange takes its own with it
	}
	c.loop.wheel.Set(&c.timer, c.loop.now+c.info.idleTimeout())
	if len(c.kept) > 0 || c.readable || c.peerDone || c.tls != nil {
		c.again()
	}
}

// Expired implements poll.Expirer: the connection was idle for too long.
func (c *client) Expired() {
	if c.ex != nil {
		return
	}
	if len(c.kept) > 0 && c.body == nil {
		c.last, c.minor = true, 1
		c.loop.refuse(c, &c.info, errHeadTimeout, c.kept)
		return
	}
	c.end()
}

// errHeadTimeout is a head that did not become complete in time.
var errHeadTimeout = &http1.Error{Status: 408, Text: "request head not complete in time"}

// endSoftly sends what is written and then waits for the client to close: closing at once with
// unread input would reset the connection, and the client might lose the response.
func (c *client) endSoftly() {
	c.release()
	(&linger{sock: c.sock}).start()
}

// end closes the connection.
func (c *client) end() {
	if !c.closed {
		c.release()
		c.loop.clients--
		c.close()
	}
}

// release gives back what the connection holds besides its socket.
func (c *client) release() {
	c.loop.wheel.Stop(&c.timer)
	c.dropKept()
	c.info.uncount(c.loop)
}

func (c *client) abandon() {
	if ex := c.ex; ex != nil {
		c.ex = nil
		ex.cut("defect")
	}
	c.end()
}

// linger is a connection that only has to deliver its last bytes.
type linger struct {
	*sock
	timer poll.Timer
	read  int
	left  int // bytes to be sent when the timer was set
}

const (
	// lingerTime bounds how long the client may take to close, or to take anything of what is
	// still to be sent; lingerBytes how much it may send meanwhile.
	lingerTime  = 5 * time.Second
	lingerBytes = 1 << 20
)

func (g *linger) start() {
	g.owner = g
	g.timer.H = g
	g.loop.wheel.Set(&g.timer, g.loop.now+lingerTime)
	g.finish()
	g.again()
}

// onEvent implements sockOwner.
func (g *linger) onEvent() {
	for !g.closed {
		n, err := g.recv(g.loop.rbuf)
		g.read += n
		if err == nil && g.read < lingerBytes {
			continue
		}
		if !errors.Is(err, errAgain) && (g.finSent || g.broken || err == nil) {
			g.end()
		}
		return
	}
}

// Expired implements poll.Expirer.
func (g *linger) Expired() {
	if left := g.pending(); left > 0 && (g.left == 0 || left < g.left) {
		g.left = left
		g.loop.wheel.Set(&g.timer, g.loop.now+lingerTime)
		return
	}
	g.end()
}

func (g *linger) abandon() { g.end() }

func (g *linger) end() {
	g.loop.wheel.Stop(&g.timer)
	if !g.closed {
		g.loop.clients--
		g.close()
	}
}
