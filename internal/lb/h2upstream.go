package lb

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"

	"fairlead/internal/lb/http1"
	"fairlead/internal/lb/http2"
)

// maxUpStreams is how many requests share a connection to a target, however many more the target
// would take.
const maxUpStreams = 128

// maxStreamID is the last stream that a connection can open; it is replaced well before.
const maxStreamID = 1 << 30

// h2up is an HTTP/2 connection to a target. Requests share it.
type h2up struct {
	h2link
	to      opener
	streams map[uint32]*upStream
	nextID  uint32
	leaving bool // the target wants no further streams, or the connection is about to end
}

// h2For finds a connection of the target that takes another stream, or opens one.
func (l *loop) h2For(ex *exchange) (*h2up, bool, error) {
	p := &ex.tgt.pools[l.id]
	for _, u := range p.shared {
		if !u.leaving && len(u.streams) < min(maxUpStreams, int(u.peerStreams)) {
			return u, true, nil
		}
	}
	u := &h2up{streams: map[uint32]*upStream{}, nextID: 1}
	s, err := l.openSock(ex.grp, ex.tgt, u, targetTLSH2)
	if err != nil {
		return nil, false, err
	}
	u.to = opener{sock: s, tgt: ex.tgt, grp: ex.grp}
	u.to.timer.H = u
	l.wheel.Set(&u.to.timer, l.now+connectTimeout)
	s.out = append(s.buffer(), http2.Preface...)
	u.startLink(s, u,
		uint32(http2.EnablePush), 0,
		uint32(http2.InitialWindowSize), streamWindow,
		uint32(http2.MaxHeaderListSize), maxList)
	p.shared = append(p.shared, u)
	return u, false, nil
}

// targetTLSH2 is targetTLS for groups that speak HTTP/2.
var targetTLSH2 = func() *tls.Config {
	c := targetTLS.Clone()
	c.NextProtos = []string{"h2"}
	return c
}()

// open opens a stream for an exchange.
func (u *h2up) open(ex *exchange) *upStream {
	st := &upStream{conn: u, ex: ex}
	st.h2sender = h2sender{link: &u.h2link, owner: st, id: u.nextID, window: u.peerWindow}
	u.nextID += 2
	u.streams[st.id] = st
	u.leaving = u.leaving || u.nextID > maxStreamID
	if u.to.stands() {
		u.loop.wheel.Pause(&u.to.timer)
	}
	return st
}

// onEvent implements sockOwner.
func (u *h2up) onEvent() {
	stood := u.to.stands()
	if status, err := u.to.stand(); err != nil {
		u.lose(status, err.Error())
		return
	} else if status != 0 {
		return
	}
	if !stood {
		for _, st := range u.streams {
			st.roomAgain()
		}
	}
	if u.hasRoom() {
		u.sendBlocked()
		u.eachSender((*h2sender).relieve)
	}
	for range readBudget {
		if u.closed || u.sock.congested() {
			return
		}
		if err := u.readFrames(); err != nil {
			if !errors.Is(err, errAgain) || u.broken {
				u.lose(502, "target closed the connection")
			}
			return
		}
	}
	u.yield()
}

// Expired implements poll.Expirer: the connection does not come about, or nobody needs it.
func (u *h2up) Expired() {
	if len(u.streams) > 0 {
		u.loop.counters.group(u.to.grp.ID).TargetConnectionErrorCount++
	}
	u.lose(504, "target did not accept the connection in time")
}

// lose ends the connection and tells the exchanges.
func (u *h2up) lose(status int, detail string) {
	u.leave()
	u.loop.wheel.Stop(&u.to.timer)
	u.dropKept()
	streams, stood := u.streams, u.to.stands()
	u.streams = map[uint32]*upStream{}
	u.close()
	for _, st := range streams {
		if stood {
			st.lost(status, detail)
		} else {
			st.unreachable(status, detail)
		}
	}
}

// leave takes the connection out of the pool; streams under way go on.
func (u *h2up) leave() {
	u.leaving = true
	p := &u.to.tgt.pools[u.loop.id]
	for i, other := range p.shared {
		if other == u {
			p.shared = append(p.shared[:i], p.shared[i+1:]...)
			return
		}
	}
}

// endIfDone closes a connection without streams that is leaving, and starts the clock for others.
func (u *h2up) endIfDone() {
	switch {
	case u.closed || len(u.streams) > 0:
	case u.leaving || u.to.tgt.gone.Load() || u.loop.draining:
		u.lose(0, "")
	default:
		u.loop.wheel.Set(&u.to.timer, u.loop.now+poolIdle)
	}
}

func (u *h2up) abandon() { u.lose(502, "defect") }

