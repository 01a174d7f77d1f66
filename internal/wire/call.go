package wire

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"runtime/debug"
	"strings"

	"fairlead/internal/aws"
)

// call is one request on its way through the router: read, route, authenticate, decode, validate,
// invoke, encode. The first step that fails ends it with that step's fault.
type call struct {
	req      *http.Request
	sent     []byte     // the body as it came, which is what the signature is about
	body     []byte     // and uncompressed
	form     url.Values // query protocols: parameters of the URL and of the body
	protocol aws.Protocol
	api      *aws.API
	op       *endpoint
	name     string // of the operation that was asked for
	caller   aws.Caller
}

// answer runs the call and returns the status, the body and the fault, if it ended in one.
func (r *Router) answer(c *call) (status int, body []byte, fault *aws.Fault) {
	body, fault = r.run(c)
	if fault == nil {
		return http.StatusOK, body, nil
	}
	if fault.Status == 0 {
		fault.Status = http.StatusBadRequest
	}
	return fault.Status, codecFor(c.protocol).encodeFault(c, fault), fault
}

// run takes the steps. A panic of any of them ends the call alone.
func (r *Router) run(c *call) (body []byte, fault *aws.Fault) {
	defer func() {
		if p := recover(); p != nil {
			r.cfg.Logger.Error("call panicked",
				"op", c.name, "request", c.caller.RequestID, "panic", p, "stack", string(debug.Stack()))
			body, fault = nil, c.internalFailure()
		}
	}()
	for _, step := range []func(*call) *aws.Fault{r.read, r.route, r.authenticate, r.resolve} {
		if fault := step(c); fault != nil {
			return nil, fault
		}
	}
	return r.invoke(c)
}

func (c *call) internalFailure() *aws.Fault {
	return c.fault(internal, "An internal error has occurred")
}

// read takes the whole body, up to the limit, and the form that a query protocol has in it.
func (r *Router) read(c *call) *aws.Fault {
	c.protocol = spoken(c.req)
	var fault *aws.Fault
	if c.sent, fault = r.readAll(c, c.req.Body); fault != nil {
		return fault
	}
	if c.body, fault = r.uncompress(c); fault != nil {
		return fault
	}
	if c.protocol == aws.AWSQuery {
		return c.readForm()
	}
	return nil
}

// protocolHeader says that a call speaks one of Smithy's own protocols, and which.
const (
	protocolHeader = "Smithy-Protocol"
	protocolCBOR   = "rpc-v2-cbor"
)

// spoken is the protocol of a request; the two query protocols are told apart by the API.
func spoken(req *http.Request) aws.Protocol {
	switch {
	case req.Header.Get(protocolHeader) == protocolCBOR:
		return aws.RPCv2CBOR
	case req.Header.Get("X-Amz-Target") != "":
		return aws.AWSJSON11
	}
	return aws.AWSQuery
}

// readAll reads up to the limit.
func (r *Router) readAll(c *call, from io.ReadCloser) ([]byte, *aws.Fault) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, from, r.cfg.MaxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, c.fault(tooLarge, "Request body is larger than %d bytes", r.cfg.MaxBody)
	}
	if err != nil {
		return nil, c.fault(malformed, "The request body could not be read")
	}
	return body, nil
}

// uncompress undoes the compression that the models allow clients for large inputs.
func (r *Router) uncompress(c *call) ([]byte, *aws.Fault) {
	switch e := c.req.Header.Get("Content-Encoding"); e {
	case "", "identity":
		return c.sent, nil
	case "gzip":
		z, err := gzip.NewReader(bytes.NewReader(c.sent))
		if err != nil {
			return nil, c.fault(malformed, "The request body could not be read")
		}
		return r.readAll(c, z)
	default:
		return nil, c.fault(malformed, "Content-Encoding %s is not supported", e)
	}
}

func (c *call) readForm() *aws.Fault {
	form, err := url.ParseQuery(c.req.URL.RawQuery)
	if err == nil && c.req.Method == http.MethodPost {
		var posted url.Values
		posted, err = url.ParseQuery(string(c.body))
		for name, values := range posted {
			form[name] = append(values, form[name]...)
		}
	}
	c.form = form
	if err != nil {
		return c.fault(malformed, "The query string or form is malformed: %s", err)
	}
	return nil
}

