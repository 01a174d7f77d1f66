package lambda

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"fairlead/internal/lb/http1"
)

func fieldsOf(a *Answer) string {
	var b strings.Builder
	for _, f := range a.Fields {
		fmt.Fprintf(&b, "%s=%s;", f.Name, f.Value)
	}
	return b.String()
}

func TestParseAnswer(t *testing.T) {
	for text, want := range map[string]struct {
		multi                bool
		status               int
		reason, fields, body string
	}{
		`{"statusCode": 200}`: {status: 200},
		`{"statusCode": 200, "statusDescription": "200 OK", "body": "b", "isBase64Encoded": false,
			"headers": {"X-B": "2", "X-A": " 1 "}}`: {
			status: 200, reason: "OK", fields: "X-A=1;X-B=2;", body: "b"},
		`{"statusCode": 404, "statusDescription": "Gone fishing"}`: {
			status: 404, reason: "Gone fishing"},
		`{"statusCode": 200, "statusDescription": "200"}`:                      {status: 200},
		`{"statusCode": 200, "body": "aGk=", "isBase64Encoded": true}`:         {status: 200, body: "hi"},
		`{"statusCode": 200, "other": [null]}`:                                 {status: 200},
		`{"statusCode": 200, "headers": {}, "multiValueHeaders": null}`:        {status: 200},
		`{"statusCode": 200, "headers": {"a": "1"}, "multiValueHeaders": {}}`:  {status: 200, multi: true},
		`{"statusCode": 200, "multiValueHeaders": {"a": ["1", "2"], "b": []}}`: {status: 200, multi: true, fields: "a=1;a=2;"},
		`{"statusCode": 200, "multiValueHeaders": {"a": ["1"]}}`:               {status: 200},
		`{"statusCode": 200, "headers": {"Connection": "x", "Transfer-Encoding": "chunked",
			"Keep-Alive": "3", "TE": "x", "Upgrade": "h2c", "Trailer": "x", "Proxy-Connection": "x",
			"Content-length": "999", "Set-Cookie": "a=b"}}`: {status: 200, fields: "Set-Cookie=a=b;"},
		`{"statusCode": 200, "headers": {"x": "\u00e4\t"}}`: {status: 200, fields: "x=ä;"},
	} {
		a, fault := ParseAnswer([]byte(text), want.multi)
		if fault != nil {
			t.Errorf("%s: %v", text, fault)
			continue
		}
		if a.Status != want.status || string(a.Reason) != want.reason ||
			fieldsOf(a) != want.fields || string(a.Body) != want.body {
			t.Errorf("%s: %d %q %s %q", text, a.Status, a.Reason, fieldsOf(a), a.Body)
		}
	}
}

func TestMalformedAnswers(t *testing.T) {
	long := strings.Repeat("x", http1.MaxResponseHead)
	for _, text := range []string{
		``, `null`, `"text"`, `[]`, `{`, `{} {}`, `{}`, `<html>`,
		`{"errorMessage": "x", "errorType": "Error"}`,
		`{"statusCode": "200"}`, `{"statusCode": null}`, `{"statusCode": 200.5}`,
		`{"statusCode": 99}`, `{"statusCode": 101}`, `{"statusCode": 600}`, `{"statusCode": -200}`,
		`{"StatusCode": 200}`, `{"statusCode": 1e99}`, `{"statusCode": [200]}`,
		`{"statusCode": 200, "body": null}`, `{"statusCode": 200, "body": {"a": 1}}`,
		`{"statusCode": 200, "body": 1}`, `{"statusCode": 200, "isBase64Encoded": "true"}`,
		`{"statusCode": 200, "isBase64Encoded": null}`,
		`{"statusCode": 200, "body": "%%%", "isBase64Encoded": true}`,
		`{"statusCode": 200, "statusDescription": 200}`,
		`{"statusCode": 200, "statusDescription": null}`,
		`{"statusCode": 200, "statusDescription": "OK\r\nX: y"}`,
		`{"statusCode": 200, "headers": null}`, `{"statusCode": 200, "headers": []}`,
		`{"statusCode": 200, "headers": {"content-length": 3}}`,
		`{"statusCode": 200, "headers": {"a": true}}`, `{"statusCode": 200, "headers": {"a": null}}`,
		`{"statusCode": 200, "headers": {"a": ["b"]}}`,
		`{"statusCode": 200, "headers": {"a": "b\r\nInjected: yes"}}`,
		`{"statusCode": 200, "headers": {"a": "b\nInjected: yes"}}`,
		`{"statusCode": 200, "headers": {"a": "b\u0000"}}`,
		`{"statusCode": 200, "headers": {"a\r\nInjected": "yes"}}`,
		`{"statusCode": 200, "headers": {"a b": "c"}}`, `{"statusCode": 200, "headers": {"": "c"}}`,
		`{"statusCode": 200, "headers": {"a:": "c"}}`, `{"statusCode": 200, "headers": {"ä": "c"}}`,
		`{"statusCode": 200, "headers": {"a": "` + long + `"}}`,
	} {
		if a, fault := ParseAnswer([]byte(text), false); fault == nil || fault.Status != 502 ||
			fault.Reason != InvalidResponse || fault.Internal() {
			t.Errorf("%.80s: %+v, %v", text, a, fault)
		}
	}
	for _, text := range []string{
		`{"statusCode": 200, "multiValueHeaders": null}`,
		`{"statusCode": 200, "multiValueHeaders": {"a": "b"}}`,
		`{"statusCode": 200, "multiValueHeaders": {"a": null}}`,
		`{"statusCode": 200, "multiValueHeaders": {"a": [1]}}`,
		`{"statusCode": 200, "multiValueHeaders": {"a": ["b", null]}}`,
		`{"statusCode": 200, "multiValueHeaders": {"a": ["b", "c\nd"]}}`,
	} {
		if a, fault := ParseAnswer([]byte(text), true); fault == nil || fault.Status != 502 {
			t.Errorf("%s: %+v, %v", text, a, fault)
		}
	}
}

// FuzzParseAnswer holds every answer that is accepted to be one response and no more: written as
// HTTP/1, its head parses to the same fields again.
func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte(`{"statusCode": 200, "headers": {"a": "b"}, "body": "c"}`), false)
	f.Add([]byte(`{"statusCode": 200, "statusDescription": "200 OK",
		"multiValueHeaders": {"a": ["b", "c"]}, "body": "aGk=", "isBase64Encoded": true}`), true)
	f.Add([]byte(`{"statusCode": 502, "headers": {"a": "b\r\n\r\nHTTP/1.1 200 OK"}}`), false)
	f.Fuzz(func(t *testing.T, b []byte, multi bool) {
		a, fault := ParseAnswer(b, multi)
		if fault != nil {
			return
		}
		head := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\n", a.Status, a.Reason)
		for _, f := range a.Fields {
			head = fmt.Appendf(head, "%s: %s\r\n", f.Name, f.Value)
		}
		head = fmt.Appendf(head, "Content-Length: %d\r\n\r\n", len(a.Body))
		var r http1.Response
		n, err := http1.ParseResponse(head, &r, false)
		if err != nil || n != len(head) || r.Status != a.Status || len(r.Fields) != len(a.Fields) {
			t.Fatalf("%q: %v", head, err)
		}
		for i := range r.Fields {
			if !bytes.Equal(r.Fields[i].Value, a.Fields[i].Value) || r.Fields[i].Kind.HopByHop() {
				t.Errorf("field %q of %q", r.Fields[i].Name, head)
			}
		}
	})
}
