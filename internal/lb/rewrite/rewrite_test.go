package rewrite

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestAppend(t *testing.T) {
	for _, c := range []struct{ expr, replace, text, want string }{
		// The examples of the ALB guide.
		{"^mywebsite-(.+).com$", "internal.dev.$1.myweb.com", "mywebsite-example.com", "internal.dev.example.myweb.com"},
		{"^/dp/([A-Za-z0-9]+)/?$", "/product.php?id=$1", "/dp/B09G3HRMW", "/product.php?id=B09G3HRMW"},
		// What the AWS Load Balancer Controller makes of the Gateway API.
		{".*", "b.example", "a.example", "b.example"},
		{"^([^?]*)", "/new", "/old/path?q=1", "/new?q=1"},
		{"(^/foo(/)?)", "/cat$2", "/foo/bar", "/cat/bar"},
		{"(^/foo(/)?)", "/cat$2", "/foo", "/cat"},
		{"a", "b", "xaxa", "xbxa"}, // the first match only
		{"x", "b", "aaa", ""},      // none
		{"^", "/v1", "/a", "/v1/a"},
		{"/(a)(b)", "/$2$1", "/ab", "/ba"},
		{"a+", "[$0]", "caat", "c[aa]t"},
		{"(a)", "${1}x$$1", "a", "ax$1"},
		{"(?P<id>[0-9]+)", "<${id}>", "/7", "/<7>"},
		{"(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)", "$10-$1", "abcdefghij", "j-a"},
		{"é", "", "caf\xc3\xa9", "caf"},
	} {
		r, err := Compile(c.expr, c.replace, false)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		got, matched, err := r.Append([]byte("<"), []byte(c.text), 1000)
		if string(got) != "<"+c.want || matched != (c.want != "") || err != nil {
			t.Errorf("%s → %s of %q: %q, %v, %v; want %q", c.expr, c.replace, c.text, got, matched, err, c.want)
		}
	}
}

func TestFold(t *testing.T) {
	r, err := Compile("^a\\.(.*)$", "$1", true)
	if err != nil {
		t.Fatal(err)
	}
	if got, matched, _ := r.Append(nil, []byte("A.Example"), 100); !matched || string(got) != "Example" {
		t.Errorf("%q, %v", got, matched)
	}
}

// TestRefused: what AWS excludes, and what it may read in another way.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct{ expr, replace, word string }{
		"lookahead":          {"a(?=b)", "", "(?="},
		"negative lookahead": {"a(?!b)", "", "(?!"},
		"lookbehind":         {"(?<=a)b", "", "(?<"},
		"back-reference":     {`(a)\1`, "", `\1`},
		"named reference":    {`(?P<n>a)\k<n>`, "", `\k`},
		"atomic group":       {"(?>a)", "", "(?>"},
		"possessive":         {"a++", "", "++"},
		"possessive count":   {"a{2}+", "", "+"},
		"recursion":          {"(?R)", "", "(?R"},
		"subroutine":         {"(a)(?1)", "", "(?1"},
		"Unicode class":      {`^/\p{L}+`, "", `\p`},
		"short class":        {`\pL`, "", `\p`},
		"negated class":      {`\PL`, "", `\P`},
		"class in brackets":  {`[\p{Greek}a]`, "", `\p`},
		"unclosed":           {"(", "", "missing closing )"},
		"empty":              {"", "", "1 to 1024"},
		"long expression":    {strings.Repeat("a", MaxLength+1), "", "1 to 1024"},
		"long replacement":   {"a", strings.Repeat("a", MaxLength+1), "limit is 1024"},
		"too complex":        {"(ab){1000}", "", "too complex"},
		"no such group":      {"(a)", "$2", `no group "2"`},
		"no such name":       {"(a)", "${id}", `no group "id"`},
		"a plain dollar":     {"a", "/?$filter=x", "$$"},
		"dollar at the end":  {"a", "a$", "$$"},
		"ambiguous":          {"(a)", "$1x", "${1}"},
		"unclosed name":      {"(a)", "${1", "does not name"},
		"no name":            {"(a)", "${}", "does not name"},
	} {
		_, err := Compile(c.expr, c.replace, false)
		if err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v, want one about %q", name, err, c.word)
		}
	}
	for _, longest := range []string{strings.Repeat("a", MaxLength), strings.Repeat("é", MaxLength)} {
		if _, err := Compile(longest, longest, false); err != nil {
			t.Error(err)
		}
	}
}

