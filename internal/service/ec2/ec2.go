// Package ec2 serves the part of Amazon EC2 that ECS and Elastic Load Balancing stand on: VPCs,
// subnets, internet gateways, route tables, security groups, network interfaces and Elastic IP
// addresses. README.md lists the operations.
//
// A handler is one transaction over rows of package row, or one look at a snapshot; what the rows
// ask for is made by the network controller. Each file holds one kind of resource: its handlers
// first, then how its rows look on the wire, then the filters of its Describe call. What all kinds
// share is in kind.go (ids and their faults), catalog.go and filter.go (listing), tag.go.
package ec2

import (
	"context"
	"net/http"

	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

// Service holds the handlers of EC2.
type Service struct{ store *state.Store }

// New returns the handlers over a store that was opened with row.Tables.
func New(store *state.Store) *Service { return &Service{store: store} }

// Register adds the handlers to the router.
func (s *Service) Register(r *wire.Router) {
	s.registerVPCs(r)
	s.registerSubnets(r)
	s.registerGateways(r)
	s.registerRouteTables(r)
	s.registerSecurityGroups(r)
	s.registerInterfaces(r)
	s.registerAddresses(r)
	s.registerTags(r)
	s.registerPlaces(r)
	s.registerAbsent(r)
}

// view returns what a Describe call reads from.
func (s *Service) view(ctx context.Context, dryRun *bool) (state.Reader, row.Scope, error) {
	scope := row.ScopeOf(aws.CallerFrom(ctx))
	if err := EnsureDefault(ctx, s.store, scope); err != nil {
		return nil, scope, err
	}
	if aws.Val(dryRun) {
		return nil, scope, dryRunFault()
	}
	return s.store.View(), scope, nil
}

// change runs fn as one transaction. A dry run does all of it but the commit, so that it finds the
// faults that the call itself would.
func change[Out any](
	ctx context.Context, s *Service, dryRun *bool,
	fn func(tx *state.Tx, scope row.Scope) (*Out, error),
) (*Out, error) {
	scope := row.ScopeOf(aws.CallerFrom(ctx))
	if err := EnsureDefault(ctx, s.store, scope); err != nil {
		return nil, err
	}
	var out *Out
	err := s.store.Update(ctx, func(tx *state.Tx) (err error) {
		out, err = fn(tx, scope)
		if err == nil && aws.Val(dryRun) {
			return dryRunFault()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func dryRunFault() *aws.Fault {
	return aws.NewFaultStatus("DryRunOperation", http.StatusPreconditionFailed,
		"Request would have succeeded, but DryRun flag is set.")
}

// unsupported refuses a setting that Fairlead cannot honour yet.
func unsupported(what string) *aws.Fault {
	return aws.NewFault("UnsupportedOperation",
		"%s: not served by Fairlead yet; SCOPE.md lists what is", what)
}

// setting is a member of a request that Fairlead refuses when it is set.
type setting struct {
	name string
	set  bool
}

// refuse returns a fault for the first setting that is set.
func refuse(settings ...setting) error {
	for _, s := range settings {
		if s.set {
			return unsupported(s.name)
		}
	}
	return nil
}

func missing(parameter string) *aws.Fault {
	return aws.NewFault("MissingParameter",
		"The request must contain the parameter %s", parameter)
}

func invalid(format string, args ...any) *aws.Fault {
	return aws.NewFault("InvalidParameterValue", format, args...)
}

// dependency says that other resources still need the one that was to go.
func dependency(format string, args ...any) *aws.Fault {
	return aws.NewFault("DependencyViolation", format, args...)
}
