package wire

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"fairlead/internal/aws"
)

// DefaultMaxBody bounds a request body in bytes: PutLogEvents, the largest call served, may carry
// 1,048,576 bytes of events, which JSON escapes can inflate.
const DefaultMaxBody = 4 << 20

// Config says whom a Router answers and within what bounds. The zero value serves: any well-formed
// signature is accepted and nothing is logged.
type Config struct {
	// Keys are the access keys that may call, by access key id. When there is at least one,
	// every signature is verified.
	Keys map[string]Key
	// Lookup finds keys that Keys does not hold, e.g. those of a role's session. May be nil.
	Lookup func(ctx context.Context, accessKey string) (Key, bool)
	// RequireSignature verifies signatures even while Keys is empty.
	RequireSignature bool
	// DefaultAccount is the account of callers whose access key names none;
	// [aws.DefaultAccount] when empty.
	DefaultAccount string
	// MaxBody is the largest request body in bytes; [DefaultMaxBody] when 0.
	MaxBody int64
	Logger  *slog.Logger     // nil discards
	Now     func() time.Time // nil is time.Now
}

// Key is what an access key stands for.
type Key struct {
	Secret       string
	Account      string    // 12 digits; empty is the default account
	SessionToken string    // temporary keys only: must accompany the signature when set
	Expires      time.Time // zero is never
}

// Router is the http.Handler of every AWS API that has handlers registered with it. Register
// everything before it serves: it is not to be changed afterwards.
type Router struct {
	cfg      Config
	shapes   *shapes
	services map[*aws.API]map[string]*endpoint
}

// endpoint is one operation with its types erased.
type endpoint struct {
	api     *aws.API
	name    string
	wrapper string
	newIn   func() any
	call    func(ctx context.Context, in any) (any, error)
}

// NewRouter returns a Router without operations.
func NewRouter(cfg Config) *Router {
	cfg.DefaultAccount = cmp.Or(cfg.DefaultAccount, aws.DefaultAccount)
	cfg.MaxBody = cmp.Or(cfg.MaxBody, DefaultMaxBody)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	services := map[*aws.API]map[string]*endpoint{}
	return &Router{cfg: cfg, shapes: newShapes(), services: services}
}

// Handle lets fn serve the operation. The input that fn gets is decoded, validated against the
// model and never nil; the caller is in its context ([aws.CallerFrom]). fn returns its error as an
// [aws.Fault]; any other error is logged and answered as an internal failure without its text.
// It panics when the operation is handled already.
func Handle[In, Out any](
	r *Router, op aws.Operation[In, Out], fn func(context.Context, *In) (*Out, error),
) {
	r.handle(&endpoint{
		api:     op.API,
		name:    op.Name,
		wrapper: op.ResultWrapper,
		newIn:   func() any { return new(In) },
		call:    func(ctx context.Context, in any) (any, error) { return fn(ctx, in.(*In)) },
	})
}

func (r *Router) handle(e *endpoint) {
	ops := r.services[e.api]
	if ops == nil {
		ops = map[string]*endpoint{}
		r.services[e.api] = ops
	}
	if ops[e.name] != nil {
		panic("wire: " + e.api.Name + ":" + e.name + " is handled twice")
	}
	ops[e.name] = e
}

// ServeHTTP answers one call.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	start := r.cfg.Now()
	c := &call{req: req, caller: aws.Caller{RequestID: aws.UUID(), Host: req.Host}}
	status, body, fault := r.answer(c)
	c.setHeader(w.Header(), len(body), fault)
	w.WriteHeader(status)
	_, err := w.Write(body)
	r.cfg.Logger.Debug("call", "op", c.operation(), "account", c.caller.Account,
		"region", c.caller.Region, "request", c.caller.RequestID, "status", status,
		"code", aws.Val(fault).Code, "ms", r.cfg.Now().Sub(start).Milliseconds(), "written", err == nil)
}

// setHeader says what the answer is. An error has its name in the header too, and for clients that
// know it by the code of awsQuery, that code and whose fault it is.
func (c *call) setHeader(h http.Header, length int, fault *aws.Fault) {
	h.Set("Content-Length", strconv.Itoa(length))
	h.Set("X-Amzn-Requestid", c.caller.RequestID)
	if length > 0 {
		h.Set("Content-Type", codecFor(c.protocol).contentType(c))
	}
	if c.protocol == aws.RPCv2CBOR {
		h.Set(protocolHeader, protocolCBOR)
	}
	if fault == nil {
		return
	}
	if c.protocol == aws.AWSJSON11 {
		h.Set("X-Amzn-Errortype", c.errorShape(fault.Code))
	}
	if c.api != nil && c.api.QueryCompatible() {
		h.Set("X-Amzn-Query-Error", fault.Code+";"+senderOrReceiver(fault))
	}
}

// errorShape is what protocols other than awsQuery call the error with this code.
func (c *call) errorShape(code string) string {
	if c == nil || c.api == nil {
		return code
	}
	return c.api.ErrorShape(code)
}

// operation is the call's name for people: "ecs:CreateCluster".
func (c *call) operation() string {
	if c.api == nil {
		return c.name
	}
	return c.api.Name + ":" + c.name
}
