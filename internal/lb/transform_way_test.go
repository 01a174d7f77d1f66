package lb

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestTransformsH2: a client of HTTP/2, and targets of every version, over which the head travels as
// :path and :authority.
func TestTransformsH2(t *testing.T) {
	tell := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Grpc-Status", "0")
		fmt.Fprint(w, r.Method, " ", r.RequestURI, " ", r.Host)
	}
	for version, addr := range map[ProtocolVersion]string{
		HTTP1: startTarget(t, tell).String(), HTTP2: startH2Target(t, false, tell).String(),
		GRPC: startH2Target(t, false, tell).String(),
	} {
		for _, preserve := range []bool{false, true} {
			f := serve(t, h2Group(netip.MustParseAddrPort(addr), version, HTTP), secure(certFor(t, "c", false, "a.example")),
				transforming(toB, [3]string{urlRewrite, `^/(\w+)\?x=(.)`, "/new/$1?y=$2"}),
				onPort(443), func(l *Listener) { l.Attributes.PreserveHost = preserve })
			req, _ := http.NewRequest("POST", "https://"+f.addr()+"/old?x=1&z", nil)
			req.Host = "a.example"
			resp, err := h2Transport(t).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if want := "POST /new/old?y=1&z b.example"; string(body) != want || resp.StatusCode != 200 {
				t.Errorf("%s, preserve %v: %d %q, want %q", version, preserve, resp.StatusCode, body, want)
			}
			const log = `rewrite,forward "b.example" "/new/old?y=1&z" "TransformSuccess"`
			if rs := f.allRecords(); transformOf(rs[0]) != log || rs[0].URL != "https://a.example:443/old?x=1&z" {
				t.Errorf("record %+v", rs[0])
			}
		}
	}
}

// A gRPC client learns of a failed transform in its own words.
func TestTransformFailureOfGRPC(t *testing.T) {
	f := serve(t, h2Group(closedPort(t), GRPC, HTTP), secure(certFor(t, "c", false, "a.example")),
		transforming([3]string{urlRewrite, "^/", ""}))
	req, _ := http.NewRequest("POST", "https://"+f.addr()+"/pkg.Service/Method", strings.NewReader("x"))
	req.Header.Set("Content-Type", "application/grpc")
	resp, err := h2Transport(t).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 500 || resp.Header.Get("Grpc-Status") != "2" {
		t.Errorf("%v", resp)
	}
	if rs := f.allRecords(); rs[0].TransformStatus != "TransformInvalidPath" || rs[0].Type != "grpcs" {
		t.Errorf("record %+v", rs[0])
	}
}

