package elbv2

import (
	"cmp"
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/elb"
	"fairlead/internal/lb/sslpolicy"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// CreateListener opens a port of a load balancer. It returns the existing listener when its
// settings are the same.
func (s *Service) CreateListener(
	ctx context.Context, in *api.CreateListenerInput,
) (*api.CreateListenerOutput, error) {
	actions, err := normalActions(in.DefaultActions)
	if err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Port == nil:
		return nil, invalid("A listener port must be specified")
	case in.Protocol == "":
		return nil, invalid("A listener protocol must be specified")
	}
	wanted := listenerSettings{
		port: int(*in.Port), protocol: in.Protocol, policy: in.SslPolicy,
		certificates: in.Certificates, alpn: in.AlpnPolicy, mutual: in.MutualAuthentication,
	}
	out, err := update(ctx, s, func(tx *state.Tx) (api.Listener, error) {
		b, err := findBalancer(tx, aws.Val(in.LoadBalancerArn))
		if err != nil {
			return api.Listener{}, err
		}
		l := row.Listener{Scope: b.Scope, LoadBalancer: b.ARN, Tags: tags}
		l.ARN = strings.Replace(b.ARN, ":loadbalancer/", ":listener/", 1) + "/" + aws.HexID(16)
		if l, err = wanted.apply(tx, l); err != nil {
			return api.Listener{}, err
		}
		return createListener(tx, l, actions)
	})
	return &api.CreateListenerOutput{Listeners: []api.Listener{out}}, err
}

func createListener(
	tx *state.Tx, l row.Listener, actions []api.Action,
) (api.Listener, error) {
	siblings := slices.Collect(row.Listeners.By(tx, "balancer", l.LoadBalancer))
	for _, old := range siblings {
		if old.Port != l.Port {
			continue
		}
		if shown := describeListener(tx, old); sameListener(old, l) &&
			reflect.DeepEqual(shown.DefaultActions, actions) {
			return shown, nil
		}
		return api.Listener{}, api.DuplicateListenerException(
			"A listener already exists on this port for this load balancer '%s'", l.LoadBalancer)
	}
	if len(siblings) >= maxListeners { // our own text
		return api.Listener{}, api.TooManyListenersException(
			"A load balancer can only have '%d' listeners", maxListeners)
	}
	rule := newRule(l, 0)
	rule.Actions = actions
	if err := firstError(checkActions(tx, l, actions), checkGroupLimit(tx, rule)); err != nil {
		return api.Listener{}, err
	}
	row.Listeners.Put(tx, l)
	row.Rules.Put(tx, rule)
	return describeListener(tx, l), nil
}

func sameListener(a, b row.Listener) bool {
	return a.Protocol == b.Protocol && a.SSLPolicy == b.SSLPolicy && a.Certificate == b.Certificate
}

// listenerSettings are what CreateListener and ModifyListener have in common. The zero value of a
// field leaves a listener's setting as it is.
type listenerSettings struct {
	port         int
	protocol     api.ProtocolEnum
	policy       *string
	certificates []api.Certificate
	alpn         []string
	mutual       *api.MutualAuthenticationAttributes
}

// apply returns the listener with the settings, checked.
func (w listenerSettings) apply(r state.Reader, l row.Listener) (row.Listener, error) {
	l.Port = cmp.Or(w.port, l.Port)
	l.Protocol = cmp.Or(string(w.protocol), l.Protocol)
	mode := strings.ToLower(aws.Val(aws.Val(w.mutual).Mode))
	switch {
	case l.Protocol != "HTTP" && l.Protocol != "HTTPS":
		return l, invalid("Listener protocol '%s' must be one of 'HTTP, HTTPS'", l.Protocol)
	case len(w.alpn) > 0: // our own text
		return l, invalid("An ALPN policy cannot be specified for %s listeners", l.Protocol)
	case l.Protocol == "HTTP":
		return w.applyHTTP(l)
	case mode != "" && mode != "off":
		return l, elb.NotServed("Mutual authentication mode '" + mode + "'")
	}
	return w.applyHTTPS(r, l)
}

func (w listenerSettings) applyHTTP(l row.Listener) (row.Listener, error) {
	switch {
	case len(w.certificates) > 0:
		return l, invalid("A certificate cannot be specified for HTTP listeners")
	case aws.Val(w.policy) != "": // by analogy
		return l, invalid("An SSL policy cannot be specified for HTTP listeners")
	case w.mutual != nil: // by analogy
		return l, invalid("Mutual authentication cannot be specified for HTTP listeners")
	}
	l.SSLPolicy, l.Certificate, l.Certificates = "", "", nil
	return l, nil
}

func (w listenerSettings) applyHTTPS(r state.Reader, l row.Listener) (row.Listener, error) {
	l.SSLPolicy = cmp.Or(aws.Val(w.policy), l.SSLPolicy, sslpolicy.Default)
	if _, ok := sslpolicy.Lookup(l.SSLPolicy); !ok {
		return l, errPolicyNotFound(l.SSLPolicy)
	}
	if len(w.certificates) > 1 { // our own text
		return l, api.TooManyCertificatesException(
			"Only one certificate can be specified as the default of a listener")
	}
	if len(w.certificates) == 1 {
		l.Certificate = aws.Val(w.certificates[0].CertificateArn)
		return l, checkCertificate(r, l.Certificate)
	}
	if l.Certificate == "" {
		return l, invalid("A certificate must be specified for HTTPS listeners")
	}
	return l, nil
}

