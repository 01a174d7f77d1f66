// Package jwt validates JSON Web Tokens (RFC 7519) the way Application Load Balancers do for the
// action jwt-validation, and keeps the keys that it takes for that.
//
// A request passes in three steps: [Parse] reads the token out of the values of Authorization, a
// [Cache] has the [KeySet] of the endpoint, and [Token.Check] compares signature and claims with a
// [Policy]. Whatever goes wrong is an [*Error] with the words of AWS's access log. The package
// knows nothing of connections and loops: [Cache.Lookup] never waits, [Cache.Fetch] does, and the
// caller says who may.
//
// Only public keys are handled, by crypto/rsa; there is no secret here.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-verify-jwt.html
package jwt

import "fmt"

// Reason is a reason code of the access log.
type Reason string

// The reasons, as the guide of Application Load Balancers lists them.
const (
	HeaderNotPresent          Reason = "JWTHeaderNotPresent"
	RequestFormatInvalid      Reason = "JWTRequestFormatInvalid"
	SignatureValidationFailed Reason = "JWTSignatureValidationFailed"
	ClaimNotPresent           Reason = "JWTClaimNotPresent"
	ClaimFormatInvalid        Reason = "JWTClaimFormatInvalid"
	ClaimValueInvalid         Reason = "JWTClaimValueInvalid"
	RequestTimeout            Reason = "JWKSRequestTimeout"
	ResponseSizeExceeded      Reason = "JWKSResponseSizeExceeded"
	RequestFailed             Reason = "JWKSRequestFailed"
	ResponseInvalid           Reason = "JWKSResponseInvalid"
	InternalError             Reason = "JWTValidationInternalError"
)

// Error says why a request does not pass.
type Error struct {
	Reason Reason
	Detail string // for operators; it never has the token in it
}

// Error implements error.
func (e *Error) Error() string { return string(e.Reason) + ": " + e.Detail }

// Status is the HTTP status that AWS answers with.
func (e *Error) Status() int {
	switch e.Reason {
	case RequestFailed, ResponseInvalid:
		return 562
	case RequestTimeout, ResponseSizeExceeded, InternalError:
		return 500
	}
	return 401
}

func fail(r Reason, format string, args ...any) *Error {
	return &Error{Reason: r, Detail: fmt.Sprintf(format, args...)}
}
