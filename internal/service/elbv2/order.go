package elbv2

import (
	"cmp"
	"slices"
	"strings"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/elb"
	"fairlead/internal/row"
)

// inOrder sorts the actions of a rule: a jwt-validation, if there is one, before the one action
// that answers.
func inOrder(actions []api.Action) ([]api.Action, error) {
	if err := checkKinds(actions); err != nil || len(actions) == 1 {
		return actions, err
	}
	orders := map[int32]bool{}
	for _, a := range actions {
		if a.Order == nil { // our own text
			return nil, api.InvalidLoadBalancerActionException(
				"An order must be specified for each of several actions")
		}
		orders[*a.Order] = true
	}
	sorted := slices.SortedFunc(slices.Values(actions), func(a, b api.Action) int {
		return cmp.Compare(*a.Order, *b.Order)
	})
	switch { // our own texts
	case len(orders) != len(actions):
		return nil, api.InvalidLoadBalancerActionException("The order of each action must be unique")
	case isValidation(sorted[len(sorted)-1]):
		return nil, api.InvalidLoadBalancerActionException("The action with the highest order must " +
			"be of type 'forward', 'redirect' or 'fixed-response'")
	}
	return sorted, nil
}

// checkKinds checks how many actions of which kind there are.
func checkKinds(actions []api.Action) error {
	answers, validations := 0, 0
	for _, a := range actions {
		if isValidation(a) {
			validations++
		} else {
			answers++
		}
	}
	const answer = "one action of type 'forward', 'redirect' or 'fixed-response'"
	switch { // our own texts
	case answers == 0:
		return api.InvalidLoadBalancerActionException("A rule must have " + answer)
	case answers > 1:
		return api.InvalidLoadBalancerActionException("A rule can only have " + answer)
	case validations > 1:
		return api.TooManyActionsException(
			"A rule can only have one action of type 'jwt-validation'")
	}
	return nil
}

func isValidation(a api.Action) bool { return a.Type == api.ActionTypeEnumJwtValidation }

func normalValidation(
	c *api.JwtValidationActionConfig,
) (*api.JwtValidationActionConfig, error) {
	if c == nil { // our own text
		return nil, invalid("A JWT validation configuration must be specified for an action of type " +
			"'jwt-validation'")
	}
	if err := elb.TokenPolicy(c).Validate(); err != nil { // our own texts
		return nil, invalid("The JWT validation configuration is not valid: %s",
			strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return c, nil
}

// checkValidation refuses a listener that tokens reach in the clear.
func checkValidation(l row.Listener) error {
	if l.Protocol != "HTTPS" { // from memory
		return api.InvalidLoadBalancerActionException(
			"Actions of type 'jwt-validation' are supported only on HTTPS listeners")
	}
	return nil
}
