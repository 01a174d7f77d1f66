package lb

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"fairlead/internal/lb/lambda"
)

// failing is an Invoke API that answers as h does.
func failing(h http.HandlerFunc) func(*testing.T) Group {
	return func(t *testing.T) Group { return functionAt(startInvokeAPI(t, h)) }
}

// broken is a function whose answer is no response.
func broken(text string) func(*testing.T) Group {
	return func(t *testing.T) Group { return returning(t, text) }
}

func refusing(status int, exception string) func(*testing.T) Group {
	return failing(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-ErrorType", exception)
		w.WriteHeader(status)
	})
}

// functionCauses are the ways in which a request to a function goes wrong. internal says how it is
// counted, invoked that the function's API was asked.
var functionCauses = map[string]struct {
	group    func(*testing.T) Group
	request  string
	status   int
	reason   string
	internal bool
	invoked  bool
	change   func(*Listener)
}{
	"WebSocket": {broken(""), "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n" +
		"Upgrade: WebSocket\r\n\r\n", 400, "LambdaWebsocketNotSupported", false, false, nil},
	"not UTF-8": {broken(""), "GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
		400, "LambdaBadRequest", false, true, nil},
	"body announced too large": {broken(""), "POST / HTTP/1.1\r\nHost: a\r\n" +
		"Content-Length: 1048577\r\n\r\n", 413, "LambdaRequestTooLarge", false, false, nil},
	"and with Expect": {broken(""), "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" +
		"Content-Length: 1048577\r\n\r\n", 413, "LambdaRequestTooLarge", false, false, nil},
	"body turns out too large": {broken(""), "POST / HTTP/1.1\r\nHost: a\r\n" +
		"Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("10000\r\n"+
		strings.Repeat("x", 64<<10)+"\r\n", 17) + "0\r\n\r\n", 413, "LambdaRequestTooLarge", false, false, nil},
	"function error": {failing(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		io.WriteString(w, `{"statusCode": 200}`)
	}), hello, 502, "LambdaUnhandled", false, true, nil},
	"no JSON":   {broken("hello"), hello, 502, "LambdaInvalidResponse", false, true, nil},
	"no status": {broken("{}"), hello, 502, "LambdaInvalidResponse", false, true, nil},
	"answer over 1 MB": {broken(`{"statusCode": 200, "body": "` + strings.Repeat("x", 1<<20) + `"}`),
		hello, 502, "LambdaResponseTooLarge", false, true, nil},
	"line end in a value": {broken(`{"statusCode": 200, "headers": {"a": "b\r\nX-Injected: c"}}`),
		hello, 502, "LambdaInvalidResponse", false, true, nil},
	"line end in a name": {broken(`{"statusCode": 200, "headers": {"X-Injected: c\r\na": "b"}}`),
		hello, 502, "LambdaInvalidResponse", false, true, nil},
	"end of head in the phrase": {broken(`{"statusCode": 200, "statusDescription": "OK\r\nX-Injected: c\r\n\r\nx"}`),
		hello, 502, "LambdaInvalidResponse", false, true, nil},
	"no such function": {func(t *testing.T) Group {
		g := returning(t, "{}")
		g.Targets[0].Function.Name = "other"
		return g
	}, hello, 502, "LambdaResourceNotFound", false, true, nil},
	"throttled": {refusing(429, "TooManyRequestsException"), hello, 502, "LambdaThrottling", false, true, nil},
	"denied":    {refusing(403, "AccessDeniedException"), hello, 502, "LambdaAccessDenied", false, true, nil},
	"no address left": {refusing(502, "SubnetIPAddressLimitReachedException"), hello, 502,
		"LambdaSubnetIPAddressLimitReachedException", false, true, nil},
	"service fails": {refusing(500, "ServiceException"), hello, 502, "LambdaServiceException", true, true, nil},
	"redirects":     {refusing(302, ""), hello, 502, "LambdaServiceException", true, true, nil},
	"connection breaks": {failing(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		hello, 502, "LambdaConnectionError", true, true, nil},
	"answer breaks off": {failing(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, `{"statusCode": 200}`)
	}), hello, 502, "LambdaConnectionError", true, true, nil},
	"nobody listens": {func(t *testing.T) Group { return functionAt("http://" + closedPort(t).String()) },
		hello, 504, "LambdaConnectionError", true, true, nil},
	"name is unknown": {func(*testing.T) Group { return functionAt("http://nowhere.invalid") },
		hello, 504, "LambdaConnectionError", true, true, nil},
	"nobody accepts": {func(t *testing.T) Group { return functionAt("http://" + deaf(t).String()) },
		hello, 504, "LambdaConnectionTimeout", true, true, nil},
	"function is slow": {func(t *testing.T) Group { g, _, _ := stuck(t); return g },
		hello, 504, "LambdaConnectionTimeout", true, true, quick},
}

