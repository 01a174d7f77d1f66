package wire

import (
	"net/http"

	"fairlead/internal/aws"
)

// problem is what can be wrong with a call before a handler sees it. Each protocol has its own
// code for it.
type problem int

const (
	missingAction problem = iota
	unknownOperation
	malformed
	tooLarge
	unsigned
	incompleteSignature
	badSignature
	staleSignature
	unknownKey
	expiredToken
	internal
)

type problemCode struct {
	code   string
	status int
}

// codeOf follows the "Common Errors" page of each service's API reference.
func codeOf(protocol aws.Protocol, p problem) problemCode {
	switch protocol {
	case aws.AWSJSON11, aws.RPCv2CBOR:
		return jsonCodes[p]
	case aws.EC2Query:
		if c, ok := ec2Codes[p]; ok {
			return c
		}
	}
	return queryCodes[p]
}

var jsonCodes = map[problem]problemCode{
	missingAction:       {"UnknownOperationException", http.StatusBadRequest},
	unknownOperation:    {"UnknownOperationException", http.StatusBadRequest},
	malformed:           {"SerializationException", http.StatusBadRequest},
	tooLarge:            {"RequestEntityTooLarge", http.StatusRequestEntityTooLarge},
	unsigned:            {"MissingAuthenticationTokenException", http.StatusForbidden},
	incompleteSignature: {"IncompleteSignatureException", http.StatusBadRequest},
	badSignature:        {"InvalidSignatureException", http.StatusForbidden},
	staleSignature:      {"InvalidSignatureException", http.StatusForbidden},
	unknownKey:          {"UnrecognizedClientException", http.StatusForbidden},
	expiredToken:        {"ExpiredTokenException", http.StatusForbidden},
	internal:            {"InternalFailure", http.StatusInternalServerError},
}

var queryCodes = map[problem]problemCode{
	missingAction:       {"MissingAction", http.StatusBadRequest},
	unknownOperation:    {"InvalidAction", http.StatusBadRequest},
	malformed:           {"MalformedQueryString", http.StatusBadRequest},
	tooLarge:            {"RequestEntityTooLarge", http.StatusRequestEntityTooLarge},
	unsigned:            {"MissingAuthenticationToken", http.StatusForbidden},
	incompleteSignature: {"IncompleteSignature", http.StatusBadRequest},
	badSignature:        {"SignatureDoesNotMatch", http.StatusForbidden},
	staleSignature:      {"SignatureDoesNotMatch", http.StatusForbidden},
	unknownKey:          {"InvalidClientTokenId", http.StatusForbidden},
	expiredToken:        {"ExpiredToken", http.StatusForbidden},
	internal:            {"InternalFailure", http.StatusInternalServerError},
}

// ec2Codes are where EC2 differs from the other query services.
var ec2Codes = map[problem]problemCode{
	badSignature:   {"AuthFailure", http.StatusUnauthorized},
	staleSignature: {"RequestExpired", http.StatusBadRequest},
	unknownKey:     {"AuthFailure", http.StatusUnauthorized},
	expiredToken:   {"RequestExpired", http.StatusBadRequest},
	internal:       {"InternalError", http.StatusInternalServerError},
}

// fault words problem p in the call's protocol.
func (c *call) fault(p problem, format string, args ...any) *aws.Fault {
	code := codeOf(c.protocol, p)
	return aws.NewFaultStatus(code.code, code.status, format, args...)
}