func (u *h2up) sender(id uint32) (s *h2sender, idle bool) {
	if st := u.streams[id]; st != nil {
		return &st.h2sender, false
	}
	return nil, id >= u.nextID || id&1 == 0
}

func (u *h2up) eachSender(f func(*h2sender)) {
	for _, st := range u.streams {
		f(&st.h2sender)
	}
}

// nuisance implements h2role: targets are trusted not to flood.
func (u *h2up) nuisance() *http2.Error { return nil }

func (u *h2up) onHeaders(f *http2.Frame) *http2.Error {
	if _, idle := u.sender(f.Stream); idle {
		return errIdle
	}
	p, err := f.Unpad()
	if err != nil && err.Text != http2.SelfDependence {
		return err
	}
	u.startBlock(f)
	return u.fragment(p, f.Has(http2.EndHeaders))
}

func (u *h2up) onBlock(id uint32) *http2.Error {
	if st := u.streams[id]; st != nil {
		st.onBlock(&u.block)
	}
	return nil // else we have reset the stream, and this was under way
}

func (u *h2up) onData(f *http2.Frame, data []byte) *http2.Error {
	u.taken(len(f.Payload))
	if st := u.streams[f.Stream]; st != nil {
		return st.onData(data, len(f.Payload), f.Has(http2.EndStream))
	}
	return nil
}

func (u *h2up) onReset(id uint32, code http2.Code) *http2.Error {
	st := u.streams[id]
	if st == nil {
		return nil
	}
	st.drop()
	if ex := st.ex; ex != nil {
		st.ex = nil
		ex.targetReset(code)
	}
	return nil
}

func (u *h2up) onPong() {} // we send none

func (u *h2up) onGoAway(last uint32) {
	u.leave()
	for id, st := range u.streams {
		if id > last {
			st.drop()
			st.lost(502, "target refused the stream")
		}
	}
	u.endIfDone()
}

func (u *h2up) resetStream(id uint32, code http2.Code) {
	u.out = http2.AppendRST(u.buffer(), id, code)
	if st := u.streams[id]; st != nil {
		st.drop()
		st.lost(502, "target broke the rules of HTTP/2 on the stream")
	}
}

func (u *h2up) fail(err *http2.Error) {
	u.out = http2.AppendGoAway(u.buffer(), 0, err.Code, err.Text)
	u.flush()
	u.lose(502, "target broke the rules of HTTP/2: "+err.Text)
}

// upStream is one request on an HTTP/2 connection to a target: the upstream of its exchange.
type upStream struct {
	h2sender
	conn    *h2up
	ex      *exchange
	headed  bool // the final response head has come
	unacked uint32
	paused  bool // the client is slow: the stream's window is not given back
}

// sendHead implements upstream.
func (st *upStream) sendHead(ex *exchange) {
	r := &st.link.loop.upReq
	if err := http1.ParseOwn(ex.head, r); err != nil {
		panic(fmt.Sprintf("our own request head is malformed: %v", err))
	}
	scheme := "http"
	if ex.grp.Protocol == HTTPS {
		scheme = "https"
	}
	st.block(ex.reqDone, func(b []byte) []byte {
		b = http2.AppendField(b, []byte(":method"), r.Method)
		b = http2.AppendField(b, []byte(":scheme"), []byte(scheme))
		b = http2.AppendField(b, []byte(":path"), r.Target)
		for i := range r.Fields {
			if f := &r.Fields[i]; f.Kind == http1.Host {
				b = http2.AppendField(b, []byte(":authority"), f.Value)
				break
			}
		}
		for i := range r.Fields {
			f := &r.Fields[i]
			if f.Kind != http1.Host && f.Kind != http1.Connection {
				b = http2.AppendField(b, f.Name, f.Value)
			}
		}
		if r.Length > 0 {
			b = appendLength(b, r.Length)
		}
		return b
	})
}

// sendBody implements upstream.
func (st *upStream) sendBody(p []byte) { st.body(p) }

// sendEnd implements upstream.
func (st *upStream) sendEnd(trailers []byte) {
	if !st.ended {
		st.h2sender.end(trailers)
		st.send()
	}
}

// congested implements upstream.
func (st *upStream) congested() bool { return st.h2sender.congested() }

// wantBody implements upstream: the client takes more.
func (st *upStream) wantBody() {
	if st.paused {
		st.paused = false
		st.acknowledge()
	}
}

// release implements upstream.
func (st *upStream) release(bool) {
	st.ex = nil
	if !st.dropped && !st.ended {
		st.link.out = http2.AppendRST(st.link.buffer(), st.id, http2.NoError)
	}
	st.drop()
}

