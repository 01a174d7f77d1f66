package aws

import "slices"

// Protocol names one of the AWS wire protocols.
type Protocol string

// The protocols that a served API can speak.
const (
	AWSJSON11 Protocol = "json"  // awsJson1_1: X-Amz-Target header, JSON bodies
	AWSQuery  Protocol = "query" // awsQuery: form in, XML out
	EC2Query  Protocol = "ec2"   // ec2Query: form in, XML out, EC2's own list and error forms
	// RPCv2CBOR is Smithy's rpcv2Cbor: the operation in the path, CBOR in and out.
	RPCv2CBOR Protocol = "smithy-rpc-v2-cbor"
)

// API describes one service as its model states it. Generated packages hold one each.
type API struct {
	Name            string // package name, e.g. "elbv2"
	Protocol        Protocol
	Also            []Protocol // that it speaks as well
	Version         string     // apiVersion; query protocols are told apart by it
	SigningName     string     // SigV4 service name
	TargetPrefix    string     // awsJson and rpcv2Cbor only
	XMLNamespace    string     // query protocols only
	InvalidCode     string     // error code for an input that violates the model
	OwnLimits       bool       // the service words its limits itself: check only null and enumerations
	Operations      []string
	OtherOperations []string // those without shapes here
	// QueryErrors is set for an API that was awsQuery before it spoke other protocols: it names the
	// error shapes, which those protocols call by name, by the codes that awsQuery calls them.
	QueryErrors map[string]string
}

// Speaks reports whether the API is served in the protocol.
func (a *API) Speaks(p Protocol) bool { return a.Protocol == p || slices.Contains(a.Also, p) }

// QueryCompatible reports whether clients know the API's errors by their codes in awsQuery.
func (a *API) QueryCompatible() bool { return a.QueryErrors != nil }

// ErrorShape is the name of the error shape with this code.
func (a *API) ErrorShape(code string) string {
	if name, ok := a.QueryErrors[code]; ok {
		return name
	}
	return code
}

// Knows reports whether AWS has the operation, served here or not.
func (a *API) Knows(operation string) bool {
	return slices.Contains(a.Operations, operation) ||
		slices.Contains(a.OtherOperations, operation)
}

// Operation ties an operation's name to its input and output shapes, so that a handler of the wrong
// shape does not compile.
type Operation[In, Out any] struct {
	API           *API
	Name          string
	ResultWrapper string // awsQuery: the element around the result; empty when the model has none
}
