package jwt

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// The limits of a policy (API reference, JwtValidationActionConfig and …AdditionalClaim).
const (
	maxEndpoint    = 256 // characters of the URL
	maxIssuer      = 256 // characters
	maxClaims      = 10  // additional claims
	maxClaimValues = 10  // values of one claim
	maxClaimValue  = 256 // characters of one value
)

// Policy says which tokens pass.
type Policy struct {
	// JWKSEndpoint is the https URL of the keys.
	JWKSEndpoint string
	// Issuer is what the claim iss must be.
	Issuer string
	// AdditionalClaims are claims besides exp, iss, nbf and iat; every one must be met.
	AdditionalClaims []Claim
}

// Claim is a wanted claim.
type Claim struct {
	Name   string
	Format Format
	Values []string
}

// Format is how a token writes the value of a claim.
type Format string

// The formats. AWS does not say whether one of several values is enough; here the token must have
// all of them, for the stricter reading lets nobody in by mistake.
const (
	// SingleString is a string that must be the one value.
	SingleString Format = "single-string"
	// StringArray is an array of strings.
	StringArray Format = "string-array"
	// SpaceSeparated is a string of words, like scope in RFC 8693.
	SpaceSeparated Format = "space-separated-values"
)

// always are the claims that are checked in any case.
var always = []string{"exp", "iss", "nbf", "iat"}

// Validate reports what AWS would not accept in a policy.
func (p *Policy) Validate() error {
	errs := []error{checkEndpoint(p.JWKSEndpoint)}
	if n := utf8.RuneCountInString(p.Issuer); n == 0 || n > maxIssuer {
		errs = append(errs, fmt.Errorf("an issuer must have '1-%d' characters", maxIssuer))
	}
	if n := len(p.AdditionalClaims); n > maxClaims {
		errs = append(errs, fmt.Errorf("there can only be '%d' additional claims", maxClaims))
	}
	for i, c := range p.AdditionalClaims {
		if err := c.validate(); err != nil {
			errs = append(errs, fmt.Errorf("claim '%s' %w", c.Name, err))
		}
		same := func(o Claim) bool { return o.Name == c.Name }
		if slices.ContainsFunc(p.AdditionalClaims[:i], same) {
			errs = append(errs, fmt.Errorf("claim '%s' was provided multiple times", c.Name))
		}
	}
	return errors.Join(errs...)
}

func checkEndpoint(text string) error {
	if n := utf8.RuneCountInString(text); n > maxEndpoint {
		return fmt.Errorf("a JWKS endpoint can only have '%d' characters", maxEndpoint)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return fmt.Errorf("JWKS endpoint '%s' is not a full HTTPS URL", text)
	}
	return nil
}

func (c *Claim) validate() error {
	switch {
	case c.Name == "":
		return errors.New("must have a name")
	case slices.Contains(always, c.Name):
		return errors.New("cannot be specified, it is validated by default")
	case len(c.Values) == 0 || len(c.Values) > maxClaimValues:
		return fmt.Errorf("must have '1-%d' values", maxClaimValues)
	case !slices.Contains([]Format{SingleString, StringArray, SpaceSeparated}, c.Format):
		return fmt.Errorf("has the unknown format '%s'", c.Format)
	case c.Format == SingleString && len(c.Values) != 1:
		return fmt.Errorf("of the format '%s' can only have one value", c.Format)
	}
	for _, v := range c.Values {
		if n := utf8.RuneCountInString(v); n == 0 || n > maxClaimValue {
			return fmt.Errorf("must have values of '1-%d' characters", maxClaimValue)
		}
		if c.Format == SpaceSeparated && strings.Contains(v, " ") {
			return fmt.Errorf("of the format '%s' cannot have a value with a space", c.Format)
		}
	}
	return nil
}
