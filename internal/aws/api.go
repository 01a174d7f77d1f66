package aws

import "slices"

// Protocol names one of the AWS wire protocols.
type Protocol string

// The protocols that a served API can speak.
const (
	AWSJSON11 Protocol = "json"  // awsJson1_1: X-Amz-Target header, JSON bodies
	AWSQuery  Protocol = "query" // awsQuery: form in, XML out
	EC2Query  Protocol = "ec2"   // ec2Query: form in, XML out, EC2's own list and error forms
)

// API describes one service as its model states it. Generated packages hold one each.
type API struct {
	Name            string // package name, e.g. "elbv2"
	Protocol        Protocol
	Version         string // apiVersion; query protocols are told apart by it
	SigningName     string // SigV4 service name
	TargetPrefix    string // awsJson only
	XMLNamespace    string // query protocols only
	InvalidCode     string // error code for an input that violates the model
	OwnLimits       bool   // the service words its limits itself: check only null and enumerations
	Operations      []string
	OtherOperations []string // those without shapes here
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
