package elbv2

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// CreateRule adds a rule to a listener.
func (s *Service) CreateRule(
	ctx context.Context, in *api.CreateRuleInput,
) (*api.CreateRuleOutput, error) {
	conditions, err := normalConditions(in.Conditions)
	if err != nil {
		return nil, err
	}
	actions, err := normalActions(in.Actions)
	if err != nil {
		return nil, err
	}
	transforms, err := normalTransforms(in.Transforms)
	if err := firstError(err, checkTransforms(transforms, actions)); err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	r, err := update(ctx, s, func(tx *state.Tx) (row.Rule, error) {
		l, err := findListener(tx, aws.Val(in.ListenerArn))
		if err != nil {
			return row.Rule{}, err
		}
		r := newRule(l, int(aws.Val(in.Priority)))
		r.Conditions, r.Actions, r.Transforms, r.Tags = conditions, actions, transforms, tags
		return r, addRule(tx, l, r)
	})
	return &api.CreateRuleOutput{Rules: []api.Rule{describeRule(r)}}, err
}

// newRule returns a rule with identity and nothing else.
func newRule(l row.Listener, priority int) row.Rule {
	arn := strings.Replace(l.ARN, ":listener/", ":listener-rule/", 1) + "/" + aws.HexID(16)
	return row.Rule{
		Scope: l.Scope, ARN: arn, Listener: l.ARN, LoadBalancer: l.LoadBalancer, Priority: priority,
	}
}

func addRule(tx *state.Tx, l row.Listener, r row.Rule) error {
	others := slices.Collect(row.Rules.By(tx, "listener", l.ARN))
	if slices.ContainsFunc(others, func(o row.Rule) bool { return o.Priority == r.Priority }) {
		return api.PriorityInUseException("Priority '%d' is currently in use", r.Priority)
	}
	n := 0
	for o := range row.Rules.By(tx, "balancer", l.LoadBalancer) {
		if !o.IsDefault() {
			n++
		}
	}
	if n >= maxRules { // our own text
		return api.TooManyRulesException("A load balancer can only have '%d' rules", maxRules)
	}
	if err := firstError(checkActions(tx, l, r.Actions), checkGroupLimit(tx, r)); err != nil {
		return err
	}
	row.Rules.Put(tx, r)
	return nil
}

