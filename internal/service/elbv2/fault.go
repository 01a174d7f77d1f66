package elbv2

import "fairlead/internal/aws"

// invalid is the ValidationError of nearly every check that the model does not state.
func invalid(format string, args ...any) *aws.Fault {
	return aws.NewFault("ValidationError", format, args...)
}