// abort implements upstream.
func (st *upStream) abort() {
	st.ex = nil
	if !st.dropped {
		st.link.out = http2.AppendRST(st.link.buffer(), st.id, http2.Cancel)
	}
	st.drop()
}

// drop forgets the stream.
func (st *upStream) drop() {
	if !st.dropped {
		st.dropped = true
		st.out, st.sent = nil, 0
		delete(st.conn.streams, st.id)
		st.conn.endIfDone()
	}
}

// lost tells the exchange that there will be no response.
func (st *upStream) lost(status int, detail string) {
	st.dropped = true
	if ex := st.ex; ex != nil {
		st.ex = nil
		ex.upstreamLost(status, detail)
	}
}

// unreachable tells the exchange that the request was not sent.
func (st *upStream) unreachable(status int, detail string) {
	st.dropped = true
	if ex := st.ex; ex != nil {
		st.ex = nil
		ex.unreachable(status, detail)
	}
}

// stands implements upstream.
func (st *upStream) stands() bool { return st.conn.to.stands() }

// roomAgain implements senderOwner.
func (st *upStream) roomAgain() {
	if st.ex != nil {
		st.ex.roomUp()
	}
}

// progress implements senderOwner.
func (st *upStream) progress() {
	if st.ex != nil {
		st.ex.touch()
	}
}

// allSent implements senderOwner; the response is still to come.
func (st *upStream) allSent() {}

// onBlock takes a response head, an interim response, or trailers.
func (st *upStream) onBlock(b *headerBlock) {
	ex := st.ex
	if ex == nil {
		return
	}
	if st.headed {
		st.onTrailers(b)
		return
	}
	ex.spoke = true
	r := &st.link.loop.resp
	if !buildResponse(r, b, ex.isHead) || r.Interim() && b.end || r.Status == 101 ||
		b.size > http1.MaxResponseHead {
		st.conn.resetStream(st.id, http2.ProtocolError)
		return
	}
	if r.Interim() {
		ex.responseHead(r, false)
		return
	}
	st.headed = true
	more := !b.end
	if !ex.responseHead(r, more) || b.end && st.ex == nil {
		return
	}
	if b.end {
		ex.bodyDownEnd(nil, true)
	}
}

// onTrailers ends the response with a trailer section.
func (st *upStream) onTrailers(b *headerBlock) {
	if !b.end {
		st.conn.resetStream(st.id, http2.ProtocolError)
		return
	}
	var lines []byte
	for _, f := range b.fields {
		if validName(f.Name) && validValue(f.Value) {
			lines = appendLine(lines, bytesOf(f.Name), bytesOf(f.Value))
		}
	}
	st.ex.bodyDownEnd(lines, true)
}

// onData takes a piece of the response body.
func (st *upStream) onData(data []byte, size int, end bool) *http2.Error {
	ex := st.ex
	if ex == nil {
		return nil
	}
	if !st.headed {
		return &http2.Error{Code: http2.ProtocolError, Stream: st.id, Text: "DATA before HEADERS"}
	}
	st.unacked += uint32(size)
	if len(data) > 0 {
		ex.bodyDown(data)
	}
	switch {
	case end && st.ex == ex:
		ex.bodyDownEnd(nil, true)
	case st.ex == ex:
		st.acknowledge()
	}
	return nil
}

// acknowledge gives the stream's window back, unless the client is slow.
func (st *upStream) acknowledge() {
	if st.ex == nil || st.dropped || st.unacked < streamWindow/4 {
		return
	}
	if st.ex.down.congested() {
		st.paused = true
		return
	}
	st.link.out = http2.AppendWindowUpdate(st.link.buffer(), st.id, st.unacked)
	st.unacked = 0
}

// buildResponse makes a response head of a header block.
func buildResponse(r *http1.Response, b *headerBlock, isHead bool) bool {
	*r = http1.Response{Fields: r.Fields[:0], Minor: 1, Length: http1.UntilClose}
	for _, f := range b.fields {
		name, value := bytesOf(f.Name), bytesOf(f.Value)
		switch {
		case f.Name == ":status":
			n, err := strconv.Atoi(f.Value)
			if err != nil || n < 100 || n > 999 || r.Status != 0 {
				return false
			}
			r.Status = n
			continue
		case !validName(f.Name) || !validValue(f.Value):
			return false
		}
		kind := http1.KindOf(name)
		if kind == http1.ContentLength {
			n, err := strconv.ParseInt(f.Value, 10, 63)
			if err != nil || n < 0 || r.Length >= 0 && r.Length != n {
				return false
			}
			r.Length = n
			continue
		}
		r.Fields = append(r.Fields, http1.Field{Name: name, Value: value, Kind: kind})
	}
	return r.Status != 0
}
