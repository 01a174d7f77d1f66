package lb

import (
	"bytes"
	"cmp"
	"net/http"
	"strconv"

	"golang.org/x/net/http2/hpack"

	"fairlead/internal/lb/http1"
	"fairlead/internal/lb/http2"
)

// h2stream is one request of a client's HTTP/2 connection: the downstream of its exchange.
type h2stream struct {
	h2sender
	conn  *h2conn
	place int // in conn.streams
	ex    *exchange

	in      []byte // of the request body, while the target does not take it
	inSize  int    // the window that in stands for
	length  int64  // announced length of the request body; -1 if unknown
	got     int64
	reqEnd  bool   // the client has ended its side
	trailer []byte // of the request, as lines of HTTP/1
	unacked uint32
}

// newStream opens a stream for a request.
func (c *h2conn) newStream(id uint32, r *http1.Request) *h2stream {
	st := c.loop.newStream()
	st.conn, st.reqEnd, st.length = c, c.block.end, r.Length
	st.h2sender = h2sender{link: &c.h2link, owner: st, id: id, window: c.peerWindow,
		out: st.out[:0]}
	c.streams.add(st)
	c.rest()
	if c.served++; c.served >= maxRequests || c.aged() {
		c.leave()
	}
	return st
}

// aged says whether the connection has reached its time of life.
func (c *h2conn) aged() bool {
	return c.loop.draining || c.info.acc.front == nil ||
		c.loop.now-c.info.created > c.info.keepAlive()
}

// keepStreams bounds how many ended streams a loop keeps for their next use, and keepStreamOut the
// memory that each of them may hold.
const (
	keepStreams   = 1024
	keepStreamOut = 4 << 10
)

// newStream takes a stream from the loop's spare ones.
func (l *loop) newStream() *h2stream {
	if st, ok := l.spareStreams.take(); ok {
		return st
	}
	return &h2stream{}
}

// recycleStreams makes streams that have ended available again, when nothing on the stack uses
// them. One that still waits in its connection's queue is left to the garbage collector.
func (l *loop) recycleStreams() {
	for _, st := range l.endedStreams {
		if st.queued {
			continue
		}
		out := st.out[:0]
		if cap(out) > keepStreamOut {
			out = nil
		}
		*st = h2stream{h2sender: h2sender{out: out, dropped: true}}
		l.spareStreams.add(st, keepStreams)
	}
	clear(l.endedStreams)
	l.endedStreams = l.endedStreams[:0]
}

// begin starts the exchange of a request.
func (st *h2stream) begin(r *http1.Request, tooLarge bool) {
	c := st.conn
	ex := c.loop.newExchange(st, &c.info)
	st.ex = ex
	ex.http2 = true
	ex.reqDone = st.reqEnd
	ex.received = int64(c.block.size)
	ex.grpc = isGRPC(r.Fields)
	if tooLarge {
		ex.reqDone = true
		ex.enterAnyhow()
		ex.refuse(errListTooLong)
		return
	}
	ex.begin(r)
}

var errListTooLong = &http1.Error{Status: 400, Text: "headers longer than 64 KiB"}

func isGRPC(fields []http1.Field) bool {
	for i := range fields {
		f := &fields[i]
		if len(f.Name) == len("content-type") && http1.EqualFold(f.Name, "content-type") {
			return bytes.HasPrefix(f.Value, []byte("application/grpc"))
		}
	}
	return false
}

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
		return onStream(errWindow, st.id)
	}
	if st.ex == nil {
		st.conn.taken(size)
		return nil
	}
	st.ex.received += int64(len(p))
	if st.inSize > 0 || !st.ex.acceptsBody() {
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
	if st.unacked += uint32(size); st.unacked >= streamWindow/4 && !st.dropped {
		st.link.out = http2.AppendWindowUpdate(st.link.buffer(), st.id, st.unacked)
		st.unacked = 0
	}
}

