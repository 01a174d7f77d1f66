package lb

import (
	"errors"
	"fmt"
	"slices"
)

// cutValidation takes the validation of a token from the front of a rule's actions.
func cutValidation(actions []Action) (token *JWTValidation, rest []Action, err error) {
	if len(actions) == 0 || actions[0].Type != ActionJWTValidation {
		return nil, actions, nil
	}
	if token = actions[0].JWTValidation; token == nil {
		return nil, nil, fmt.Errorf("action %q without settings", ActionJWTValidation)
	}
	if err := token.Validate(); err != nil {
		return nil, nil, fmt.Errorf("action %q: %w", ActionJWTValidation, err)
	}
	return token, actions[1:], nil
}

// checkValidation refuses the validation of tokens that have come in the clear.
func (l *listener) checkValidation() error {
	if l.Protocol == HTTPS {
		return nil
	}
	for _, a := range slices.Concat(l.actions, []*action{l.dflt}) {
		if a != nil && a.token != nil {
			return errors.New("jwt-validation belongs to HTTPS listeners and only to them")
		}
	}
	return nil
}

// endpoints lists the JWKS endpoints that a table has keys from.
func (t *Table) endpoints() (urls []string) {
	for _, l := range t.listeners {
		for _, a := range slices.Concat(l.actions, []*action{l.dflt}) {
			if a.token != nil {
				urls = append(urls, a.token.JWKSEndpoint)
			}
		}
	}
	return urls
}
