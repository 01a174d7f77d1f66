package lb

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/sys/unix"

	"fairlead/internal/lb/lambda"
)

// lambdaEvent is what a test looks at in an event.
type lambdaEvent struct {
	RequestContext struct {
		ELB struct{ TargetGroupArn string }
	}
	HTTPMethod, Path, Body          string
	IsBase64Encoded                 bool
	QueryStringParameters           map[string]string
	Headers                         map[string]string
	MultiValueQueryStringParameters map[string][]string
	MultiValueHeaders               map[string][]string
}

// startFunction starts an Invoke API with one function, and returns a group for it that is not
// probed.
func startFunction(t *testing.T, h func(http.ResponseWriter, *lambdaEvent)) Group {
	t.Helper()
	return functionAt(startInvokeAPI(t, func(w http.ResponseWriter, r *http.Request) {
		var e lambdaEvent
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Errorf("event: %v", err)
		}
		h(w, &e)
	}))
}

func startInvokeAPI(t *testing.T, h http.HandlerFunc) (endpoint string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2015-03-31/functions/function/invocations", h)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

func functionAt(endpoint string) Group {
	return unprobed(Group{ID: "arn:tg", Lambda: true, Targets: []Target{{ID: "arn:f",
		Function: Function{Endpoint: endpoint, Name: "function"}}}})
}

// returning is a function that always returns the same text.
func returning(t *testing.T, text string) Group {
	return startFunction(t, func(w http.ResponseWriter, _ *lambdaEvent) { io.WriteString(w, text) })
}

// stuck is an Invoke API that takes invocations and does not answer; left counts those that were
// given up.
func stuck(t *testing.T) (g Group, begun, left chan struct{}) {
	begun, left = make(chan struct{}, 100), make(chan struct{}, 100)
	return functionAt(startInvokeAPI(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		begun <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	})), begun, left
}

func TestFunction(t *testing.T) {
	f := serve(t, startFunction(t, func(w http.ResponseWriter, e *lambdaEvent) {
		fmt.Fprintf(w, `{"statusCode": 201, "statusDescription": "201 Made", "headers":
			{"Content-Type": "text/plain", "Connection": "close", "Content-Length": "7", "X-A": "b"},
			"body": "%s %s %s"}`, e.HTTPMethod, e.Path, e.Body)
	}))
	resp, body := f.ask("POST /a%20b?c=d HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n" +
		"Content-Length: 5\r\n\r\nhello")
	if resp.Status != "201 Made" || body != "POST /a%20b hello" || resp.Close ||
		resp.ContentLength != int64(len(body)) || resp.Header.Get("X-A") != "b" ||
		resp.Header.Get("Server") != "awselb/2.0" || resp.Header.Get("Date") == "" {
		t.Errorf("%+v %q", resp, body)
	}
	s := f.Stats()
	l, g := s.LoadBalancers["app/lb/1"], s.Groups["arn:tg"]
	if l.RequestCount != 1 || g.RequestCount != 1 || g.Target2XX != 1 || g.LambdaUserError != 0 ||
		l.LambdaTargetProcessedBytes == 0 || l.LambdaTargetProcessedBytes != l.ProcessedBytes {
		t.Errorf("counted %+v %+v", l, g)
	}
	rs := f.allRecords()
	if len(rs) != 1 || rs[0].Target.IsValid() || rs[0].TargetKey.ID != "arn:f" ||
		rs[0].TargetStatus != 201 || rs[0].RequestTime < 0 || rs[0].TargetTime < 0 ||
		!strings.Contains(string(rs[0].AppendLine(nil)), " - ") {
		t.Errorf("records %+v", rs)
	}
}

// The event says what the client said, what the load balancer adds, and nothing about connections.
func TestFunctionEvent(t *testing.T) {
	var got lambdaEvent
	g := startFunction(t, func(w http.ResponseWriter, e *lambdaEvent) {
		got = *e
		io.WriteString(w, `{"statusCode": 200}`)
	})
	const request = "POST /p%2Fq?a=1&a=%202&b HTTP/1.1\r\nHost: Example.com\r\nX-Two: 1\r\nx-two: 2\r\n" +
		"X-Forwarded-For: 1.2.3.4\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" +
		"HTTP2-Settings: x\r\nTransfer-Encoding: chunked\r\nContent-Encoding: br\r\n\r\n" +
		"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
	port := func(l *Listener) { l.Port = 80 }
	for _, multi := range []bool{false, true} {
		g.MultiValueHeaders = multi
		f := serve(t, g, port)
		if resp, _ := f.ask(request); resp.StatusCode != 200 {
			t.Fatalf("status %d", resp.StatusCode)
		}
		headers := map[string][]string{"host": {"example.com"}, "x-two": {"1", "2"},
			"x-forwarded-for": {"1.2.3.4, 127.0.0.1"}, "x-forwarded-proto": {"http"},
			"x-forwarded-port": {"80"}, "content-encoding": {"br"},
			"x-amzn-trace-id": {f.allRecords()[0].TraceID}}
		want := lambdaEvent{HTTPMethod: "POST", Path: "/p%2Fq", Body: "YWJjZGU=", IsBase64Encoded: true}
		want.RequestContext.ELB.TargetGroupArn = "arn:tg"
		if multi {
			want.MultiValueHeaders = headers
			want.MultiValueQueryStringParameters = map[string][]string{"a": {"1", "%202"}, "b": {""}}
		} else {
			want.Headers = map[string]string{}
			for name, values := range headers {
				want.Headers[name] = values[len(values)-1]
			}
			want.QueryStringParameters = map[string]string{"a": "%202", "b": ""}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("multi-value %v: event %+v\nwant %+v", multi, got, want)
		}
	}
}