// wantBody implements downstream: the target takes more.
func (st *h2stream) wantBody() {
	if st.ex == nil || !st.ex.acceptsBody() || st.inSize == 0 && !st.reqEnd || st.ex.reqDone {
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
		st.trailer = appendLine(st.trailer, bytesOf(f.Name), bytesOf(f.Value))
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
	if st.dropped {
		return
	}
	st.dropped = true
	c := st.conn
	c.taken(st.inSize)
	st.in, st.out, st.inSize, st.sent = nil, st.out[:0], 0, 0
	c.streams.remove(st)
	c.loop.endedStreams = append(c.loop.endedStreams, st)
	c.rest()
	c.endIfDone()
}

// roomAgain implements senderOwner.
func (st *h2stream) roomAgain() {
	if st.ex != nil {
		st.ex.roomDown()
	}
}

// progress implements senderOwner.
func (st *h2stream) progress() {
	if st.ex != nil {
		st.ex.touch()
	}
}

// allSent implements senderOwner: the response is complete.
func (st *h2stream) allSent() {
	if !st.reqEnd {
		// The rest of the request is not wanted (RFC 9113, section 8.1).
		st.link.out = http2.AppendRST(st.link.buffer(), st.id, http2.NoError)
	}
	st.drop()
}

// sendHead implements downstream.
func (st *h2stream) sendHead(ex *exchange, r *http1.Response, more bool) {
	if st.dropped {
		return
	}
	ex.sent += int64(st.block(!more && !r.Interim(), func(b []byte) []byte {
		b = http2.AppendStatus(b, r.Status)
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
	}))
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

// grpcStatus is the status of gRPC that stands for one of HTTP (grpc, doc/http-grpc-status-mapping.md). AWS
// is known to send 14 with 502.
func grpcStatus(status int) (code, message string) {
	switch status {
	case http.StatusBadRequest:
		return "13", "internal"
	case http.StatusUnauthorized:
		return "16", "unauthenticated"
	case http.StatusForbidden:
		return "7", "permission denied"
	case http.StatusNotFound:
		return "12", "unimplemented"
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "14", "unavailable"
	}
	return "2", "unknown"
}

// sendGenerated implements downstream. A gRPC client gets the status that it understands, and no
// page.
func (st *h2stream) sendGenerated(ex *exchange, g *generated) {
	if st.dropped {
		return
	}
	body, contentType := g.body, g.contentType
	if ex.grpc {
		g = &generated{status: g.status, body: "", location: g.location}
		body, contentType = "", "application/grpc"
	}
	if ex.isHead || g.status == 204 {
		body = ""
	}
	ex.sent += int64(len(body) + st.block(body == "", func(b []byte) []byte {
		b = http2.AppendStatus(b, g.status)
		if ex.ln == nil || !ex.ln.Attributes.HideServerHeader {
			b = http2.AppendField(b, []byte("server"), []byte("awselb/2.0"))
		}
		b = http2.AppendField(b, []byte("date"), ex.loop.dateNow())
		if contentType != "" && (g.body != "" || ex.grpc) {
			b = http2.AppendField(b, []byte("content-type"), []byte(contentType))
		}
		if g.location != "" {
			b = http2.AppendField(b, []byte("location"), []byte(g.location))
		}
		if ex.grpc {
			code, message := grpcStatus(g.status)
			b = http2.AppendField(b, []byte("grpc-status"), []byte(code))
			b = http2.AppendField(b, []byte("grpc-message"), []byte(message))
		}
		if !ex.grpc {
			b = appendLength(b, int64(len(g.body)))
		}
		return ex.appendExtraH2(b)
	}))
	if body != "" {
		st.sendBody([]byte(body))
		st.sendEnd(nil)
	}
}

// unsent implements downstream.
func (st *h2stream) unsent() int { return st.conn.sock.unsent() }

// sendContinue implements downstream; over HTTP/2 the load balancer does not answer Expect.
func (st *h2stream) sendContinue() {}

// sendBody implements downstream.
func (st *h2stream) sendBody(p []byte) { st.body(p) }

// sendEnd implements downstream.
func (st *h2stream) sendEnd(trailers []byte) {
	if !st.ended {
		st.h2sender.end(trailers)
	}
}

// cut implements downstream.
func (st *h2stream) cut(ex *exchange) {
	st.ex = nil
	if !st.dropped {
		code := cmp.Or(ex.resetCode, http2.InternalError)
		st.link.out = http2.AppendRST(st.link.buffer(), st.id, code)
		st.drop()
	}
}

// finished implements downstream: the response may still be waiting for window.
func (st *h2stream) finished(ex *exchange) {
	if st.ex != ex {
		return
	}
	st.ex = nil
	if st.dropped {
		return
	}
	st.last = st.last || st.ended
	st.conn.taken(st.inSize)
	st.in, st.inSize = nil, 0
	st.send()
}
