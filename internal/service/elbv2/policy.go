package elbv2

import (
	"context"
	"slices"

	api "fairlead/internal/api/elbv2"
)

// defaultPolicy is the security policy of an HTTPS listener that is made without naming one.
const defaultPolicy = "ELBSecurityPolicy-2016-08"

// policy is a security policy in the code of cipherName and protocolName, one letter each.
type policy struct{ name, protocols, ciphers string }

// Sets of ciphers that policies share.
const (
	ciphers13  = "123"
	ciphersGCM = "abgh"
	ciphers12  = "abcdghij"
	ciphersAll = "abcdefghijklmnopqr"
)

// policies lists the security policies that listeners can have. Those for FIPS 140 and RFC 9151 are
// left out: Go's TLS 1.3 has one fixed set of ciphers, which they forbid in part. See
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
func policies() []policy {
	const prefix, postQuantum = "ELBSecurityPolicy-", "-PQ-2025-09"
	twins := []policy{ // each with a post-quantum twin of the same protocols and ciphers
		{"TLS13-1-3", "3", ciphers13},
		{"TLS13-1-2-Res", "32", ciphers13 + ciphersGCM},
		{"TLS13-1-2", "32", ciphers13 + ciphers12},
		{"TLS13-1-2-Ext1", "32", ciphers13 + ciphers12 + "mnpq"},
		{"TLS13-1-2-Ext2", "32", ciphers13 + ciphersAll},
		{"TLS13-1-0", "3210", ciphers13 + ciphersAll},
	}
	all := []policy{
		{prefix + "2016-08", "210", ciphersAll},
		{prefix + "2015-05", "210", ciphersAll},
		{prefix + "TLS13-1-1-2021-06", "321", ciphers13 + ciphersAll},
		{prefix + "TLS-1-2-Ext-2018-06", "2", ciphersAll},
		{prefix + "TLS-1-2-2017-01", "2", ciphers12 + "mnpq"},
		{prefix + "TLS-1-1-2017-01", "21", ciphersAll},
		{prefix + "TLS-1-0-2015-04", "210", ciphersAll + "Z"},
		{prefix + "FS-2018-06", "210", "abcdefghijkl"},
		{prefix + "FS-1-1-2019-08", "21", "abcdefghijkl"},
		{prefix + "FS-1-2-2019-08", "2", "abcdefghijkl"},
		{prefix + "FS-1-2-Res-2019-08", "2", ciphers12},
		{prefix + "FS-1-2-Res-2020-10", "2", ciphersGCM},
	}
	for _, t := range twins {
		all = append(all, policy{prefix + t.name + "-2021-06", t.protocols, t.ciphers},
			policy{prefix + t.name + postQuantum, t.protocols, t.ciphers})
	}
	return all
}

func findPolicy(name string) (policy, bool) {
	all := policies()
	i := slices.IndexFunc(all, func(p policy) bool { return p.name == name })
	if i < 0 {
		return policy{}, false
	}
	return all[i], true
}

// DescribeSSLPolicies lists the security policies that an HTTPS listener can have.
func (s *Service) DescribeSSLPolicies(
	_ context.Context, in *api.DescribeSSLPoliciesInput,
) (*api.DescribeSSLPoliciesOutput, error) {
	var found []policy
	for _, name := range in.Names {
		p, ok := findPolicy(name)
		if !ok {
			return nil, api.SSLPolicyNotFoundException("SSL policy '%s' not found", name)
		}
		found = append(found, p)
	}
	if len(in.Names) == 0 {
		found = policies()
	}
	if t := in.LoadBalancerType; t != "" && t != api.LoadBalancerTypeEnumApplication {
		found = nil
	}
	page, next, err := paginate(found, in.Marker, in.PageSize)
	out := &api.DescribeSSLPoliciesOutput{SslPolicies: []api.SslPolicy{}, NextMarker: next}
	for _, p := range page {
		out.SslPolicies = append(out.SslPolicies, p.describe())
	}
	return out, err
}

func (p policy) describe() api.SslPolicy {
	out := api.SslPolicy{Name: &p.name, SupportedLoadBalancerTypes: []string{"application"}}
	for _, code := range p.protocols {
		out.SslProtocols = append(out.SslProtocols, protocolName(code))
	}
	for i, code := range p.ciphers {
		out.Ciphers = append(out.Ciphers, api.Cipher{
			Name: new(cipherName(code)), Priority: new(int32(i + 1)),
		})
	}
	return out
}

func protocolName(code rune) string {
	if code == '0' {
		return "TLSv1"
	}
	return "TLSv1." + string(code)
}

// cipherName returns the OpenSSL name of a cipher. The codes are in order of preference.
func cipherName(code rune) string {
	const digits, letters = "123", ciphersAll + "Z"
	names := [...]string{
		"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
		"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
		"ECDHE-ECDSA-AES128-SHA256", "ECDHE-RSA-AES128-SHA256",
		"ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA",
		"ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
		"ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES256-SHA384",
		"ECDHE-RSA-AES256-SHA", "ECDHE-ECDSA-AES256-SHA",
		"AES128-GCM-SHA256", "AES128-SHA256", "AES128-SHA",
		"AES256-GCM-SHA384", "AES256-SHA256", "AES256-SHA", "DES-CBC3-SHA",
	}
	return names[slices.Index([]rune(digits+letters), code)]
}
