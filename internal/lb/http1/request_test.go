package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestParseRequest(t *testing.T) {
	var r Request
	in := "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nX:  two words \t\r\nCookie:\r\n\r\nrest"
	n, err := ParseRequest([]byte(in), &r)
	if err != nil || in[n:] != "rest" {
		t.Fatalf("n = %d, err = %v", n, err)
	}
	if string(r.Method) != "GET" || string(r.Target) != "/a?b=c" || r.Minor != 1 || r.Close {
		t.Errorf("request line read as %+v", r)
	}
	want := []Field{
		{[]byte("Host"), []byte("example.com"), Host},
		{[]byte("X"), []byte("two words"), Other},
		{[]byte("Cookie"), nil, Cookie},
	}
	if fmt.Sprintf("%q", r.Fields) != fmt.Sprintf("%q", want) {
		t.Errorf("fields = %q, want %q", r.Fields, want)
	}
}

// Every proper prefix of a request is incomplete, not wrong.
func TestParseRequestPrefixes(t *testing.T) {
	in := "\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
	for i := range in {
		var r Request
		if _, err := ParseRequest([]byte(in[:i]), &r); err != ErrIncomplete {
			t.Fatalf("%q: %v", in[:i], err)
		}
	}
}

// lines turns "a|b" into header lines with the end of the head.
func lines(s string) string { return strings.ReplaceAll(s, "|", "\r\n") + "\r\n\r\n" }

func TestFraming(t *testing.T) {
	for in, want := range map[string]string{
		"POST / HTTP/1.1|Content-Length: 5":                                "5 false",
		"POST / HTTP/1.1|content-LENGTH:5":                                 "5 false",
		"POST / HTTP/1.1|Transfer-Encoding: Chunked":                       "-1 true",
		"POST / HTTP/1.1|Transfer-Encoding: identity|Content-Length: 2":    "2 false",
		"POST / HTTP/1.1|Transfer-Encoding: chunked;q=1|Content-Length: 2": "-1 true",
		"POST / HTTP/1.1": "0 false",
	} {
		var r Request
		_, err := ParseRequest([]byte(lines(in)), &r)
		if got := fmt.Sprint(r.Length, r.Chunked); err != nil || got != want {
			t.Errorf("%q: framed as %s (%v), want %s", in, got, err, want)
		}
		for _, f := range r.Fields {
			if f.Kind == ContentLength || f.Kind == TransferEncoding {
				t.Errorf("%q: field %s is kept", in, f.Name)
			}
		}
	}
}

func TestRefusedRequests(t *testing.T) {
	for in, status := range map[string]int{
		"GET": 400, "GET /": 400, "GET / HTTP/1": 400, "GET / HTP/1.1": 400,
		"G\x01T / HTTP/1.1": 400, "G(T / HTTP/1.1": 400, "GET  HTTP/1.1": 400,
		strings.Repeat("M", 128) + " / HTTP/1.1": 400,
		"GET /\x00 HTTP/1.1":                     400, "GET /\r HTTP/1.1": 400,
		"PRI * HTTP/2.0": 505, "GET / HTTP/3.0": 505,
		"GET / HTTP/1.1|X: a\x00b":                                              400,
		"GET / HTTP/1.1|X: a\rb":                                                400,
		"GET / HTTP/1.1|X\x00: b":                                               400,
		"POST / HTTP/1.1|Content-Length: 1, 1":                                  400,
		"POST / HTTP/1.1|Content-Length: +1":                                    400,
		"POST / HTTP/1.1|Content-Length: 0x1":                                   400,
		"POST / HTTP/1.1|Content-Length:":                                       400,
		"POST / HTTP/1.1|Content-Length: 99999999999999999999":                  400,
		"POST / HTTP/1.1|Content-Length: 1|Content-Length: 2":                   400,
		"POST / HTTP/1.1|Transfer-Encoding: xchunked":                           400,
		"POST / HTTP/1.1|Transfer-Encoding: chunked, chunked":                   400,
		"POST / HTTP/1.1|Transfer-Encoding: chunked|Transfer-Encoding: chunked": 400,
		"POST / HTTP/1.1|Transfer-Encoding:":                                    400,
		"POST / HTTP/1.1|Transfer-Encoding: gzip, chunked":                      501,
		"POST / HTTP/1.1|Transfer-Encoding: deflate":                            501,
		"GET /" + strings.Repeat("u", MaxLine) + " HTTP/1.1":                    414,
		"GET / HTTP/1.1|X: " + strings.Repeat("v", MaxLine):                     400,
		"GET / HTTP/1.1" + strings.Repeat("|X: "+strings.Repeat("v", 8<<10), 9): 400,
		"GET / HTTP/1.1" + strings.Repeat("|X: y", MaxFields+1):                 400,
	} {
		var r Request
		_, err := ParseRequest([]byte(lines(in)), &r)
		var e *Error
		if !errors.As(err, &e) || e.Status != status {
			t.Errorf("%.60q: %v, want status %d", in, err, status)
		}
	}
}

// Heads that never end are refused as soon as they are too long.
func TestEndlessHeads(t *testing.T) {
	for in, want := range map[string]error{
		"GET /" + strings.Repeat("u", MaxLine+1):                                         errURILong,
		"GET / HTTP/1.1\r\nX: " + strings.Repeat("v", MaxLine+1):                         errFieldLong,
		"GET / HTTP/1.1\r\n" + strings.Repeat("X: "+strings.Repeat("v", 8000)+"\r\n", 9): errHeadLong,
	} {
		var r Request
		if _, err := ParseRequest([]byte(in), &r); err != want {
			t.Errorf("%.40q: %v, want %v", in, err, want)
		}
	}
}

