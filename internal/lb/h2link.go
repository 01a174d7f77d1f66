package lb

import (
	"golang.org/x/net/http2/hpack"

	"fairlead/internal/lb/http1"
	"fairlead/internal/lb/http2"
)

// Limits of an HTTP/2 connection in both roles.
const (
	// maxBlock bounds an encoded header block, maxList the decoded one; beyond the first the
	// connection ends, beyond the second the message is refused.
	maxBlock = http1.MaxHead
	maxList  = http1.MaxHead
	// streamWindow and connWindow are how much of bodies a peer may send ahead of what is passed
	// on; they bound the memory of a connection.
	streamWindow = 256 << 10
	connWindow   = 1 << 20
	// streamMark is how much of a body waits for the peer's window.
	streamMark = 64 << 10
	// firstWindow is every window before anybody has said something else.
	firstWindow = 65535
)

// h2link is what an HTTP/2 connection is in both roles: frames in and out, header blocks, settings
// and flow control. What the streams mean is up to its role.
type h2link struct {
	*sock
	role    h2role
	kept    []byte // the beginning of a frame
	decoder *hpack.Decoder
	block   headerBlock
	before  repeatable
	settled bool // the peer's first SETTINGS have come

	window      int64 // how much we may send
	peerWindow  int64 // the initial window of streams, by the peer's settings
	peerFrame   int
	peerStreams uint32 // how many streams the peer lets us open
	blocked     []*h2sender
	unannounced uint32 // bytes taken whose window was not given back yet
	received    int64  // of our window, not taken yet
}

// h2role gives streams their meaning: the side of a client's connection, or of a target's.
type h2role interface {
	// sender finds an open stream; idle says that it was never opened.
	sender(id uint32) (s *h2sender, idle bool)
	eachSender(func(*h2sender))
	onHeaders(f *http2.Frame) *http2.Error
	// onBlock is called when a header block is decoded into block.fields.
	onBlock(id uint32) *http2.Error
	onData(f *http2.Frame, data []byte) *http2.Error
	onReset(id uint32, code http2.Code) *http2.Error
	onGoAway(last uint32)
	onPong() // an answer to a PING of ours
	// nuisance counts a frame that brings nobody forward.
	nuisance() *http2.Error
	// resetStream ends a stream with an error, fail the connection.
	resetStream(id uint32, code http2.Code)
	fail(*http2.Error)
}

// startLink prepares the link and writes our SETTINGS.
func (c *h2link) startLink(s *sock, role h2role, settings ...uint32) {
	c.sock, c.role = s, role
	c.window, c.peerWindow, c.peerFrame = firstWindow, firstWindow, 16<<10
	c.peerStreams = defaultPeerStreams
	c.decoder = hpack.NewDecoder(4096, c.emit)
	c.decoder.SetMaxStringLength(maxList)
	s.lazy = true
	b := c.buffer()
	at := len(b)
	b = http2.AppendHeader(b, http2.Settings, 0, 0, 0)
	for i := 0; i < len(settings); i += 2 {
		b = http2.AppendSetting(b, http2.SettingID(settings[i]), settings[i+1])
	}
	http2.SetLength(b[at:], len(b)-at-http2.HeaderLen)
	c.out = http2.AppendWindowUpdate(b, 0, connWindow-firstWindow)
}

// defaultPeerStreams is how many streams we open before the peer has said how many it wants.
const defaultPeerStreams = 100

// read reads once and processes what has come. It returns an error when there is nothing, or when
// the stream has ended.
func (c *h2link) readFrames() error {
	buf := c.loop.rbuf
	n := copy(buf, c.kept)
	m, err := c.read(buf[n : n+readSize])
	if err != nil {
		return err
	}
	c.dropKept()
	c.process(buf[:n+m])
	return nil
}

func (c *h2link) dropKept() {
	if c.kept != nil {
		c.loop.bufs.put(c.kept)
		c.kept = nil
	}
}

