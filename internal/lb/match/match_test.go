package match

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path"
	"strings"
	"testing"

	"fairlead/internal/lb/http1"
)

func view(host, uri string) *View {
	p, q, _ := strings.Cut(uri, "?")
	return &View{Method: []byte("GET"), Host: []byte(host), Path: []byte(p), Query: []byte(q),
		Source: netip.MustParseAddr("10.1.2.3"),
		Fields: []http1.Field{
			{Name: []byte("User-Agent"), Value: []byte("Chrome/9")},
			{Name: []byte("x-a"), Value: []byte("one")}, {Name: []byte("X-A"), Value: []byte("two")},
		}}
}

func TestConditions(t *testing.T) {
	v := view("Api.Example.com", "/img/Cat.png?Version=V1&q=a*b")
	for _, c := range []struct {
		cond Condition
		want bool
	}{
		{Condition{Field: HostHeader, Values: []string{"api.example.COM"}}, true},
		{Condition{Field: HostHeader, Values: []string{"*.example.com"}}, true},
		{Condition{Field: HostHeader, Values: []string{"?pi.*"}}, true},
		{Condition{Field: HostHeader, Values: []string{"example.com", "x.y"}}, false},
		{Condition{Field: HostHeader, Regex: []string{`^api\.`}}, true},
		{Condition{Field: PathPattern, Values: []string{"/img/*"}}, true},
		{Condition{Field: PathPattern, Values: []string{"/img/cat.png"}}, false},
		{Condition{Field: PathPattern, Values: []string{"/nope", "/img/Cat.???"}}, true},
		{Condition{Field: PathPattern, Values: []string{"*png?Version*"}}, false},
		{Condition{Field: PathPattern, Regex: []string{`\.(png|gif)$`}}, true},
		{Condition{Field: HTTPHeader, HeaderName: "user-AGENT", Values: []string{"*chrome*"}}, true},
		{Condition{Field: HTTPHeader, HeaderName: "X-A", Values: []string{"TWO"}}, true},
		{Condition{Field: HTTPHeader, HeaderName: "X-B", Values: []string{"*"}}, false},
		{Condition{Field: QueryString, Query: []QueryPair{{"version", "v1"}}}, true},
		{Condition{Field: QueryString, Query: []QueryPair{{"", "v1"}}}, true},
		{Condition{Field: QueryString, Query: []QueryPair{{"q", `a\*b`}}}, true},
		{Condition{Field: QueryString, Query: []QueryPair{{"q", `a\*c`}}}, false},
		{Condition{Field: QueryString, Query: []QueryPair{{"vers*", "*"}}}, true},
		{Condition{Field: QueryString, Query: []QueryPair{{"v1", "*"}}}, false},
		{Condition{Field: HTTPRequestMethod, Values: []string{"GET"}}, true},
		{Condition{Field: HTTPRequestMethod, Values: []string{"get"}}, false},
		{Condition{Field: SourceIP, Values: []string{"10.1.0.0/16"}}, true},
		{Condition{Field: SourceIP, Values: []string{"10.2.0.0/16", "2001:db8::/32"}}, false},
	} {
		rs, err := Compile([][]Condition{{c.cond}})
		if err != nil {
			t.Fatalf("%+v: %v", c.cond, err)
		}
		if i, _ := rs.Match(v); (i == 0) != c.want {
			t.Errorf("%+v met = %v, want %v", c.cond, i == 0, c.want)
		}
	}
}

func TestRefusedConditions(t *testing.T) {
	for _, c := range []Condition{
		{Field: "nope", Values: []string{"x"}}, {Field: HostHeader}, {Field: QueryString},
		{Field: SourceIP, Values: []string{"10.0.0.1"}}, {Field: PathPattern, Regex: []string{"("}},
		{Field: HTTPHeader, HeaderName: "a b", Values: []string{"x"}},
	} {
		if _, err := Compile([][]Condition{{c}}); err == nil {
			t.Errorf("%+v compiles", c)
		}
	}
	if _, err := Compile([][]Condition{{}}); err == nil {
		t.Error("a rule without conditions compiles")
	}
}

// The index must never change the answer: it is compared with trying every rule in order.
func TestIndexAgreesWithLinearSearch(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	paths := []string{"/", "/*", "/a", "/a/*", "/a/b*", "/ab", "*", "/a?", "/a/b/c", "*c", "/x/*"}
	hosts := []string{"a.com", "b.com", "*.com", "A.com", "*"}
	for range 300 {
		var rules [][]Condition
		for range 1 + rnd.IntN(12) {
			var conds []Condition
			if rnd.IntN(3) > 0 {
				conds = append(conds, Condition{Field: PathPattern,
					Values: []string{paths[rnd.IntN(len(paths))], paths[rnd.IntN(len(paths))]}})
			}
			if rnd.IntN(2) > 0 || conds == nil {
				conds = append(conds, Condition{Field: HostHeader,
					Values: []string{hosts[rnd.IntN(len(hosts))]}})
			}
			rules = append(rules, conds)
		}
		rs, err := Compile(rules)
		if err != nil {
			t.Fatal(err)
		}
		for _, uri := range []string{"/", "/a", "/a/", "/a/b", "/a/bc", "/a/b/c", "/x/1", "/zzz"} {
			for _, host := range []string{"a.com", "B.COM", "c.org"} {
				v := view(host, uri)
				want := -1
				for i, r := range rs.rules {
					if r.met(v) {
						want = i
						break
					}
				}
				if got, _ := rs.Match(v); got != want {
					t.Fatalf("%s%s: rule %d, want %d of %+v", host, uri, got, want, rules)
				}
			}
		}
	}
}

func TestThousandRulesAreNotAllEvaluated(t *testing.T) {
	var rules [][]Condition
	for i := range 1000 {
		rules = append(rules, []Condition{{Field: PathPattern,
			Values: []string{fmt.Sprintf("/svc%d/*", i)}}})
	}
	rs, err := Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	i, evaluated := rs.Match(view("h", "/svc997/x"))
	if i != 997 || evaluated > 3 {
		t.Errorf("rule %d after %d evaluations", i, evaluated)
	}
	v := view("h", "/svc997/x")
	if n := testing.AllocsPerRun(100, func() { rs.Match(v) }); n > 0 {
		t.Errorf("%v allocations per match", n)
	}
}

// FuzzPattern checks patterns without slashes against path.Match, which has the same * and ? then.
func FuzzPattern(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("**", "")
	f.Fuzz(func(t *testing.T, p, s string) {
		if strings.ContainsAny(p+s, `/[]\`) || strings.ToValidUTF8(p+s, "") != p+s || !ascii(p+s) {
			return
		}
		want, err := path.Match(p, s)
		if err != nil {
			return
		}
		if got := newPattern(p, false).match([]byte(s)); got != want {
			t.Fatalf("%q matches %q = %v, want %v", p, s, got, want)
		}
	})
}

func ascii(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 127 }) < 0
}

func BenchmarkMatchThousand(b *testing.B) {
	var rules [][]Condition
	for i := range 1000 {
		rules = append(rules, []Condition{{Field: PathPattern,
			Values: []string{fmt.Sprintf("/svc%d/*", i)}}})
	}
	rs, _ := Compile(rules)
	v := view("h", "/svc997/x")
	for b.Loop() {
		rs.Match(v)
	}
}
