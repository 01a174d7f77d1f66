package lb

import (
	"bytes"
	"strconv"

	"golang.org/x/net/http2/hpack"

	"fairlead/internal/lb/http1"
	"fairlead/internal/lb/http2"
)

// h2stream is one request of a client's HTTP/2 connection: the downstream of its exchange.
type h2stream struct {
	conn   *h2conn
	id     uint32
	ex     *exchange
	window int64 // how much we may send

	in       []byte // of the request body, while the target does not take it
	inSize   int    // window that in stands for
	length   int64  // announced length of the request body; -1 if unknown
	got      int64
	reqEnd   bool   // the client has ended its side
	trailer  []byte // of the request, as lines of HTTP/1
	unacked  uint32
	closed   bool
	queued   bool // on the connection's list of blocked streams
	starving bool // the exchange waits for room

	out     []byte // of the response body, waiting for window
	sent    int
	respEnd bool   // nothing comes after out but tail
	tail    []byte // the encoded trailers
	ended   bool   // END_STREAM was sent
}

// begin starts the exchange of a request.
func (st *h2stream) begin(r *http1.Request, tooLarge bool) {
	c := st.conn
	ex := c.loop.newExchange(st, &c.info)
	st.ex = ex
	ex.http2 = true
	ex.reqDone = st.reqEnd
	ex.received = int64(c.block.size)
	for i := range r.Fields {
		f := &r.Fields[i]
		if len(f.Name) == len("content-type") && http1.EqualFold(f.Name, "content-type") {
			ex.grpc = bytes.HasPrefix(f.Value, []byte("application/grpc"))
		}
	}
	if tooLarge {
		ex.reqDone = true
		if ex.read(r) == nil {
			ex.enter()
		}
		ex.refuse(errListTooLong)
		return
	}
	ex.begin(r)
}

var errListTooLong = &http1.Error{Status: 400, Text: "headers longer than 64 KiB"}

// data takes a piece of the request body; size is the window it used.
func (st *h2stream) data(p []byte, size int, end bool) *http2.Error {
	st.got += int64(len(p))
	st.reqEnd = end
	if st.length >= 0 && (st.got > st.length || end && st.got != st.length) {
		st.conn.taken(size)
		return &http2.Error{Code: http2.ProtocolError, Stream: st.id, Text: "wrong content-length"}
	}
	if st.inSize+size+int(st.unacked) > streamWindow {
		st.conn.taken(size)
		return &http2.Error{Code: http2.FlowControlError, Stream: st.id, Text: errWindow.Text}
	}
	if st.ex == nil {
		st.conn.taken(size)
		return nil
	}
	st.ex.received += int64(len(p))
	if len(st.in) > 0 || !st.ex.acceptsBody() {
		st.in = append(st.in, p...)
		st.inSize += size
		return nil
	}
	st.pass(p, size)
	return nil
}

// pass hands a piece of the body on and gives its window back.
func (st *h2stream) pass(p []byte, size int) {
	ex := st.ex
	if len(p) > 0 {
		ex.bodyUp(p)
	}
	st.conn.taken(size)
	if st.reqEnd {
		if st.ex == ex {
			ex.bodyUpEnd(st.trailer)
		}
		return
	}
	if st.unacked += uint32(size); st.unacked >= streamWindow/4 && !st.closed {
		st.conn.out = http2.AppendWindowUpdate(st.conn.buffer(), st.id, st.unacked)
		st.unacked = 0
	}
}

// wantBody implements downstream: the target takes more.
func (st *h2stream) wantBody() {
	if st.ex == nil || !st.ex.acceptsBody() || st.inSize == 0 && len(st.in) == 0 {
		return
	}
	in, size := st.in, st.inSize
	st.in, st.inSize = nil, 0
	st.pass(in, size)
}

// trailers ends the request body with a trailer section.
func (st *h2stream) trailers(fields []hpack.HeaderField, end bool) *http2.Error {
	if !end {
		return &http2.Error{Code: http2.ProtocolError, Stream: st.id, Text: "trailers do not end"}
	}
	for _, f := range fields {
		if !validName(f.Name) || !validValue(f.Value) {
			return &http2.Error{Code: http2.ProtocolError, Stream: st.id, Text: "bad trailers"}
		}
		st.trailer = appendLine(st.trailer, []byte(f.Name), []byte(f.Value))
	}
	return st.data(nil, 0, true)
}