// process uses complete frames and keeps the rest.
func (c *h2link) process(buf []byte) {
	var f http2.Frame
	for !c.closed && !c.finAfter {
		n, err := http2.ParseFrame(buf, &f)
		if n > 0 {
			buf = buf[n:]
			err = c.frame(&f)
		}
		if err != nil && err.Stream != 0 {
			c.role.resetStream(err.Stream, err.Code)
			continue
		}
		if err != nil {
			c.role.fail(err)
			return
		}
		if n == 0 {
			break
		}
	}
	if len(buf) > 0 && !c.closed && !c.finAfter {
		c.kept = append(c.loop.bufs.get(len(buf)), buf...)
	}
}

var (
	errFirst      = &http2.Error{Code: http2.ProtocolError, Text: "first frame is not SETTINGS"}
	errInterleave = &http2.Error{Code: http2.ProtocolError, Text: "frame within a header block"}
	errStreamZero = &http2.Error{Code: http2.ProtocolError, Text: "frame on a wrong stream"}
	errIdle       = &http2.Error{Code: http2.ProtocolError, Text: "frame on an idle stream"}
	errFrameLen   = &http2.Error{Code: http2.FrameSizeError, Text: "frame of a wrong length"}
	errPush       = &http2.Error{Code: http2.ProtocolError, Text: "push is not allowed"}
	errWindowZero = &http2.Error{Code: http2.ProtocolError, Text: "window update of nothing"}
	errWindow     = &http2.Error{Code: http2.FlowControlError, Text: "flow-control window exceeded"}
	errBlock      = &http2.Error{Code: http2.EnhanceYourCalm, Text: "header block too large"}
	errHPACK      = &http2.Error{Code: http2.CompressionError, Text: "malformed header block"}
)

// onStream makes an offence one of a stream.
func onStream(e *http2.Error, id uint32) *http2.Error {
	return &http2.Error{Code: e.Code, Stream: id, Text: e.Text}
}

// frame acts on one frame. The frame type tells which streams are allowed.
func (c *h2link) frame(f *http2.Frame) *http2.Error {
	if !c.settled && (f.Type != http2.Settings || f.Has(http2.Ack)) {
		return errFirst
	}
	if c.block.stream != 0 && (f.Type != http2.Continuation || f.Stream != c.block.stream) {
		return errInterleave
	}
	switch f.Type {
	case http2.Data:
		return c.dataFrame(f)
	case http2.Headers:
		return c.role.onHeaders(f)
	case http2.Continuation:
		return c.continuation(f)
	case http2.Settings:
		return c.settingsFrame(f)
	case http2.WindowUpdate:
		return c.windowUpdate(f)
	case http2.RSTStream:
		return c.resetFrame(f)
	case http2.Ping:
		return c.pingFrame(f)
	case http2.Priority:
		return c.priorityFrame(f)
	case http2.GoAway:
		return c.goAwayFrame(f)
	case http2.PushPromise:
		return errPush
	}
	return c.role.nuisance() // unknown types are ignored (RFC 9113, section 4.1)
}

func (c *h2link) dataFrame(f *http2.Frame) *http2.Error {
	if f.Stream == 0 {
		return errStreamZero
	}
	if _, idle := c.role.sender(f.Stream); idle {
		return errIdle
	}
	data, err := f.Unpad()
	if err != nil {
		return err
	}
	if c.received += int64(len(f.Payload)); c.received > connWindow {
		return errWindow
	}
	return c.role.onData(f, data)
}

// taken gives the connection's window back for n bytes that are used up.
func (c *h2link) taken(n int) {
	c.received -= int64(n)
	if c.unannounced += uint32(n); c.unannounced >= connWindow/4 {
		c.out = http2.AppendWindowUpdate(c.buffer(), 0, c.unannounced)
		c.unannounced = 0
	}
}
