package lb

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

// transforming gives the listener a rule for everything, of priority 7, that forwards with
// transforms; each is written as its type, expression and replacement.
func transforming(transforms ...[3]string) func(*Listener) {
	return func(l *Listener) {
		r := Rule{Priority: 7, Actions: l.Default,
			Conditions: []Condition{{Field: PathPattern, Values: []string{"*"}}}}
		for _, t := range transforms {
			r.Transforms = append(r.Transforms,
				Transform{Type: TransformType(t[0]), Regex: t[1], Replace: t[2]})
		}
		l.Rules = append(l.Rules, r)
	}
}

func onPort(port uint16) func(*Listener) { return func(l *Listener) { l.Port = port } }

func preserving(l *Listener) { l.Attributes.PreserveHost = true }

// transformOf is what the log says about the transforms of a request.
func transformOf(r AccessRecord) string {
	line := string(r.AppendLine(nil))
	fields := strings.Fields(line[strings.LastIndex(line, "TID_")+1:])
	return r.Actions + " " + strings.Join(fields[len(fields)-3:], " ")
}

const (
	hostRewrite = string(HostHeaderRewrite)
	urlRewrite  = string(URLRewrite)
)

var (
	guideHost = [3]string{hostRewrite, "^mywebsite-(.+).com$", "internal.dev.$1.myweb.com"}
	guideURL  = [3]string{urlRewrite, "^/dp/([A-Za-z0-9]+)/?$", "/product.php?id=$1"}
	toB       = [3]string{hostRewrite, ".*", "b.example"}
)

