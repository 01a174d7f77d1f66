package lb

import (
	"errors"
	"time"
	"unsafe"

	"golang.org/x/net/http2/hpack"

	"fairlead/internal/lb/http1"
	"fairlead/internal/lb/http2"
	"fairlead/internal/lb/poll"
)

// Limits of a client's HTTP/2 connection.
const (
	// maxStreams is how many requests a client may have in flight on a connection, and
	// maxRequests after how many it is sent away (ALB guide, "HTTP/2 connections").
	maxStreams  = 128
	maxRequests = 10_000
	// maxBlock bounds an encoded header block, maxList the decoded one; beyond the first the
	// connection ends, beyond the second the request is refused.
	maxBlock = http1.MaxHead
	maxList  = http1.MaxHead
	// streamWindow and connWindow are how much of request bodies a client may send ahead of what
	// targets take; they bound the memory of a connection.
	streamWindow = 256 << 10
	connWindow   = 1 << 20
	// streamMark is how much of a response waits for the client's window.
	streamMark = 64 << 10
	// A client may do this many things that cost us and bring nobody forward (resets, pings,
	// settings, empty frames), and as many more per second.
	nuisanceBurst = 1000
	nuisanceRate  = 100
)

// h2conn is a client's HTTP/2 connection.
type h2conn struct {
	*sock
	info    connInfo
	timer   poll.Timer
	kept    []byte // the beginning of a frame
	preface int    // how much of the client's preface has come
	decoder *hpack.Decoder
	streams map[uint32]*h2stream
	lastID  uint32
	served  int // requests so far

	window      int64 // how much we may send
	peerWindow  int64 // the initial window of streams, by the client's settings
	peerFrame   int
	unannounced uint32 // bytes taken whose window was not given back yet
	received    int64  // of the connection's window, not taken yet
	blocked     []*h2stream

	block   headerBlock
	settled bool // the client's first SETTINGS have come
	leaving bool // GOAWAY was sent
	nuis    nuisance
}

// headerBlock is a header block under way, over HEADERS and CONTINUATION frames.
type headerBlock struct {
	stream uint32 // 0 when there is none
	end    bool   // END_STREAM was set
	buf    []byte
	refuse http2.Code // why the stream is refused, if it is; the block is decoded nevertheless
	fields []hpack.HeaderField
	size   int
}

// nuisance is a bucket of tolerance.
type nuisance struct {
	used int
	at   time.Duration
}

// newH2Conn goes on with a socket on which HTTP/2 was negotiated.
func (l *loop) newH2Conn(s *sock, info connInfo) {
	c := &h2conn{sock: s, info: info, streams: map[uint32]*h2stream{},
		window: 65535, peerWindow: 65535, peerFrame: 16 << 10}
	c.decoder = hpack.NewDecoder(4096, c.emit)
	c.decoder.SetMaxStringLength(maxList)
	c.timer.H = c
	s.owner, s.lazy = c, true
	l.wheel.Set(&c.timer, l.now+c.info.idleTimeout())
	b := c.buffer()
	at := len(b)
	b = http2.AppendHeader(b, http2.Settings, 0, 0, 0)
	b = http2.AppendSetting(b, http2.MaxConcurrentStreams, maxStreams)
	b = http2.AppendSetting(b, http2.InitialWindowSize, streamWindow)
	b = http2.AppendSetting(b, http2.MaxHeaderListSize, maxList)
	http2.SetLength(b[at:], len(b)-at-http2.HeaderLen)
	c.out = http2.AppendWindowUpdate(b, 0, connWindow-65535)
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
		for _, st := range c.streams {
			st.relieve()
		}
	}
	c.pump()
}

// pump reads and processes frames.
func (c *h2conn) pump() {
	for range readBudget {
		if c.closed || c.finAfter || c.sock.congested() {
			return
		}
		buf := c.loop.rbuf
		n := copy(buf, c.kept)
		m, err := c.read(buf[n : n+readSize])
		if err != nil {
			if !errors.Is(err, errAgain) {
				c.end()
			}
			return
		}
		if c.kept != nil {
			c.loop.putBuf(c.kept)
			c.kept = nil
		}
		c.process(buf[:n+m])
	}
	c.again()
}

// process uses complete frames and keeps the rest.
func (c *h2conn) process(buf []byte) {
	buf, err := c.takePreface(buf)
	var f http2.Frame
	for err == nil && !c.closed && !c.finAfter {
		var n int
		if n, err = http2.ParseFrame(buf, &f); n == 0 {
			break
		}
		buf = buf[n:]
		if err = c.frame(&f); err != nil && err.Stream != 0 {
			c.resetStream(err.Stream, err.Code)
			err = nil
		}
	}
	if err != nil {
		c.goAway(err.Code, err.Text)
		return
	}
	if len(buf) > 0 && !c.closed && !c.finAfter {
		c.kept = append(c.loop.getBuf(), buf...)
	}
}

