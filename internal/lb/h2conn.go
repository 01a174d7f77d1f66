package lb

import (
	"errors"
	"time"
	"unsafe"

	"fairlead/internal/lb/http2"
	"fairlead/internal/lb/poll"
)

// Limits of a client's HTTP/2 connection.
const (
	// maxStreams is how many requests a client may have in flight on a connection, and
	// maxRequests after how many it is sent away (ALB guide, "HTTP/2 connections").
	maxStreams  = 128
	maxRequests = 10_000
	// A client may do this many things that cost us and bring nobody forward (resets, pings,
	// settings, empty frames), and as many more per second.
	nuisanceBurst = 1000
	nuisanceRate  = 100
)

// A client that is asked to leave has answerTime for the answer to the PING, and crossTime after it
// for requests that it had begun: Go's client gives a request its stream before it writes the
// headers, and an answer to a PING may come between.
const (
	answerTime = 5 * time.Second
	crossTime  = time.Second
)

// departure is how far a client's connection is on its way to its end.
type departure uint8

const (
	staying departure = iota
	warned            // the first GOAWAY and a PING were sent: the client is to open no more streams
	heard             // it has answered the PING
	leaving           // the last GOAWAY was sent: streams that are opened now are refused
)

// h2conn is a client's HTTP/2 connection.
type h2conn struct {
	h2link
	info    connInfo
	timer   poll.Timer
	preface int // how much of the client's preface has come
	streams streamSet
	lastID  uint32
	served  int // requests so far
	stage   departure
	nuis    nuisanceBucket
}

// nuisanceBucket is how much tolerance is used up.
type nuisanceBucket struct {
	used int
	at   time.Duration
}

// newH2Conn goes on with a socket on which HTTP/2 was negotiated.
func (l *loop) newH2Conn(s *sock, info connInfo) {
	c := &h2conn{info: info}
	c.timer.H = c
	s.owner = c
	l.wheel.Set(&c.timer, l.now+c.info.idleTimeout())
	c.startLink(s, c,
		uint32(http2.MaxConcurrentStreams), maxStreams,
		uint32(http2.InitialWindowSize), streamWindow,
		uint32(http2.MaxHeaderListSize), maxList)
	s.again()
}

// onEvent implements sockOwner.
func (c *h2conn) onEvent() {
	if c.broken {
		c.end()
		return
	}
	if c.hasRoom() {
		c.sendBlocked()
		for st := range c.streams.each() {
			st.relieve()
		}
	}
	for range readBudget {
		if c.closed || c.finAfter || c.sock.congested() {
			return
		}
		if err := c.readFrames(); err != nil {
			if !errors.Is(err, errAgain) {
				c.end()
			}
			return
		}
	}
	c.yield()
}

var (
	errPreface    = &http2.Error{Code: http2.ProtocolError, Text: "no HTTP/2 preface"}
	errNuisance   = &http2.Error{Code: http2.EnhanceYourCalm, Text: "too many frames to no end"}
	errClosedConn = &http2.Error{Code: http2.StreamClosed, Text: "frame on a closed stream"}
)

// readFrames checks the client's preface first, which may come in pieces.
func (c *h2conn) readFrames() error {
	if c.preface == len(http2.Preface) {
		return c.h2link.readFrames()
	}
	var buf [len(http2.Preface)]byte
	want := http2.Preface[c.preface:]
	n, err := c.read(buf[:len(want)])
	if err != nil {
		return err
	}
	if string(buf[:n]) != want[:n] {
		c.fail(errPreface)
	}
	c.preface += n
	return nil
}

func (c *h2conn) sender(id uint32) (s *h2sender, idle bool) {
	if st := c.streams.find(id); st != nil {
		return &st.h2sender, false
	}
	return nil, id > c.lastID
}

func (c *h2conn) eachSender(f func(*h2sender)) {
	for st := range c.streams.each() {
		f(&st.h2sender)
	}
}

// nuisance counts something that brings nobody forward.
func (c *h2conn) nuisance() *http2.Error {
	n := &c.nuis
	if refill := int((c.loop.now - n.at) * nuisanceRate / time.Second); refill > 0 {
		n.used, n.at = max(0, n.used-refill), c.loop.now
	}
	if n.used++; n.used > nuisanceBurst {
		return errNuisance
	}
	return nil
}

// onHeaders begins a header block: of a request, or the trailers of one.
func (c *h2conn) onHeaders(f *http2.Frame) *http2.Error {
	if f.Stream == 0 || f.Stream&1 == 0 {
		return errStreamZero
	}
	p, err := f.Unpad()
	if err != nil && err.Text != http2.SelfDependence {
		return err
	}
	c.startBlock(f)
	if err != nil {
		c.block.refuse = err.Code
	}
	if err := c.checkStream(f.Stream); err != nil {
		return err
	}
	return c.fragment(p, f.Has(http2.EndHeaders))
}

// checkStream says whether a header block may come on a stream.
func (c *h2conn) checkStream(id uint32) *http2.Error {
	if id <= c.lastID {
		st := c.streams.find(id)
		if st == nil {
			return errClosedConn
		}
		c.block.more = true
		if st.reqEnd {
			c.block.refuse = http2.StreamClosed
		}
		return nil
	}
	c.lastID = id
	if c.streams.len() >= maxStreams || c.stage == leaving {
		c.block.refuse = http2.RefusedStream
	}
	return nil
}

