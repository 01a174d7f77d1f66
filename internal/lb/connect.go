package lb

import (
	"slices"
	"strconv"

	"fairlead/internal/lb/http1"
)

// dispatch builds the head of the request for the target and sends it over a connection that is
// idle, or over a new one.
func (ex *exchange) dispatch(r *http1.Request) {
	ex.head = ex.appendHead(ex.head[:0], r)
	ex.dispatched = ex.loop.now
	ex.phase = waiting
	if ex.expect && !ex.reqDone && ex.minor == 1 && !ex.http2 {
		ex.down.sendContinue()
	}
	ex.connect(true)
}

// connect hands the request to a connection of the target.
func (ex *exchange) connect(mayReuse bool) {
	up, reused, err := ex.loop.upstreamFor(ex, mayReuse)
	if err != nil {
		ex.groupStats().TargetConnectionErrorCount++
		ex.unreachable(502, err.Error())
		return
	}
	ex.up, ex.reused = up, reused
	up.sendHead(ex)
	if ex.reqDone {
		up.sendEnd(nil)
	}
}

// mayRetry is the one retry rule: a request is sent once more, over a new connection to the same
// target, if it went over a connection that had been idle, the target closed that without a byte
// of an answer, nothing of a body was sent, and repeating the method is harmless by definition
// (RFC 9110, section 9.2.2). That is the race between a request and the target's idle timeout.
func (ex *exchange) mayRetry() bool {
	if !ex.reused || ex.retried || ex.spoke || ex.bodySent || !ex.reqDone || ex.phase != waiting {
		return false
	}
	if ex.chunked || ex.length > 0 || ex.upgrade {
		return false
	}
	switch string(ex.method) {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE":
		return true
	}
	return false
}

// upstreamLost is called when the connection to the target fails before the response is complete.
// status is the answer that this deserves if none was begun.
func (ex *exchange) upstreamLost(status int, detail string) {
	ex.up = nil
	if status == 502 && ex.mayRetry() {
		ex.retried = true
		ex.connect(false)
		return
	}
	ex.fail(status, detail)
}

// appendHead appends the head of the request in the form of HTTP/1: first what the load balancer
// says, then what the client said.
func (ex *exchange) appendHead(b []byte, r *http1.Request) []byte {
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = appendTarget(b, ex.target)
	b = append(b, " HTTP/1.1\r\n"...)
	b = ex.appendForwarded(b, r)
	b = ex.appendHost(b, r)
	b = ex.appendTraceID(b, r)
	b = ex.appendTLS(b)
	for i := range r.Fields {
		b = ex.appendField(b, r, &r.Fields[i])
	}
	switch {
	case r.Chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case r.Length > 0 || ex.announcesEmpty(r):
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.Length, 10)
		b = append(b, "\r\n"...)
	}
	if ex.upgrade {
		b = append(b, "Connection: Upgrade\r\n"...)
	}
	return append(b, "\r\n"...)
}

// announcesEmpty says that the methods that usually have a body get a Content-Length of 0.
func (ex *exchange) announcesEmpty(r *http1.Request) bool {
	switch string(r.Method) {
	case "POST", "PUT", "PATCH":
		return true
	}
	return false
}

// appendTarget escapes blanks, which only a sloppy client sends.
func appendTarget(b, target []byte) []byte {
	for _, c := range target {
		if c == ' ' {
			b = append(b, "%20"...)
			continue
		}
		b = append(b, c)
	}
	return b
}

// appendField copies a field of the client, unless it is the load balancer's to say.
func (ex *exchange) appendField(b []byte, r *http1.Request, f *http1.Field) []byte {
	switch f.Kind {
	case http1.Other, http1.Cookie, http1.UserAgent:
		if r.Named && http1.Nominated(r.Fields, f.Name) || ex.dropped(f.Name) {
			return b
		}
	case http1.Upgrade:
		if !ex.upgrade {
			return b
		}
	case http1.TE:
		if !ex.grpc {
			return b
		}
	case http1.Host:
		if !ex.copiesHost(r) {
			return b
		}
	case http1.XForwardedFor:
		if ex.ln.Attributes.XFF != XFFPreserve {
			return b
		}
	case http1.Expect:
		if http1.EqualFold(f.Value, "100-continue") {
			return b
		}
	case http1.XForwardedProto, http1.XForwardedPort, http1.XAmznTraceID:
		return b
	default:
		if f.Kind.HopByHop() {
			return b
		}
	}
	return appendLine(b, f.Name, f.Value)
}

func appendLine(b, name, value []byte) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// dropped says whether a field is left out because its name is not of letters, digits and hyphens.
// It counts such fields once per request.
func (ex *exchange) dropped(name []byte) bool {
	for _, c := range name {
		if c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return ex.invalidField()
		}
	}
	return false
}

func (ex *exchange) invalidField() bool {
	drop := ex.ln.Attributes.DropInvalidHeaders
	switch {
	case ex.invalidSeen:
	case drop:
		ex.stats.DroppedInvalidHeaderRequestCount++
	default:
		ex.stats.ForwardedInvalidHeaderCount++
	}
	ex.invalidSeen = true
	return drop
}

