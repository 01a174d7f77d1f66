package lb

import (
	"context"
	"time"

	"fairlead/internal/lb/http1"
	"fairlead/internal/lb/http2"
	"fairlead/internal/lb/lambda"
	"fairlead/internal/lb/poll"
)

// exchange is one request and its response, between a client and a target. It is what the phases of
// a request's life work on: match, act, choose, connect, relay, log, each in a file of that name.
//
// It stands between a downstream and an upstream that know nothing of each other, and keeps the
// table, the listener and the target that it started with.
type exchange struct {
	loop *loop
	down downstream
	up   upstream // nil until a target was chosen, and after it is done
	conn *connInfo

	live  *live
	ln    *listener
	stats *lbCounters
	act   *action
	grp   *liveGroup
	tgt   *target

	phase  phase
	flight int // its place among the loop's exchanges in flight
	timer  poll.Timer
	reqFacts
	respFacts

	reqBody  http1.Body // the framing of the request body, for the downstream's use
	reqDone  bool       // the request has been read completely
	respDone bool       // the response has been written completely
	retried  bool
	reused   bool // the connection to the target has served requests before
	bodySent bool // bytes of the request body went to the target
	spoke    bool // something of a response has come

	tried []*target // that could not be reached

	unsent int // what the kernel held for the client when the time was up before

	eofUp, eofDown bool // which ends of a tunnel have been passed on

	life   uint32             // how many requests it has been
	cancel context.CancelFunc // of posted work; nil without any

	text []byte // where the texts of reqFacts are
	head []byte // the request head for the target, in the form of HTTP/1
}

// phase is how far an exchange has come.
type phase uint8

const (
	routing  phase = iota // up to the choice of the target
	waiting               // for the head of the response
	relaying              // the head of the response is written
	tunnel                // both sides exchange bytes without meaning
	over
)

// reqFacts are the facts about a request that are needed until its end.
type reqFacts struct {
	method, host, path, query []byte // host is that of the request, without port
	target, agent             []byte // target is the path with the query
	authority                 []byte // as the client sent it
	traceID                   []byte
	minor                     int
	http2, grpc, isHead       bool
	upgrade, expect           bool
	length                    int64
	chunked                   bool
	received, sent            int64
	class                     http1.Class
	classReason               string
	created, dispatched       time.Duration
	answered                  time.Duration // when the head of the response came
	transformed               *transformed  // nil unless the rule has transforms
}

// respFacts are the facts about a response that are needed until its end.
type respFacts struct {
	status, targetStatus int
	redirect             string
	reason               string // error_reason of the log
	detail               string // our own words
	cookies              []http1.Field
	resetCode            http2.Code // of the target, for the client; 0 is none
	closeUp              bool       // the connection to the target ends with the response
	failOpen             bool
	invalidSeen          bool // a field with an invalid name was counted
	validated            bool // the token was good
}

// downstream is the client's side of an exchange: an HTTP/1 connection or a stream of HTTP/2. Its
// methods never block and never fail; when the client is gone it says so by clientGone.
type downstream interface {
	// sendHead writes the head of a response, final or interim. more says that a body follows.
	sendHead(ex *exchange, r *http1.Response, more bool)
	// sendGenerated writes a complete response made here.
	sendGenerated(ex *exchange, g *generated)
	sendContinue()
	sendBody(p []byte)
	// sendEnd ends the body; trailers are lines of HTTP/1.
	sendEnd(trailers []byte)
	// congested says that the client is slow, and that nothing more should be sent until roomDown.
	congested() bool
	// wantBody asks for more of the request body, after acceptsBody was false.
	wantBody()
	// unsent is how much the kernel holds that the client has not acknowledged.
	unsent() int
	// cut ends a response that cannot be completed.
	cut(ex *exchange)
	// finished says that the exchange is over.
	finished(ex *exchange)
}

// upstream is the target's side of an exchange.
type upstream interface {
	sendHead(ex *exchange)
	sendBody(p []byte)
	sendEnd(trailers []byte)
	congested() bool
	// stands says that the connection has come about. Before, it takes no body, so that the request
	// can still go elsewhere; roomUp follows.
	stands() bool
	// wantBody asks for more of the response body, after the downstream was congested.
	wantBody()
	// release gives the connection back after a complete response.
	release(reusable bool)
	// abort gives up the request.
	abort()
}