func (c *h2conn) onBlock(id uint32) *http2.Error {
	if !c.block.more {
		return c.request(id)
	}
	if st := c.streams.find(id); st != nil {
		return st.trailers(c.block.fields, c.block.end)
	}
	return nil // the stream has ended meanwhile
}

func (c *h2conn) onData(f *http2.Frame, data []byte) *http2.Error {
	size := len(f.Payload)
	st := c.streams.find(f.Stream)
	if st == nil || st.reqEnd {
		c.taken(size)
		if st != nil || c.stage != leaving {
			return &http2.Error{Code: http2.StreamClosed, Stream: f.Stream, Text: "stream is closed"}
		}
		return c.nuisance() // it may have been under way when we refused the stream
	}
	if len(data) == 0 && !f.Has(http2.EndStream) {
		c.taken(size)
		return c.nuisance()
	}
	return st.data(data, size, f.Has(http2.EndStream))
}

func (c *h2conn) onReset(id uint32, _ http2.Code) *http2.Error {
	if st := c.streams.find(id); st != nil {
		st.gone()
	}
	return c.nuisance()
}

func (c *h2conn) onGoAway(uint32) { c.leaveNow() }

// onPong implements h2role: the client has read the first GOAWAY, so nearly all that it sent before
// is here.
func (c *h2conn) onPong() {
	if c.stage == warned {
		c.stage = heard
		c.loop.wheel.Set(&c.timer, c.loop.now+crossTime)
	}
}

// resetStream ends a stream with an error.
func (c *h2conn) resetStream(id uint32, code http2.Code) {
	c.out = http2.AppendRST(c.buffer(), id, code)
	if st := c.streams.find(id); st != nil {
		st.gone()
	}
	if err := c.nuisance(); err != nil {
		c.fail(err)
	}
}

// fail ends the connection because of an offence.
func (c *h2conn) fail(err *http2.Error) {
	if c.closed || c.finAfter {
		return
	}
	c.out = http2.AppendGoAway(c.buffer(), c.lastID, err.Code, err.Text)
	for st := range c.streams.each() {
		st.gone()
	}
	c.endSoftly()
}

// anyStream as the last stream of a GOAWAY refuses none.
const anyStream = 1<<31 - 1

// leave asks the client to open another connection for further requests; those in flight go on, and
// so do those that are on their way: only some time after the client has answered a PING that follows
// the GOAWAY are streams refused (RFC 9113, 6.8). A new connection may make its first request before.
func (c *h2conn) leave() {
	if c.stage != staying {
		return
	}
	if c.served == 0 && c.loop.now-c.info.created < freshGrace {
		c.loop.wheel.Set(&c.timer, c.info.created+freshGrace)
		return
	}
	c.stage = warned
	c.out = http2.AppendGoAway(c.buffer(), anyStream, http2.NoError, "")
	c.out = http2.AppendHeader(c.buffer(), http2.Ping, 0, 0, 8)
	c.out = append(c.out, "farewell"...)
	c.loop.wheel.Set(&c.timer, c.loop.now+answerTime)
}

// leaveNow refuses further streams and closes the connection once nothing is in flight.
func (c *h2conn) leaveNow() {
	if c.stage != leaving {
		c.stage = leaving
		c.out = http2.AppendGoAway(c.buffer(), c.lastID, http2.NoError, "")
	}
	c.endIfDone()
}

// endIfDone closes a connection that is leaving once nothing is in flight.
func (c *h2conn) endIfDone() {
	if c.stage == leaving && c.streams.len() == 0 {
		c.endSoftly()
	}
}

// endSoftly closes the connection after what is written.
func (c *h2conn) endSoftly() {
	if !c.closed && !c.finAfter {
		c.release()
		(&linger{sock: c.sock}).start()
	}
}

// Expired implements poll.Expirer: nothing has happened for the idle timeout, or the next step of a
// departure is due. Streams have their own timers.
func (c *h2conn) Expired() {
	switch {
	case c.closed:
	case c.stage != staying:
		c.leaveNow()
	case c.streams.len() == 0:
		c.leave()
	}
}

// rest stops the idle timeout while there are streams and begins it anew without; the clock of a
// departure runs on.
func (c *h2conn) rest() {
	switch {
	case c.stage != staying:
	case c.streams.len() > 0:
		c.loop.wheel.Pause(&c.timer)
	default:
		c.loop.wheel.Set(&c.timer, c.loop.now+c.info.idleTimeout())
	}
}

// end closes the connection; the requests in flight have lost their client.
func (c *h2conn) end() {
	if c.closed {
		return
	}
	for st := range c.streams.each() {
		st.gone()
	}
	if c.closed || c.finAfter {
		return // the last stream has done it
	}
	c.release()
	c.loop.clients--
	c.close()
}

// release gives back what the connection holds besides its socket.
func (c *h2conn) release() {
	c.loop.wheel.Stop(&c.timer)
	c.dropKept()
	c.info.uncount(c.loop)
}

func (c *h2conn) abandon() { c.end() }

// bytesOf views a string as bytes that nobody may change.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
