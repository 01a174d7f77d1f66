package match

import (
	"bytes"
	"strings"
)

// pattern is a text with the wildcards * (zero or more bytes) and ? (exactly one).
type pattern struct {
	text []byte
	fold bool // compare without regard to case; text is in lower case then
	// escaped holds, for patterns with backslashes, which bytes of text are literal.
	escaped []bool
	plain   bool // no wildcard at all
}

func newPattern(s string, fold bool) *pattern {
	p := &pattern{text: []byte(s), fold: fold}
	if fold {
		p.text = lower(nil, p.text)
	}
	p.plain = !wild(s)
	return p
}

// newEscapedPattern reads \* and \? as the literal characters, as query-string conditions do.
func newEscapedPattern(s string) *pattern {
	p := newPattern("", true)
	for i := 0; i < len(s); i++ {
		literal := s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`*?\`, s[i+1]) >= 0
		if literal {
			i++
		}
		p.text = append(p.text, s[i])
		p.escaped = append(p.escaped, literal)
		p.plain = p.plain && (literal || s[i] != '*' && s[i] != '?')
	}
	p.text = lower(nil, p.text)
	return p
}

// wild says whether a pattern has wildcards.
func wild(s string) bool { return strings.ContainsAny(s, "*?") }

// literal is the part of a pattern before the first wildcard.
func literal(s string) string {
	if i := strings.IndexAny(s, "*?"); i >= 0 {
		return s[:i]
	}
	return s
}

// match compares the whole text. It runs in linear time for one star and at worst in the product
// of the lengths, without recursion.
func (p *pattern) match(text []byte) bool {
	if p.plain && !p.fold {
		return bytes.Equal(p.text, text)
	}
	i, j := 0, 0
	star, mark := -1, 0 // the last star, and where in text it was met
	for j < len(text) {
		switch {
		case i < len(p.text) && p.any(i, '*'):
			star, mark = i, j
			i++
		case i < len(p.text) && (p.any(i, '?') || p.text[i] == p.byteOf(text[j])):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p.text) && p.any(i, '*') {
		i++
	}
	return i == len(p.text)
}

// any says whether position i is the given wildcard.
func (p *pattern) any(i int, c byte) bool {
	return p.text[i] == c && (p.escaped == nil || !p.escaped[i])
}

func (p *pattern) byteOf(c byte) byte {
	if p.fold && c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// lower appends s to dst in ASCII lower case.
func lower(dst, s []byte) []byte {
	for _, c := range s {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// Pattern is a host name pattern for other uses than rules.
type Pattern struct{ p *pattern }

// HostPattern compiles a host name that may have wildcards.
func HostPattern(s string) Pattern { return Pattern{newPattern(s, true)} }

// Match says whether the host name, without port, fits the pattern in any case.
func (p Pattern) Match(host []byte) bool { return p.p.match(host) }

// queries compiles query-string tests. Keys and values are compared as they stand in the URL.
func queries(c Condition) (condition, error) {
	var out condition
	for _, q := range c.Query {
		key, value := newEscapedPattern(q.Key), newEscapedPattern(q.Value)
		anyKey := q.Key == ""
		out = append(out, func(v *View) bool {
			return anyPair(v.Query, func(k, val []byte) bool {
				return (anyKey || key.match(k)) && value.match(val)
			})
		})
	}
	return nonEmpty(out)
}

// anyPair says whether f holds for any key=value pair of a query.
func anyPair(query []byte, f func(k, v []byte) bool) bool {
	for len(query) > 0 {
		pair, rest, _ := bytes.Cut(query, []byte("&"))
		k, v, _ := bytes.Cut(pair, []byte("="))
		if f(k, v) {
			return true
		}
		query = rest
	}
	return false
}
