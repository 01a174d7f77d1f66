package logs

import (
	"strings"
	"unicode"
)

// pattern is a filter pattern for unstructured events: terms and quoted phrases, all of which must
// be in the message; -terms that must not be; ?terms of which one must be, if there are no others.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
type pattern struct{ all, any, none []string }

// parsePattern refuses JSON, space-delimited and regular expression patterns.
func parsePattern(s string) (pattern, error) {
	var p pattern
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[") || strings.HasPrefix(s, "%") {
		return p, unserved("A filter pattern in {, [ or %")
	}
	for s != "" {
		sign, term, rest, err := nextTerm(s)
		if err != nil {
			return p, err
		}
		switch sign {
		case '-':
			p.none = append(p.none, term)
		case '?':
			p.any = append(p.any, term)
		default:
			p.all = append(p.all, term)
		}
		s = strings.TrimSpace(rest)
	}
	return p, nil
}

// nextTerm cuts the first term off s: its sign if any, and what to look for.
func nextTerm(s string) (sign byte, term, rest string, err error) {
	if s[0] == '-' || s[0] == '?' {
		sign, s = s[0], s[1:]
	}
	if quoted, ok := strings.CutPrefix(s, `"`); ok {
		term, rest, ok = cutQuote(quoted)
		if !ok || term == "" {
			return 0, "", "", invalid("Invalid filter pattern: unbalanced or empty quotes")
		}
		return sign, term, rest, nil
	}
	end := strings.IndexFunc(s, unicode.IsSpace)
	if end < 0 {
		end = len(s)
	}
	term, rest = s[:end], s[end:]
	odd := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' }
	if term == "" || strings.ContainsFunc(term, odd) {
		return 0, "", "", invalid("Invalid character(s) in term '%s'", term)
	}
	return sign, term, rest, nil
}

// cutQuote reads up to the closing quote; a backslash takes the next character as it is.
func cutQuote(s string) (term, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// matches reports whether the pattern finds the message. Case matters.
func (p pattern) matches(message string) bool {
	for _, term := range p.none {
		if strings.Contains(message, term) {
			return false
		}
	}
	for _, term := range p.all {
		if !strings.Contains(message, term) {
			return false
		}
	}
	if len(p.any) == 0 || len(p.all) > 0 {
		return true
	}
	for _, term := range p.any {
		if strings.Contains(message, term) {
			return true
		}
	}
	return false
}
