package wire

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// limits are the bounds that the model states for a value: of a number, of the characters of a
// string, of the elements of a list or mapping, of the bytes of a blob.
type limits struct {
	min, max *float64
	pattern  *regexp.Regexp // the whole string must match
	source   string         // the pattern as the model has it
}

// newLimits reads the struct tags PREFIXmin, PREFIXmax and PREFIXpattern.
func newLimits(tag reflect.StructTag, prefix string) limits {
	l := limits{min: bound(tag, prefix+"min"), max: bound(tag, prefix+"max")}
	if p, ok := tag.Lookup(prefix + "pattern"); ok {
		l.pattern, l.source = compilePattern(p), p
	}
	return l
}

func bound(tag reflect.StructTag, key string) *float64 {
	f, err := strconv.ParseFloat(tag.Get(key), 64)
	if err != nil {
		return nil
	}
	return &f
}

// unicodeEscape is Java's \uXXXX, which Go writes \x{XXXX}.
var unicodeEscape = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`)

// compilePattern returns nil for a pattern that Go's regular expressions cannot state, such as one
// with a lookahead: what it forbids is the handler's to check.
func compilePattern(java string) *regexp.Regexp {
	p := unicodeEscape.ReplaceAllString(java, `\x{$1}`)
	p = strings.ReplaceAll(p, `\/`, `/`)
	re, err := regexp.Compile(`^(?:` + p + `)$`)
	if err != nil {
		return nil
	}
	return re
}
