package lb

import (
	"net/http"
	"strconv"

	"fairlead/internal/lb/http1"
)

// How an HTTP/1 client is answered: the methods of downstream.

// sendContinue tells the client to go on with the body.
func (c *client) sendContinue() { c.write([]byte("HTTP/1.1 100 Continue\r\n\r\n")) }

// sendHead writes the head of a response of the target.
func (c *client) sendHead(ex *exchange, r *http1.Response, more bool) {
	b := c.buffer()
	from := len(b)
	b = appendStatusLine(b, r.Status, r.Reason)
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Kind.HopByHop() && !(r.Status == 101 && f.Kind == http1.Upgrade) ||
			r.Named && http1.Nominated(r.Fields, f.Name) || ex.overwritten(f.Name) {
			continue
		}
		b = appendLine(b, f.Name, f.Value)
	}
	if !r.Interim() {
		b = ex.appendExtra(b)
		b = c.appendFraming(b, ex, r, more)
	}
	c.out = append(b, "\r\n"...)
	ex.sent += int64(len(c.out) - from)
}

// appendFraming says how long the body is and whether the connection stays.
func (c *client) appendFraming(b []byte, ex *exchange, r *http1.Response, more bool) []byte {
	switch {
	case r.Status == 101:
		return append(b, "Connection: upgrade\r\n"...)
	case r.Length > 0 || r.Length == 0 && r.Status != 204:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.Length, 10)
		b = append(b, "\r\n"...)
	case more && c.minor == 1:
		c.chunked = true
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case more:
		c.last = true // the end of the connection is the end of the body
	}
	if !ex.reqDone && !ex.tunnelled() && c.skipTooLong() {
		c.last = true
	}
	return c.appendConnection(b)
}

// skipTooLong says that the rest of the request body is not worth reading.
func (c *client) skipTooLong() bool {
	if c.body == nil {
		return false
	}
	n, sized := c.body.Sized()
	return sized && n > maxSkip
}

func (c *client) appendConnection(b []byte) []byte {
	if c.last {
		return append(b, "Connection: close\r\n"...)
	}
	return append(b, "Connection: keep-alive\r\n"...)
}

func appendStatusLine(b []byte, status int, reason []byte) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	if reason == nil {
		b = append(b, phrase(status)...)
	} else {
		b = append(b, reason...)
	}
	return append(b, "\r\n"...)
}

// phrase is the reason phrase of a status, AWS's where it is known.
func phrase(status int) string {
	if p, ok := phrases[status]; ok {
		return p
	}
	return http.StatusText(status)
}

// overwritten says whether the listener sets a response header itself.
func (ex *exchange) overwritten(name []byte) bool {
	for _, h := range ex.ln.Attributes.ResponseHeaders {
		if len(h.Name) == len(name) && http1.EqualFold(name, lowerString(h.Name)) {
			return true
		}
	}
	return false
}

// appendExtra appends what the load balancer adds to a response: cookies and the listener's
// headers.
func (ex *exchange) appendExtra(b []byte) []byte {
	for _, f := range ex.cookies {
		b = appendLine(b, f.Name, f.Value)
	}
	if ex.ln != nil {
		for _, h := range ex.ln.Attributes.ResponseHeaders {
			b = appendLine(b, []byte(h.Name), []byte(h.Value))
		}
	}
	return b
}

// sendGenerated writes a response made here. HEAD gets the head only, with the same length.
func (c *client) sendGenerated(ex *exchange, g *generated) {
	b := c.buffer()
	from := len(b)
	b = appendStatusLine(b, g.status, nil)
	if ex.ln == nil || !ex.ln.Attributes.HideServerHeader {
		b = append(b, "Server: awselb/2.0\r\n"...)
	}
	b = append(b, "Date: "...)
	b = append(b, c.loop.dateNow()...)
	b = append(b, "\r\n"...)
	if g.body != "" && g.contentType != "" {
		b = appendLine(b, []byte("Content-Type"), []byte(g.contentType))
	}
	if g.status != 204 {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(g.body)), 10)
		b = append(b, "\r\n"...)
	}
	if !ex.reqDone && c.skipTooLong() {
		c.last = true
	}
	b = c.appendConnection(b)
	if g.location != "" {
		b = appendLine(b, []byte("Location"), []byte(g.location))
	}
	b = append(ex.appendExtra(b), "\r\n"...)
	if !ex.isHead && g.status != 204 {
		b = append(b, g.body...)
	}
	c.out = b
	ex.sent += int64(len(b) - from)
}

// sendBody writes a piece of the body, in a chunk of its own if need be.
func (c *client) sendBody(p []byte) {
	if !c.chunked {
		c.write(p)
		return
	}
	c.out = http1.AppendChunkSize(c.buffer(), len(p))
	c.write(p)
	c.out = append(c.buffer(), "\r\n"...)
}

// sendEnd ends the body, or our direction of a tunnel.
func (c *client) sendEnd(trailers []byte) {
	if c.ex != nil && c.ex.tunnelled() {
		c.finish()
		return
	}
	if c.chunked {
		b := append(c.buffer(), "0\r\n"...)
		b = append(b, trailers...)
		c.out = append(b, "\r\n"...)
	}
}

// wantBody implements downstream.
func (c *client) wantBody() { c.again() }

// cut resets the connection, so that the client does not take what it has for the whole.
func (c *client) cut(*exchange) {
	c.ex = nil
	if !c.closed {
		c.flush()
		c.release()
		c.loop.clients--
		c.reset()
	}
}
