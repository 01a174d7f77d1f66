// Package ec2 serves the part of Amazon EC2 that ECS and Elastic Load Balancing stand on: VPCs,
// subnets, internet gateways, route tables, security groups and network interfaces.
package ec2

import (
	"context"
	"errors"

	"fairlead/internal/row"
	"fairlead/internal/state"
)

// EnsureDefault makes the default VPC of a scope unless it was made before: 172.31.0.0/16 with a
// default subnet per zone, an internet gateway and a main route table that leads to it. It costs a
// read when there is nothing to do. Every service calls it before it looks at EC2's rows.
func EnsureDefault(ctx context.Context, s *state.Store, scope row.Scope) error {
	return errors.ErrUnsupported
}
