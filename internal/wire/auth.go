package wire

import (
	"crypto/subtle"
	"errors"
	"regexp"

	"fairlead/internal/aws"
)

// authenticate finds out who calls, and where, from the signature.
func (r *Router) authenticate(c *call) *aws.Fault {
	s, err := parseSignature(c.req)
	if errors.Is(err, errUnsigned) {
		return c.fault(unsigned, "Request is missing Authentication Token")
	}
	if err != nil {
		return c.fault(incompleteSignature, "%s", err)
	}
	c.caller.Region, c.caller.AccessKey = s.region, s.accessKey
	key, known := r.key(c, s.accessKey)
	c.caller.Account = r.account(s.accessKey, key)
	if !r.cfg.RequireSignature && len(r.cfg.Keys) == 0 {
		return nil
	}
	if !known {
		return c.fault(unknownKey, "The security token included in the request is invalid.")
	}
	return r.verify(c, s, key)
}

func (r *Router) key(c *call, accessKey string) (Key, bool) {
	if key, ok := r.cfg.Keys[accessKey]; ok {
		return key, true
	}
	if r.cfg.Lookup == nil {
		return Key{}, false
	}
	return r.cfg.Lookup(c.req.Context(), accessKey)
}

var accountForm = regexp.MustCompile(`^\d{12}$`)

// account is the key's own; an access key that looks like an account is that account's, so that a
// client can choose one without configuration.
func (r *Router) account(accessKey string, key Key) string {
	switch {
	case key.Account != "":
		return key.Account
	case accountForm.MatchString(accessKey):
		return accessKey
	}
	return r.cfg.DefaultAccount
}

func (r *Router) verify(c *call, s *signature, key Key) *aws.Fault {
	now := r.cfg.Now()
	if !key.Expires.IsZero() && !now.Before(key.Expires) {
		return c.fault(expiredToken, "The security token included in the request is expired")
	}
	if key.SessionToken != "" &&
		subtle.ConstantTimeCompare([]byte(key.SessionToken), []byte(s.token)) != 1 {
		return c.fault(unknownKey, "The security token included in the request is invalid.")
	}
	if err := s.fresh(now); err != nil {
		return c.fault(staleSignature, "%s", err)
	}
	if s.service != c.api.SigningName {
		return c.fault(badSignature, "Credential should be scoped to correct service: '%s'.",
			c.api.SigningName)
	}
	if !s.matches(c.req, c.sent, key.Secret) {
		return c.fault(badSignature, "The request signature we calculated does not match the "+
			"signature you provided. Check your AWS Secret Access Key and signing method. "+
			"Consult the service documentation for details.")
	}
	return nil
}
