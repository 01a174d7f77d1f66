package lambda

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestURL(t *testing.T) {
	for want, f := range map[string]Function{
		"http://h:1/2015-03-31/functions/function/invocations": {Endpoint: "http://h:1", Name: "function"},
		"https://h/x/2015-03-31/functions/arn:aws:lambda:r:1:function:f/invocations?Qualifier=live": {
			Endpoint: "https://h/x/", Name: "arn:aws:lambda:r:1:function:f", Qualifier: "live"},
		"http://h/2015-03-31/functions/a%2F..%3Fb/invocations?Qualifier=%24LATEST%26x": {
			Endpoint: "http://h", Name: "a/..?b", Qualifier: "$LATEST&x"},
	} {
		if got := f.url(); got != want {
			t.Errorf("%+v: %s, want %s", f, got, want)
		}
	}
}

func TestValidate(t *testing.T) {
	if err := (Function{Endpoint: "http://127.0.0.1:9000", Name: "f"}).Validate(); err != nil {
		t.Error(err)
	}
	for _, f := range []Function{{}, {Endpoint: "http://h"}, {Name: "f"}, {Endpoint: "h:9000", Name: "f"},
		{Endpoint: "ftp://h", Name: "f"}, {Endpoint: "http://", Name: "f"},
		{Endpoint: "http://h?x", Name: "f"}, {Endpoint: "http://h:x:y", Name: "f"}} {
		if f.Validate() == nil {
			t.Errorf("%+v is accepted", f)
		}
	}
}

// TestRefused holds every exception of the Invoke API to the reason of the access log.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		status     int
		name, want string
		internal   bool
	}{
		{404, "ResourceNotFoundException", "LambdaResourceNotFound", false},
		{404, "ResourceNotFoundException:http://x", "LambdaResourceNotFound", false},
		{403, "AccessDeniedException", "LambdaAccessDenied", false},
		{429, "TooManyRequestsException", "LambdaThrottling", false},
		{400, "InvalidRequestContentException", "LambdaBadRequest", false},
		{502, "EC2UnexpectedException", "LambdaEC2UnexpectedException", false},
		{502, "KMSDisabledException", "LambdaKMSDisabledException", false},
		{500, "ServiceException", "LambdaServiceException", true},
		{503, "NeverHeardOf", "LambdaServiceException", true},
		{400, "", "LambdaBadRequest", false}, {401, "", "LambdaAccessDenied", false},
		{404, "", "LambdaResourceNotFound", false},
		{413, "", "LambdaRequestTooLarge", false},
		{429, "", "LambdaThrottling", false},
		{302, "", "LambdaServiceException", true},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.name != "" {
				w.Header().Set("X-Amzn-ErrorType", c.name)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(c.status)
		}))
		fault := call(t.Context(), srv.URL)
		srv.Close()
		if fault == nil || fault.Status != 502 || fault.Reason != c.want || fault.Internal() != c.internal {
			t.Errorf("%d %s: %+v", c.status, c.name, fault)
		}
	}
}

// call asks the function of an endpoint.
func call(ctx context.Context, endpoint string) *Fault {
	i := NewInvoker()
	defer i.Close()
	_, fault := i.Do(ctx, Function{Endpoint: endpoint, Name: "f"}, HealthCheck("g", "/", false))
	return fault
}

func TestUnreachable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	breaking := make(chan struct{})
	go func() {
		defer close(breaking)
		if c, err := ln.Accept(); err == nil {
			c.Close()
		}
	}()
	url := "http://" + ln.Addr().String()
	if f := call(t.Context(), url); f == nil || f.Status != 502 || f.Reason != ConnectionError {
		t.Errorf("connection breaks: %+v", f)
	}
	<-breaking
	ln.Close()
	if f := call(t.Context(), url); f == nil || f.Status != 504 || f.Reason != ConnectionError {
		t.Errorf("nobody listens: %+v", f)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if f := call(late, url); f == nil || f.Status != 504 || f.Reason != ConnectionTimeout {
		t.Errorf("out of time: %+v", f)
	}
}
