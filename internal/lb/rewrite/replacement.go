package rewrite

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// part is a piece of a replacement: literal bytes, or a group of the expression.
type part struct {
	literal []byte
	group   int // if literal is nil
}

// text is what the part stands for, given the positions of a match; a group that took no part in it
// is empty.
func (p part) text(text []byte, at []int) []byte {
	if p.literal != nil {
		return p.literal
	}
	from, to := at[2*p.group], at[2*p.group+1]
	if from < 0 {
		return nil
	}
	return text[from:to]
}

// parseReplacement reads a replacement: $1 and ${1} quote a group, $0 the whole match, ${name} a
// group with a name, $$ is a dollar sign. AWS documents $1 and $2 only. What it may read in another
// way than we would is refused rather than guessed: a dollar sign before anything else, a group that
// does not exist, and $1x, which is group 1 or a group called 1x.
func parseReplacement(s string, re *regexp.Regexp) ([]part, error) {
	var parts []part
	for s != "" {
		before, rest, found := strings.Cut(s, "$")
		if before != "" {
			parts = append(parts, part{literal: []byte(before)})
		}
		if !found {
			break
		}
		if strings.HasPrefix(rest, "$") {
			parts = append(parts, part{literal: []byte("$")})
			s = rest[1:]
			continue
		}
		name, after, err := groupName(rest)
		if err != nil {
			return nil, err
		}
		group := groupOf(re, name)
		if group < 0 {
			return nil, fmt.Errorf("the regular expression has no group %q for the replacement", name)
		}
		parts = append(parts, part{group: group})
		s = after
	}
	return parts, nil
}

// groupName reads the name behind a dollar sign.
func groupName(s string) (name, rest string, err error) {
	if inner, ok := strings.CutPrefix(s, "{"); ok {
		name, rest, found := strings.Cut(inner, "}")
		if !found || name == "" {
			return "", "", fmt.Errorf("replacement has %q, which does not name a group", "${"+inner)
		}
		return name, rest, nil
	}
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	if n == 0 {
		return "", "", fmt.Errorf("replacement has a $ that names no group; a plain one is written $$")
	}
	if n < len(s) && isWord(s[n]) {
		return "", "", fmt.Errorf("replacement has $%s, which can be read in two ways; write ${%s}",
			s[:n+1], s[:n])
	}
	return s[:n], s[n:], nil
}

// groupOf finds a group by number or name; -1 if there is none.
func groupOf(re *regexp.Regexp, name string) int {
	if !isDigit(name[0]) {
		return re.SubexpIndex(name)
	}
	if n, err := strconv.Atoi(name); err == nil && n <= re.NumSubexp() {
		return n
	}
	return -1
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWord(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }
