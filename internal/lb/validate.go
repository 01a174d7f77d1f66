package lb

import (
	"context"
	"time"

	"fairlead/internal/lb/http1"
	"fairlead/internal/lb/jwt"
)

// validate checks the token of a request before its action: here, if the keys are known, else when
// they have been fetched; the request's body waits that long. The token stays as it is.
func (ex *exchange) validate(r *http1.Request) {
	token, err := jwt.Parse(authorization(r)...)
	if err != nil {
		ex.deny(err)
		return
	}
	keys, err, known := ex.loop.eng.keys.Lookup(ex.act.token.JWKSEndpoint, token)
	if known {
		ex.judge(r, token, keys, err)
		return
	}
	ex.awaitKeys(r.Clone(), token)
}

// awaitKeys goes on with a request when its keys have been fetched.
func (ex *exchange) awaitKeys(r *http1.Request, token *jwt.Token) {
	cache, endpoint := ex.loop.eng.keys, ex.act.token.JWKSEndpoint
	ex.post(func(ctx context.Context) (then func()) {
		keys, err := cache.Fetch(ctx, endpoint, token)
		return func() {
			ex.judge(r, token, keys, err)
			if ex.phase != over && ex.acceptsBody() {
				ex.roomUp() // over a connection that stands already
			}
		}
	})
}

// judge performs the action of a request whose token is good.
func (ex *exchange) judge(r *http1.Request, t *jwt.Token, keys *jwt.KeySet, err *jwt.Error) {
	if err == nil {
		// Not the loop's time: a token's is that of the world, whatever has happened to the clock.
		err = t.Check(keys, ex.act.token, time.Now())
	}
	if err != nil {
		ex.deny(err)
		return
	}
	ex.stats.JWTValidationSuccessCount++
	ex.validated = true
	ex.perform(r)
}

// deny answers a request that does not pass.
func (ex *exchange) deny(err *jwt.Error) {
	ex.stats.JWTValidationFailureCount++
	ex.reason = string(err.Reason)
	ex.refuse(&http1.Error{Status: err.Status(), Text: err.Detail})
}

// authorization lists the values of Authorization, copied.
func authorization(r *http1.Request) (values []string) {
	const name = "authorization"
	for i := range r.Fields {
		f := &r.Fields[i]
		if len(f.Name) == len(name) && http1.EqualFold(f.Name, name) {
			values = append(values, string(f.Value))
		}
	}
	return values
}

// executed is what the access log shows as actions_executed. AWS's list of them does not have
// jwt-validation; by analogy with authenticate it stands first, and alone when the request was
// denied.
func (ex *exchange) executed() string {
	switch {
	case ex.act == nil:
		return ""
	case ex.act.token == nil:
		return string(ex.act.kind)
	case ex.validated:
		return ex.act.afterToken
	}
	return string(ActionJWTValidation)
}
