package lb

import (
	"fairlead/internal/lb/http1"
	"fairlead/internal/lb/match"
)

// maxForwardedFor is how many addresses X-Forwarded-For may have (ALB guide, HTTP 463).
const maxForwardedFor = 30

var (
	errTrace     = &http1.Error{Status: 405, Text: "method TRACE is not allowed"}
	errConnect   = &http1.Error{Status: 400, Text: "method CONNECT is not supported"}
	errForwarded = &http1.Error{Status: 463, Text: "more than 30 addresses in X-Forwarded-For"}
	errDesync    = &http1.Error{Status: 400, Text: "refused by desync mitigation"}
	errNoSuch    = &http1.Error{Status: 404, Text: "no load balancer has this name"}
	errGone      = &http1.Error{Status: 503, Text: "listener is gone"}
)

// begin takes up a request: it finds the listener, checks what AWS refuses, finds the rule that the
// request meets and performs its action. The request is valid only during the call.
func (ex *exchange) begin(r *http1.Request) {
	if err := ex.read(r); err != nil {
		ex.enterAnyhow()
		ex.last()
		ex.refuse(err)
		return
	}
	if err := ex.enter(); err != nil {
		ex.refuse(err)
		return
	}
	ex.touch()
	if err := ex.admit(r); err != nil {
		ex.refuse(err)
		return
	}
	ex.match(r)
	if ex.act.token != nil {
		ex.validate(r)
		return
	}
	ex.perform(r)
}

// enter finds the listener: by the address of the connection, and by name on a shared address.
func (ex *exchange) enter() *http1.Error {
	f := ex.conn.acc.front
	if f == nil {
		return errGone
	}
	ln := f.listener(ex.host)
	if ln == nil {
		return errNoSuch
	}
	ex.ln = ln
	ex.stats = ex.live.counters[ex.loop.id].lbs[ln.index]
	ex.conn.count(ex.loop, ln)
	return nil
}

// enterAnyhow finds a listener that counts and logs a request whose name is not known.
func (ex *exchange) enterAnyhow() {
	f := ex.conn.acc.front
	if f == nil {
		return
	}
	if ex.ln = f.fallback; ex.ln == nil {
		ex.ln = f.listeners[0]
	}
	ex.stats = ex.loop.counters.lb(ex.ln.LoadBalancer)
}

// admit refuses what AWS refuses before any rule is looked at.
func (ex *exchange) admit(r *http1.Request) *http1.Error {
	switch string(ex.method) {
	case "TRACE":
		return errTrace
	case "CONNECT":
		return errConnect
	}
	if err := ex.mitigate(); err != nil {
		return err
	}
	if forwardedFor(r.Fields) > maxForwardedFor {
		return errForwarded
	}
	return nil
}

// mitigate applies the desync mitigation mode of the listener.
func (ex *exchange) mitigate() *http1.Error {
	if ex.class == http1.Compliant {
		return nil
	}
	ex.stats.DesyncNonCompliantRequestCount++
	mode := ex.ln.Attributes.Desync
	switch {
	case mode == DesyncMonitor:
	case mode == DesyncStrictest, ex.class == http1.Severe:
		ex.last()
		return errDesync
	case ex.class == http1.Ambiguous:
		ex.last()
		ex.closeUp = true
	}
	return nil
}

// last makes this the last exchange of an HTTP/1 connection.
func (ex *exchange) last() {
	if c, ok := ex.down.(*client); ok {
		c.last = true
	}
}

// forwardedFor counts the addresses of X-Forwarded-For.
func forwardedFor(fields []http1.Field) int {
	n := 0
	for _, f := range fields {
		if f.Kind == http1.XForwardedFor {
			http1.Tokens(f.Value, func([]byte) { n++ })
		}
	}
	return n
}

// match finds the action of the first rule that the request meets.
func (ex *exchange) match(r *http1.Request) {
	ex.act = ex.ln.dflt
	if len(ex.ln.actions) == 0 {
		return
	}
	view := &ex.loop.view
	*view = match.View{Method: ex.method, Host: ex.host, Path: ex.path, Query: ex.query,
		Fields: r.Fields, Source: ex.conn.remote.Addr()}
	i, evaluated := ex.ln.rules.Match(view)
	ex.stats.RuleEvaluations += uint64(evaluated)
	if i >= 0 {
		ex.act = ex.ln.actions[i]
	}
}