// gone ends a stream that the client has given up.
func (st *h2stream) gone() {
	ex := st.ex
	st.ex = nil
	st.drop()
	if ex != nil {
		ex.clientGone()
	}
}

// drop forgets the stream.
func (st *h2stream) drop() {
	if st.closed {
		return
	}
	st.closed = true
	c := st.conn
	c.taken(st.inSize)
	st.in, st.out, st.inSize = nil, nil, 0
	delete(c.streams, st.id)
	if len(c.streams) == 0 {
		c.loop.wheel.Set(&c.timer, c.loop.now+c.info.idleTimeout())
	}
	c.endIfDone()
}

// headers appends the header block of a response.
func (st *h2stream) headers(ex *exchange, status int, end bool, fields func([]byte) []byte) {
	b := st.conn.buffer()
	at := len(b)
	flags := uint8(http2.EndHeaders)
	if end {
		flags |= http2.EndStream
	}
	b = http2.AppendHeader(b, http2.Headers, flags, st.id, 0)
	b = fields(http2.AppendStatus(b, status))
	ex.sent += int64(len(b) - at)
	st.conn.out = splitBlock(b, at, st.id, st.conn.peerFrame)
	st.ended = end
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

// sendHead implements downstream.
func (st *h2stream) sendHead(ex *exchange, r *http1.Response, more bool) {
	if st.closed {
		return
	}
	st.headers(ex, r.Status, !more && !r.Interim(), func(b []byte) []byte {
		for i := range r.Fields {
			f := &r.Fields[i]
			if f.Kind.HopByHop() || r.Named && http1.Nominated(r.Fields, f.Name) ||
				ex.overwritten(f.Name) {
				continue
			}
			b = http2.AppendField(b, f.Name, f.Value)
		}
		if r.Interim() {
			return b
		}
		if r.Length >= 0 && r.Status != 204 {
			b = appendLength(b, r.Length)
		}
		return ex.appendExtraH2(b)
	})
}

func appendLength(b []byte, n int64) []byte {
	var digits [20]byte
	return http2.AppendField(b, []byte("content-length"), strconv.AppendInt(digits[:0], n, 10))
}

// appendExtraH2 appends what the load balancer adds to a response.
func (ex *exchange) appendExtraH2(b []byte) []byte {
	for _, f := range ex.cookies {
		b = http2.AppendField(b, f.Name, f.Value)
	}
	if ex.ln != nil {
		for _, h := range ex.ln.Attributes.ResponseHeaders {
			b = http2.AppendField(b, []byte(h.Name), []byte(h.Value))
		}
	}
	return b
}

// sendGenerated implements downstream. A gRPC client also gets the status that it understands.
func (st *h2stream) sendGenerated(ex *exchange, g *generated) {
	if st.closed {
		return
	}
	body := g.body
	if ex.isHead || g.status == 204 {
		body = ""
	}
	st.headers(ex, g.status, body == "", func(b []byte) []byte {
		if ex.ln == nil || !ex.ln.Attributes.HideServerHeader {
			b = http2.AppendField(b, []byte("server"), []byte("awselb/2.0"))
		}
		b = http2.AppendField(b, []byte("date"), ex.loop.dateNow())
		if g.body != "" && g.contentType != "" {
			b = http2.AppendField(b, []byte("content-type"), []byte(g.contentType))
		}
		if g.location != "" {
			b = http2.AppendField(b, []byte("location"), []byte(g.location))
		}
		if ex.grpc {
			b = http2.AppendField(b, []byte("grpc-status"), []byte("14"))
			b = http2.AppendField(b, []byte("grpc-message"), []byte("unavailable"))
		}
		return ex.appendExtraH2(appendLength(b, int64(len(g.body))))
	})
	if body != "" {
		ex.sent += int64(len(body))
		st.sendBody([]byte(body))
		st.sendEnd(nil)
	}
}

// sendContinue implements downstream; over HTTP/2 the load balancer does not answer Expect.
func (st *h2stream) sendContinue() {}

// sendBody implements downstream: what the windows allow is sent, the rest waits.
func (st *h2stream) sendBody(p []byte) {
	if st.closed || len(p) == 0 {
		return
	}
	if st.pending() == 0 {
		p = p[st.frames(p, false):]
	}
	if len(p) > 0 {
		st.out = append(st.out, p...)
		st.queue()
	}
}

// pending is how much of the body waits.
func (st *h2stream) pending() int { return len(st.out) - st.sent }

// frames sends as much of p as the windows allow, in DATA frames, and returns how much that was.
// last says that p ends the stream.
func (st *h2stream) frames(p []byte, last bool) int {
	c := st.conn
	done := 0
	for len(p) > 0 && !c.sock.congested() {
		n := int(min(int64(len(p)), int64(min(c.peerFrame, 64<<10)), st.window, c.window))
		if n <= 0 {
			break
		}
		flags := uint8(0)
		if last && n == len(p) {
			flags, st.ended = http2.EndStream, true
		}
		c.out = http2.AppendHeader(c.buffer(), http2.Data, flags, st.id, n)
		c.write(p[:n])
		p, done = p[n:], done+n
		st.window -= int64(n)
		c.window -= int64(n)
	}
	return done
}

// queue puts the stream on the list of those that wait for window.
func (st *h2stream) queue() {
	if !st.queued && !st.closed {
		st.queued = true
		st.conn.blocked = append(st.conn.blocked, st)
	}
}

// send sends what waits, and the end if there is nothing more to come.
func (st *h2stream) send() {
	if st.closed {
		return
	}
	if st.pending() > 0 {
		last := st.respEnd && st.tail == nil
		st.sent += st.frames(st.out[st.sent:], last)
		if st.pending() == 0 {
			st.out, st.sent = st.out[:0], 0
		}
	}
	if st.pending() == 0 && st.respEnd {
		st.finishResponse()
		return
	}
	st.relieve()
}

// relieve tells the exchange that there is room again.
func (st *h2stream) relieve() {
	if st.starving && st.pending() < streamMark/2 && !st.conn.sock.congested() {
		st.starving = false
		if st.ex != nil {
			st.ex.roomDown()
		}
	}
}

// finishResponse sends the end of the stream and forgets it.
func (st *h2stream) finishResponse() {
	c := st.conn
	if !st.ended {
		st.ended = true
		if st.tail != nil {
			b := c.buffer()
			at := len(b)
			b = http2.AppendHeader(b, http2.Headers, http2.EndHeaders|http2.EndStream, st.id, 0)
			c.out = splitBlock(append(b, st.tail...), at, st.id, c.peerFrame)
		} else {
			c.out = http2.AppendHeader(c.buffer(), http2.Data, http2.EndStream, st.id, 0)
		}
	}
	if !st.reqEnd {
		// The rest of the request is not wanted (RFC 9113, section 8.1).
		c.out = http2.AppendRST(c.buffer(), st.id, http2.NoError)
	}
	st.drop()
}

// sendEnd implements downstream.
func (st *h2stream) sendEnd(trailers []byte) {
	if st.closed || st.respEnd {
		return
	}
	st.respEnd = true
	for line := range bytes.Lines(trailers) {
		name, value, ok := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		if ok && http1.IsToken(name) {
			st.tail = http2.AppendField(st.tail, name, bytes.Trim(value, " \t"))
		}
	}
}

// congested implements downstream.
func (st *h2stream) congested() bool {
	if st.pending() < streamMark && !st.conn.sock.congested() {
		return false
	}
	st.starving = true
	return true
}

// cut implements downstream.
func (st *h2stream) cut(*exchange) {
	st.ex = nil
	if !st.closed {
		st.conn.out = http2.AppendRST(st.conn.buffer(), st.id, http2.InternalError)
		st.drop()
	}
}

// finished implements downstream: the response may still be waiting for window.
func (st *h2stream) finished(ex *exchange) {
	if st.ex != ex {
		return
	}
	st.ex = nil
	if st.closed {
		return
	}
	if st.ended {
		st.respEnd = true
	}
	st.conn.taken(st.inSize)
	st.in, st.inSize = nil, 0
	st.send()
}

// sendBlocked lets the streams that wait send in turn, a frame each, until the window of the
// connection is used up.
func (c *h2conn) sendBlocked() {
	blocked := c.blocked
	c.blocked = nil
	for i, st := range blocked {
		st.queued = false
		if c.window <= 0 || c.sock.congested() {
			for _, rest := range blocked[i:] {
				rest.queued = false
				rest.queue()
			}
			return
		}
		st.send()
		if !st.closed && st.pending() > 0 {
			st.queue()
		}
	}
}
