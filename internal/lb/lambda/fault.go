package lambda

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
)

// Fault is a request that a function did not answer.
type Fault struct {
	Status int    // that the client gets
	Reason string // error_reason of the access log
	Detail string // our own words, for operators
}

// Error implements error.
func (f *Fault) Error() string { return f.Detail }

// The reasons that the load balancer finds itself (ALB guide, "Error reason codes"). Those that
// Lambda's Invoke API reports are in reasons.
const (
	BadRequest            = "LambdaBadRequest"
	ConnectionError       = "LambdaConnectionError"
	ConnectionTimeout     = "LambdaConnectionTimeout"
	InvalidResponse       = "LambdaInvalidResponse"
	RequestTooLarge       = "LambdaRequestTooLarge"
	ResponseTooLarge      = "LambdaResponseTooLarge"
	ServiceException      = "LambdaServiceException"
	Unhandled             = "LambdaUnhandled"          // the function
	UnhandledException    = "LambdaUnhandledException" // the load balancer
	WebSocketNotSupported = "LambdaWebsocketNotSupported"
)

// The faults that need no invocation to be found.
var (
	ErrWebSocket = &Fault{400, WebSocketNotSupported, "WebSocket upgrade to a function"}
	ErrTooLarge  = &Fault{413, RequestTooLarge, "request body for a function is over 1 MB"}
	// ErrTimeout is for a function that has not answered within the listener's idle timeout.
	ErrTimeout = &Fault{504, ConnectionTimeout, "function did not answer in time"}

	errAnswerTooLarge = &Fault{502, ResponseTooLarge, "answer of the function is over 1 MB"}
	// errNotUTF8 has the status of a malformed request; AWS documents the reason only.
	errNotUTF8 = &Fault{400, BadRequest, "request for a function is not UTF-8"}
)

// Internal says whether a fault counts as LambdaInternalError; the others are LambdaUserError.
func (f *Fault) Internal() bool {
	switch f.Reason {
	case ConnectionError, ConnectionTimeout, ServiceException, UnhandledException:
		return true
	}
	return false
}

// reasons are what the access log calls the exceptions of Lambda's Invoke API (Lambda API
// reference, Invoke, "Errors").
var reasons = map[string]string{
	"AccessDeniedException":                "LambdaAccessDenied",
	"EC2AccessDeniedException":             "LambdaEC2AccessDeniedException",
	"EC2ThrottledException":                "LambdaEC2ThrottledException",
	"EC2UnexpectedException":               "LambdaEC2UnexpectedException",
	"ENILimitReachedException":             "LambdaENILimitReachedException",
	"InvalidParameterValueException":       BadRequest,
	"InvalidRequestContentException":       BadRequest,
	"InvalidRuntimeException":              "LambdaInvalidRuntimeException",
	"InvalidSecurityGroupIDException":      "LambdaInvalidSecurityGroupIDException",
	"InvalidSubnetIDException":             "LambdaInvalidSubnetIDException",
	"InvalidZipFileException":              "LambdaInvalidZipFileException",
	"KMSAccessDeniedException":             "LambdaKMSAccessDeniedException",
	"KMSDisabledException":                 "LambdaKMSDisabledException",
	"KMSInvalidStateException":             "LambdaKMSInvalidStateException",
	"KMSNotFoundException":                 "LambdaKMSNotFoundException",
	"RequestTooLargeException":             RequestTooLarge,
	"ResourceNotFoundException":            "LambdaResourceNotFound",
	"ServiceException":                     ServiceException,
	"SubnetIPAddressLimitReachedException": "LambdaSubnetIPAddressLimitReachedException",
	"TooManyRequestsException":             "LambdaThrottling",
	"UnsupportedMediaTypeException":        BadRequest,
}

// refused is the fault of an invocation that the Invoke API has refused.
func refused(resp *http.Response) *Fault {
	// The header may have a URL behind the name: "ServiceException:http://…".
	name, _, _ := strings.Cut(resp.Header.Get("X-Amzn-ErrorType"), ":")
	reason, known := reasons[name]
	if !known {
		reason = reasonOf(resp.StatusCode)
	}
	return &Fault{502, reason, "invoke function: " + strings.TrimSpace(resp.Status+" "+name)}
}

// reasonOf is for an implementation of the Invoke API that does not name its exceptions.
func reasonOf(status int) string {
	switch status {
	case http.StatusBadRequest, http.StatusUnsupportedMediaType:
		return BadRequest
	case http.StatusUnauthorized, http.StatusForbidden:
		return reasons["AccessDeniedException"]
	case http.StatusNotFound:
		return reasons["ResourceNotFoundException"]
	case http.StatusRequestEntityTooLarge:
		return RequestTooLarge
	case http.StatusTooManyRequests:
		return reasons["TooManyRequestsException"]
	}
	return ServiceException
}

// unreachable is the fault of an invocation that has failed on the way: 504 if no connection came
// about (ALB guide, HTTP 504: "the Lambda service did not respond before the connection timeout
// expired"), 502 if one broke, as with any target.
func unreachable(err error) *Fault {
	f := &Fault{502, ConnectionError, "invoke function: " + err.Error()}
	var op *net.OpError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		f.Status, f.Reason = 504, ConnectionTimeout
	case errors.As(err, &op) && op.Op == "dial":
		f.Status = 504
	}
	return f
}
