package elbv2

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/elb"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// The values of the redirect parts that leave the request's part as it is. AWS fills them in.
const (
	sameProtocol = "#{protocol}"
	sameHost     = "#{host}"
	samePort     = "#{port}"
	samePath     = "/#{path}"
	sameQuery    = "#{query}"
)

// normalActions checks the actions of a rule as far as they stand alone and returns them in the
// form that AWS echoes, in their order.
func normalActions(actions []api.Action) ([]api.Action, error) {
	if len(actions) == 0 { // our own text
		return nil, invalid("At least one action must be specified")
	}
	var normal []api.Action
	for _, a := range actions {
		switch a.Type {
		case api.ActionTypeEnumForward, api.ActionTypeEnumRedirect, api.ActionTypeEnumFixedResponse,
			api.ActionTypeEnumJwtValidation:
		default:
			return nil, elb.NotServed("Action type '" + string(a.Type) + "'")
		}
		n, err := normalAction(a)
		if err != nil {
			return nil, err
		}
		normal = append(normal, n)
	}
	return inOrder(normal)
}

func normalAction(a api.Action) (api.Action, error) {
	n := api.Action{Type: a.Type, Order: a.Order}
	var err error
	switch a.Type {
	case api.ActionTypeEnumForward:
		n.ForwardConfig, err = normalForward(a)
		if err == nil && len(n.ForwardConfig.TargetGroups) == 1 {
			n.TargetGroupArn = n.ForwardConfig.TargetGroups[0].TargetGroupArn
		}
	case api.ActionTypeEnumRedirect:
		n.RedirectConfig, err = normalRedirect(a.RedirectConfig)
	case api.ActionTypeEnumFixedResponse:
		n.FixedResponseConfig, err = normalFixedResponse(a.FixedResponseConfig)
	case api.ActionTypeEnumJwtValidation:
		n.JwtValidationConfig, err = normalValidation(a.JwtValidationConfig)
	}
	return n, err
}

// normalForward brings the two equal forms of a forward, TargetGroupArn and ForwardConfig,
// together.
func normalForward(a api.Action) (*api.ForwardActionConfig, error) {
	groups, arn := []api.TargetGroupTuple(nil), aws.Val(a.TargetGroupArn)
	if a.ForwardConfig != nil {
		groups = slices.Clone(a.ForwardConfig.TargetGroups)
	}
	switch {
	case len(groups) == 0 && arn == "": // our own text
		return nil, invalid("A target group must be specified for an action of type 'forward'")
	case len(groups) == 0:
		groups = []api.TargetGroupTuple{{TargetGroupArn: &arn}}
	case arn != "" && (len(groups) != 1 || aws.Val(groups[0].TargetGroupArn) != arn): // our own text
		return nil, invalid("A target group ARN and a forward configuration can only be specified " +
			"together when both name the same single target group")
	case len(groups) > maxGroupsPerAction: // our own text
		return nil, api.TooManyTargetGroupsException(
			"A forward action can only have '%d' target groups", maxGroupsPerAction)
	}
	for i := range groups {
		if err := normalTuple(groups, i); err != nil {
			return nil, err
		}
	}
	sticky, err := normalGroupStickiness(a.ForwardConfig)
	return &api.ForwardActionConfig{TargetGroups: groups, TargetGroupStickinessConfig: sticky}, err
}

// normalTuple checks the group at i and gives it the default weight.
func normalTuple(groups []api.TargetGroupTuple, i int) error {
	g := &groups[i]
	arn := aws.Val(g.TargetGroupArn)
	if err := checkARN(arn, "targetgroup/", "target group"); err != nil {
		return err
	}
	same := func(o api.TargetGroupTuple) bool { return *o.TargetGroupArn == arn }
	if slices.ContainsFunc(groups[:i], same) {
		return invalid("Target group '%s' was provided multiple times", arn) // our own text
	}
	if g.Weight == nil {
		g.Weight = new(int32(1))
	}
	if *g.Weight < 0 || *g.Weight > maxWeight { // our own text
		return invalid("Target group weight '%d' must be between '0-%d' inclusive", *g.Weight, maxWeight)
	}
	return nil
}

