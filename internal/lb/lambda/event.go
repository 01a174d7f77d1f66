// Package lambda speaks with functions as an Application Load Balancer does: it makes the event of
// a request, has the function invoked over Lambda's Invoke API, and reads what the function returns
// as a response (ALB guide, "Lambda functions as targets"). It knows nothing of listeners, targets
// or exchanges.
package lambda

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"fairlead/internal/lb/http1"
)

// MaxBody is the limit of the body of a request to a function, in bytes (ALB guide, HTTP 413: "the
// request body exceeds 1 MB").
const MaxBody = 1 << 20

// Request is what a function is told about.
type Request struct {
	Group string // the ARN of the target group
	// HTTP is the head of the request as a target would get it. It must own its texts.
	HTTP *http1.Request
	Body []byte
	// MultiValue is lambda.multi_value_headers.enabled: all values of a name, not the last one.
	MultiValue bool
}

// event is the JSON that a function gets. Of each pair of members the one of the mode is set.
type event struct {
	Context      eventContext `json:"requestContext"`
	Method       string       `json:"httpMethod"`
	Path         string       `json:"path"`
	Query        any          `json:"queryStringParameters,omitempty"`
	MultiQuery   any          `json:"multiValueQueryStringParameters,omitempty"`
	Headers      any          `json:"headers,omitempty"`
	MultiHeaders any          `json:"multiValueHeaders,omitempty"`
	Body         string       `json:"body"`
	Base64       bool         `json:"isBase64Encoded"`
}

type eventContext struct {
	ELB struct {
		Group string `json:"targetGroupArn"`
	} `json:"elb"`
}

// Event makes the event of a request. What is not UTF-8, and would have to be text, is a fault.
func (r *Request) Event() ([]byte, *Fault) {
	path, query, _ := strings.Cut(string(r.HTTP.Target), "?")
	e := event{Method: string(r.HTTP.Method), Path: path}
	e.Context.ELB.Group = r.Group
	headers, parameters := r.headers(), parametersOf(query)
	if r.MultiValue {
		e.MultiHeaders, e.MultiQuery = headers.all(), parameters.all()
	} else {
		e.Headers, e.Query = headers.last(), parameters.last()
	}
	e.Base64 = len(r.Body) > 0 && headers.encodesBody()
	if e.Base64 {
		e.Body = base64.StdEncoding.EncodeToString(r.Body)
	} else {
		e.Body = string(r.Body)
	}
	if !utf8.Valid(r.HTTP.Target) || !headers.valid() || !utf8.ValidString(e.Body) {
		return nil, errNotUTF8
	}
	return marshal(&e)
}

// marshal writes JSON without escaping what only HTML would misread.
func marshal(e *event) ([]byte, *Fault) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, &Fault{502, UnhandledException, fmt.Sprint("encode event: ", err)}
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// pairs are names with values, in the order of the request.
type pairs [][2]string

// headers are the fields of the request in lower case, without those about the connection.
func (r *Request) headers() pairs {
	var p pairs
	for i := range r.HTTP.Fields {
		if f := &r.HTTP.Fields[i]; !f.Kind.HopByHop() {
			p = append(p, [2]string{strings.ToLower(string(f.Name)), string(f.Value)})
		}
	}
	if r.HTTP.Length > 0 {
		p = append(p, [2]string{"content-length", strconv.FormatInt(r.HTTP.Length, 10)})
	}
	return p
}

// parametersOf splits a query. Nothing is decoded: that is the function's.
func parametersOf(query string) pairs {
	var p pairs
	for part := range strings.SplitSeq(query, "&") {
		if part != "" {
			name, value, _ := strings.Cut(part, "=")
			p = append(p, [2]string{name, value})
		}
	}
	return p
}

func (p pairs) last() map[string]string {
	m := map[string]string{}
	for _, nv := range p {
		m[nv[0]] = nv[1]
	}
	return m
}

func (p pairs) all() map[string][]string {
	m := map[string][]string{}
	for _, nv := range p {
		m[nv[0]] = append(m[nv[0]], nv[1])
	}
	return m
}

func (p pairs) valid() bool {
	for _, nv := range p {
		if !utf8.ValidString(nv[0]) || !utf8.ValidString(nv[1]) {
			return false
		}
	}
	return true
}

// encodesBody says whether a body with these headers is put into the event as Base64: if it has a
// content coding, or is not of a type that is text for certain (ALB guide, "the load balancer sends
// the body … as is").
func (p pairs) encodesBody() bool {
	headers := p.last()
	if _, coded := headers["content-encoding"]; coded {
		return true
	}
	kind, _, _ := strings.Cut(headers["content-type"], ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	switch kind {
	case "application/json", "application/javascript", "application/xml":
		return false
	}
	return !strings.HasPrefix(kind, "text/")
}

// userAgent is how the health checker of AWS names itself.
const userAgent = "ELB-HealthChecker/2.0"

// HealthCheck is the request of a health check: the event has the configured path, the one header
// and nothing else.
func HealthCheck(group, path string, multiValue bool) *Request {
	return &Request{Group: group, MultiValue: multiValue, HTTP: &http1.Request{
		Method: []byte("GET"), Target: []byte(path), Minor: 1,
		Fields: []http1.Field{{Name: []byte("user-agent"), Value: []byte(userAgent),
			Kind: http1.UserAgent}},
	}}
}