// DescribeListeners lists the listeners of a load balancer, or those with the given ARNs.
func (s *Service) DescribeListeners(
	_ context.Context, in *api.DescribeListenersInput,
) (*api.DescribeListenersOutput, error) {
	view := s.store.View()
	var listeners []row.Listener
	switch {
	case in.LoadBalancerArn == nil && len(in.ListenerArns) == 0:
		return nil, invalid("You must specify either listener ARNs or a load balancer ARN")
	case in.LoadBalancerArn != nil && len(in.ListenerArns) > 0: // by analogy
		return nil, invalid("Listener ARNs and a load balancer ARN cannot be specified at the same time")
	case in.LoadBalancerArn != nil:
		b, err := findBalancer(view, *in.LoadBalancerArn)
		if err != nil {
			return nil, err
		}
		listeners = slices.SortedFunc(row.Listeners.By(view, "balancer", b.ARN), byPort)
	}
	for _, arn := range in.ListenerArns {
		l, err := findListener(view, arn)
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, l)
	}
	page, next, err := paginate(listeners, in.Marker, in.PageSize)
	out := &api.DescribeListenersOutput{Listeners: []api.Listener{}, NextMarker: next}
	for _, l := range page {
		out.Listeners = append(out.Listeners, describeListener(view, l))
	}
	return out, err
}

func byPort(a, b row.Listener) int { return cmp.Compare(a.Port, b.Port) }

func describeListener(r state.Reader, l row.Listener) api.Listener {
	out := api.Listener{
		ListenerArn: &l.ARN, LoadBalancerArn: &l.LoadBalancer, Port: new(int32(l.Port)),
		Protocol: api.ProtocolEnum(l.Protocol), DefaultActions: defaultRule(r, l).Actions,
	}
	if l.Protocol == "HTTPS" {
		out.SslPolicy = &l.SSLPolicy
		out.Certificates = []api.Certificate{{CertificateArn: &l.Certificate}}
		out.MutualAuthentication = &api.MutualAuthenticationAttributes{Mode: new("off")}
	}
	return out
}

// defaultRule returns the rule that tells what a listener does when no other rule matches.
func defaultRule(r state.Reader, l row.Listener) row.Rule {
	for rule := range row.Rules.By(r, "listener", l.ARN) {
		if rule.IsDefault() {
			return rule
		}
	}
	return row.Rule{}
}

// ModifyListener changes what is given and leaves the rest. From HTTPS to HTTP certificates and
// policy are dropped.
func (s *Service) ModifyListener(
	ctx context.Context, in *api.ModifyListenerInput,
) (*api.ModifyListenerOutput, error) {
	wanted := listenerSettings{
		port: int(aws.Val(in.Port)), protocol: in.Protocol, policy: in.SslPolicy,
		certificates: in.Certificates, alpn: in.AlpnPolicy, mutual: in.MutualAuthentication,
	}
	var actions []api.Action
	if len(in.DefaultActions) > 0 {
		var err error
		if actions, err = normalActions(in.DefaultActions); err != nil {
			return nil, err
		}
	}
	out, err := update(ctx, s, func(tx *state.Tx) (api.Listener, error) {
		l, err := findListener(tx, aws.Val(in.ListenerArn))
		if err != nil {
			return api.Listener{}, err
		}
		if l, err = wanted.apply(tx, l); err != nil {
			return api.Listener{}, err
		}
		return modifyListener(tx, l, actions)
	})
	return &api.ModifyListenerOutput{Listeners: []api.Listener{out}}, err
}

func modifyListener(tx *state.Tx, l row.Listener, actions []api.Action) (api.Listener, error) {
	for other := range row.Listeners.By(tx, "balancer", l.LoadBalancer) {
		if other.ARN != l.ARN && other.Port == l.Port {
			return api.Listener{}, invalid("Listener port '%d' is already in use", l.Port)
		}
	}
	l.Attributes = onlyKnown(l.Attributes, elb.OfListener(l))
	row.Listeners.Put(tx, l)
	for _, rule := range rulesOf(tx, l.ARN) { // what they do must go with the new protocol and port
		if rule.IsDefault() && len(actions) > 0 {
			rule.Actions = actions
		}
		if err := replaceRule(tx, rule); err != nil {
			return api.Listener{}, err
		}
	}
	return describeListener(tx, l), nil
}

// onlyKnown returns set without the keys that a resource no longer has.
func onlyKnown(set map[string]string, known elb.Attributes) map[string]string {
	kept := maps.Clone(set)
	maps.DeleteFunc(kept, func(key, _ string) bool {
		return !slices.ContainsFunc(known, func(a elb.Attribute) bool { return a.Key == key })
	})
	return kept
}

// DeleteListener closes a port and deletes its rules.
func (s *Service) DeleteListener(
	ctx context.Context, in *api.DeleteListenerInput,
) (*api.DeleteListenerOutput, error) {
	return &api.DeleteListenerOutput{}, s.store.Update(ctx, func(tx *state.Tx) error {
		l, err := findListener(tx, aws.Val(in.ListenerArn))
		if err == nil {
			deleteListener(tx, l)
		}
		return err
	})
}

func deleteListener(tx *state.Tx, l row.Listener) {
	for r := range row.Rules.By(tx, "listener", l.ARN) {
		row.Rules.Delete(tx, r.ARN)
	}
	row.Listeners.Delete(tx, l.ARN)
}

// findListener returns the listener with the ARN.
func findListener(r state.Reader, arn string) (row.Listener, error) {
	if err := checkARN(arn, "listener/", "listener"); err != nil {
		return row.Listener{}, err
	}
	l, ok := row.Listeners.Get(r, arn)
	if !ok {
		return l, api.ListenerNotFoundException("One or more listeners not found")
	}
	return l, nil
}