// Answers without a body, and what their heads say of its length.
func TestFunctionWithoutBody(t *testing.T) {
	f := serve(t, startFunction(t, func(w http.ResponseWriter, e *lambdaEvent) {
		fmt.Fprintf(w, `{"statusCode": %s, "body": "12345"}`, e.Path[1:])
	}))
	c := f.raw("")
	br := bufio.NewReader(c)
	for _, x := range []struct {
		method, path, body string
		length             int64
	}{{"GET", "200", "12345", 5}, {"HEAD", "200", "", 5}, {"GET", "204", "", 0}, {"GET", "304", "", 0},
		{"HEAD", "404", "", 5}, {"GET", "500", "12345", 5}} {
		fmt.Fprintf(c, "%s /%s HTTP/1.1\r\nHost: a\r\n\r\n", x.method, x.path)
		resp, body := readResponse(t, br, &http.Request{Method: x.method})
		if fmt.Sprint(resp.StatusCode) != x.path || body != x.body ||
			resp.ContentLength != x.length || resp.Close {
			t.Errorf("%+v: %+v %q", x, resp, body)
		}
	}
}

// Bodies of all sizes up to the limit, from clients of both versions of HTTP.
func TestFunctionBodies(t *testing.T) {
	g := startFunction(t, func(w http.ResponseWriter, e *lambdaEvent) {
		b, err := base64.StdEncoding.DecodeString(e.Body)
		if err != nil || !e.IsBase64Encoded && e.Body != "" {
			t.Errorf("body of %d bytes: %v", len(e.Body), err)
		}
		fmt.Fprintf(w, `{"statusCode": 200, "body": "%x %v"}`, md5.Sum(b), e.Headers["content-length"])
	})
	for _, h2 := range []bool{false, true} {
		f := serve(t, g, secure(certFor(t, "c", false, "a.example")))
		c := httpsClient(t, h2)
		for _, size := range []int{0, 1, 70_000, lambda.MaxBody} {
			for _, hide := range []bool{false, true} {
				sent := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
				body, length := io.Reader(bytes.NewReader(sent)), fmt.Sprint(size)
				if hide {
					body, length = io.MultiReader(body), ""
				}
				if size == 0 {
					length = ""
				}
				resp, err := c.Post("https://"+f.addr()+"/", "x/y", body)
				if err != nil {
					t.Fatal(err)
				}
				got, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				want := fmt.Sprintf("%x %s", md5.Sum(sent), length)
				if resp.StatusCode != 200 || string(got) != want || (resp.ProtoMajor == 2) != h2 {
					t.Errorf("%s, %d bytes: %d %q, want %q", resp.Proto, size, resp.StatusCode, got, want)
				}
			}
		}
		f.checkForgotten()
	}
}

// checkForgotten expects that no loop counts bodies or work for functions any more. A goroutine ends a
// moment after its exchange.
func (f *fixture) checkForgotten() {
	f.t.Helper()
	waitFor(f.t, func() bool { return f.posted() == 0 })
	f.onLoops(func(l *loop) {
		if l.collected != 0 {
			f.t.Errorf("loop %d: %d bytes are left", l.id, l.collected)
		}
	})
}

// largest is the body of an answer that just keeps the limit.
var largest = strings.Repeat("x", lambda.MaxAnswer-len(`{"statusCode":200,"body":""}`))

// A client that reads late gets all of a large answer: it waits outside of the buffers.
func TestFunctionSlowClient(t *testing.T) {
	f := serve(t, returning(t, `{"statusCode":200,"body":"`+largest+`"}`))
	c := f.raw("")
	if err := c.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return f.shrinkSendBuffers() == 1 })
	io.WriteString(c, hello)
	f.settleBuffers()
	if f.Outstanding(f.Health()[0].TargetKey) != 1 {
		t.Error("the kernel took all of the answer: the test does not test")
	}
	if resp, body := readResponse(t, bufio.NewReader(c), nil); resp.StatusCode != 200 || body != largest {
		t.Errorf("%d with %d bytes", resp.StatusCode, len(body))
	}
}

// shrinkSendBuffers keeps the kernel from taking all of an answer; it returns the number of clients.
func (f *fixture) shrinkSendBuffers() int {
	var clients atomic.Int32
	f.onLoops(func(l *loop) {
		for s := range l.socks() {
			clients.Add(1)
			if err := unix.SetsockoptInt(int(s.fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 32<<10); err != nil {
				f.t.Error(err)
			}
		}
	})
	return int(clients.Load())
}

// Over HTTP/2 the answer waits for the client's windows.
func TestFunctionSlowStream(t *testing.T) {
	f := serve(t, returning(t, `{"statusCode":200,"body":"`+largest+`"}`),
		secure(certFor(t, "c", false, "a")))
	h := f.h2()
	h.request(1, true, simple...)
	got := 0
	for {
		d := h.await(http2.FrameData).(*http2.DataFrame)
		if got += len(d.Data()); d.StreamEnded() {
			break
		}
		if got%65535 == 0 {
			h.WriteWindowUpdate(0, 65535)
			h.WriteWindowUpdate(1, 65535)
		}
	}
	if got != len(largest) {
		t.Errorf("%d bytes, want %d", got, len(largest))
	}
}