var (
	errPreface    = &http2.Error{Code: http2.ProtocolError, Text: "no HTTP/2 preface"}
	errFirst      = &http2.Error{Code: http2.ProtocolError, Text: "first frame is not SETTINGS"}
	errInterleave = &http2.Error{Code: http2.ProtocolError, Text: "frame within a header block"}
	errNuisance   = &http2.Error{Code: http2.EnhanceYourCalm, Text: "too many frames to no end"}
	errStreamZero = &http2.Error{Code: http2.ProtocolError, Text: "frame on a wrong stream"}
	errIdle       = &http2.Error{Code: http2.ProtocolError, Text: "frame on an idle stream"}
	errClosedConn = &http2.Error{Code: http2.StreamClosed, Text: "frame on a closed stream"}
	errEvenStream = &http2.Error{Code: http2.ProtocolError, Text: "stream identifier out of order"}
	errLength     = &http2.Error{Code: http2.FrameSizeError, Text: "frame of a wrong length"}
	errPush       = &http2.Error{Code: http2.ProtocolError, Text: "clients do not push"}
	errWindowZero = &http2.Error{Code: http2.ProtocolError, Text: "window update of nothing"}
	errWindow     = &http2.Error{Code: http2.FlowControlError, Text: "flow-control window exceeded"}
	errBlock      = &http2.Error{Code: http2.EnhanceYourCalm, Text: "header block too large"}
	errHPACK      = &http2.Error{Code: http2.CompressionError, Text: "malformed header block"}
)

// takePreface checks the client's preface, which may come in pieces.
func (c *h2conn) takePreface(buf []byte) ([]byte, *http2.Error) {
	if c.preface == len(http2.Preface) {
		return buf, nil
	}
	want := http2.Preface[c.preface:]
	n := min(len(want), len(buf))
	if string(buf[:n]) != want[:n] {
		return nil, errPreface
	}
	c.preface += n
	return buf[n:], nil
}

