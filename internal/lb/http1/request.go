// Package http1 parses and frames HTTP/1 messages in place: what it returns points into the
// caller's buffer, and nothing is allocated for a message. It does no input or output.
//
// The parser is strict where a lenient one would let two parties see different messages, and where
// it is lenient it says so: every request is classified the way the desync guardian of Application
// Load Balancers does (RFC 9112 compliant, acceptable, ambiguous, severe), so that its modes can be
// applied.
package http1

import (
	"bytes"
	"errors"
)

// Limits of a request, as documented for Application Load Balancers
// (docs.aws.amazon.com, load-balancer-troubleshooting: HTTP 400 and 414).
const (
	MaxLine   = 16 << 10 // bytes of the request line, or of one header line
	MaxHead   = 64 << 10 // bytes of all header lines
	MaxFields = 1000     // our own, a bound for hostile requests
	MaxMethod = 127      // bytes of a method, our own
)

// ErrIncomplete says that the head does not end within the buffer yet.
var ErrIncomplete = errors.New("incomplete message head")

// Error is a message that cannot be served. Status is the answer that it deserves.
type Error struct {
	Status int
	Text   string
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// The errors of the parser; each is one value, so that rejecting costs nothing.
var (
	errMethod    = &Error{400, "malformed method"}
	errTarget    = &Error{400, "malformed request target"}
	errLine      = &Error{400, "malformed request line"}
	errVersion   = &Error{505, "HTTP version not supported"}
	errURILong   = &Error{414, "request line longer than 16 KiB"}
	errFieldLong = &Error{400, "header line longer than 16 KiB"}
	errHeadLong  = &Error{400, "headers longer than 64 KiB"}
	errFields    = &Error{400, "too many header fields"}
	errLength    = &Error{400, "malformed or contradictory Content-Length"}
	errCoding    = &Error{400, "unknown or repeated transfer coding"}
	errCoding501 = &Error{501, "transfer coding other than chunked"}
	errNUL       = &Error{400, "CR or NUL in a header"}
)

// Request is a parsed request head.
type Request struct {
	Method []byte
	Target []byte // as sent: a path with query, an absolute URI or *
	Minor  int    // of HTTP/1.Minor
	Fields []Field

	Length  int64 // of the body; -1 when chunked, 0 when there is none
	Chunked bool
	Close   bool // the client wants the connection closed after the response
	Expect  bool // the client waits for 100 Continue
	Upgrade bool // the client offers to switch protocols
	Named   bool // Connection names further fields that are hop by hop

	Class  Class
	Reason string // for Class, with the words of the access log
}

// HasBody says whether bytes of a body follow the head.
func (r *Request) HasBody() bool { return r.Chunked || r.Length > 0 }

// Clone returns a copy of r that does not need the buffer that was parsed.
func (r *Request) Clone() *Request {
	c := *r
	size := len(r.Method) + len(r.Target)
	for _, f := range r.Fields {
		size += len(f.Name) + len(f.Value)
	}
	text := make([]byte, 0, size)
	keep := func(b []byte) []byte {
		from := len(text)
		text = append(text, b...)
		return text[from:len(text):len(text)]
	}
	c.Method, c.Target = keep(r.Method), keep(r.Target)
	c.Fields = make([]Field, len(r.Fields))
	for i, f := range r.Fields {
		c.Fields[i] = Field{Name: keep(f.Name), Value: keep(f.Value), Kind: f.Kind}
	}
	return &c
}

// reset prepares r for the next parse, keeping its memory.
func (r *Request) reset() { *r = Request{Fields: r.Fields[:0]} }

// ParseRequest parses a request head at the start of buf into r and returns its length. It returns
// ErrIncomplete if the head does not end in buf, or an *Error.
func ParseRequest(buf []byte, r *Request) (int, error) {
	r.reset()
	skipped := skipEmptyLines(buf)
	line, n := cutLine(buf[skipped:])
	if n == 0 {
		if len(buf)-skipped > MaxLine {
			return 0, errURILong
		}
		return 0, ErrIncomplete
	}
	if n > MaxLine {
		return 0, errURILong
	}
	p := parser{req: r, maxLine: MaxLine, maxHead: MaxHead, maxFields: MaxFields}
	if err := p.requestLine(line, n-len(line) == 1); err != nil {
		return 0, err
	}
	head, err := p.fields(buf[skipped+n:])
	if err != nil {
		return 0, err
	}
	if err := p.finish(); err != nil {
		return 0, err
	}
	return skipped + n + head, nil
}

// ParseOwn parses a complete request head that the load balancer has written itself: to what a
// client sent within the limits it may have added more.
func ParseOwn(buf []byte, r *Request) error {
	r.reset()
	line, n := cutLine(buf)
	p := parser{req: r, maxLine: len(buf), maxHead: len(buf), maxFields: len(buf)}
	if err := p.requestLine(line, false); err != nil {
		return err
	}
	if _, err := p.fields(buf[n:]); err != nil {
		return err
	}
	return p.finish()
}

// skipEmptyLines passes over line ends that some clients send after a body (RFC 9112, section 2.2).
func skipEmptyLines(buf []byte) int {
	n := 0
	for n < len(buf) && n < 4 && (buf[n] == '\r' || buf[n] == '\n') {
		n++
	}
	return n
}

// cutLine returns the first line without its end, and its length with it; 0 if there is none.
func cutLine(buf []byte) (line []byte, n int) {
	i := bytes.IndexByte(buf, '\n')
	if i < 0 {
		return nil, 0
	}
	if i > 0 && buf[i-1] == '\r' {
		return buf[:i-1], i + 1
	}
	return buf[:i], i + 1
}

// parser collects what is seen over several fields.
type parser struct {
	req *Request

	maxLine, maxHead, maxFields int

	lengths int    // Content-Length fields seen
	length  uint64 // the value of the first one
	te      bool   // a Transfer-Encoding field was seen
	chunked bool
	other   bool // a coding besides chunked and identity
	hosts   int
	keep    bool // Connection: keep-alive
	upgrade bool // Connection: upgrade
	// suspicious look-alikes of Transfer-Encoding and Content-Length
	likeTE, likeCL bool
}

func (p *parser) requestLine(line []byte, bareLF bool) error {
	r := p.req
	if bareLF {
		r.classify(Acceptable, "NonCrLfLineTermination")
	}
	first, last := bytes.IndexByte(line, ' '), bytes.LastIndexByte(line, ' ')
	if first < 0 || first == last {
		return errLine
	}
	r.Method, r.Target = line[:first], line[first+1:last]
	if !IsToken(r.Method) || len(r.Method) > MaxMethod {
		return errMethod
	}
	if err := p.version(line[last+1:]); err != nil {
		return err
	}
	return p.target()
}

// version accepts HTTP/1.x; other minor versions than 0 and 1 are read as 1.
func (p *parser) version(v []byte) error {
	if len(v) != 8 || string(v[:5]) != "HTTP/" || !isDigit(v[5]) || v[6] != '.' || !isDigit(v[7]) {
		return errLine
	}
	if v[5] != '1' {
		return errVersion
	}
	if p.req.Minor = 1; v[7] == '0' {
		p.req.Minor = 0
	}
	if v[7] > '1' {
		p.req.classify(Acceptable, "NonCompliantVersion")
	}
	return nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (p *parser) target() error {
	if len(p.req.Target) == 0 {
		return errTarget
	}
	for _, c := range p.req.Target {
		switch {
		case c == ' ':
			p.req.classify(Acceptable, "SpaceInUri")
		case c == '\r' || c == 0:
			return errTarget
		case c < ' ' || c == 0x7f:
			p.req.classify(Ambiguous, "AmbiguousUri")
		}
	}
	return nil
}

// fields parses header lines up to and including the empty line.
func (p *parser) fields(buf []byte) (int, error) {
	pos := 0
	for {
		line, n := cutLine(buf[pos:])
		if n == 0 {
			return 0, incomplete(len(buf)-pos, len(buf))
		}
		if n > p.maxLine {
			return 0, errFieldLong
		}
		if n-len(line) == 1 {
			p.req.classify(Acceptable, "NonCrLfLineTermination")
		}
		if pos += n; pos > p.maxHead {
			return 0, errHeadLong
		}
		if len(line) == 0 {
			return pos, nil
		}
		if len(p.req.Fields) == p.maxFields {
			return 0, errFields
		}
		if err := p.field(line); err != nil {
			return 0, err
		}
	}
}

// incomplete tells a head that may still become complete from one that is too long already.
func incomplete(line, head int) error {
	switch {
	case line > MaxLine:
		return errFieldLong
	case head > MaxHead:
		return errHeadLong
	}
	return ErrIncomplete
}

// field parses one header line. Lines that are no field at all are left out of what is forwarded.
func (p *parser) field(line []byte) error {
	if isBlank(line[0]) {
		p.req.classify(Ambiguous, "MultilineHeader")
		return nil
	}
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		p.req.classify(Ambiguous, "MissingHeaderColon")
		return nil
	}
	f := Field{Name: line[:colon], Value: trim(line[colon+1:])}
	if len(trim(f.Name)) == 0 {
		p.req.classify(Ambiguous, "EmptyHeader")
		return nil
	}
	if err := p.value(f.Value); err != nil {
		return err
	}
	if !IsToken(f.Name) {
		return p.oddName(f)
	}
	if bytes.IndexByte(f.Name, '_') >= 0 && p.lookAlike(f.Name) {
		return nil
	}
	f.Kind = kindOf(f.Name)
	return p.known(f)
}

// value looks for control characters. Most values have none, and the loop stays simple.
func (p *parser) value(v []byte) error {
	for _, c := range v {
		if c >= ' ' && c != 0x7f || c == '\t' {
			continue
		}
		if c == '\r' || c == 0 {
			return errNUL
		}
		p.req.classify(Acceptable, "NonCompliantHeader")
	}
	return nil
}

// oddName deals with names that are no tokens. Those with blanks or control characters are not
// forwarded, whatever their class: no target must be able to read them in another way.
func (p *parser) oddName(f Field) error {
	if bytes.IndexByte(f.Name, 0) >= 0 || bytes.IndexByte(f.Name, '\r') >= 0 {
		return errNUL
	}
	if p.lookAlike(f.Name) {
		return nil
	}
	p.req.classify(Acceptable, "NonCompliantHeader")
	for _, c := range f.Name {
		if c <= ' ' || c >= 0x7f {
			return nil
		}
	}
	p.req.Fields = append(p.req.Fields, f)
	return nil
}

// known evaluates the fields that frame the message or speak about the connection.
func (p *parser) known(f Field) error {
	r := p.req
	switch f.Kind {
	case ContentLength:
		return p.contentLength(f.Value)
	case TransferEncoding:
		return p.transferEncoding(f.Value)
	case Connection:
		p.connection(f.Value)
	case Expect:
		r.Expect = r.Expect || EqualFold(f.Value, "100-continue")
	case Host:
		p.hosts++
	}
	r.Fields = append(r.Fields, f)
	return nil
}

func (p *parser) connection(v []byte) {
	tokens(v, func(t []byte) {
		switch {
		case EqualFold(t, "close"):
			p.req.Close = true
		case EqualFold(t, "keep-alive"):
			p.keep = true
		case EqualFold(t, "upgrade"):
			p.upgrade = true
		default:
			p.req.Named = true
		}
	})
}

// contentLength evaluates a Content-Length field; framing fields are not kept in Fields.
func (p *parser) contentLength(v []byte) error {
	n, ok := parseLength(v)
	if !ok {
		return errLength
	}
	if p.lengths++; p.lengths == 1 {
		p.length = n
		return nil
	}
	if n != p.length {
		return errLength
	}
	p.req.classify(Ambiguous, "DuplicateContentLength")
	return nil
}

// parseLength reads a decimal number below 2^63.
func parseLength(v []byte) (n uint64, ok bool) {
	if len(v) == 0 || len(v) > 18 {
		return 0, false
	}
	for _, c := range v {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

func (p *parser) transferEncoding(v []byte) error {
	p.te = true
	var bad bool
	tokens(v, func(t []byte) {
		if i := bytes.IndexByte(t, ';'); i >= 0 {
			t = trim(t[:i])
		}
		switch {
		case EqualFold(t, "chunked"):
			bad = bad || p.chunked
			p.chunked = true
		case EqualFold(t, "identity"):
		case EqualFold(t, "gzip"), EqualFold(t, "deflate"), EqualFold(t, "compress"):
			p.other = true
		default:
			bad = true
		}
	})
	if bad || len(trim(v)) == 0 {
		return errCoding
	}
	return nil
}

// finish decides how the body is framed once all fields are known.
func (p *parser) finish() error {
	r := p.req
	if p.other {
		return errCoding501
	}
	r.Chunked = p.chunked
	switch {
	case p.chunked:
		r.Length = -1
	case p.lengths > 0:
		r.Length = int64(p.length)
	}
	r.Close = r.Close || r.Minor == 0 && !p.keep
	r.Upgrade = p.upgrade && r.Minor == 1
	p.classifyFraming()
	return nil
}