// appendForwarded appends X-Forwarded-For by the mode of the listener, -Proto and -Port.
func (ex *exchange) appendForwarded(b []byte, r *http1.Request) []byte {
	a := &ex.ln.Attributes
	if a.XFF == XFFAppend {
		b = append(b, "X-Forwarded-For: "...)
		for i := range r.Fields {
			if f := &r.Fields[i]; f.Kind == http1.XForwardedFor && len(f.Value) > 0 {
				b = append(b, f.Value...)
				b = append(b, ", "...)
			}
		}
		if a.XFFClientPort {
			b = appendAddr(b, ex.conn.remote)
		} else {
			b = appendIP(b, ex.conn.remote.Addr())
		}
		b = append(b, "\r\n"...)
	}
	b = append(b, "X-Forwarded-Proto: "...)
	if ex.ln.Protocol == HTTPS {
		b = append(b, "https"...)
	} else {
		b = append(b, "http"...)
	}
	b = append(b, "\r\nX-Forwarded-Port: "...)
	b = strconv.AppendUint(b, uint64(ex.port()), 10)
	return append(b, "\r\n"...)
}

// appendHost appends the Host: as the client sent it, or in lower case, without the port on the
// default ports and with the listener's port on others.
func (ex *exchange) appendHost(b []byte, r *http1.Request) []byte {
	if ex.copiesHost(r) {
		return b
	}
	b = append(b, "Host: "...)
	switch {
	case ex.authority == nil:
		b = append(b, ex.ln.DNSName...)
	case ex.ln.Attributes.PreserveHost:
		b = append(b, ex.authority...)
	case ex.port() == 80 || ex.port() == 443:
		b = appendLower(b, ex.host)
	default:
		b = appendLower(b, ex.authority)
		if len(ex.host) == len(ex.authority) {
			b = append(b, ':')
			b = strconv.AppendUint(b, uint64(ex.port()), 10)
		}
	}
	return append(b, "\r\n"...)
}

// copiesHost says that the Host of the client is copied with its other fields, however often it is
// there. That of HTTP/2 is :authority, and that of a request line is no field at all.
func (ex *exchange) copiesHost(r *http1.Request) bool {
	return ex.ln.Attributes.PreserveHost && !ex.http2 && !ex.hostRewritten() &&
		slices.ContainsFunc(r.Fields, func(f http1.Field) bool { return f.Kind == http1.Host })
}

// maxTracedHeaders is the size of all headers from which on a trace header is not extended.
const maxTracedHeaders = 7 << 10

// appendTraceID appends X-Amzn-Trace-Id: a new Root, or the client's value behind a new Self.
func (ex *exchange) appendTraceID(b []byte, r *http1.Request) []byte {
	b = append(b, "X-Amzn-Trace-Id: "...)
	from := len(b)
	incoming, size := []byte(nil), 0
	for _, f := range r.Fields {
		size += len(f.Name) + len(f.Value) + 4
		if f.Kind == http1.XAmznTraceID {
			incoming = f.Value
		}
	}
	if size > maxTracedHeaders {
		incoming = nil
	}
	b = ex.appendTrace(b, incoming)
	ex.traceID = b[from:len(b):len(b)]
	return append(b, "\r\n"...)
}

func (ex *exchange) appendTrace(b, incoming []byte) []byte {
	root, rest := false, []byte(nil)
	eachTraceField(incoming, func(field []byte) {
		root = root || hasPrefixFold(field, "root=")
		if !hasPrefixFold(field, "self=") {
			rest = append(append(rest, ';'), field...)
		}
	})
	if root {
		b = append(b, "Self="...)
	} else {
		b = append(b, "Root="...)
	}
	b = append(b, "1-"...)
	b = appendHex8(b, uint32(ex.loop.wall(ex.loop.now).Unix()))
	b = append(b, '-')
	b = ex.loop.appendHex(b, 24)
	return append(b, rest...)
}

func eachTraceField(v []byte, f func([]byte)) {
	for len(v) > 0 {
		i := 0
		for i < len(v) && v[i] != ';' {
			i++
		}
		if i > 0 {
			f(v[:i])
		}
		v = v[min(i+1, len(v)):]
	}
}

func hasPrefixFold(b []byte, lower string) bool {
	return len(b) >= len(lower) && http1.EqualFold(b[:len(lower)], lower)
}

func appendHex8(b []byte, v uint32) []byte {
	const digits = "0123456789abcdef"
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, digits[v>>shift&15])
	}
	return b
}

// appendTLS appends the version and cipher of the client's TLS where the listener asks for it.
func (ex *exchange) appendTLS(b []byte) []byte {
	a, t := &ex.ln.Attributes, ex.conn.tls
	if !a.TLSHeaders || t == nil {
		return b
	}
	b = appendLine(b, []byte(a.TLSVersionHeader), []byte(t.version))
	return appendLine(b, []byte(a.TLSCipherHeader), []byte(t.cipher))
}
