package lb

import (
	"bytes"
	"net/http"

	"fairlead/internal/lb/http1"
)

// read takes from a parsed request what is needed until its end; the parser's buffer is gone by
// then. It finds the host and the path, wherever the client has put them.
func (ex *exchange) read(r *http1.Request) *http1.Error {
	ex.minor, ex.length, ex.chunked = r.Minor, r.Length, r.Chunked
	ex.upgrade, ex.expect = r.Upgrade, r.Expect
	ex.class, ex.classReason = r.Class, r.Reason
	ex.isHead = string(r.Method) == "HEAD"
	for _, f := range r.Fields {
		switch f.Kind {
		case http1.Host:
			if ex.authority == nil {
				ex.authority = f.Value
			}
		case http1.UserAgent:
			ex.agent = f.Value
		}
	}
	ex.target = r.Target
	if err := ex.splitTarget(r); err != nil {
		return err
	}
	ex.method, ex.agent = r.Method, ex.agent[:min(len(ex.agent), maxLoggedAgent)]
	if len(ex.target) == 0 || ex.target[0] == '?' {
		ex.target = append([]byte("/"), ex.target...)
	}
	if !ex.http2 { // whose texts are Go's strings, most of them shared by many requests
		ex.keepTexts()
	}
	ex.path, ex.query, _ = bytes.Cut(ex.target, []byte("?"))
	ex.host = hostOnly(ex.authority)
	if ex.http2 {
		return r.Oversized()
	}
	return nil
}

var (
	errNoHost    = &http1.Error{Status: 400, Text: "request without Host"}
	errBadHost   = &http1.Error{Status: 400, Text: "malformed Host"}
	errBadTarget = &http1.Error{Status: 400, Text: "malformed request target"}
)

// splitTarget reduces the absolute form to a path; its host wins over the Host field.
func (ex *exchange) splitTarget(r *http1.Request) *http1.Error {
	t := r.Target
	switch {
	case t[0] == '/':
	case string(t) == "*" && string(r.Method) == http.MethodOptions:
	default:
		rest, ok := cutScheme(t)
		if !ok || len(rest) == 0 || rest[0] == '/' {
			return errBadTarget
		}
		end := bytes.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		ex.authority, ex.target = rest[:end], rest[end:]
	}
	if ex.authority == nil && r.Minor == 1 {
		return errNoHost
	}
	for _, c := range ex.authority {
		if c <= ' ' || c >= 0x7f || c == '/' || c == '@' || c == '\\' || c == ',' {
			return errBadHost
		}
	}
	return nil
}

func cutScheme(t []byte) ([]byte, bool) {
	for _, scheme := range []string{"http://", "https://"} {
		if len(t) > len(scheme) && http1.EqualFold(t[:len(scheme)], scheme) {
			return t[len(scheme):], true
		}
	}
	return nil, false
}

// keepTexts copies the texts into the exchange's own memory.
func (ex *exchange) keepTexts() {
	need := len(ex.method) + len(ex.target) + len(ex.authority) + len(ex.agent)
	if cap(ex.text) < need {
		ex.text = make([]byte, 0, max(need, 512))
	}
	keep := func(b []byte) []byte {
		from := len(ex.text)
		ex.text = append(ex.text, b...)
		return ex.text[from:len(ex.text):len(ex.text)]
	}
	ex.method, ex.target, ex.agent = keep(ex.method), keep(ex.target), keep(ex.agent)
	if ex.authority != nil {
		ex.authority = keep(ex.authority)
	}
}

// maxLoggedAgent is where the access log cuts the user agent.
const maxLoggedAgent = 8 << 10

// hostOnly removes the port from an authority.
func hostOnly(authority []byte) []byte {
	if i := bytes.LastIndexByte(authority, ':'); i >= 0 && bytes.IndexByte(authority[i:], ']') < 0 {
		if len(authority) > 0 && (authority[0] == '[' || bytes.IndexByte(authority[:i], ':') < 0) {
			return authority[:i]
		}
	}
	return authority
}

func appendLower(dst, s []byte) []byte {
	for _, c := range s {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

func lowerString(s string) string { return string(appendLower(nil, []byte(s))) }