func TestClasses(t *testing.T) {
	for in, want := range map[string]string{
		"GET / HTTP/1.1|Host: a":                                       "Compliant ",
		"GET / HTTP/1.1|Host: a|H\xc3\xa9: b":                          "Acceptable NonCompliantHeader",
		"GET / HTTP/1.1|X: a\x01b":                                     "Acceptable NonCompliantHeader",
		"GET / HTTP/1.1|X: caf\xc3\xa9":                                "Compliant ",
		"GET /a b HTTP/1.1":                                            "Acceptable SpaceInUri",
		"GET / HTTP/1.7":                                               "Acceptable NonCompliantVersion",
		"GET / HTTP/1.1|Content-Length: 0":                             "Acceptable GetHeadZeroContentLength",
		"GET / HTTP/1.1\nHost: a":                                      "Acceptable NonCrLfLineTermination",
		"GET / HTTP/1.1|: a":                                           "Ambiguous EmptyHeader",
		"GET /\x01 HTTP/1.1":                                           "Ambiguous AmbiguousUri",
		"GET / HTTP/1.1|Content-Length: 3":                             "Ambiguous UndefinedContentLengthSemantics",
		"GET / HTTP/1.1|Transfer-Encoding: chunked":                    "Ambiguous UndefinedTransferEncodingSemantics",
		"POST / HTTP/1.0|Transfer-Encoding: chunked":                   "Ambiguous UndefinedTransferEncodingSemantics",
		"POST / HTTP/1.1|Content-Length: 3|Content-Length: 3":          "Ambiguous DuplicateContentLength",
		"POST / HTTP/1.1|Content-Length: 3|Transfer-Encoding: chunked": "Ambiguous BothTeClPresent",
		"POST / HTTP/1.1|Transfer_Encoding: chunked":                   "Ambiguous SuspiciousHeader",
		"POST / HTTP/1.1|Transfer-Encoding : chunked":                  "Ambiguous SuspiciousHeader",
		"POST / HTTP/1.1|Tran\xc5\xbffer-Encoding: chunked":            "Ambiguous SuspiciousHeader",
		"POST / HTTP/1.1|Content_Length: 3":                            "Ambiguous SuspiciousHeader",
		"GET / HTTP/1.1|X: a| folded":                                  "Ambiguous MultilineHeader",
		"GET / HTTP/1.1|no colon":                                      "Ambiguous MissingHeaderColon",
		"POST / HTTP/1.1|Transfer_Encoding: chunked|Content_Length: 3": "Severe SuspiciousTeClPresent",
	} {
		var r Request
		_, err := ParseRequest([]byte(lines(in)), &r)
		if got := r.Class.String() + " " + r.Reason; err != nil || got != want {
			t.Errorf("%q: %q (%v), want %q", in, got, err, want)
		}
	}
}

// What a target might read as framing is never among the fields that are forwarded.
func TestNoLookAlikeIsForwarded(t *testing.T) {
	in := lines("POST / HTTP/1.1|Transfer_Encoding: chunked|Content-Length : 3|Content Length: 4|" +
		"\x0bTransfer-Encoding: chunked|X: a| Transfer-Encoding: chunked")
	var r Request
	if _, err := ParseRequest([]byte(in), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Fields) != 1 || string(r.Fields[0].Name) != "X" {
		t.Errorf("fields = %q, want X only", r.Fields)
	}
}

func TestPersistence(t *testing.T) {
	for in, want := range map[string]bool{
		"GET / HTTP/1.1":                               false,
		"GET / HTTP/1.1|Connection: foo, Close":        true,
		"GET / HTTP/1.0":                               true,
		"GET / HTTP/1.0|Connection: keep-alive":        false,
		"GET / HTTP/1.0|Connection: keep-alive, close": true,
	} {
		var r Request
		if _, err := ParseRequest([]byte(lines(in)), &r); err != nil || r.Close != want {
			t.Errorf("%q: close = %v (%v), want %v", in, r.Close, err, want)
		}
	}
}

// FuzzParseRequest checks that a request that both we and net/http accept means the same to both.
func FuzzParseRequest(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1|Host: a", "POST /x?y HTTP/1.1|Host: a|Content-Length: 3",
		"POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked", "GET / HTTP/1.1|Host: a| b",
		"POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|Content-Length: 5",
		"POST / HTTP/1.0|Host: a|Content-Length: 1|Content-Length: 1",
	} {
		f.Add([]byte(lines(s)))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var r Request
		n, err := ParseRequest(in, &r)
		if err != nil {
			return
		}
		if n > len(in) || n == 0 {
			t.Fatalf("length %d of %d", n, len(in))
		}
		theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(in)))
		if err != nil || r.Class > Compliant {
			return
		}
		if theirs.Method != string(r.Method) || theirs.RequestURI != string(r.Target) {
			t.Fatalf("%q: we read %s %s, net/http %s %s",
				in, r.Method, r.Target, theirs.Method, theirs.RequestURI)
		}
		if theirs.ContentLength != r.Length {
			t.Fatalf("%q: length %d, net/http %d", in, r.Length, theirs.ContentLength)
		}
	})
}
