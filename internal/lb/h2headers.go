package lb

import (
	"golang.org/x/net/http2/hpack"

	"fairlead/internal/lb/http1"
	"fairlead/internal/lb/http2"
)

// request begins a request from the decoded header block.
func (c *h2conn) request(id uint32) *http2.Error {
	r := &c.loop.req
	*r = http1.Request{Fields: r.Fields[:0], Minor: 1}
	ok := buildRequest(r, c.block.fields, c.block.end)
	if !ok && c.block.size <= maxList {
		return &http2.Error{Code: http2.ProtocolError, Stream: id, Text: "malformed request"}
	}
	c.newStream(id, r).begin(r, c.block.size > maxList)
	return nil
}

// requestBuilder collects the parts of a request from its header block.
type requestBuilder struct {
	r                               *http1.Request
	method, path, scheme, authority string
	seen                            uint8 // pseudo-header fields, as bits
	regular                         bool  // a field that is no pseudo-header field was seen
	length                          int64
	cookies                         int // index of the first cookie field, plus 1
}

// buildRequest makes a request of a header block. It returns false if the block breaks the rules
// of RFC 9113, section 8.
func buildRequest(r *http1.Request, fields []hpack.HeaderField, end bool) bool {
	b := requestBuilder{r: r, length: -1}
	r.Fields = append(r.Fields, http1.Field{}) // the place of Host
	for _, f := range fields {
		if !b.field(f) {
			return false
		}
	}
	if b.method == "" || b.path == "" || b.scheme == "" || b.path[0] != '/' && b.path != "*" {
		return false
	}
	host := b.authority
	for _, f := range r.Fields[1:] {
		if f.Kind == http1.Host && host == "" {
			host = string(f.Value)
		}
	}
	if host == "" {
		return false
	}
	r.Fields[0] = http1.Field{Name: bytesOf("host"), Value: bytesOf(host), Kind: http1.Host}
	r.Method, r.Target = bytesOf(b.method), bytesOf(b.path)
	return b.frame(end)
}

// frame decides how the body is framed towards a target of HTTP/1.
func (b *requestBuilder) frame(end bool) bool {
	switch {
	case end:
		b.r.Length = 0
		return b.length <= 0
	case b.length >= 0:
		b.r.Length = b.length
	default:
		b.r.Chunked, b.r.Length = true, -1
	}
	return true
}

// field takes one field.
func (b *requestBuilder) field(f hpack.HeaderField) bool {
	if f.Name != "" && f.Name[0] == ':' {
		return !b.regular && b.pseudo(f)
	}
	b.regular = true
	name, value := bytesOf(f.Name), bytesOf(f.Value)
	if !validName(f.Name) || !validValue(f.Value) {
		return false
	}
	kind := http1.KindOf(name)
	switch kind {
	case http1.Connection, http1.KeepAlive, http1.ProxyConnection, http1.TransferEncoding,
		http1.Upgrade:
		return false
	case http1.TE:
		if f.Value != "trailers" {
			return false
		}
	case http1.ContentLength:
		return b.contentLength(f.Value)
	case http1.Cookie:
		if b.cookies > 0 {
			return b.crumb(value)
		}
		b.cookies = len(b.r.Fields) + 1
	case http1.Host:
		if b.hasHost() {
			return false
		}
	}
	b.r.Fields = append(b.r.Fields, http1.Field{Name: name, Value: value, Kind: kind})
	return true
}

func (b *requestBuilder) hasHost() bool {
	for _, f := range b.r.Fields[1:] {
		if f.Kind == http1.Host {
			return true
		}
	}
	return false
}

// crumb joins the cookies that HTTP/2 lets a client send apart (RFC 9113, section 8.2.3).
func (b *requestBuilder) crumb(value []byte) bool {
	f := &b.r.Fields[b.cookies-1]
	f.Value = append(append(f.Value[:len(f.Value):len(f.Value)], "; "...), value...)
	return true
}

func (b *requestBuilder) contentLength(v string) bool {
	n := int64(0)
	for _, c := range []byte(v) {
		if c < '0' || c > '9' || len(v) > 18 {
			return false
		}
		n = n*10 + int64(c-'0')
	}
	if v == "" || b.length >= 0 && b.length != n {
		return false
	}
	b.length = n
	return true
}

// pseudo takes one of the pseudo-header fields of a request, each of which may come once.
func (b *requestBuilder) pseudo(f hpack.HeaderField) bool {
	var place *string
	var bit uint8
	switch f.Name {
	case ":method":
		place, bit = &b.method, 1
	case ":path":
		place, bit = &b.path, 2
	case ":scheme":
		place, bit = &b.scheme, 4
	case ":authority":
		place, bit = &b.authority, 8
	default:
		return false
	}
	if b.seen&bit != 0 || !validValue(f.Value) || bit == 1 && !http1.IsToken(bytesOf(f.Value)) {
		return false
	}
	for _, c := range []byte(f.Value) {
		if c <= ' ' {
			return false
		}
	}
	b.seen |= bit
	*place = f.Value
	return true
}

// validName says whether a field name is a token in lower case.
func validName(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return http1.IsToken(bytesOf(s))
}

// validValue says whether a field value has no control characters that could end it elsewhere.
func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c == '\r' || c == '\n' || c == 0 {
			return false
		}
	}
	return true
}