func TestLimit(t *testing.T) {
	r, err := Compile("a+", strings.Repeat("$0", 500), false)
	if err != nil {
		t.Fatal(err)
	}
	text := bytes.Repeat([]byte("a"), 16<<10)
	got, matched, err := r.Append(nil, text, 20_000)
	if !matched || !errors.Is(err, ErrTooLong) || len(got) > 20_000 {
		t.Errorf("%d bytes, %v, %v", len(got), matched, err)
	}
	if got, _, err := r.Append(nil, []byte("a"), 500); err != nil || len(got) != 500 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestValid(t *testing.T) {
	for host, want := range map[string]bool{
		"a": true, "a.example": true, "A-1_b.example.": true, "10.0.0.1": true, "[::1]": true,
		"": false, ".": false, ".a": false, "a..b": false, "a:80": false, "[::1]:80": false,
		"[::1": false, "[1.2.3.4]": false, "[fe80::1%eth0]": false, "a b": false, "a\r\nX: y": false,
		"a/b": false, "a@b": false, "a,b": false, "é": false, "a\x00": false, "%61": false,
		strings.Repeat("a", maxHost): true, strings.Repeat("a", maxHost+1): false,
	} {
		if ValidHost([]byte(host)) != want {
			t.Errorf("host %q: %v", host, !want)
		}
	}
	for target, want := range map[string]bool{
		"/": true, "/a?b=c#d": true, "//a": true, "/\xc3\xa9": true, "": false, "a": false, "?a": false,
		"*": false, "http://a/": false, "/a b": false, "/a\tb": false, "/a\r\nX: y": false,
		"/a\x00": false, "/a\x7f": false, "/ HTTP/1.1\r\n": false,
	} {
		if ValidTarget([]byte(target)) != want {
			t.Errorf("target %q: %v", target, !want)
		}
	}
}

// FuzzRewrite: any transform that compiles keeps the bound, leaves alone what is not its match, and
// agrees with the expansion of package regexp where both know the same.
func FuzzRewrite(f *testing.F) {
	f.Add("^/dp/([A-Za-z0-9]+)/?$", "/product.php?id=${1}", "/dp/B09", 100)
	f.Add("(a)|(b)", "$2$1$0$$", "xb", 3)
	f.Add(`\p{L}`, "${n}", "x", 0)
	f.Fuzz(func(t *testing.T, expr, replace, text string, limit int) {
		r, err := Compile(expr, replace, false)
		if err != nil {
			return
		}
		limit = max(0, min(limit, 1<<16))
		got, matched, err := r.Append([]byte("head"), []byte(text), limit)
		if len(got) > len("head")+limit || !bytes.HasPrefix(got, []byte("head")) {
			t.Fatalf("%d bytes for a limit of %d", len(got), limit)
		}
		at := r.re.FindStringSubmatchIndex(text)
		if matched != (at != nil) || !matched && len(got) != len("head") {
			t.Fatalf("matched %v, %q", matched, got)
		}
		if !matched || err != nil {
			return
		}
		want := text[:at[0]] + string(r.re.ExpandString(nil, replace, text, at)) + text[at[1]:]
		if string(got[len("head"):]) != want {
			t.Fatalf("%q → %q of %q: %q, want %q", expr, replace, text, got, want)
		}
	})
}
