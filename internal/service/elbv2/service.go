// Package elbv2 serves the Elastic Load Balancing v2 API for Application Load Balancers: load
// balancers, listeners, rules, target groups and targets, each in a file of its own.
//
// A handler checks its input, then reads and writes rows in one transaction; a call that fails
// changes nothing. Nothing here opens a socket: the balancer controller compiles the rows for the
// data plane, and what it sees there comes back as rows (LoadBalancer.State, TargetHealth) that the
// Describe calls show.
//
// Rules and forwards can be written in several equal forms. They are stored in the one form that
// AWS echoes, so reading them needs no thought. Attributes are stored as far as they were set; the
// tables in *attribute.go hold keys, defaults and permitted values. What the data plane does not
// honour is refused, with a message that says so; README.md lists it.
//
// Texts of errors are Amazon's where one was found in public; a comment marks those that are not.
package elbv2

import (
	"cmp"
	"context"
	"time"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

// Config says what a Service needs to know besides the rows.
type Config struct {
	// DNSSuffix ends the names of load balancers; "localhost" when empty.
	DNSSuffix string
	// Lambda says that functions can be invoked, and hence be targets.
	Lambda bool
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Service handles the operations.
type Service struct {
	store  *state.Store
	suffix string
	lambda bool
	now    func() time.Time
}

// New returns the service over the rows of store.
func New(store *state.Store, cfg Config) *Service {
	s := &Service{
		store: store, suffix: cmp.Or(cfg.DNSSuffix, "localhost"), lambda: cfg.Lambda, now: cfg.Now,
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// update runs one transaction and returns what it made. The value counts only when err is nil.
func update[T any](ctx context.Context, s *Service, fn func(tx *state.Tx) (T, error)) (T, error) {
	var result T
	err := s.store.Update(ctx, func(tx *state.Tx) (err error) {
		result, err = fn(tx)
		return err
	})
	return result, err
}

// Register makes r serve every operation that the package has.
func (s *Service) Register(r *wire.Router) {
	s.registerBalancers(r)
	s.registerListeners(r)
	s.registerGroups(r)
	wire.Handle(r, api.OpAddTags, s.AddTags)
	wire.Handle(r, api.OpRemoveTags, s.RemoveTags)
	wire.Handle(r, api.OpDescribeTags, s.DescribeTags)
	wire.Handle(r, api.OpDescribeAccountLimits, s.DescribeAccountLimits)
	wire.Handle(r, api.OpDescribeSSLPolicies, s.DescribeSSLPolicies)
}

func (s *Service) registerBalancers(r *wire.Router) {
	wire.Handle(r, api.OpCreateLoadBalancer, s.CreateLoadBalancer)
	wire.Handle(r, api.OpDescribeLoadBalancers, s.DescribeLoadBalancers)
	wire.Handle(r, api.OpDeleteLoadBalancer, s.DeleteLoadBalancer)
	wire.Handle(r, api.OpDescribeLoadBalancerAttributes, s.DescribeLoadBalancerAttributes)
	wire.Handle(r, api.OpModifyLoadBalancerAttributes, s.ModifyLoadBalancerAttributes)
	wire.Handle(r, api.OpDescribeCapacityReservation, s.DescribeCapacityReservation)
	wire.Handle(r, api.OpSetSecurityGroups, s.SetSecurityGroups)
	wire.Handle(r, api.OpSetSubnets, s.SetSubnets)
	wire.Handle(r, api.OpSetIpAddressType, s.SetIpAddressType)
}

func (s *Service) registerListeners(r *wire.Router) {
	wire.Handle(r, api.OpCreateListener, s.CreateListener)
	wire.Handle(r, api.OpDescribeListeners, s.DescribeListeners)
	wire.Handle(r, api.OpModifyListener, s.ModifyListener)
	wire.Handle(r, api.OpDeleteListener, s.DeleteListener)
	wire.Handle(r, api.OpDescribeListenerAttributes, s.DescribeListenerAttributes)
	wire.Handle(r, api.OpModifyListenerAttributes, s.ModifyListenerAttributes)
	wire.Handle(r, api.OpAddListenerCertificates, s.AddListenerCertificates)
	wire.Handle(r, api.OpRemoveListenerCertificates, s.RemoveListenerCertificates)
	wire.Handle(r, api.OpDescribeListenerCertificates, s.DescribeListenerCertificates)
	wire.Handle(r, api.OpCreateRule, s.CreateRule)
	wire.Handle(r, api.OpDescribeRules, s.DescribeRules)
	wire.Handle(r, api.OpModifyRule, s.ModifyRule)
	wire.Handle(r, api.OpDeleteRule, s.DeleteRule)
	wire.Handle(r, api.OpSetRulePriorities, s.SetRulePriorities)
}

func (s *Service) registerGroups(r *wire.Router) {
	wire.Handle(r, api.OpCreateTargetGroup, s.CreateTargetGroup)
	wire.Handle(r, api.OpDescribeTargetGroups, s.DescribeTargetGroups)
	wire.Handle(r, api.OpModifyTargetGroup, s.ModifyTargetGroup)
	wire.Handle(r, api.OpDeleteTargetGroup, s.DeleteTargetGroup)
	wire.Handle(r, api.OpDescribeTargetGroupAttributes, s.DescribeTargetGroupAttributes)
	wire.Handle(r, api.OpModifyTargetGroupAttributes, s.ModifyTargetGroupAttributes)
	wire.Handle(r, api.OpRegisterTargets, s.RegisterTargets)
	wire.Handle(r, api.OpDeregisterTargets, s.DeregisterTargets)
	wire.Handle(r, api.OpDescribeTargetHealth, s.DescribeTargetHealth)
}