// TestFunctionCauses provokes everything that can go wrong, and looks at the page, the counters and
// the record of the log.
func TestFunctionCauses(t *testing.T) {
	for name, c := range functionCauses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var change []func(*Listener)
			if c.change != nil {
				change = append(change, c.change)
			}
			f := serve(t, c.group(t), change...)
			conn := f.raw(c.request)
			conn.SetDeadline(time.Now().Add(4 * connectTimeout))
			resp, body := readResponse(t, bufio.NewReader(conn), nil)
			if resp.StatusCode != c.status || resp.Header.Get("Server") != "awselb/2.0" ||
				resp.Header.Get("X-Injected") != "" ||
				!strings.Contains(body, fmt.Sprintf("<center><h1>%d", c.status)) {
				t.Errorf("%+v %q", resp, body)
			}
			f.checkForgotten()
			s := f.Stats()
			checkCounted(t, s.LoadBalancers["app/lb/1"], c.status)
			g := s.Groups["arn:tg"]
			user, internal := uint64(1), uint64(0)
			if c.internal {
				user, internal = 0, 1
			}
			if g.LambdaUserError != user || g.LambdaInternalError != internal ||
				g.RequestCount != 1 || g.Target2XX+g.Target5XX != 0 {
				t.Errorf("counted %+v", g)
			}
			f.checkLogged(c.status)
			r := f.allRecords()[0]
			if r.ErrorReason != c.reason || (r.RequestTime >= 0) != c.invoked || r.Target.IsValid() ||
				r.TargetKey.Group != "arn:tg" {
				t.Errorf("record %+v, want reason %s", r, c.reason)
			}
		})
	}
}

// Bodies over the limit in HTTP/2, announced and not.
func TestFunctionTooLargeH2(t *testing.T) {
	g := returning(t, `{"statusCode": 200}`)
	for _, hide := range []bool{false, true} {
		f := serve(t, g, secure(certFor(t, "c", false, "a.example")))
		body := io.Reader(bytes.NewReader(make([]byte, lambda.MaxBody+1)))
		if hide {
			body = io.MultiReader(body)
		}
		req, err := http.NewRequest("POST", "https://"+f.addr()+"/", body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := h2Transport(t).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		page, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 413 || !strings.Contains(string(page), "413 Request Entity Too Large") {
			t.Errorf("hidden %v: %d %s", hide, resp.StatusCode, page)
		}
		f.checkForgotten()
		f.checkLogged(413)
	}
}

// After an error the connection serves the next request.
func TestFunctionFailsOnce(t *testing.T) {
	f := serve(t, startFunction(t, func(w http.ResponseWriter, e *lambdaEvent) {
		if e.Path == "/bad" {
			io.WriteString(w, `{"statusCode": 200, "headers": {"a": "b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"}}`)
			return
		}
		io.WriteString(w, `{"statusCode": 200, "body": "good"}`)
	}))
	c := f.raw("GET /bad HTTP/1.1\r\nHost: a\r\n\r\n" + hello)
	var bodies []string
	for br := bufio.NewReader(c); len(bodies) < 2; {
		resp, body := readResponse(t, br, nil)
		bodies = append(bodies, fmt.Sprint(resp.StatusCode, body[:4]))
	}
	if bodies[0] != "502<htm" || bodies[1] != "200good" {
		t.Errorf("%q", bodies)
	}
}

// A client that leaves is a 460, or a 400 within its body, and the invocation is given up.
func TestFunctionClientLeaves(t *testing.T) {
	g, begun, left := stuck(t)
	f := serve(t, g)
	c := f.raw(hello)
	<-begun
	c.Close()
	<-left
	waitFor(t, func() bool { return f.Outstanding(f.Health()[0].TargetKey) == 0 })
	f.checkForgotten()
	checkCounted(t, f.Stats().LoadBalancers["app/lb/1"], 460)
	f.checkLogged(460)

	f = serve(t, g)
	c = f.raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
	waitFor(t, func() bool { return f.Outstanding(f.Health()[0].TargetKey) == 1 })
	c.Close()
	waitFor(t, func() bool { return f.Outstanding(f.Health()[0].TargetKey) == 0 })
	f.checkForgotten()
	f.checkLogged(400)
}

// posted is how much work is under way on all loops.
func (f *fixture) posted() int {
	n := make(chan int, 64)
	f.onLoops(func(l *loop) { n <- l.posted })
	close(n)
	sum := 0
	for p := range n {
		sum += p
	}
	return sum
}

// A stream that the client takes back ends the invocation and nothing else.
func TestFunctionClientResets(t *testing.T) {
	g, begun, left := stuck(t)
	f := serve(t, g, secure(certFor(t, "c", false, "a")))
	h := f.h2()
	h.request(1, true, simple...)
	<-begun
	if err := h.WriteRSTStream(1, http2.ErrCodeCancel); err != nil {
		t.Fatal(err)
	}
	<-left
	h.request(3, true, simple...)
	<-begun
	waitFor(t, func() bool { return f.Outstanding(f.Health()[0].TargetKey) == 1 })
	f.Close()
	<-left
	if rs := f.allRecords(); len(rs) != 2 || rs[0].Status != 460 {
		t.Errorf("records %+v", rs)
	}
}

// A body that does not come is a 408, as with any target; nothing is invoked.
func TestFunctionSlowBody(t *testing.T) {
	f := serve(t, returning(t, `{"statusCode": 200}`), quick)
	resp, _ := f.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
	if resp.StatusCode != 408 {
		t.Errorf("status %d", resp.StatusCode)
	}
	f.checkForgotten()
	if r := f.allRecords()[0]; r.ErrorReason != "" || r.RequestTime >= 0 {
		t.Errorf("record %+v", r)
	}
}
