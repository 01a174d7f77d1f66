package lambda

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// connectTimeout bounds the connection to the Invoke API, and the TLS handshake with it, each;
	// that of any target (ALB guide, HTTP 504).
	connectTimeout = 10 * time.Second
	// idleTime is how long a connection waits for its next invocation. It is shorter than what
	// servers commonly grant, 5 s at the least: an invocation is not repeated when its connection
	// turns out to be closed.
	idleTime = 4 * time.Second
	// maxIdle and maxIdlePerHost are how many connections wait for their next invocation; our own.
	maxIdle        = 1024
	maxIdlePerHost = 256
	// maxHeaders bounds the headers of an answer of the Invoke API, in bytes; our own.
	maxHeaders = 64 << 10
)

// Function names a function: {Endpoint}/2015-03-31/functions/{Name}/invocations. That is the Invoke
// API of Lambda, which its runtime interface emulator (where all functions are called "function")
// and "sam local start-lambda" speak too.
type Function struct {
	Endpoint  string // such as http://127.0.0.1:9000
	Name      string // or an ARN
	Qualifier string // a version or an alias; may be empty
}

// Validate says what is wrong with the names of a function.
func (f Function) Validate() error {
	if f.Name == "" {
		return errors.New("function has no name")
	}
	return CheckEndpoint(f.Endpoint)
}

// CheckEndpoint says what is wrong with an endpoint.
func CheckEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return fmt.Errorf("endpoint of the Invoke API: %w", err)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.RawQuery != "", u.Fragment != "":
		return fmt.Errorf("endpoint of the Invoke API %q is not like http://host:port", endpoint)
	}
	return nil
}

// url is where the function is invoked.
func (f Function) url() string {
	u := strings.TrimRight(f.Endpoint, "/") + "/2015-03-31/functions/" + url.PathEscape(f.Name) +
		"/invocations"
	if f.Qualifier != "" {
		u += "?Qualifier=" + url.QueryEscape(f.Qualifier)
	}
	return u
}

// functionError is the header that tells an answer of the function from one of its failure.
const functionError = "X-Amz-Function-Error"

// Invoker invokes functions. All methods may be called from any goroutine.
type Invoker struct {
	client    http.Client
	transport http.Transport
}

// NewInvoker returns an invoker without connections.
func NewInvoker() *Invoker {
	i := &Invoker{}
	i.transport = http.Transport{
		DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout: connectTimeout, IdleConnTimeout: idleTime,
		MaxIdleConns: maxIdle, MaxIdleConnsPerHost: maxIdlePerHost,
		MaxResponseHeaderBytes: maxHeaders, DisableCompression: true,
	}
	i.client = http.Client{Transport: &i.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return i
}

// Close ends connections that are idle.
func (i *Invoker) Close() { i.transport.CloseIdleConnections() }

// Do has a function answer a request, until ctx ends.
func (i *Invoker) Do(ctx context.Context, f Function, r *Request) (*Answer, *Fault) {
	e, fault := r.Event()
	if fault != nil {
		return nil, fault
	}
	payload, fault := i.invoke(ctx, f, e)
	if fault != nil {
		return nil, fault
	}
	return ParseAnswer(payload, r.MultiValue)
}

// invoke posts an event and returns what the function has returned.
func (i *Invoker) invoke(ctx context.Context, f Function, event []byte) ([]byte, *Fault) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url(), bytes.NewReader(event))
	if err != nil {
		return nil, unreachable(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Amz-Invocation-Type", "RequestResponse")
	resp, err := i.client.Do(req)
	if err != nil {
		return nil, unreachable(err)
	}
	defer resp.Body.Close()
	payload, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	switch {
	case err != nil:
		return nil, unreachable(err)
	case resp.StatusCode/100 != 2:
		return nil, refused(resp)
	case resp.Header.Get(functionError) != "":
		return nil, &Fault{502, Unhandled, "function failed: " + resp.Header.Get(functionError)}
	case len(payload) > MaxAnswer:
		return nil, errAnswerTooLarge
	}
	return payload, nil
}
