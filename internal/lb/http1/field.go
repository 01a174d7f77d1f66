package http1

import "bytes"

// Field is one header field. Name and Value point into the buffer that was parsed.
type Field struct {
	Name, Value []byte
	Kind        Kind
}

// Kind tells apart the fields that a proxy has to know.
type Kind uint8

// The known fields; Other is everything else.
const (
	Other Kind = iota
	Host
	Connection
	KeepAlive
	ProxyConnection
	ContentLength
	TransferEncoding
	TE
	Trailer
	Upgrade
	Expect
	Cookie
	SetCookie
	UserAgent
	Server
	Date
	Location
	XForwardedFor
	XForwardedProto
	XForwardedPort
	XAmznTraceID
)

// kindOf finds the kind of a name in any case. The length decides most comparisons.
func kindOf(name []byte) Kind {
	switch len(name) {
	case 2:
		return is(name, "te", TE)
	case 4:
		return is(name, "host", Host) | is(name, "date", Date)
	case 6:
		return is(name, "expect", Expect) | is(name, "cookie", Cookie) | is(name, "server", Server)
	case 7:
		return is(name, "upgrade", Upgrade) | is(name, "trailer", Trailer)
	case 8:
		return is(name, "location", Location)
	case 10:
		return kindOf10(name)
	case 14:
		return is(name, "content-length", ContentLength)
	case 15:
		return is(name, "x-amzn-trace-id", XAmznTraceID) | is(name, "x-forwarded-for", XForwardedFor)
	case 16:
		return is(name, "x-forwarded-port", XForwardedPort) |
			is(name, "proxy-connection", ProxyConnection)
	case 17:
		return is(name, "transfer-encoding", TransferEncoding) |
			is(name, "x-forwarded-proto", XForwardedProto)
	}
	return Other
}

func kindOf10(name []byte) Kind {
	return is(name, "connection", Connection) | is(name, "user-agent", UserAgent) |
		is(name, "set-cookie", SetCookie) | is(name, "keep-alive", KeepAlive)
}

// is returns k if name equals lower in any case, else Other, which is zero, so that results of
// several comparisons can be or-ed. The name is as long as lower and begins with a letter there.
func is(name []byte, lower string, k Kind) Kind {
	if name[0]|0x20 == lower[0] && EqualFold(name, lower) {
		return k
	}
	return Other
}

// KindOf returns the kind of a field name in any case.
func KindOf(name []byte) Kind { return kindOf(name) }

// EqualFold compares ASCII text in any case with text in lower case.
func EqualFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c|0x20 != lower[i]|0x20 || (c^lower[i])&^0x20 != 0 {
			return false
		}
		if c != lower[i] && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// HopByHop says that a field is about one connection and is never forwarded as it is.
func (k Kind) HopByHop() bool {
	switch k {
	case Connection, KeepAlive, ProxyConnection, TransferEncoding, TE, Trailer, Upgrade:
		return true
	}
	return false
}

// tokens calls f for each element of a comma-separated list, without blanks around it.
func tokens(list []byte, f func([]byte)) {
	for len(list) > 0 {
		elem := list
		if i := bytes.IndexByte(list, ','); i >= 0 {
			elem, list = list[:i], list[i+1:]
		} else {
			list = nil
		}
		if elem = trim(elem); len(elem) > 0 {
			f(elem)
		}
	}
}

// Tokens calls f for each element of a comma-separated list, without blanks around it.
func Tokens(list []byte, f func([]byte)) { tokens(list, f) }

// trim removes blanks and tabs at both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// isTchar holds the characters of a token (RFC 9110, section 5.6.2).
var isTchar = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

// IsToken says whether b is a token of RFC 9110.
func IsToken(b []byte) bool {
	for _, c := range b {
		if !isTchar[c] {
			return false
		}
	}
	return len(b) > 0
}

// Nominated says whether a Connection field among fields names the given field, which makes it hop
// by hop (RFC 9110, section 7.6.1).
func Nominated(fields []Field, name []byte) bool {
	found := false
	for _, f := range fields {
		if f.Kind == Connection {
			tokens(f.Value, func(t []byte) { found = found || bytes.EqualFold(t, name) })
		}
	}
	return found
}