// newExchange takes an exchange from the loop's spare ones.
func (l *loop) newExchange(d downstream, c *connInfo) *exchange {
	ex, ok := l.spare.take()
	if !ok {
		ex = &exchange{loop: l}
		ex.timer.H = ex
	}
	ex.down, ex.conn, ex.live = d, c, l.live
	ex.phase = routing
	ex.created = l.now
	ex.flight = len(l.flights)
	l.flights = append(l.flights, ex)
	return ex
}

// land takes an exchange out of those in flight.
func (l *loop) land(ex *exchange) {
	last := l.flights[len(l.flights)-1]
	l.flights[ex.flight] = last
	last.flight = ex.flight
	l.flights[len(l.flights)-1] = nil
	l.flights = l.flights[:len(l.flights)-1]
}

// keepExchanges bounds how many ended exchanges a loop keeps for their next use.
const keepExchanges = 16 << 10

// recycle makes exchanges that have ended available again, when nothing on the stack uses them.
func (l *loop) recycle() {
	for _, ex := range l.ended {
		ex.reset()
		l.spare.add(ex, keepExchanges)
	}
	clear(l.ended)
	l.ended = l.ended[:0]
}

// reset clears everything but the memory and the timer, which may still be in the wheel.
func (ex *exchange) reset() {
	ex.down, ex.up, ex.conn = nil, nil, nil
	ex.live, ex.ln, ex.stats, ex.act, ex.grp, ex.tgt = nil, nil, nil, nil, nil, nil
	ex.phase = over
	ex.life++
	ex.reqFacts, ex.respFacts = reqFacts{}, respFacts{cookies: ex.cookies[:0]}
	ex.reqBody = http1.Body{}
	ex.reqDone, ex.respDone, ex.retried, ex.reused, ex.bodySent = false, false, false, false, false
	ex.spoke, ex.eofUp, ex.eofDown, ex.unsent = false, false, false, 0
	clear(ex.tried)
	ex.tried = ex.tried[:0]
	ex.text, ex.head = ex.text[:0], ex.head[:0]
}

// touch notes that something moved; the idle timeout starts anew.
func (ex *exchange) touch() {
	if ex.ln != nil {
		ex.loop.wheel.Set(&ex.timer, ex.loop.now+ex.ln.Attributes.IdleTimeout)
	}
}

// Expired implements poll.Expirer: nothing moved for the idle timeout.
func (ex *exchange) Expired() {
	switch {
	case ex.phase == over:
	case ex.drains():
		ex.touch()
	case ex.phase == tunnel || ex.phase == relaying:
		ex.cut("idle timeout")
	case !ex.reqDone && ex.cancel == nil && (ex.up == nil || ex.acceptsBody()):
		ex.fail(408, "request body not complete in time")
	case ex.grp != nil && ex.grp.Lambda:
		ex.functionFailed(lambda.ErrTimeout)
	default:
		ex.fail(504, "target did not answer in time")
	}
}

// drains says whether a client that seems idle takes what the kernel has for it: with large buffers
// that goes on for long without an event. One that does not is found out one idle timeout later.
func (ex *exchange) drains() bool {
	if ex.phase != relaying && ex.phase != tunnel {
		return false
	}
	queued := ex.down.unsent()
	moved := queued > 0 && (ex.unsent == 0 || queued < ex.unsent)
	ex.unsent = queued
	return moved
}

// startBody prepares for the body of a request; it returns nil if there is none.
func (ex *exchange) startBody(r *http1.Request) *http1.Body {
	switch {
	case r.Chunked:
		ex.reqBody.StartChunked()
	case r.Length > 0:
		ex.reqBody.StartSized(r.Length)
	default:
		ex.reqDone = true
		return nil
	}
	return &ex.reqBody
}

// end finishes an exchange: it is logged once, whatever has happened, and forgotten.
func (ex *exchange) end() {
	if ex.phase == over {
		return
	}
	ex.phase = over
	ex.loop.wheel.Pause(&ex.timer)
	if ex.cancel != nil {
		ex.cancel()
		ex.cancel = nil
	}
	if ex.tgt != nil {
		ex.tgt.outstanding.Add(-1)
	}
	ex.logged()
	ex.loop.land(ex)
	ex.loop.ended = append(ex.loop.ended, ex)
	ex.down.finished(ex)
}
