package lb

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"fairlead/internal/lb/http1"
	"fairlead/internal/lb/rewrite"
)

// TransformType names what a transform changes.
type TransformType string

// The types of transforms.
const (
	HostHeaderRewrite TransformType = "host-header-rewrite"
	URLRewrite        TransformType = "url-rewrite"
)

// Transform changes a request that met its rule, before it goes to a target: the first match of a
// regular expression is replaced. host-header-rewrite looks at the host without the port, in any
// case, url-rewrite at the path with the query. What does not match is left as it is. Package
// rewrite says what expressions and replacements there are.
type Transform struct {
	Type           TransformType
	Regex, Replace string
}

// transforms are the compiled transforms of a rule, at most one of each type.
type transforms struct{ host, url *rewrite.Rewrite }

// compileTransforms returns nil for a rule without transforms. Only what is forwarded has a head
// that could be changed.
func compileTransforms(kind ActionType, specs []Transform) (*transforms, error) {
	if len(specs) == 0 {
		return nil, nil
	}
	if kind != ActionForward {
		return nil, fmt.Errorf("transforms of an action %q, want %q", kind, ActionForward)
	}
	out := &transforms{}
	for _, s := range specs {
		if err := out.add(s); err != nil {
			return nil, fmt.Errorf("transform %s: %w", s.Type, err)
		}
	}
	return out, nil
}

func (t *transforms) add(s Transform) error {
	place := &t.url
	switch s.Type {
	case URLRewrite:
	case HostHeaderRewrite:
		place = &t.host
	default:
		return errors.New("unknown type")
	}
	if *place != nil {
		return errors.New("a rule can have only one of a type")
	}
	var err error
	*place, err = rewrite.Compile(s.Regex, s.Replace, s.Type == HostHeaderRewrite)
	return err
}

// The values of request_transform_status (ALB guide, "Transform status codes") that can come about
// here: what is wrong with an expression or a replacement is found before a rule is at work.
const (
	transformSuccess        = "TransformSuccess"
	transformBufferTooSmall = "TransformBufferTooSmall"
	transformInvalidHost    = "TransformInvalidHost"
	transformInvalidPath    = "TransformInvalidPath"
)

// transformed is what the log wants to know about the transforms of a request.
type transformed struct {
	status             string // empty while nothing has matched
	host, target       []byte // of the request as the client has sent it
	newHost, newTarget []byte // what the transforms made of them; nil if nothing new
	hostMatched        bool
}

// transform applies the transforms of the rule. From here on the exchange has the host and the
// target that go out; what the client sent is kept for the log. It answers with 500, and returns
// false, if something matched and the result cannot stand in the head of a request.
func (ex *exchange) transform() bool {
	t := &transformed{host: ex.host, target: ex.target}
	ex.transformed = t
	failure := ex.transformHost(t)
	if failure == "" {
		failure = ex.transformURL(t)
	}
	if failure == "" {
		return true
	}
	t.status = failure
	ex.refuse(&http1.Error{Status: 500, Text: "transform of the rule failed: " + failure})
	return false
}

// transformHost rewrites the host and keeps the port. A request of HTTP/1.0 without Host has none.
func (ex *exchange) transformHost(t *transformed) (failure string) {
	if ex.act.transforms.host == nil || ex.authority == nil {
		return ""
	}
	port := ex.authority[len(ex.host):]
	host, matched, failure := ex.rewritten(ex.act.transforms.host, ex.host, http1.MaxLine)
	switch {
	case !matched || failure != "":
		return failure
	case !rewrite.ValidHost(host):
		return transformInvalidHost
	case !bytes.Equal(host, ex.host):
		t.newHost = host
	}
	t.status, t.hostMatched = transformSuccess, true
	ex.authority = append(host, port...)
	ex.host = ex.authority[:len(host)]
	return ""
}

// transformURL rewrites the path and the query. OPTIONS * has neither.
func (ex *exchange) transformURL(t *transformed) (failure string) {
	if ex.act.transforms.url == nil || ex.target[0] != '/' {
		return ""
	}
	before := ex.target
	if bytes.IndexByte(before, ' ') >= 0 {
		before = appendTarget(nil, before) // as it would go out
	}
	room := http1.MaxLine - len(ex.method) - len("  HTTP/1.1\r\n")
	target, matched, failure := ex.rewritten(ex.act.transforms.url, before, room)
	switch {
	case !matched || failure != "":
		return failure
	case !rewrite.ValidTarget(target):
		return transformInvalidPath
	case !bytes.Equal(target, before):
		t.newTarget = target
	}
	t.status = transformSuccess
	ex.target = target
	ex.path, ex.query, _ = bytes.Cut(target, []byte("?"))
	return ""
}

// rewritten applies a rewrite, in the exchange's own memory.
func (ex *exchange) rewritten(
	r *rewrite.Rewrite, text []byte, limit int,
) (out []byte, matched bool, failure string) {
	from := len(ex.text)
	all, matched, err := r.Append(ex.text, text, limit)
	if err != nil {
		return nil, true, transformBufferTooSmall
	}
	ex.text = all
	return all[from:len(all):len(all)], matched, ""
}

// hostRewritten says that the Host of the client is not what goes to the target.
func (ex *exchange) hostRewritten() bool {
	return ex.transformed != nil && ex.transformed.hostMatched
}

// fill writes down how the transforms fared.
func (t *transformed) fill(r *AccessRecord, b *recordBatch) {
	r.TransformStatus = t.status
	switch t.status {
	case "":
	case transformSuccess:
		r.TransformedHost, r.TransformedURI = b.string(t.newHost), b.string(t.newTarget)
		r.Actions = strings.TrimSuffix(r.Actions, "forward") + "rewrite,forward"
	default: // only what stands before the forward was executed
		r.Actions = strings.TrimRight(strings.TrimSuffix(r.Actions, "forward"), ",")
	}
}
