package elb

import (
	"regexp"

	"fairlead/internal/aws"
)

// Function is a Lambda function as a target group names it.
type Function struct{ Region, Name, Qualifier string }

// functionResource is a function in an ARN, perhaps with a version or an alias (Lambda API
// reference, Invoke, FunctionName and Qualifier).
var functionResource = regexp.MustCompile(
	`^function:([\w-]{1,64})(?::(\$LATEST|[\w-]{1,128}))?$`)

// FunctionOf reads the ARN of a function; ok is false if it is none.
func FunctionOf(arn string) (f Function, ok bool) {
	a, ok := aws.ParseARN(arn)
	if !ok || a.Service != "lambda" || a.Region == "" || len(a.Account) != 12 {
		return Function{}, false
	}
	m := functionResource.FindStringSubmatch(a.Resource)
	if m == nil {
		return Function{}, false
	}
	return Function{Region: a.Region, Name: m[1], Qualifier: m[2]}, true
}
