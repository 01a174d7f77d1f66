package elbv2

import (
	"time"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/elb"
	"fairlead/internal/row"
)

// Target groups whose target is a Lambda function, see
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html

// errNoLambda refuses functions where none can be invoked.
func errNoLambda() *aws.Fault {
	return aws.NewFault("InvalidConfigurationRequest", "Target type 'lambda': Fairlead does not run "+
		"functions; it invokes them at the endpoint that fairlead serve --lambda-endpoint names, and it "+
		"was started without that")
}

// checkFunctionGroup checks a group to be created for a function.
func (s *Service) checkFunctionGroup(in *api.CreateTargetGroupInput) error {
	if !s.lambda {
		return errNoLambda()
	}
	for _, given := range []struct {
		what string
		is   bool
	}{ // AWS's text for the first; ours, in its form, for the others
		{"Protocol", in.Protocol != ""}, {"Protocol version", aws.Val(in.ProtocolVersion) != ""},
		{"Port", in.Port != nil}, {"VPC ID", in.VpcId != nil},
	} {
		if given.is {
			return errNotForFunctions(given.what)
		}
	}
	switch {
	case in.IpAddressType == api.TargetGroupIpAddressTypeEnumIpv6:
		return elb.NotServed("IP address type 'ipv6'")
	case in.TargetControlPort != nil:
		return elb.NotServed("TargetControlPort")
	}
	return nil
}

func errNotForFunctions(what string) *aws.Fault {
	return invalid("%s cannot be specified for target groups with target type 'lambda'", what)
}

// functionHealthCheck is the health check of a new group: off, for every check is an invocation.
func functionHealthCheck() row.HealthCheck {
	return row.HealthCheck{
		Path: "/", IntervalSeconds: 35, TimeoutSeconds: 30, HealthyThreshold: 5, UnhealthyThreshold: 5,
		HTTPCode: "200",
	}
}

// newFunction checks the description of a function to be registered. Our own texts.
func (s *Service) newFunction(
	g row.TargetGroup, d api.TargetDescription, now time.Time,
) (row.Target, error) {
	t := row.Target{
		TargetGroup: g.ARN, ID: aws.Val(d.Id), Zone: aws.Val(d.AvailabilityZone), RegisteredAt: now,
	}
	f, ok := elb.FunctionOf(t.ID)
	switch {
	case !s.lambda:
		return t, errNoLambda()
	case !ok:
		return t, api.InvalidTargetException("'%s' is not the ARN of a function", t.ID)
	case f.Region != g.Region:
		return t, api.InvalidTargetException("Function '%s' is not in the region '%s'", t.ID, g.Region)
	case d.Port != nil:
		return t, invalid("A port cannot be specified for the function '%s'", t.ID)
	case t.Zone != "" && t.Zone != elb.AllZones:
		return t, invalid("The Availability Zone of a function can only be '%s'", elb.AllZones)
	case d.QuicServerId != nil:
		return t, elb.NotServed("QuicServerId")
	}
	return t, nil
}