// DescribeRules lists the rules of a listener, or those with the given ARNs.
func (s *Service) DescribeRules(
	_ context.Context, in *api.DescribeRulesInput,
) (*api.DescribeRulesOutput, error) {
	view := s.store.View()
	var rules []row.Rule
	switch {
	case in.ListenerArn == nil && len(in.RuleArns) == 0:
		return nil, invalid("You must specify either listener rule ARNs or a listener ARN")
	case in.ListenerArn != nil && len(in.RuleArns) > 0:
		return nil, invalid("Listener rule ARNs and a listener ARN cannot be specified at the same time")
	case in.ListenerArn != nil:
		l, err := findListener(view, *in.ListenerArn)
		if err != nil {
			return nil, err
		}
		rules = rulesOf(view, l.ARN)
	}
	for _, arn := range in.RuleArns {
		r, err := findRule(view, arn)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	page, next, err := paginate(rules, in.Marker, in.PageSize)
	return &api.DescribeRulesOutput{Rules: describeRules(page), NextMarker: next}, err
}

// rulesOf lists the rules of a listener in the order of evaluation: the default rule last.
func rulesOf(r state.Reader, listener string) []row.Rule {
	order := func(r row.Rule) int {
		if r.IsDefault() {
			return maxPriority + 1
		}
		return r.Priority
	}
	return slices.SortedFunc(row.Rules.By(r, "listener", listener), func(a, b row.Rule) int {
		return cmp.Compare(order(a), order(b))
	})
}

func describeRules(rules []row.Rule) []api.Rule {
	list := []api.Rule{}
	for _, r := range rules {
		list = append(list, describeRule(r))
	}
	return list
}

func describeRule(r row.Rule) api.Rule {
	priority := "default"
	if !r.IsDefault() {
		priority = strconv.Itoa(r.Priority)
	}
	return api.Rule{
		RuleArn: &r.ARN, Priority: &priority, IsDefault: new(r.IsDefault()),
		Conditions: slices.Concat([]api.RuleCondition{}, r.Conditions), Actions: r.Actions,
		Transforms: slices.Concat([]api.RuleTransform{}, r.Transforms),
	}
}

// ModifyRule replaces the conditions, the actions or the transforms of a rule, or several of them.
func (s *Service) ModifyRule(
	ctx context.Context, in *api.ModifyRuleInput,
) (*api.ModifyRuleOutput, error) {
	reset := aws.Val(in.ResetTransforms)
	switch {
	case len(in.Transforms) > 0 && reset: // our own text
		return nil, invalid("Transforms and ResetTransforms cannot be specified at the same time")
	case len(in.Conditions)+len(in.Actions)+len(in.Transforms) == 0 && !reset:
		return nil, invalid("Either conditions or actions must be specified")
	}
	r, err := update(ctx, s, func(tx *state.Tx) (row.Rule, error) {
		r, err := findRule(tx, aws.Val(in.RuleArn))
		if err != nil {
			return r, err
		}
		if r.IsDefault() { // our own text
			return r, api.OperationNotPermittedException("Default rule '%s' cannot be modified", r.ARN)
		}
		return modifyRule(tx, r, in)
	})
	return &api.ModifyRuleOutput{Rules: []api.Rule{describeRule(r)}}, err
}

func modifyRule(tx *state.Tx, r row.Rule, in *api.ModifyRuleInput) (row.Rule, error) {
	var err error
	if len(in.Conditions) > 0 {
		if r.Conditions, err = normalConditions(in.Conditions); err != nil {
			return r, err
		}
	}
	if len(in.Actions) > 0 {
		if r.Actions, err = normalActions(in.Actions); err != nil {
			return r, err
		}
	}
	if len(in.Transforms) > 0 || aws.Val(in.ResetTransforms) {
		if r.Transforms, err = normalTransforms(in.Transforms); err != nil {
			return r, err
		}
	}
	if err := checkTransforms(r.Transforms, r.Actions); err != nil {
		return r, err
	}
	return r, replaceRule(tx, r)
}

// replaceRule checks the actions of an existing rule again and stores it.
func replaceRule(tx *state.Tx, r row.Rule) error {
	l, err := findListener(tx, r.Listener)
	if err := firstError(err, checkActions(tx, l, r.Actions), checkGroupLimit(tx, r)); err != nil {
		return err
	}
	row.Rules.Put(tx, r)
	return nil
}

// DeleteRule deletes a rule that is not a default rule.
func (s *Service) DeleteRule(
	ctx context.Context, in *api.DeleteRuleInput,
) (*api.DeleteRuleOutput, error) {
	return &api.DeleteRuleOutput{}, s.store.Update(ctx, func(tx *state.Tx) error {
		r, err := findRule(tx, aws.Val(in.RuleArn))
		if err != nil {
			return err
		}
		if r.IsDefault() { // our own text
			return api.OperationNotPermittedException("Default rule '%s' cannot be deleted", r.ARN)
		}
		row.Rules.Delete(tx, r.ARN)
		return nil
	})
}

// SetRulePriorities gives rules new priorities, all at once: two may change places in one call.
func (s *Service) SetRulePriorities(
	ctx context.Context, in *api.SetRulePrioritiesInput,
) (*api.SetRulePrioritiesOutput, error) {
	rules, err := update(ctx, s, func(tx *state.Tx) ([]row.Rule, error) {
		rules, err := reprioritized(tx, in.RulePriorities)
		if err != nil {
			return nil, err
		}
		for _, r := range rules {
			row.Rules.Put(tx, r)
		}
		return rules, nil
	})
	return &api.SetRulePrioritiesOutput{Rules: describeRules(rules)}, err
}

// reprioritized returns the named rules with their new priorities.
func reprioritized(r state.Reader, pairs []api.RulePriorityPair) ([]row.Rule, error) {
	var rules []row.Rule
	for _, p := range pairs {
		rule, err := findRule(r, aws.Val(p.RuleArn))
		if err != nil {
			return nil, err
		}
		priority := int(aws.Val(p.Priority))
		switch {
		case rule.IsDefault(): // our own text
			return nil, api.OperationNotPermittedException(
				"The priority of default rule '%s' cannot be set", rule.ARN)
		case priority < minPriority || priority > maxPriority: // the model lets an absent one through
			return nil, invalid("Rule priority '%d' must be between '%d-%d' inclusive",
				priority, minPriority, maxPriority)
		case slices.ContainsFunc(rules, func(o row.Rule) bool {
			return o.ARN == rule.ARN || o.Listener == rule.Listener && o.Priority == priority
		}):
			return nil, invalid("Priority '%d' was provided multiple times", priority)
		}
		rule.Priority = priority
		rules = append(rules, rule)
	}
	return rules, checkPriorities(r, rules)
}

// checkPriorities refuses a priority that a rule outside of the call has.
func checkPriorities(r state.Reader, changed []row.Rule) error {
	for _, rule := range changed {
		for other := range row.Rules.By(r, "listener", rule.Listener) {
			named := slices.ContainsFunc(changed, func(c row.Rule) bool { return c.ARN == other.ARN })
			if !named && other.Priority == rule.Priority {
				return api.PriorityInUseException("Priority '%d' is currently in use", rule.Priority)
			}
		}
	}
	return nil
}

// findRule returns the rule with the ARN.
func findRule(r state.Reader, arn string) (row.Rule, error) {
	if err := checkARN(arn, "listener-rule/", "listener rule"); err != nil {
		return row.Rule{}, err
	}
	rule, ok := row.Rules.Get(r, arn)
	if !ok {
		return rule, api.RuleNotFoundException("One or more rules not found")
	}
	return rule, nil
}
