package elbv2

import (
	"context"
	"slices"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/lb/sslpolicy"
)

// DescribeSSLPolicies lists the security policies that an HTTPS listener can have.
func (s *Service) DescribeSSLPolicies(
	_ context.Context, in *api.DescribeSSLPoliciesInput,
) (*api.DescribeSSLPoliciesOutput, error) {
	var found []sslpolicy.Policy
	for _, name := range in.Names {
		p, ok := sslpolicy.Lookup(name)
		if !ok || name == "" {
			return nil, errPolicyNotFound(name)
		}
		found = append(found, p)
	}
	if len(in.Names) == 0 {
		found = slices.Collect(sslpolicy.All())
	}
	if t := in.LoadBalancerType; t != "" && t != api.LoadBalancerTypeEnumApplication {
		found = nil
	}
	page, next, err := paginate(found, in.Marker, in.PageSize)
	out := &api.DescribeSSLPoliciesOutput{SslPolicies: []api.SslPolicy{}, NextMarker: next}
	for _, p := range page {
		out.SslPolicies = append(out.SslPolicies, describePolicy(p))
	}
	return out, err
}

func describePolicy(p sslpolicy.Policy) api.SslPolicy {
	out := api.SslPolicy{
		Name: &p.Name, SslProtocols: p.Protocols,
		SupportedLoadBalancerTypes: []string{"application"},
	}
	for i, name := range p.Ciphers {
		out.Ciphers = append(out.Ciphers, api.Cipher{Name: &name, Priority: new(int32(i + 1))})
	}
	return out
}

func errPolicyNotFound(name string) error {
	return api.SSLPolicyNotFoundException("SSL policy '%s' not found", name)
}
