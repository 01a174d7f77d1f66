package lb

import (
	"context"
	"net/http"

	"fairlead/internal/lb/http1"
	"fairlead/internal/lb/lambda"
	"fairlead/internal/lb/probe"
)

// maxCollected is how many bytes of request bodies a loop holds for functions, all together; our
// own. A request that would need more is answered with 503.
const maxCollected = 256 << 20

// answerPiece is how much of a function's answer is sent before the client is asked whether it
// keeps up, in bytes.
const answerPiece = 64 << 10

// call is the upstream of an exchange whose target is a function. It collects the body of the
// request, has the function invoked when that is complete, and sends the answer as any target's.
type call struct {
	ex   *exchange // nil when the exchange does not want it any more
	loop *loop
	body []byte // of the request
	rest []byte // of the answer's body, as far as it was not sent
}

// invocable refuses what no function can serve. Other offers to switch protocols than WebSocket are
// not taken up, which is always allowed (RFC 9110, section 7.8).
func (ex *exchange) invocable(r *http1.Request) bool {
	switch {
	case ex.upgrade && offersWebSocket(r.Fields):
		ex.functionFailed(lambda.ErrWebSocket)
		return false
	case r.Length > lambda.MaxBody:
		ex.functionFailed(lambda.ErrTooLarge)
		return false
	}
	ex.upgrade = false
	return true
}

func offersWebSocket(fields []http1.Field) (offers bool) {
	for i := range fields {
		if f := &fields[i]; f.Kind == http1.Upgrade {
			http1.Tokens(f.Value, func(t []byte) {
				offers = offers || http1.EqualFold(t, "websocket")
			})
		}
	}
	return offers
}

// functionFailed ends an exchange that a function did not answer.
func (ex *exchange) functionFailed(f *lambda.Fault) {
	ex.reason = f.Reason
	if c := ex.groupStats(); f.Internal() {
		c.LambdaInternalError++
	} else {
		c.LambdaUserError++
	}
	ex.fail(f.Status, f.Detail)
}

// sendHead implements upstream. The request is dispatched when its body is complete, so that the
// time that takes counts as the request's (ALB guide, access logs, request_processing_time).
func (c *call) sendHead(ex *exchange) { ex.dispatched = 0 }

// sendBody implements upstream.
func (c *call) sendBody(p []byte) {
	switch {
	case c.ex == nil:
	case len(c.body)+len(p) > lambda.MaxBody:
		c.ex.functionFailed(lambda.ErrTooLarge)
	case c.loop.collected+len(p) > maxCollected:
		c.ex.fail(503, "too many bodies of other requests to functions are held")
	default:
		c.body = append(c.body, p...)
		c.loop.collected += len(p)
	}
}

// sendEnd implements upstream: the request is complete.
func (c *call) sendEnd([]byte) {
	ex := c.ex
	if ex == nil {
		return
	}
	r, err := c.request()
	if err != nil {
		ex.functionFailed(&lambda.Fault{Status: 502, Reason: lambda.UnhandledException,
			Detail: err.Error()})
		return
	}
	ex.dispatched = c.loop.now
	ex.touch()
	invoker, function := c.loop.eng.functions, ex.tgt.function
	ex.post(func(ctx context.Context) func() {
		answer, fault := invoker.Do(ctx, function, r)
		return func() { c.answered(answer, fault) }
	})
}

// request is what the function is told. Its head is that for any target.
func (c *call) request() (*lambda.Request, error) {
	head := &c.loop.upReq
	if err := http1.ParseOwn(c.ex.head, head); err != nil {
		return nil, err
	}
	g := c.ex.grp
	return &lambda.Request{Group: g.ID, HTTP: head.Clone(), Body: c.body,
		MultiValue: g.MultiValueHeaders}, nil
}

// answered takes what came of the invocation.
func (c *call) answered(a *lambda.Answer, f *lambda.Fault) {
	c.forget()
	ex := c.ex
	if f != nil {
		ex.functionFailed(f)
		return
	}
	r := &c.loop.resp
	*r = http1.Response{Status: a.Status, Reason: a.Reason, Minor: 1, Fields: r.Fields[:0],
		Length: int64(len(a.Body))}
	r.Fields = append(ex.ownFields(r.Fields, a.Fields), a.Fields...)
	switch a.Status {
	case http.StatusNoContent:
		a.Body, r.Length = nil, 0
	case http.StatusNotModified:
		a.Body, r.Length = nil, http1.UntilClose // of the body that the client has, not of this one
	}
	if ex.isHead {
		a.Body = nil
	}
	if ex.responseHead(r, len(a.Body) > 0) {
		c.rest = a.Body
		c.pump()
	}
}

// ownFields appends the fields that a function usually does not send, unlike a server.
func (ex *exchange) ownFields(fields, sent []http1.Field) []http1.Field {
	server, date := !ex.ln.Attributes.HideServerHeader, true
	for i := range sent {
		server = server && sent[i].Kind != http1.Server
		date = date && sent[i].Kind != http1.Date
	}
	if server {
		fields = append(fields, http1.Field{Name: []byte("Server"), Value: []byte("awselb/2.0"),
			Kind: http1.Server})
	}
	if date {
		fields = append(fields, http1.Field{Name: []byte("Date"), Value: ex.loop.dateNow(),
			Kind: http1.Date})
	}
	return fields
}

// pump sends the answer as long as the client takes it.
func (c *call) pump() {
	for len(c.rest) > 0 {
		if c.ex == nil || c.ex.down.congested() {
			return
		}
		piece := c.rest[:min(len(c.rest), answerPiece)]
		c.rest = c.rest[len(piece):]
		c.ex.bodyDown(piece)
	}
	if c.ex != nil {
		c.ex.bodyDownEnd(nil, false)
	}
}

// wantBody implements upstream.
func (c *call) wantBody() {
	if c.ex != nil && c.ex.phase == relaying {
		c.pump()
	}
}

// congested implements upstream: a body is small enough to be taken as it comes.
func (c *call) congested() bool { return false }

// stands implements upstream.
func (c *call) stands() bool { return true }

// release implements upstream.
func (c *call) release(bool) { c.abort() }

// abort implements upstream. The invocation ends by the context that ends with the exchange.
func (c *call) abort() {
	c.ex = nil
	c.forget()
}

// forget gives back what the request's body took.
func (c *call) forget() {
	c.loop.collected -= len(c.body)
	c.body = nil
}

// invocation is how a health check asks a function.
func (e *Engine) invocation(t *target, c probe.Check) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		a, fault := e.functions.Do(ctx, t.function,
			lambda.HealthCheck(t.key.Group, c.Path, c.MultiValue))
		switch {
		case ctx.Err() != nil:
			return 0, ctx.Err() // Target.Timeout
		case fault != nil:
			return 0, fault
		}
		return a.Status, nil
	}
}