func normalGroupStickiness(f *api.ForwardActionConfig) (*api.TargetGroupStickinessConfig, error) {
	if f == nil || f.TargetGroupStickinessConfig == nil {
		return &api.TargetGroupStickinessConfig{Enabled: new(false)}, nil
	}
	c := f.TargetGroupStickinessConfig
	enabled, seconds := aws.Val(c.Enabled), aws.Val(c.DurationSeconds)
	const limit = maxGroupStickinessDays * 24 * 3600
	if (enabled || c.DurationSeconds != nil) && (seconds < 1 || seconds > limit) { // our own text
		return nil, invalid("Target group stickiness duration '%d' must be between '1-%d' inclusive",
			seconds, limit)
	}
	return &api.TargetGroupStickinessConfig{Enabled: &enabled, DurationSeconds: c.DurationSeconds}, nil
}

func normalRedirect(c *api.RedirectActionConfig) (*api.RedirectActionConfig, error) {
	if c == nil { // our own text
		return nil, invalid("A redirect configuration must be specified for an action of type 'redirect'")
	}
	n := &api.RedirectActionConfig{
		Protocol: new(cmp.Or(aws.Val(c.Protocol), sameProtocol)),
		Host:     new(cmp.Or(aws.Val(c.Host), sameHost)),
		Port:     new(cmp.Or(aws.Val(c.Port), samePort)),
		Path:     new(cmp.Or(aws.Val(c.Path), samePath)),
		Query:    new(aws.Or(c.Query, sameQuery)), StatusCode: c.StatusCode,
	}
	port, err := strconv.Atoi(*n.Port)
	switch { // our own texts
	case *n.Port != samePort && (err != nil || port < minPort || port > maxPort):
		return nil, invalid("Redirect port '%s' must be between '%d-%d' inclusive or '%s'",
			*n.Port, minPort, maxPort, samePort)
	case !strings.HasPrefix(*n.Path, "/"):
		return nil, invalid("Redirect path '%s' must start with '/'", *n.Path)
	case strings.HasPrefix(*n.Query, "?"):
		return nil, invalid("Redirect query '%s' must not start with '?'", *n.Query)
	}
	return n, checkKeywords(n)
}

// checkKeywords permits in each part the keywords that the guide lists for it.
func checkKeywords(c *api.RedirectActionConfig) error {
	parts := []struct{ name, value, allowed string }{
		{"host", *c.Host, "host"},
		{"path", *c.Path, "host port path"},
		{"query", *c.Query, "protocol host port path query"},
	}
	for _, p := range parts {
		for rest := p.value; ; {
			_, after, found := strings.Cut(rest, "#{")
			if !found {
				break
			}
			word, _, _ := strings.Cut(after, "}")
			if !slices.Contains(strings.Fields(p.allowed), word) { // our own text
				return invalid("Redirect %s '%s' contains a keyword that is not valid", p.name, p.value)
			}
			rest = after
		}
	}
	return nil
}

func normalFixedResponse(c *api.FixedResponseActionConfig) (*api.FixedResponseActionConfig, error) {
	if c == nil { // our own text
		return nil, invalid("A fixed response configuration must be specified for an action of type " +
			"'fixed-response'")
	}
	types := []string{"", "text/plain", "text/css", "text/html", "application/javascript",
		"application/json"}
	if !slices.Contains(types, aws.Val(c.ContentType)) { // our own text
		return nil, invalid("Fixed response content type '%s' must be one of '%s'",
			*c.ContentType, strings.Join(types[1:], ", "))
	}
	return new(*c), nil
}

