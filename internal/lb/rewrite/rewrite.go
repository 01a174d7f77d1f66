// Package rewrite is the arithmetic of a rule's transforms: a regular expression, found once in a
// text, is replaced by a text that may quote its groups. It also knows what results can stand in the
// head of a request.
//
// Expressions are those of RE2, which match in time linear to the text, less what AWS excludes too
// (ALB guide, "Transforms for listener rules" and "Rule basics"). Neither the package nor its callers
// let a result out that has not been checked: it goes into a request line or a Host field.
package rewrite

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

const (
	// MaxLength is the longest expression and the longest replacement, in characters (Elastic Load
	// Balancing API, RewriteConfig).
	MaxLength = 1024
	// maxProgram bounds a compiled expression, in instructions: one of MaxLength characters has room
	// in it, but repetitions can grow far beyond. AWS has such a bound too (TransformCompileTooBig) and
	// does not publish it; this one is our own. A match takes, at worst, the product of the text's
	// length and this, some tenths of a second for the longest path there can be.
	maxProgram = 1280
)

// ErrTooLong says that a result is longer than it may be.
var ErrTooLong = errors.New("result is too long")

// Rewrite is a compiled transform. It is immutable.
type Rewrite struct {
	re    *regexp.Regexp
	parts []part
}

// Compile prepares a transform. Fold matches without regard to case.
func Compile(expr, replace string, fold bool) (*Rewrite, error) {
	if n := utf8.RuneCountInString(expr); n == 0 || n > MaxLength {
		return nil, fmt.Errorf("regular expression has %d characters, want 1 to %d", n, MaxLength)
	}
	if n := utf8.RuneCountInString(replace); n > MaxLength {
		return nil, fmt.Errorf("replacement has %d characters, limit is %d", n, MaxLength)
	}
	re, err := Expression(expr, fold)
	if err != nil {
		return nil, err
	}
	parts, err := parseReplacement(replace, re)
	if err != nil {
		return nil, err
	}
	return &Rewrite{re: re, parts: parts}, nil
}

// Expression compiles a regular expression as AWS permits it in conditions and transforms: without
// look-around, back-references, atomic groups, possessive quantifiers, subroutines, recursion, all
// of which RE2 does not know either, and without the Unicode classes \p, which it does.
func Expression(expr string, fold bool) (*regexp.Regexp, error) {
	if err := check(expr); err != nil {
		return nil, fmt.Errorf("regular expression '%s': %w", expr, err)
	}
	if fold {
		expr = "(?i)" + expr
	}
	return regexp.Compile(expr)
}

func check(expr string) error {
	parsed, err := syntax.Parse(expr, syntax.Perl&^syntax.UnicodeGroups)
	if wrong, ok := errors.AsType[*syntax.Error](err); ok {
		return fmt.Errorf("%s '%s'", wrong.Code, wrong.Expr)
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err == nil && len(prog.Inst) > maxProgram {
		err = fmt.Errorf("too complex: %d instructions, limit is %d", len(prog.Inst), maxProgram)
	}
	return err
}

// Append appends text with the first match replaced, at most limit bytes of it. Without a match it
// appends nothing and says so.
func (r *Rewrite) Append(dst, text []byte, limit int) (out []byte, matched bool, err error) {
	at := r.re.FindSubmatchIndex(text)
	if at == nil {
		return dst, false, nil
	}
	limit += len(dst)
	add := func(b []byte) bool {
		if len(b) > limit-len(dst) {
			return false
		}
		dst = append(dst, b...)
		return true
	}
	ok := add(text[:at[0]])
	for _, p := range r.parts {
		ok = ok && add(p.text(text, at))
	}
	if !ok || !add(text[at[1]:]) {
		return dst, true, ErrTooLong
	}
	return dst, true, nil
}