// TestTransforms sends requests over HTTP/1 and looks at the head that the target gets and at the
// record of the log.
func TestTransforms(t *testing.T) {
	target := unprobed(groupOf("g", mirror(t)))
	const get = "GET / HTTP/1.1"
	for _, c := range []struct {
		name       string
		transforms [][3]string
		change     func(*Listener)
		request    string // lines, without the end
		line, host string // at the target
		log        string // actions and the last three fields
	}{
		{"host, as in the guide", [][3]string{guideHost}, onPort(80),
			"GET /a HTTP/1.1|Host: mywebsite-example.com", "GET /a HTTP/1.1",
			"internal.dev.example.myweb.com",
			`rewrite,forward "internal.dev.example.myweb.com" "-" "TransformSuccess"`},
		{"URL, as in the guide", [][3]string{guideURL}, onPort(80),
			"GET /dp/B09G3HRMW HTTP/1.1|Host: a", "GET /product.php?id=B09G3HRMW HTTP/1.1", "a",
			`rewrite,forward "-" "/product.php?id=B09G3HRMW" "TransformSuccess"`},
		{"both", [][3]string{toB, {urlRewrite, "^/old", "/new"}}, onPort(80),
			"POST /old?q=/old HTTP/1.1|Host: a.example|Content-Length: 0", "POST /new?q=/old HTTP/1.1",
			"b.example", `rewrite,forward "b.example" "/new?q=/old" "TransformSuccess"`},
		{"the query alone", [][3]string{{urlRewrite, `\?id=(\d+)&x=(\w+)$`, "?$2=${1}"}}, onPort(80),
			"GET /p?id=7&x=y HTTP/1.1|Host: a", "GET /p?y=7 HTTP/1.1", "a",
			`rewrite,forward "-" "/p?y=7" "TransformSuccess"`},
		{"a query dropped", [][3]string{{urlRewrite, `\?.*`, ""}}, onPort(80),
			"GET /p?id=7 HTTP/1.1|Host: a", "GET /p HTTP/1.1", "a",
			`rewrite,forward "-" "/p" "TransformSuccess"`},
		{"no match", [][3]string{guideHost, guideURL}, onPort(80), "GET /x HTTP/1.1|Host: A.example:80",
			"GET /x HTTP/1.1", "a.example", `forward "-" "-" "-"`},
		{"a match that changes nothing", [][3]string{{urlRewrite, "^/x", "/x"}}, onPort(80),
			"GET /x HTTP/1.1|Host: a", "GET /x HTTP/1.1", "a", `rewrite,forward "-" "-" "TransformSuccess"`},
		{"one matches", [][3]string{guideHost, {urlRewrite, "x", "y"}}, onPort(80), "GET /x HTTP/1.1|Host: a",
			"GET /y HTTP/1.1", "a", `rewrite,forward "-" "/y" "TransformSuccess"`},
		{"host in any case", [][3]string{{hostRewrite, "^a\\.(.*)$", "$1"}}, onPort(80), get + "|Host: A.Example",
			get, "example", `rewrite,forward "Example" "-" "TransformSuccess"`},
		{"port of another listener is appended", [][3]string{toB}, onPort(8080), get + "|Host: a", get,
			"b.example:8080", `rewrite,forward "b.example" "-" "TransformSuccess"`},
		{"port of the client stays on another", [][3]string{toB}, onPort(8080), get + "|Host: a:8080", get,
			"b.example:8080", `rewrite,forward "b.example" "-" "TransformSuccess"`},
		{"port of the client goes on 80", [][3]string{toB}, onPort(80), get + "|Host: a:80", get,
			"b.example", `rewrite,forward "b.example" "-" "TransformSuccess"`},
		{"preserved host is rewritten", [][3]string{toB}, preserving, get + "|Host: A.example", get,
			"b.example", `rewrite,forward "b.example" "-" "TransformSuccess"`},
		{"preserved case of the result", [][3]string{{hostRewrite, "a", "B"}}, preserving,
			get + "|Host: A.Example:1", get, "B.Example:1",
			`rewrite,forward "B.Example" "-" "TransformSuccess"`},
		{"preserved hosts are replaced by one", [][3]string{toB}, preserving, get + "|Host: a|Host: c", get,
			"b.example", `rewrite,forward "b.example" "-" "TransformSuccess"`},
		{"preserved and no match", [][3]string{guideHost}, preserving, get + "|Host: A:1|Host: c", get,
			"A:1 & c", `forward "-" "-" "-"`},
		{"absolute form", [][3]string{toB, {urlRewrite, "^/$", "/new"}}, onPort(80),
			"GET http://other.example HTTP/1.1|Host: a", "GET /new HTTP/1.1", "b.example",
			`rewrite,forward "b.example" "/new" "TransformSuccess"`},
		{"HTTP/1.0 without Host", [][3]string{toB, {urlRewrite, "x", "y"}}, onPort(80), "GET /x HTTP/1.0",
			"GET /y HTTP/1.1", "lb.localhost", `rewrite,forward "-" "/y" "TransformSuccess"`},
		{"IPv6 address", [][3]string{{hostRewrite, `^.*$`, "[2001:db8::1]"}}, onPort(8080), get + "|Host: [::1]",
			get, "[2001:db8::1]:8080", `rewrite,forward "[2001:db8::1]" "-" "TransformSuccess"`},
		{"OPTIONS *", [][3]string{{urlRewrite, ".*", "/x"}}, onPort(80), "OPTIONS * HTTP/1.1|Host: a",
			"OPTIONS * HTTP/1.1", "a", `forward "-" "-" "-"`},
		{"a blank of the client", [][3]string{{urlRewrite, "^/a", "/b"}}, onPort(80), "GET /a b HTTP/1.1|Host: a",
			"GET /b%20b HTTP/1.1", "a", `rewrite,forward "-" "/b%20b" "TransformSuccess"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := serve(t, target, transforming(c.transforms...), c.change)
			resp, head := f.ask(strings.ReplaceAll(c.request, "|", "\r\n") + "\r\n\r\n")
			line, _, _ := strings.Cut(head, "\r\n")
			if resp.StatusCode != 200 || line != c.line || value(head, "Host") != c.host {
				t.Errorf("%d, target got %q", resp.StatusCode, head)
			}
			rs := f.allRecords()
			if len(rs) != 1 || transformOf(rs[0]) != c.log || rs[0].Priority != 7 {
				t.Errorf("records %+v", rs)
			}
		})
	}
}

// TestTransformLogsTheOriginal: the URL of the log is what the client has sent, as is what rules see.
func TestTransformLogsTheOriginal(t *testing.T) {
	f := serve(t, unprobed(groupOf("g", mirror(t))), onPort(80), func(l *Listener) {
		rule := func(priority int, field ConditionField, value, path string) Rule {
			return Rule{Priority: priority, Actions: l.Default,
				Conditions: []Condition{{Field: field, Values: []string{value}}},
				Transforms: []Transform{{URLRewrite, "^.*$", path}, {HostHeaderRewrite, "^.*$", "b.example"}}}
		}
		l.Rules = []Rule{rule(1, PathPattern, "/second*", "/third"), rule(2, PathPattern, "/first*", "/second"),
			rule(3, HostHeader, "b.example", "/fourth")}
	})
	_, head := f.ask("GET /first?q HTTP/1.1\r\nHost: a.example\r\n\r\n")
	if !strings.HasPrefix(head, "GET /second HTTP/1.1\r\n") || value(head, "Host") != "b.example" {
		t.Errorf("target got %q", head)
	}
	if rs := f.allRecords(); rs[0].URL != "http://a.example:80/first?q" || rs[0].Priority != 2 {
		t.Errorf("record %+v", rs[0])
	}
}

// TestTransformFailures: what matches and cannot be sent is a 500 with a reason, and no target is
// asked; the connection can still be used.
func TestTransformFailures(t *testing.T) {
	long := "(" + strings.Repeat(".", 20) + ")(.*)"
	for name, c := range map[string]struct {
		transform [3]string
		request   string
		status    string
	}{
		"no slash":       {[3]string{urlRewrite, "^/a", "b"}, "GET /a", "TransformInvalidPath"},
		"empty":          {[3]string{urlRewrite, "^.*$", ""}, "GET /a", "TransformInvalidPath"},
		"absolute":       {[3]string{urlRewrite, "^", "http://b"}, "GET /a", "TransformInvalidPath"},
		"blank":          {[3]string{urlRewrite, "^/a", "/b HTTP/1.0"}, "GET /a", "TransformInvalidPath"},
		"CRLF":           {[3]string{urlRewrite, "$", "\r\nX: y"}, "GET /a", "TransformInvalidPath"},
		"control":        {[3]string{urlRewrite, "$", "\x01"}, "GET /a", "TransformInvalidPath"},
		"NUL":            {[3]string{urlRewrite, "$", "\x00"}, "GET /a", "TransformInvalidPath"},
		"DEL":            {[3]string{urlRewrite, "$", "\x7f"}, "GET /a", "TransformInvalidPath"},
		"too long":       {[3]string{urlRewrite, long, strings.Repeat("$1$2", 200)}, "GET /" + strings.Repeat("a", 200), "TransformBufferTooSmall"},
		"host CRLF":      {[3]string{hostRewrite, "$", "\r\nX: y"}, "GET /a", "TransformInvalidHost"},
		"host blank":     {[3]string{hostRewrite, "$", " b"}, "GET /a", "TransformInvalidHost"},
		"host empty":     {[3]string{hostRewrite, ".*", ""}, "GET /a", "TransformInvalidHost"},
		"host with port": {[3]string{hostRewrite, ".*", "b:80"}, "GET /a", "TransformInvalidHost"},
		"host with path": {[3]string{hostRewrite, ".*", "b/c"}, "GET /a", "TransformInvalidHost"},
		"host with user": {[3]string{hostRewrite, ".*", "b@c"}, "GET /a", "TransformInvalidHost"},
		"host list":      {[3]string{hostRewrite, ".*", "b,c"}, "GET /a", "TransformInvalidHost"},
		"host long":      {[3]string{hostRewrite, ".*", strings.Repeat("a", 256)}, "GET /a", "TransformInvalidHost"},
		"host too long":  {[3]string{hostRewrite, "(.*)", strings.Repeat("$1", 500)}, "GET /a", "TransformBufferTooSmall"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, unprobed(groupOf("g", mirror(t))), transforming(c.transform, guideURL), func(l *Listener) {
				if c.transform[0] == urlRewrite {
					l.Rules[0].Transforms = l.Rules[0].Transforms[:1]
				}
				l.Rules[0].Conditions = []Condition{{Field: PathPattern, Values: []string{"/a*"}}}
			})
			conn := f.raw(c.request + " HTTP/1.1\r\nHost: " + strings.Repeat("a", 60) + "\r\n\r\n")
			br := bufio.NewReader(conn)
			resp, body := readResponse(t, br, nil)
			if resp.StatusCode != 500 || resp.Header.Get("Server") != "awselb/2.0" || len(body) != 142 ||
				!strings.Contains(body, "<center><h1>500 Internal Server Error") {
				t.Errorf("%v %q", resp, body)
			}
			checkCounted(t, f.Stats().LoadBalancers["app/lb/1"], 500)
			io.WriteString(conn, "GET /other HTTP/1.1\r\nHost: a\r\n\r\n")
			if resp, head := readResponse(t, br, nil); resp.StatusCode != 200 || !strings.HasPrefix(head, "GET /other ") {
				t.Errorf("afterwards %v %q", resp, head)
			}
			stats := f.Stats()
			if n := stats.LoadBalancers["app/lb/1"].RequestCount; n != 1 {
				t.Errorf("%d requests were given to targets", n)
			}
			rs := f.allRecords()
			if len(rs) != 2 || transformOf(rs[0]) != ` "-" "-" "`+c.status+`"` || rs[0].TargetStatus != 0 ||
				rs[0].FailureDetail == "" || rs[0].Status != 500 || !strings.Contains(rs[0].URL, "/a") ||
				transformOf(rs[1]) != `forward "-" "-" "-"` {
				t.Errorf("records %+v", rs)
			}
		})
	}
}
