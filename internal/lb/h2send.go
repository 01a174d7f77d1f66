package lb

import (
	"bytes"

	"fairlead/internal/lb/http1"
	"fairlead/internal/lb/http2"
)

// h2sender is our direction of a stream: a header block, then a body as the peer's windows allow,
// then the end, with trailers or without.
type h2sender struct {
	link   *h2link
	owner  senderOwner
	id     uint32
	window int64 // how much we may send on the stream

	out      []byte // of the body, waiting for window, from sent on
	sent     int
	last     bool   // nothing comes after out but tail
	tail     []byte // the encoded trailers
	ended    bool   // END_STREAM was sent
	dropped  bool   // the stream is forgotten
	queued   bool   // on the link's list of blocked streams
	starving bool   // somebody waits for room
}

// senderOwner is told how the sender gets on.
type senderOwner interface {
	// roomAgain says that congested was true and is not any more.
	roomAgain()
	// allSent says that our direction has ended.
	allSent()
	// progress says that something that waited was sent.
	progress()
}

// block writes a header block that fields appends.
func (s *h2sender) block(end bool, fields func([]byte) []byte) (size int) {
	b := s.link.buffer()
	at := len(b)
	flags := uint8(http2.EndHeaders)
	if end {
		flags |= http2.EndStream
	}
	b = fields(http2.AppendHeader(b, http2.Headers, flags, s.id, 0))
	size = len(b) - at
	s.link.out = splitBlock(b, at, s.id, s.link.peerFrame)
	s.ended = end
	return size
}

// splitBlock cuts the header block of the frame at b[at:] into CONTINUATION frames if it is larger
// than a frame may be.
func splitBlock(b []byte, at int, id uint32, limit int) []byte {
	n := len(b) - at - http2.HeaderLen
	if n <= limit {
		http2.SetLength(b[at:], n)
		return b
	}
	block := bytes.Clone(b[at+http2.HeaderLen+limit:])
	b = b[:at+http2.HeaderLen+limit]
	http2.SetLength(b[at:], limit)
	b[at+4] &^= http2.EndHeaders
	for len(block) > 0 {
		piece := block[:min(limit, len(block))]
		block = block[len(piece):]
		flags := uint8(0)
		if len(block) == 0 {
			flags = http2.EndHeaders
		}
		b = http2.AppendHeader(b, http2.Continuation, flags, id, len(piece))
		b = append(b, piece...)
	}
	return b
}

// body sends a piece of the body: what the windows allow at once, the rest later.
func (s *h2sender) body(p []byte) {
	if s.dropped || len(p) == 0 {
		return
	}
	if s.waiting() == 0 {
		p = p[s.frames(p, false):]
	}
	if len(p) > 0 {
		s.out = append(s.out, p...)
		s.queue()
	}
}

// end ends our direction after what waits; trailers are lines of HTTP/1.
func (s *h2sender) end(trailers []byte) {
	if s.last {
		return
	}
	s.last = true
	for line := range bytes.Lines(trailers) {
		name, value, ok := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		if ok && http1.IsToken(name) {
			s.tail = http2.AppendField(s.tail, name, bytes.Trim(value, " \t"))
		}
	}
}

// waiting is how much of the body waits for window.
func (s *h2sender) waiting() int { return len(s.out) - s.sent }

// frames sends as much of p as the windows allow, in DATA frames, and returns how much that was.
// last says that p ends the stream.
func (s *h2sender) frames(p []byte, last bool) int {
	c := s.link
	done := 0
	for len(p) > 0 && !c.sock.congested() {
		n := int(min(int64(len(p)), int64(min(c.peerFrame, 64<<10)), s.window, c.window))
		if n <= 0 {
			break
		}
		flags := uint8(0)
		if last && n == len(p) {
			flags, s.ended = http2.EndStream, true
		}
		c.out = http2.AppendHeader(c.buffer(), http2.Data, flags, s.id, n)
		c.write(p[:n])
		p, done = p[n:], done+n
		s.window -= int64(n)
		c.window -= int64(n)
	}
	return done
}

// queue puts the stream on the list of those that wait for window.
func (s *h2sender) queue() {
	if !s.queued && !s.dropped {
		s.queued = true
		s.link.blocked = append(s.link.blocked, s)
	}
}

// send sends what waits, and the end if there is nothing more to come.
func (s *h2sender) send() {
	if s.dropped {
		return
	}
	if s.waiting() > 0 {
		s.sent += s.frames(s.out[s.sent:], s.last && s.tail == nil)
		s.owner.progress()
		if s.waiting() == 0 {
			s.out, s.sent = s.out[:0], 0
		}
	}
	if s.waiting() == 0 && s.last {
		s.sendEnd()
		s.owner.allSent()
		return
	}
	s.relieve()
}

// sendEnd ends our direction of the stream.
func (s *h2sender) sendEnd() {
	if s.ended {
		return
	}
	s.ended = true
	c := s.link
	if s.tail == nil {
		c.out = http2.AppendHeader(c.buffer(), http2.Data, http2.EndStream, s.id, 0)
		return
	}
	b := c.buffer()
	at := len(b)
	b = http2.AppendHeader(b, http2.Headers, http2.EndHeaders|http2.EndStream, s.id, 0)
	c.out = splitBlock(append(b, s.tail...), at, s.id, c.peerFrame)
}

// congested says that the peer is slow; roomAgain will follow.
func (s *h2sender) congested() bool {
	if s.waiting() < streamMark && !s.link.sock.congested() {
		return false
	}
	s.starving = true
	return true
}

// relieve tells the owner that there is room again.
func (s *h2sender) relieve() {
	if s.starving && s.waiting() < streamMark/2 && !s.link.sock.congested() {
		s.starving = false
		s.owner.roomAgain()
	}
}

// sendBlocked lets the streams that wait send in turn until the window of the connection is used
// up.
func (c *h2link) sendBlocked() {
	blocked := c.blocked
	c.blocked = nil
	for i, s := range blocked {
		s.queued = false
		if c.window <= 0 || c.sock.congested() {
			for _, rest := range blocked[i:] {
				rest.queued = false
				rest.queue()
			}
			return
		}
		s.send()
		if s.waiting() > 0 {
			s.queue()
		}
	}
}