// invoke decodes and validates the input, calls the handler and encodes its output.
func (r *Router) invoke(c *call) ([]byte, *aws.Fault) {
	codec := codecFor(c.protocol)
	in := reflect.ValueOf(c.op.newIn())
	shape := r.shapes.of(in.Type())
	if fault := codec.decode(c, shape, in.Elem()); fault != nil {
		return nil, fault
	}
	if fault := validate(c.api, shape, in.Elem()); fault != nil {
		return nil, fault
	}
	out, err := c.op.call(aws.WithCaller(c.req.Context(), c.caller), in.Interface())
	if err != nil {
		return nil, r.faultOf(c, err)
	}
	v := reflect.ValueOf(out)
	if v.IsNil() {
		v = reflect.New(v.Type().Elem())
	}
	return codec.encode(c, r.shapes.of(v.Type()), v.Elem()), nil
}

// faultOf turns a handler's error into a fault. What is no fault stays in the log.
func (r *Router) faultOf(c *call, err error) *aws.Fault {
	if fault, ok := errors.AsType[*aws.Fault](err); ok {
		return fault
	}
	if !errors.Is(err, context.Canceled) || c.req.Context().Err() == nil {
		r.cfg.Logger.Error("call failed",
			"op", c.name, "request", c.caller.RequestID, "error", err)
	}
	return c.internalFailure()
}

// route finds the API that is called, from the path, the target, or action and version.
func (r *Router) route(c *call) *aws.Fault {
	switch c.protocol {
	case aws.AWSJSON11:
		prefix, name, _ := strings.Cut(c.req.Header.Get("X-Amz-Target"), ".")
		return r.routeTarget(c, prefix, name)
	case aws.RPCv2CBOR:
		prefix, name, _ := strings.Cut(c.req.URL.Path, "/operation/")
		return r.routeTarget(c, prefix[strings.LastIndexByte(prefix, '/')+1:], name)
	}
	return r.routeAction(c)
}

func (r *Router) routeTarget(c *call, prefix, name string) *aws.Fault {
	c.name = name
	for api := range r.services {
		if api.Speaks(c.protocol) && api.TargetPrefix == prefix {
			c.api = api
			return nil
		}
	}
	return c.fault(unknownOperation,
		"Unknown operation %.200s.%.200s: Fairlead does not serve this service, see SCOPE.md.",
		prefix, name)
}

// routeAction tells services apart by their versions and, where those are equal or left out, by the
// service that the signature names.
func (r *Router) routeAction(c *call) *aws.Fault {
	c.name = c.form.Get("Action")
	if c.name == "" {
		return c.fault(missingAction, "The request is missing an action or a required parameter.")
	}
	version, signed := c.form.Get("Version"), ""
	if s, err := parseSignature(c.req); err == nil {
		signed = s.service
	}
	var found []*aws.API
	for api := range r.services {
		if queryProtocol(api) == "" || version != "" && api.Version != version {
			continue
		}
		if signed == "" || api.SigningName == signed {
			found = append(found, api)
		}
	}
	if len(found) != 1 {
		return c.fault(unknownOperation,
			"Could not find operation %.200s for version %.20s: Fairlead does not serve this "+
				"service, see SCOPE.md.", c.name, version)
	}
	c.api, c.protocol = found[0], queryProtocol(found[0])
	return nil
}

// queryProtocol is which of the two query protocols the API speaks; empty for none.
func queryProtocol(api *aws.API) aws.Protocol {
	for _, p := range []aws.Protocol{aws.AWSQuery, aws.EC2Query} {
		if api.Speaks(p) {
			return p
		}
	}
	return ""
}

// resolve finds the operation's endpoint.
func (r *Router) resolve(c *call) *aws.Fault {
	if c.op = r.services[c.api][c.name]; c.op != nil {
		return nil
	}
	reason := "."
	if c.api.Knows(c.name) {
		reason = ": Fairlead does not serve it yet, see SCOPE.md."
	}
	if queryProtocol(c.api) != c.protocol {
		return c.fault(unknownOperation, "Unknown operation %.200s%s", c.name, reason)
	}
	return c.fault(unknownOperation,
		"The action %.200s is not valid for this web service%s", c.name, reason)
}
