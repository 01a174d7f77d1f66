package http1

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseResponse(t *testing.T) {
	for in, want := range map[string]string{
		"HTTP/1.1 200 OK|Content-Length: 3":                 "200 OK 3 false",
		"HTTP/1.1 200 |Content-Length: 3|Connection: close": "200  3 true",
		"HTTP/1.1 404": "404  -2 true",
		"HTTP/1.1 200 OK|Transfer-Encoding: chunked":               "200 OK -1 false",
		"HTTP/1.0 200 OK|Content-Length: 3":                        "200 OK 3 true",
		"HTTP/1.0 200 OK|Content-Length: 3|Connection: keep-alive": "200 OK 3 false",
		"HTTP/1.1 204 No Content":                                  "204 No Content 0 false",
		"HTTP/1.1 304 Not Modified|Content-Length: 9":              "304 Not Modified 9 false",
		"HTTP/1.1 100 Continue":                                    "100 Continue 0 false",
		"HTTP/1.1 101 Switching Protocols|Upgrade: websocket":      "101 Switching Protocols 0 false",
	} {
		var r Response
		n, err := ParseResponse([]byte(lines(in)), &r, false)
		got := fmt.Sprintf("%d %s %d %v", r.Status, r.Reason, r.Length, r.Close)
		if err != nil || n != len(lines(in)) || got != want {
			t.Errorf("%q: %q (%v), want %q", in, got, err, want)
		}
		for i := range lines(in)[:n] {
			if _, err := ParseResponse([]byte(lines(in)[:i]), &r, false); err != ErrIncomplete {
				t.Errorf("%q: %v, want incomplete", lines(in)[:i], err)
			}
		}
	}
}

func TestMalformedResponses(t *testing.T) {
	for _, in := range []string{
		"garbage", "HTTP/1.1 2x0 OK", "HTTP/1.1 099 OK", "HTTP/1.1 2000 OK", "HTTP/2.0 200 OK",
		"HTTP/1.1 200 OK|no colon", "HTTP/1.1 200 OK|: empty", "HTTP/1.1 200 OK|A B: c",
		"HTTP/1.1 200 OK|A: b| folded", "HTTP/1.1 200 OK|A: b\rc",
		"HTTP/1.1 200 OK|Content-Length: x", "HTTP/1.1 200 OK|Content-Length: 1|Content-Length: 2",
		"HTTP/1.1 200 OK|Transfer-Encoding: gzip",
		"HTTP/1.1 200 OK|Transfer-Encoding: chunked|Content-Length: 2",
		"HTTP/1.1 200 OK" + strings.Repeat("|A: "+strings.Repeat("b", 1000), 33),
	} {
		var r Response
		_, err := ParseResponse([]byte(lines(in)), &r, false)
		var e *Error
		if !errors.As(err, &e) || e.Status != 502 {
			t.Errorf("%.50q: %v, want a 502", in, err)
		}
	}
}

func FuzzParseResponse(f *testing.F) {
	f.Add([]byte(lines("HTTP/1.1 200 OK|Content-Length: 3")), false)
	f.Add([]byte(lines("HTTP/1.0 304 No|A: b")), true)
	f.Fuzz(func(t *testing.T, in []byte, head bool) {
		var r Response
		n, err := ParseResponse(in, &r, head)
		if err == nil && (n == 0 || n > len(in) || r.Status < 100 || r.Status > 999) {
			t.Fatalf("%q: n %d, %+v", in, n, r)
		}
	})
}
