package http1

import "bytes"

// MaxResponseHead is the limit of the head of a target's response in bytes; beyond it the load
// balancer answers 502 (ALB guide, troubleshooting: "response headers exceed 32 K").
const MaxResponseHead = 32 << 10

// The errors of the response parser. All become 502.
var (
	errStatusLine  = &Error{502, "malformed status line of the target"}
	errRespField   = &Error{502, "malformed header field of the target"}
	errRespLong    = &Error{502, "response headers of the target longer than 32 KiB"}
	errRespLength  = &Error{502, "malformed or contradictory Content-Length of the target"}
	errRespCoding  = &Error{502, "transfer coding of the target other than chunked"}
	errRespTwoWays = &Error{502, "target sent Content-Length and Transfer-Encoding"}
	errRespTooMany = &Error{502, "too many header fields of the target"}
)

// Response is a parsed response head.
type Response struct {
	Status int
	Reason []byte
	Minor  int
	Fields []Field

	// Length is the length of the body; -1 when it is chunked, -2 when it ends with the connection.
	Length  int64
	Chunked bool
	Close   bool // the target closes the connection after this response
	Named   bool // Connection names further fields that are hop by hop
}

// UntilClose is the Length of a body that ends when the connection does.
const UntilClose = -2

// Interim says that another response follows for the same request.
func (r *Response) Interim() bool { return r.Status < 200 && r.Status != 101 }

// ParseResponse parses a response head at the start of buf into r and returns its length. noBody
// says that the request was HEAD. It returns ErrIncomplete or an *Error with status 502.
func ParseResponse(buf []byte, r *Response, noBody bool) (int, error) {
	*r = Response{Fields: r.Fields[:0]}
	line, n := cutLine(buf)
	if n == 0 {
		return 0, incompleteResponse(buf)
	}
	if err := r.statusLine(line); err != nil {
		return 0, err
	}
	var p respParser
	for {
		line, m := cutLine(buf[n:])
		if m == 0 {
			return 0, incompleteResponse(buf)
		}
		if n += m; n > MaxResponseHead {
			return 0, errRespLong
		}
		if len(line) == 0 {
			return n, p.finish(r, noBody)
		}
		if err := p.field(r, line); err != nil {
			return 0, err
		}
	}
}

func incompleteResponse(buf []byte) error {
	if len(buf) > MaxResponseHead {
		return errRespLong
	}
	const start = "HTTP/1."
	if m := min(len(buf), len(start)); string(buf[:m]) != start[:m] {
		return errStatusLine
	}
	return ErrIncomplete
}

// statusLine parses "HTTP/1.x NNN reason".
func (r *Response) statusLine(line []byte) error {
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || !isDigit(line[7]) || line[8] != ' ' {
		return errStatusLine
	}
	if len(line) > 12 && line[12] != ' ' {
		return errStatusLine
	}
	for _, c := range line[9:12] {
		if !isDigit(c) {
			return errStatusLine
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < 100 {
		return errStatusLine
	}
	if r.Minor = 1; line[7] == '0' {
		r.Minor = 0
	}
	if len(line) > 13 {
		r.Reason = line[13:]
	}
	for _, c := range r.Reason {
		if c == '\r' || c == 0 {
			return errStatusLine
		}
	}
	return nil
}

type respParser struct {
	lengths, codings int
	length           int64
	chunked, keep    bool
}

func (p *respParser) field(r *Response, line []byte) error {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !IsToken(line[:colon]) {
		return errRespField
	}
	f := Field{Name: line[:colon], Value: trim(line[colon+1:]), Kind: kindOf(line[:colon])}
	for _, c := range f.Value {
		if c == '\r' || c == 0 {
			return errRespField
		}
	}
	switch f.Kind {
	case ContentLength:
		return p.contentLength(f.Value)
	case TransferEncoding:
		p.codings++
		p.chunked = EqualFold(f.Value, "chunked")
		if !p.chunked && !EqualFold(f.Value, "identity") || p.codings > 1 {
			return errRespCoding
		}
		return nil
	case Connection:
		tokens(f.Value, func(t []byte) {
			r.Close = r.Close || EqualFold(t, "close")
			p.keep = p.keep || EqualFold(t, "keep-alive")
			r.Named = r.Named || len(t) > 0 && !EqualFold(t, "close") &&
				!EqualFold(t, "keep-alive") && !EqualFold(t, "upgrade")
		})
	}
	if len(r.Fields) == MaxFields {
		return errRespTooMany
	}
	r.Fields = append(r.Fields, f)
	return nil
}

func (p *respParser) contentLength(v []byte) error {
	n, ok := parseLength(v)
	if !ok || p.lengths > 0 && int64(n) != p.length {
		return errRespLength
	}
	p.lengths++
	p.length = int64(n)
	return nil
}

// finish frames the body by RFC 9112, section 6.3.
func (p *respParser) finish(r *Response, noBody bool) error {
	if p.chunked && p.lengths > 0 {
		return errRespTwoWays
	}
	r.Close = r.Close || r.Minor == 0 && !p.keep
	switch {
	case r.Status < 200 || r.Status == 204:
		r.Length = 0
	case noBody || r.Status == 304:
		// Length is what the header says, for it is forwarded; the caller knows that none follows.
		if r.Length = UntilClose; p.lengths > 0 {
			r.Length = p.length
		}
	case p.chunked:
		r.Chunked, r.Length = true, -1
	case p.lengths > 0:
		r.Length = p.length
	default:
		r.Length, r.Close = UntilClose, true
	}
	return nil
}
