package lb

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

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

var _ = sync.Mutex{}
var _ = time.Second
var _ net.Conn
var _ bufio.Reader
var _ lambda.Fault
