package lb

import (
	"fmt"

	"fairlead/internal/lb/http1"
	"fairlead/internal/lb/http2"
)

// acceptsBody says whether the request body can be taken now.
func (ex *exchange) acceptsBody() bool {
	return ex.up != nil && ex.up.stands() && !ex.up.congested()
}

// bodyUp sends a piece of the request body to the target.
func (ex *exchange) bodyUp(p []byte) {
	if ex.up != nil {
		ex.bodySent = true
		ex.touch()
		ex.up.sendBody(p)
	}
}

// bodyUpEnd ends the request body.
func (ex *exchange) bodyUpEnd(trailers []byte) {
	ex.reqDone = true
	if ex.up != nil {
		ex.up.sendEnd(trailers)
	}
}

// roomUp is called when the target takes the request body again.
func (ex *exchange) roomUp() {
	if !ex.reqDone || ex.phase == tunnel {
		ex.down.wantBody()
	}
}

// roomDown is called when the client takes the response again.
func (ex *exchange) roomDown() {
	if ex.up != nil && ex.phase != routing {
		ex.up.wantBody()
	}
}

// responseHead takes the head of a response from the target. more says that a body follows. It
// returns false if the exchange is over by it.
func (ex *exchange) responseHead(r *http1.Response, more bool) bool {
	ex.touch()
	if r.Interim() {
		ex.interim(r)
		return true
	}
	if r.Status == 101 && !ex.upgrade {
		ex.up.abort()
		ex.up = nil
		ex.fail(502, "target switched protocols unasked")
		return false
	}
	ex.answered = ex.loop.now
	ex.status, ex.targetStatus = r.Status, r.Status
	ex.countAnswer(r.Status)
	ex.phase = relaying
	ex.appStickiness(r)
	ex.down.sendHead(ex, r, more)
	if r.Status == 101 {
		ex.phase = tunnel
		ex.reqDone = true
	}
	return true
}

// interim relays 1xx responses, except 100 Continue: whether the client may go on was the load
// balancer's to say. Clients of HTTP/1.0 do not know them.
func (ex *exchange) interim(r *http1.Response) {
	if r.Status != 100 && (ex.http2 || ex.minor == 1) {
		ex.down.sendHead(ex, r, true)
	}
}

func (ex *exchange) countAnswer(status int) {
	c := ex.groupStats()
	c.TargetResponseTime.observe(ex.answered - ex.dispatched)
	switch status / 100 {
	case 2:
		c.Target2XX++
	case 3:
		c.Target3XX++
	case 4:
		c.Target4XX++
	case 5:
		c.Target5XX++
	}
}

// bodyDown sends a piece of the response body to the client.
func (ex *exchange) bodyDown(p []byte) {
	ex.touch()
	ex.sent += int64(len(p))
	ex.down.sendBody(p)
}

// bodyDownEnd ends the response. The connection to the target is reusable if both sides are done
// and neither wants it closed.
func (ex *exchange) bodyDownEnd(trailers []byte, reusable bool) {
	up := ex.up
	ex.up = nil
	if !ex.reqDone {
		// The target has answered without waiting for the whole request: the rest of it has
		// nowhere to go.
		reusable = false
	}
	up.release(reusable && !ex.closeUp)
	ex.down.sendEnd(trailers)
	ex.end()
}

// fail ends an exchange with an error of the load balancer, or cuts it if the response has begun.
func (ex *exchange) fail(status int, detail string) {
	if ex.phase == over {
		return
	}
	ex.detail = detail
	if ex.up != nil {
		ex.up.abort()
		ex.up = nil
	}
	if ex.phase == relaying || ex.phase == tunnel {
		ex.down.cut(ex)
		ex.end()
		return
	}
	ex.generate(errorPage(status))
}

// targetReset is called when the target has reset its stream before the response was complete. A gRPC
// client is told so in the same way, as if nobody were between: its library then knows the end of a
// deadline, which the target may see first, from a failure. All others get what they get when a
// connection is lost.
func (ex *exchange) targetReset(code http2.Code) {
	detail := fmt.Sprintf("target reset the stream with code %d", code)
	if !ex.grpc {
		ex.upstreamLost(502, detail)
		return
	}
	ex.up = nil
	ex.detail, ex.resetCode = detail, code
	if ex.phase == waiting {
		ex.status = 502
		ex.countGenerated(ex.status)
	}
	ex.down.cut(ex)
	ex.end()
}

// cut ends an exchange at once.
func (ex *exchange) cut(detail string) { ex.fail(502, detail) }

// clientGone is called when the client is not there any more. A client that leaves before the
// response has begun is a 460, one that leaves within its request a 400, which nobody sees but the
// log.
func (ex *exchange) clientGone() {
	if ex.phase == over {
		return
	}
	if ex.up != nil {
		ex.up.abort()
		ex.up = nil
	}
	if ex.phase == routing || ex.phase == waiting {
		ex.status, ex.detail = 460, "client closed the connection"
		if !ex.reqDone {
			ex.status, ex.detail = 400, "client closed the connection before the end of the body"
		}
		if ex.stats != nil {
			ex.stats.ELB4XX++
		}
	}
	ex.end()
}

// clientMalformed is called when the request body breaks the rules.
func (ex *exchange) clientMalformed(err error) {
	ex.reqDone = true
	ex.fail(400, err.Error())
}
