package jwt

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// Token is a token that is well-formed; nothing in it is known to be true.
type Token struct {
	kid       *string // nil without one
	signed    string  // what the signature is of
	payload   []byte
	signature []byte
}

// Parse reads the token out of the values of a request's Authorization headers: one value of the
// scheme Bearer (RFC 6750) with one token in the compact form (RFC 7515), signed with RS256.
func Parse(authorization ...string) (*Token, *Error) {
	switch len(authorization) {
	case 0:
		return nil, fail(HeaderNotPresent, "request without Authorization")
	case 1:
	default:
		return nil, fail(RequestFormatInvalid, "%d Authorization headers", len(authorization))
	}
	scheme, text, _ := strings.Cut(authorization[0], " ")
	text = strings.Trim(text, " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		return nil, fail(RequestFormatInvalid, "Authorization is not of the scheme Bearer")
	case text == "":
		return nil, fail(RequestFormatInvalid, "empty token")
	case strings.ContainsAny(text, " ,"):
		return nil, fail(RequestFormatInvalid, "more than one token")
	}
	return parseCompact(text)
}

// parseCompact reads HEADER.PAYLOAD.SIGNATURE.
func parseCompact(text string) (*Token, *Error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, fail(RequestFormatInvalid, "token of %d parts, want 3", len(parts))
	}
	var decoded [3][]byte
	for i, part := range parts {
		b, ok := decode64(part)
		if !ok {
			return nil, fail(RequestFormatInvalid, "part %d of the token is not base64url", i+1)
		}
		decoded[i] = b
	}
	t := &Token{signed: text[:strings.LastIndexByte(text, '.')], payload: decoded[1],
		signature: decoded[2]}
	if err := t.readHeader(decoded[0]); err != nil {
		return nil, err
	}
	return t, nil
}

// readHeader reads the header, and refuses what it asks for beyond RS256.
func (t *Token) readHeader(b []byte) *Error {
	h, ok := object(b)
	if !ok {
		return fail(RequestFormatInvalid, "header of the token is not a JSON object")
	}
	if kid, ok := h["kid"]; ok {
		id, ok := text(kid)
		if !ok {
			return fail(RequestFormatInvalid, "kid of the token is not a string")
		}
		t.kid = &id
	}
	if alg, ok := text(h["alg"]); !ok || alg != "RS256" {
		return fail(SignatureValidationFailed, "algorithm of the token is not RS256")
	}
	if _, ok := h["crit"]; ok { // RFC 7515, section 4.1.11: what is not understood must be refused
		return fail(SignatureValidationFailed, "the token has critical extensions")
	}
	return nil
}

// decode64 decodes base64url without padding. The package base64 would skip line ends.
func decode64(s string) ([]byte, bool) {
	if s == "" || strings.ContainsAny(s, "\r\n") {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return b, err == nil
}

// object decodes a JSON object. A map takes names as they are, a struct would take them in any
// case; of a name that appears twice it has the last (RFC 7519, section 4).
func object(b []byte) (map[string]json.RawMessage, bool) {
	var m map[string]json.RawMessage
	err := json.Unmarshal(b, &m)
	return m, err == nil && m != nil
}

// text decodes a JSON string; null is none.
func text(raw json.RawMessage) (s string, ok bool) {
	ok = bytes.HasPrefix(raw, []byte(`"`)) && json.Unmarshal(raw, &s) == nil
	return s, ok
}
