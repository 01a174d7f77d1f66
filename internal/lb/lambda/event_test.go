package lambda

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"fairlead/internal/lb/http1"
)

// parsed makes a request of a head.
func parsed(t *testing.T, head string) *http1.Request {
	t.Helper()
	var r http1.Request
	if err := http1.ParseOwn([]byte(head), &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

const head = "POST /a%2Fb?k=1&x=%20y&k=2&flag&&e= HTTP/1.1\r\nHost: h\r\nX-Two: a\r\nx-two: <b>\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n"

func TestEvent(t *testing.T) {
	for multi, want := range map[bool]string{
		false: `{"requestContext": {"elb": {"targetGroupArn": "arn:tg"}}, "httpMethod": "POST",
			"path": "/a%2Fb",
			"queryStringParameters": {"k": "2", "x": "%20y", "flag": "", "e": ""},
			"headers": {"host": "h", "x-two": "<b>", "content-length": "3",
				"content-type": "text/plain; charset=utf-8"},
			"body": "a\"<", "isBase64Encoded": false}`,
		true: `{"requestContext": {"elb": {"targetGroupArn": "arn:tg"}}, "httpMethod": "POST",
			"path": "/a%2Fb",
			"multiValueQueryStringParameters": {"k": ["1", "2"], "x": ["%20y"], "flag": [""],
				"e": [""]},
			"multiValueHeaders": {"host": ["h"], "x-two": ["a", "<b>"], "content-length": ["3"],
				"content-type": ["text/plain; charset=utf-8"]},
			"body": "a\"<", "isBase64Encoded": false}`,
	} {
		r := &Request{Group: "arn:tg", HTTP: parsed(t, head), Body: []byte(`a"<`), MultiValue: multi}
		got, fault := r.Event()
		if fault != nil {
			t.Fatal(fault)
		}
		checkJSON(t, got, want)
	}
}

func checkJSON(t *testing.T, got []byte, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("event %s\nwant %s", got, want)
	}
}

// The health check has the fields of any event, most of them empty.
func TestHealthCheckEvent(t *testing.T) {
	for multi, want := range map[bool]string{
		false: `{"requestContext": {"elb": {"targetGroupArn": "arn:tg"}}, "httpMethod": "GET",
			"path": "/health", "queryStringParameters": {},
			"headers": {"user-agent": "ELB-HealthChecker/2.0"}, "body": "",
			"isBase64Encoded": false}`,
		true: `{"requestContext": {"elb": {"targetGroupArn": "arn:tg"}}, "httpMethod": "GET",
			"path": "/health", "multiValueQueryStringParameters": {},
			"multiValueHeaders": {"user-agent": ["ELB-HealthChecker/2.0"]}, "body": "",
			"isBase64Encoded": false}`,
	} {
		got, fault := HealthCheck("arn:tg", "/health", multi).Event()
		if fault != nil {
			t.Fatal(fault)
		}
		checkJSON(t, got, want)
	}
}

func TestBodyEncoding(t *testing.T) {
	for fields, encoded := range map[string]bool{
		"":                              true,
		"Content-Type: text/html\r\n":   false,
		"Content-Type: TEXT/CSV\r\n":    false,
		"Content-Type: text/x; a=b\r\n": false,
		"Content-Type: application/json; charset=utf-8\r\n":         false,
		"Content-Type: application/javascript\r\n":                  false,
		"Content-Type: application/xml\r\n":                         false,
		"Content-Type: application/jsonl\r\n":                       true,
		"Content-Type: application/vnd.a+json\r\n":                  true,
		"Content-Type: image/png\r\n":                               true,
		"Content-Type: text/html\r\nContent-Encoding: identity\r\n": true,
	} {
		for _, body := range []string{"", "body"} {
			r := &Request{HTTP: parsed(t, "POST / HTTP/1.1\r\nHost: a\r\n"+fields+"\r\n"),
				Body: []byte(body)}
			got, fault := r.Event()
			if fault != nil {
				t.Fatal(fault)
			}
			var e event
			if err := json.Unmarshal(got, &e); err != nil {
				t.Fatal(err)
			}
			want := body
			if encoded {
				want = base64.StdEncoding.EncodeToString([]byte(body))
			}
			if e.Body != want || e.Base64 != (encoded && body != "") {
				t.Errorf("%q: body %q is %q, Base64 %v", fields, body, e.Body, e.Base64)
			}
		}
	}
}

// What is no UTF-8 has no place in JSON; it must not reach the function as something else.
func TestNotUTF8(t *testing.T) {
	text := "Content-Type: text/plain\r\n"
	for name, c := range map[string]struct{ line, fields, body string }{
		"path":  {"GET /\xff HTTP/1.1\r\n", "", ""},
		"query": {"GET /?a=\xff HTTP/1.1\r\n", "", ""},
		"value": {"GET / HTTP/1.1\r\n", "X: \xe4\r\n", ""},
		"body":  {"POST / HTTP/1.1\r\n", text, "\xe4"},
	} {
		r := &Request{HTTP: parsed(t, c.line+"Host: a\r\n"+c.fields+"\r\n"), Body: []byte(c.body)}
		if _, fault := r.Event(); fault == nil || fault.Status != 400 || fault.Reason != BadRequest {
			t.Errorf("%s: %v", name, fault)
		}
	}
}

// FuzzEvent holds every event to be JSON that says what the request says.
func FuzzEvent(f *testing.F) {
	f.Add([]byte(head), []byte("body"), true)
	f.Add([]byte("GET /?& HTTP/1.1\r\nHost: a\r\n\r\n"), []byte("\xff"), false)
	f.Fuzz(func(t *testing.T, head, body []byte, multi bool) {
		var r http1.Request
		if http1.ParseOwn(head, &r) != nil {
			return
		}
		b, fault := (&Request{HTTP: &r, Body: body, MultiValue: multi}).Event()
		if fault != nil {
			return
		}
		var e event
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		path, _, _ := strings.Cut(string(r.Target), "?")
		got := []byte(e.Body)
		if e.Base64 {
			got, _ = base64.StdEncoding.DecodeString(e.Body)
		}
		if e.Method != string(r.Method) || e.Path != path || !bytes.Equal(got, body) {
			t.Errorf("%s of %q with %q", b, head, body)
		}
	})
}