// frame acts on one frame. The frame type tells which streams are allowed.
func (c *h2conn) frame(f *http2.Frame) *http2.Error {
	if !c.settled && (f.Type != http2.Settings || f.Has(http2.Ack)) {
		return errFirst
	}
	if c.block.stream != 0 && (f.Type != http2.Continuation || f.Stream != c.block.stream) {
		return errInterleave
	}
	switch f.Type {
	case http2.Data:
		return c.onData(f)
	case http2.Headers:
		return c.onHeaders(f)
	case http2.Continuation:
		return c.onContinuation(f)
	case http2.Settings:
		return c.onSettings(f)
	case http2.WindowUpdate:
		return c.onWindowUpdate(f)
	case http2.RSTStream:
		return c.onReset(f)
	case http2.Ping:
		return c.onPing(f)
	case http2.Priority:
		return c.onPriority(f)
	case http2.GoAway:
		if f.Stream != 0 {
			return errStreamZero
		}
		c.leave()
		return nil
	case http2.PushPromise:
		return errPush
	}
	return c.nuisance() // unknown types are ignored (RFC 9113, section 4.1)
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

func (c *h2conn) onSettings(f *http2.Frame) *http2.Error {
	if f.Stream != 0 {
		return errStreamZero
	}
	if f.Has(http2.Ack) {
		if len(f.Payload) != 0 {
			return errLength
		}
		return nil
	}
	c.settled = true
	var overflow bool
	err := http2.EachSetting(f.Payload, func(id http2.SettingID, v uint32) {
		switch id {
		case http2.InitialWindowSize:
			change := int64(v) - c.peerWindow
			c.peerWindow = int64(v)
			for _, st := range c.streams {
				st.window += change
				overflow = overflow || st.window > http2.MaxWindow
			}
		case http2.MaxFrameSize:
			c.peerFrame = int(v)
		}
	})
	if err != nil {
		return err
	}
	if overflow {
		return errWindow
	}
	c.out = http2.AppendHeader(c.buffer(), http2.Settings, http2.Ack, 0, 0)
	c.sendBlocked()
	return c.nuisance()
}

func (c *h2conn) onPing(f *http2.Frame) *http2.Error {
	switch {
	case f.Stream != 0:
		return errStreamZero
	case len(f.Payload) != 8:
		return errLength
	case f.Has(http2.Ack):
		return nil
	}
	c.out = http2.AppendHeader(c.buffer(), http2.Ping, http2.Ack, 0, 8)
	c.out = append(c.out, f.Payload...)
	return c.nuisance()
}

func (c *h2conn) onPriority(f *http2.Frame) *http2.Error {
	switch {
	case f.Stream == 0:
		return errStreamZero
	case len(f.Payload) != 5:
		return &http2.Error{Code: http2.FrameSizeError, Stream: f.Stream, Text: errLength.Text}
	}
	f.Type, f.Flags = http2.Headers, http2.HasPrio
	if _, err := f.Unpad(); err != nil {
		return &http2.Error{Code: err.Code, Stream: f.Stream, Text: err.Text}
	}
	return c.nuisance() // priorities are not used
}

func (c *h2conn) onReset(f *http2.Frame) *http2.Error {
	if f.Stream == 0 {
		return errStreamZero
	}
	if _, err := f.Uint32(); err != nil {
		return err
	}
	if f.Stream > c.lastID {
		return errIdle
	}
	if st := c.streams[f.Stream]; st != nil {
		st.gone()
	}
	return c.nuisance()
}

func (c *h2conn) onWindowUpdate(f *http2.Frame) *http2.Error {
	n, err := f.Uint32()
	if err != nil {
		return err
	}
	n &^= 1 << 31
	if f.Stream == 0 {
		if n == 0 {
			return errWindowZero
		}
		if c.window += int64(n); c.window > http2.MaxWindow {
			return errWindow
		}
		c.sendBlocked()
		return nil
	}
	if f.Stream > c.lastID {
		return errIdle
	}
	st := c.streams[f.Stream]
	switch {
	case st == nil:
		return c.nuisance()
	case n == 0:
		return &http2.Error{Code: http2.ProtocolError, Stream: f.Stream, Text: errWindowZero.Text}
	}
	if st.window += int64(n); st.window > http2.MaxWindow {
		return &http2.Error{Code: http2.FlowControlError, Stream: f.Stream, Text: errWindow.Text}
	}
	st.send()
	return nil
}

func (c *h2conn) onData(f *http2.Frame) *http2.Error {
	if f.Stream == 0 {
		return errStreamZero
	}
	if f.Stream > c.lastID {
		return errIdle
	}
	data, err := f.Unpad()
	if err != nil {
		return err
	}
	size := len(f.Payload)
	if c.received += int64(size); c.received > connWindow {
		return errWindow
	}
	st := c.streams[f.Stream]
	if st == nil || st.reqEnd {
		c.taken(size)
		if st != nil || !c.mayBeReset(f.Stream) {
			return &http2.Error{Code: http2.StreamClosed, Stream: f.Stream, Text: "stream is closed"}
		}
		return c.nuisance()
	}
	if len(data) == 0 && !f.Has(http2.EndStream) {
		c.taken(size)
		return c.nuisance()
	}
	return st.data(data, size, f.Has(http2.EndStream))
}

// mayBeReset says whether data on a closed stream may have been under way when we reset it.
func (c *h2conn) mayBeReset(id uint32) bool { return id&1 == 1 && id <= c.lastID && c.leaving }

// taken gives the connection's window back for n bytes that are used up.
func (c *h2conn) taken(n int) {
	c.received -= int64(n)
	if c.unannounced += uint32(n); c.unannounced >= connWindow/4 {
		c.out = http2.AppendWindowUpdate(c.buffer(), 0, c.unannounced)
		c.unannounced = 0
	}
}

// resetStream ends a stream with an error.
func (c *h2conn) resetStream(id uint32, code http2.Code) {
	c.out = http2.AppendRST(c.buffer(), id, code)
	if st := c.streams[id]; st != nil {
		st.gone()
	}
	if err := c.nuisance(); err != nil {
		c.goAway(err.Code, err.Text)
	}
}

// goAway ends the connection because of an offence.
func (c *h2conn) goAway(code http2.Code, text string) {
	if c.closed || c.finAfter {
		return
	}
	c.out = http2.AppendGoAway(c.buffer(), c.lastID, code, text)
	for _, st := range c.streams {
		st.gone()
	}
	c.release()
	(&linger{sock: c.sock}).start()
}

// leave asks the client to open another connection for further requests; those in flight go on.
func (c *h2conn) leave() {
	if !c.leaving {
		c.leaving = true
		c.out = http2.AppendGoAway(c.buffer(), c.lastID, http2.NoError, "")
	}
	c.endIfDone()
}

// endIfDone closes a connection that is leaving once nothing is in flight.
func (c *h2conn) endIfDone() {
	if c.leaving && len(c.streams) == 0 && !c.closed && !c.finAfter {
		c.release()
		(&linger{sock: c.sock}).start()
	}
}

// Expired implements poll.Expirer: nothing has happened for the idle timeout. Streams have their
// own timers.
func (c *h2conn) Expired() {
	if len(c.streams) > 0 || c.closed {
		return
	}
	c.leave()
}

// end closes the connection; the requests in flight have lost their client.
func (c *h2conn) end() {
	if c.closed {
		return
	}
	for _, st := range c.streams {
		st.gone()
	}
	c.release()
	c.loop.clients--
	c.close()
}

// release gives back what the connection holds besides its socket.
func (c *h2conn) release() {
	c.loop.wheel.Stop(&c.timer)
	if c.kept != nil {
		c.loop.putBuf(c.kept)
		c.kept = nil
	}
	c.info.uncount(c.loop)
}

func (c *h2conn) abandon() { c.end() }

// bytesOf views a string as bytes that nobody may change.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