// TestTransformsTouchNothingElse: what the load balancer says of the client, and its cookies, are as
// without transforms.
func TestTransformsTouchNothingElse(t *testing.T) {
	g := unprobed(groupOf("g", mirror(t), mirror(t)))
	g.Stickiness = Stickiness{Type: LBCookie, Duration: time.Hour}
	f := serve(t, g, onPort(8080), transforming(toB, [3]string{urlRewrite, "^", "/v1"}))
	const fields = "Host: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Host: a\r\nReferer: http://a/\r\n" +
		"Content-Length: 0\r\n"
	resp, head := f.ask("POST /x HTTP/1.1\r\n" + fields + "\r\n")
	for name, want := range map[string]string{
		"X-Forwarded-For": "1.1.1.1, 127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "8080",
		"X-Forwarded-Host": "a", "Referer": "http://a/", "Content-Length": "0", "Host": "b.example:8080",
	} {
		if got := value(head, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	cookies := resp.Cookies()
	if len(cookies) != 2 || cookies[0].Name != "AWSALB" || cookies[0].Path != "/" {
		t.Fatalf("cookies %v", cookies)
	}
	for range 4 {
		f.ask("POST /x HTTP/1.1\r\n" + fields + "Cookie: AWSALB=" + cookies[0].Value + "\r\n\r\n")
	}
	rs := f.allRecords()
	for _, r := range rs {
		if r.Target != rs[0].Target {
			t.Errorf("the cookie of %v leads to %v", rs[0].Target, r.Target)
		}
	}
}

// TestFailoverKeepsTransforms: the next target, and the next connection, get the same head.
func TestFailoverKeepsTransforms(t *testing.T) {
	g := groupOf("g", mirror(t))
	for range 3 {
		g.Targets = append(g.Targets, groupOf("g", dead(t)).Targets...)
	}
	f := serve(t, unprobed(g), onPort(80), transforming(toB, [3]string{urlRewrite, "^/a", "/b"}))
	for range 8 {
		_, head := f.ask("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
		if !strings.HasPrefix(head, "GET /b HTTP/1.1\r\n") || value(head, "Host") != "b.example" {
			t.Fatalf("target got %q", head)
		}
	}
	retried := 0
	for _, r := range f.allRecords() {
		if r.Retried {
			retried++
		}
	}
	if retried == 0 {
		t.Error("no request went to another target")
	}
}

// TestTransformSmuggling sends a request of which a transform copies parts, to a careless back end:
// it sees one request.
func TestTransformSmuggling(t *testing.T) {
	var careless seen
	f := serve(t, unprobed(groupOf("g", rawTarget(t, func(c net.Conn, r *bufio.Reader) {
		naive(&careless)(c, r)
	}))), onPort(80), transforming([3]string{urlRewrite, `^/(.*)\?(.*)$`, "/$2?$1"}, [3]string{hostRewrite, "(.*)", "$1"}))
	for _, target := range []string{
		"/x?/a%0d%0aX:%20y", "/x?%20HTTP/1.1%0d%0a%0d%0aGET%20/smuggled%20HTTP/1.1", "/x?\x0b\x0c", "/x?\tHTTP/1.1",
		"/x? HTTP/1.1", "/x?#", "/x?http://b/",
	} {
		f.ask("GET " + target + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	}
	for _, r := range careless.all() {
		if !strings.HasPrefix(r, "GET /") || strings.Count(r, " ") != 2 || !strings.HasSuffix(r, "x HTTP/1.1|") {
			t.Errorf("the back end saw %q", r)
		}
	}
}

func TestCompileTransforms(t *testing.T) {
	conditions := []Condition{{Field: PathPattern, Values: []string{"/"}}}
	fixed := []Action{{Type: ActionFixedResponse, FixedResponse: &FixedResponse{StatusCode: 200}}}
	ok := Transform{Type: URLRewrite, Regex: "a", Replace: "b"}
	for name, c := range map[string]struct {
		actions    []Action
		transforms []Transform
		word       string
	}{
		"one":           {forwardTo("g"), []Transform{ok}, ""},
		"one of each":   {forwardTo("g"), []Transform{ok, {HostHeaderRewrite, "a", "b"}}, ""},
		"two":           {forwardTo("g"), []Transform{ok, ok}, "transform url-rewrite: a rule can have only one"},
		"unknown":       {forwardTo("g"), []Transform{{"header-rewrite", "a", "b"}}, "unknown type"},
		"no forward":    {fixed, []Transform{ok}, `transforms of an action "fixed-response"`},
		"lookahead":     {forwardTo("g"), []Transform{{URLRewrite, "(?=a)", ""}}, "(?="},
		"Unicode class": {forwardTo("g"), []Transform{{HostHeaderRewrite, `\p{L}`, ""}}, `\p`},
		"bad group":     {forwardTo("g"), []Transform{{URLRewrite, "a", "$1"}}, `no group "1"`},
	} {
		_, err := Compile(TableSpec{Groups: []Group{groupOf("g")}, Listeners: []Listener{{
			ID: "l", Protocol: HTTP, Default: forwardTo("g"), Rules: []Rule{
				{Priority: 4, Conditions: conditions, Actions: c.actions, Transforms: c.transforms}}}}})
		if c.word == "" && err != nil || c.word != "" && (err == nil || !strings.Contains(err.Error(), c.word)) {
			t.Errorf("%s: %v, want one about %q", name, err, c.word)
		}
	}
}