// checkActions checks normal actions against the listener they are for and the rows they name.
func checkActions(r state.Reader, l row.Listener, actions []api.Action) error {
	for _, a := range actions {
		var err error
		switch {
		case a.RedirectConfig != nil:
			err = checkRedirect(l, a.RedirectConfig)
		case a.ForwardConfig != nil:
			err = checkForward(r, l, a)
		case a.JwtValidationConfig != nil:
			err = checkValidation(l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkRedirect(l row.Listener, c *api.RedirectActionConfig) error {
	same := (*c.Protocol == sameProtocol || *c.Protocol == l.Protocol) && *c.Host == sameHost &&
		(*c.Port == samePort || *c.Port == strconv.Itoa(l.Port)) && *c.Path == samePath
	switch {
	case same:
		return api.InvalidLoadBalancerActionException(
			"The redirect configuration is not valid because it creates a loop.")
	case l.Protocol == "HTTPS" && *c.Protocol == "HTTP": // our own text
		return api.InvalidLoadBalancerActionException("You cannot redirect HTTPS to HTTP")
	}
	return nil
}

func checkForward(r state.Reader, l row.Listener, a api.Action) error {
	b, _ := row.LoadBalancers.Get(r, l.LoadBalancer)
	for _, t := range a.ForwardConfig.TargetGroups {
		g, ok := row.TargetGroups.Get(r, *t.TargetGroupArn)
		if !ok {
			return api.TargetGroupNotFoundException("Target group '%s' not found", *t.TargetGroupArn)
		}
		if err := checkForwardTo(r, l, b, g); err != nil {
			return err
		}
		sticky := elb.OfGroup(g).Values(g.Attributes).Bool(elb.Stickiness)
		if sticky && needsGroupStickiness([]api.Action{a}) {
			return errGroupStickiness()
		}
	}
	return nil
}

// checkForwardTo checks whether requests of the listener can go to the group.
func checkForwardTo(r state.Reader, l row.Listener, b row.LoadBalancer, g row.TargetGroup) error {
	if other := row.LoadBalancerOf(r, g.ARN); other != "" && other != b.ARN {
		return api.TargetGroupAssociationLimitException("The following target groups cannot be "+
			"associated with more than one load balancer: %s", g.ARN)
	}
	if g.OfFunction() {
		return nil
	}
	if g.VPC != b.VPC { // our own text
		return api.InvalidConfigurationRequestException(
			"The following target groups are in a different VPC than load balancer '%s': %s", b.ARN, g.ARN)
	}
	if l.Protocol != "HTTPS" && g.ProtocolVersion != "HTTP1" {
		return api.InvalidConfigurationRequestException("Listener protocol '%s' is not supported with "+
			"a target group with the protocol-version '%s'", l.Protocol, g.ProtocolVersion)
	}
	return nil
}

// needsGroupStickiness tells whether an action chooses among groups anew for every request, so that
// a client that is bound to a target in one of them would lose it.
func needsGroupStickiness(actions []api.Action) bool {
	return slices.ContainsFunc(actions, func(a api.Action) bool {
		return a.ForwardConfig != nil && len(a.ForwardConfig.TargetGroups) > 1 &&
			!aws.Val(a.ForwardConfig.TargetGroupStickinessConfig.Enabled)
	})
}

func errGroupStickiness() error {
	return api.InvalidConfigurationRequestException("You must enable group stickiness on a rule if " +
		"you enabled target stickiness on one of its target groups")
}

// checkGroupLimit refuses a rule that would take its load balancer over the quota of target groups.
func checkGroupLimit(r state.Reader, added row.Rule) error {
	arns := added.TargetGroups()
	for other := range row.Rules.By(r, "balancer", added.LoadBalancer) {
		if other.ARN != added.ARN {
			arns = append(arns, other.TargetGroups()...)
		}
	}
	slices.Sort(arns)
	if len(slices.Compact(arns)) > maxGroupsPerBalancer { // our own text
		return api.TooManyUniqueTargetGroupsPerLoadBalancerException(
			"A load balancer can only have '%d' target groups", maxGroupsPerBalancer)
	}
	return nil
}
