package jwt

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// claims are the members of a token's payload.
type claims map[string]json.RawMessage

// Check reports why a token does not pass, with the keys of the policy's endpoint; nil means that
// it does. AWS does not say that it makes allowance for clocks that differ, so none is made.
func (t *Token) Check(keys *KeySet, p *Policy, now time.Time) *Error {
	if err := keys.verify(t); err != nil {
		return err
	}
	c, ok := object(t.payload)
	if !ok {
		return fail(RequestFormatInvalid, "payload of the token is not a JSON object")
	}
	return claims(c).check(p, now)
}

func (c claims) check(p *Policy, now time.Time) *Error {
	seconds := float64(now.UnixNano()) / float64(time.Second)
	if err := c.checkTimes(seconds); err != nil {
		return err
	}
	iss := Claim{Name: "iss", Format: SingleString, Values: []string{p.Issuer}}
	if err := c.checkClaim(&iss); err != nil {
		return err
	}
	for i := range p.AdditionalClaims {
		if err := c.checkClaim(&p.AdditionalClaims[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkTimes checks exp, which must be there, nbf and iat (RFC 7519, section 4.1).
func (c claims) checkTimes(now float64) *Error {
	exp, err := c.seconds("exp")
	switch {
	case err != nil:
		return err
	case exp == nil:
		return fail(ClaimNotPresent, "no claim exp")
	case now >= *exp:
		return fail(ClaimValueInvalid, "the token has expired")
	}
	for _, name := range []string{"nbf", "iat"} {
		from, err := c.seconds(name)
		if err != nil {
			return err
		}
		if from != nil && now < *from {
			return fail(ClaimValueInvalid, "claim %s is in the future", name)
		}
	}
	return nil
}

// seconds reads a NumericDate; nil means that there is none.
func (c claims) seconds(name string) (*float64, *Error) {
	raw, ok := c[name]
	if !ok {
		return nil, nil
	}
	var n float64
	if bytes.Equal(raw, []byte("null")) || json.Unmarshal(raw, &n) != nil {
		return nil, fail(ClaimFormatInvalid, "claim %s is not a number", name)
	}
	return &n, nil
}

// checkClaim expects all values of a wanted claim.
func (c claims) checkClaim(want *Claim) *Error {
	raw, ok := c[want.Name]
	if !ok {
		return fail(ClaimNotPresent, "no claim %s", want.Name)
	}
	have, ok := want.Format.read(raw)
	if !ok {
		return fail(ClaimFormatInvalid, "claim %s is not of the format %s", want.Name, want.Format)
	}
	for _, v := range want.Values {
		if !slices.Contains(have, v) {
			return fail(ClaimValueInvalid, "claim %s does not have the value %q", want.Name, v)
		}
	}
	return nil
}

// read reads the values of a claim.
func (f Format) read(raw json.RawMessage) ([]string, bool) {
	if f == StringArray {
		return texts(raw)
	}
	s, ok := text(raw)
	if f == SpaceSeparated {
		return strings.Split(s, " "), ok
	}
	return []string{s}, ok
}

// texts decodes a JSON array of strings.
func texts(raw json.RawMessage) ([]string, bool) {
	var list []json.RawMessage
	if !bytes.HasPrefix(raw, []byte("[")) || json.Unmarshal(raw, &list) != nil {
		return nil, false
	}
	all := make([]string, len(list))
	for i, item := range list {
		var ok bool
		if all[i], ok = text(item); !ok {
			return nil, false
		}
	}
	return all, true
}
