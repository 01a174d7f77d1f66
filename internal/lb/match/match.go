// Package match finds the rule of a listener that a request meets.
//
// Rules are tried by priority, but not one after the other: every rule is filed under what its most
// selective condition needs literally, the beginning of a path or a host name. A request looks only
// at the rules that it could meet, so that a thousand rules cost hardly more than ten.
package match

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"

	"fairlead/internal/lb/http1"
)

// Field names what a condition looks at.
type Field string

// The fields of rule conditions.
const (
	HostHeader        Field = "host-header"
	PathPattern       Field = "path-pattern"
	HTTPHeader        Field = "http-header"
	QueryString       Field = "query-string"
	HTTPRequestMethod Field = "http-request-method"
	SourceIP          Field = "source-ip"
)

// Condition is met when any of its values (or regular expressions) matches.
type Condition struct {
	Field      Field
	HeaderName string      // http-header only
	Values     []string    // patterns, methods or CIDRs; not for query-string
	Regex      []string    // host-header, path-pattern, http-header
	Query      []QueryPair // query-string only
}

// QueryPair is one value of a query-string condition. An empty Key means any key.
type QueryPair struct{ Key, Value string }

// View is the part of a request that conditions look at.
type View struct {
	Method []byte
	Host   []byte // without port; any case
	Path   []byte // without query
	Query  []byte // without "?", not decoded
	Fields []http1.Field
	Source netip.Addr // the peer of the connection
}

// Rules is a compiled list of rules. It is immutable.
type Rules struct {
	rules []rule
	paths trie
	hosts map[string][]int32 // rules with an exact host name, in lower case
	rest  []int32            // rules that neither a path nor an exact host selects
}

// rule is the conjunction of conditions.
type rule []condition

// condition is met when any of its tests is.
type condition []test

// test looks at one aspect of a request.
type test func(*View) bool

// Compile prepares rules, given in the order of their priorities, each as its conditions.
func Compile(rules [][]Condition) (*Rules, error) {
	rs := &Rules{hosts: map[string][]int32{}}
	for i, conds := range rules {
		if len(conds) == 0 {
			return nil, fmt.Errorf("rule %d has no condition", i)
		}
		var r rule
		for _, c := range conds {
			compiled, err := compile(c)
			if err != nil {
				return nil, fmt.Errorf("condition %s: %w", c.Field, err)
			}
			r = append(r, compiled)
		}
		rs.rules = append(rs.rules, r)
		rs.file(int32(i), conds)
	}
	return rs, nil
}

// Match returns the index of the first rule that v meets, or -1, and how many rules were evaluated.
func (rs *Rules) Match(v *View) (index, evaluated int) {
	var lists [maxLists][]int32
	n := rs.paths.collect(v.Path, lists[:0:maxLists-2])
	all := append(n, rs.rest)
	if len(rs.hosts) > 0 {
		var buf [256]byte
		all = append(all, rs.hosts[string(lower(buf[:0], v.Host))])
	}
	return rs.first(all, v)
}

// maxLists is how many lists of candidates there can be without allocating.
const maxLists = 16

// first tries the candidates of several ascending lists in ascending order.
func (rs *Rules) first(lists [][]int32, v *View) (index, evaluated int) {
	last := int32(-1)
	for {
		best := -1
		for i, l := range lists {
			for len(l) > 0 && l[0] <= last {
				l = l[1:]
			}
			lists[i] = l
			if len(l) > 0 && (best < 0 || l[0] < lists[best][0]) {
				best = i
			}
		}
		if best < 0 {
			return -1, evaluated
		}
		last = lists[best][0]
		evaluated++
		if rs.rules[last].met(v) {
			return int(last), evaluated
		}
	}
}

func (r rule) met(v *View) bool {
	for _, c := range r {
		if !slices.ContainsFunc(c, func(t test) bool { return t(v) }) {
			return false
		}
	}
	return true
}

// file puts a rule where requests find it.
func (rs *Rules) file(i int32, conds []Condition) {
	for _, c := range conds {
		if c.Field == PathPattern && len(c.Regex) == 0 && allSelective(c.Values) {
			for _, p := range c.Values {
				rs.paths.add(literal(p), i)
			}
			return
		}
	}
	for _, c := range conds {
		if c.Field == HostHeader && len(c.Regex) == 0 && !slices.ContainsFunc(c.Values, wild) {
			for _, h := range c.Values {
				key := string(lower(nil, []byte(h)))
				if l := rs.hosts[key]; len(l) == 0 || l[len(l)-1] != i {
					rs.hosts[key] = append(l, i)
				}
			}
			return
		}
	}
	rs.rest = append(rs.rest, i)
}

// allSelective says that every pattern begins with more than a slash.
func allSelective(patterns []string) bool {
	return !slices.ContainsFunc(patterns, func(p string) bool { return len(literal(p)) < 2 && wild(p) })
}

func compile(c Condition) (condition, error) {
	switch c.Field {
	case HostHeader:
		return texts(c, true, func(v *View) []byte { return v.Host })
	case PathPattern:
		return texts(c, false, func(v *View) []byte { return v.Path })
	case HTTPHeader:
		return headers(c)
	case QueryString:
		return queries(c)
	case HTTPRequestMethod:
		return methods(c)
	case SourceIP:
		return sources(c)
	}
	return nil, fmt.Errorf("unknown field")
}

// texts compiles wildcard patterns and regular expressions over one text of the request.
func texts(c Condition, fold bool, text func(*View) []byte) (condition, error) {
	var out condition
	for _, value := range c.Values {
		p := newPattern(value, fold)
		out = append(out, func(v *View) bool { return p.match(text(v)) })
	}
	for _, expr := range c.Regex {
		re, err := compileRegex(expr, fold)
		if err != nil {
			return nil, err
		}
		out = append(out, func(v *View) bool { return re.Match(text(v)) })
	}
	return nonEmpty(out)
}

func compileRegex(expr string, fold bool) (*regexp.Regexp, error) {
	if fold {
		expr = "(?i)" + expr
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", expr, err)
	}
	return re, nil
}

func nonEmpty(c condition) (condition, error) {
	if len(c) == 0 {
		return nil, fmt.Errorf("no values")
	}
	return c, nil
}

// headers compiles tests of the values of a named header; repeated headers are tried in order.
func headers(c Condition) (condition, error) {
	name := string(lower(nil, []byte(c.HeaderName)))
	if !http1.IsToken([]byte(name)) {
		return nil, fmt.Errorf("header name %q is not valid", c.HeaderName)
	}
	// The texts under test are values, handed to the tests as the Path of a View of their own.
	inner, err := texts(c, true, func(v *View) []byte { return v.Path })
	if err != nil {
		return nil, err
	}
	return condition{func(v *View) bool {
		for _, f := range v.Fields {
			if http1.EqualFold(f.Name, name) && (rule{inner}).met(&View{Path: f.Value}) {
				return true
			}
		}
		return false
	}}, nil
}

func methods(c Condition) (condition, error) {
	var out condition
	for _, m := range c.Values {
		out = append(out, func(v *View) bool { return string(v.Method) == m })
	}
	return nonEmpty(out)
}

func sources(c Condition) (condition, error) {
	var out condition
	for _, cidr := range c.Values {
		p, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, fmt.Errorf("CIDR %q: %w", cidr, err)
		}
		out = append(out, func(v *View) bool { return p.Contains(v.Source.Unmap()) })
	}
	return nonEmpty(out)
}
