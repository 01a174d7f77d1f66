package rewrite

import (
	"bytes"
	"net/netip"
)

// maxHost is the longest host name, in bytes (RFC 1035, section 2.3.4).
const maxHost = 255

// ValidHost says whether a result can stand as the host of a request: a name of letters, digits,
// hyphens and underscores in labels, or an address; without a port, which is not a transform's to set.
func ValidHost(h []byte) bool {
	if len(h) == 0 || len(h) > maxHost {
		return false
	}
	if h[0] == '[' {
		inner, found := bytes.CutSuffix(h[1:], []byte("]"))
		a, err := netip.ParseAddr(string(inner))
		return found && err == nil && a.Is6() && a.Zone() == ""
	}
	label := false // the byte before belongs to a label
	for _, c := range h {
		switch {
		case isDigit(c) || isWord(c) || c == '-':
			label = true
		case c == '.' && label:
			label = false
		default:
			return false
		}
	}
	return true
}

// ValidTarget says whether a result can stand as the path and query of a request line.
func ValidTarget(t []byte) bool {
	if len(t) == 0 || t[0] != '/' {
		return false
	}
	for _, c := range t {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
