// Package aws holds the nouns that every other package speaks: who calls (Caller), what is named
// (ARN), what went wrong (Fault), and the descriptors of the APIs that are served (API, Operation).
// It imports nothing of Fairlead and is imported by everything.
package aws

import "context"

// Partition is the only AWS partition served.
const Partition = "aws"

// DefaultAccount is the account of callers whose credentials name no other.
const DefaultAccount = "123456789012"

// Caller is who makes a call and where: everything Fairlead stores is per account and region.
type Caller struct {
	Account   string // 12 digits
	Region    string // from the SigV4 credential scope, e.g. "eu-west-1"
	AccessKey string
	RequestID string // a UUID, echoed in every answer
	Host      string // under which the caller reached the API, with its port
}

type callerKey struct{}

// WithCaller returns a context that carries the caller to handlers.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom returns the caller of the call that ctx belongs to. It panics when there is none: a
// handler reached without a caller is a broken invariant.
func CallerFrom(ctx context.Context) Caller {
	return ctx.Value(callerKey{}).(Caller)
}

// Val returns what p points at, or the zero value for nil: an absent member of a wire shape.
func Val[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// Or returns what p points at, or def when the member was absent.
func Or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}
