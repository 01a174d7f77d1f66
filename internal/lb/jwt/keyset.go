package jwt

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"iter"
	"math/big"
)

// The limits of a key set (ALB guide, "Verify JWTs", limits).
const (
	maxKeySet = 150 << 10 // bytes of the response
	maxKeys   = 10
	keyBits   = 2048 // of an RSA modulus, neither less nor more
)

// maxExponent bounds the public exponent as crypto/rsa does.
const maxExponent = 1<<31 - 1

// KeySet has the public keys of an issuer (RFC 7517).
type KeySet struct{ keys []key }

// key is one of them.
type key struct {
	id  *string
	rsa *rsa.PublicKey
}

// ParseKeySet reads a JWKS. As with AWS every key in it must be one that RS256 can use; only keys
// for encryption are passed over, which some issuers list beside the others (our own).
func ParseKeySet(b []byte) (*KeySet, *Error) {
	if len(b) > maxKeySet {
		return nil, fail(ResponseSizeExceeded, "JWKS of more than %d bytes", maxKeySet)
	}
	top, ok := object(b)
	if !ok {
		return nil, fail(ResponseInvalid, "JWKS is not a JSON object")
	}
	var list []json.RawMessage
	if json.Unmarshal(top["keys"], &list) != nil || list == nil {
		return nil, fail(ResponseInvalid, "JWKS has no array keys")
	}
	if len(list) > maxKeys {
		return nil, fail(ResponseSizeExceeded, "JWKS with %d keys, limit is %d", len(list), maxKeys)
	}
	s := &KeySet{}
	for i, raw := range list {
		k, problem := parseKey(raw)
		if problem != "" {
			return nil, fail(ResponseInvalid, "key %d of the JWKS: %s", i+1, problem)
		}
		if k.rsa != nil {
			s.keys = append(s.keys, k)
		}
	}
	return s, nil
}

// parseKey reads a JWK. One that is for encryption has no key.
func parseKey(raw json.RawMessage) (k key, problem string) {
	m, ok := object(raw)
	if !ok {
		return k, "is not a JSON object"
	}
	var use, kty, alg, n, e, kid string
	for _, member := range []struct {
		name string
		to   *string
	}{{"use", &use}, {"kty", &kty}, {"alg", &alg}, {"n", &n}, {"e", &e}, {"kid", &kid}} {
		value, there := m[member.name]
		if *member.to, ok = text(value); there && !ok {
			return k, member.name + " is not a string"
		}
	}
	if _, there := m["kid"]; there {
		k.id = &kid
	}
	switch {
	case use == "enc":
		return k, ""
	case use != "" && use != "sig":
		return k, "is not for signatures"
	case kty != "RSA":
		return k, "is not of the type RSA"
	case alg != "" && alg != "RS256":
		return k, "is not for RS256"
	}
	k.rsa, problem = publicKey(n, e)
	return k, problem
}

// publicKey makes an RSA key of modulus and exponent (RFC 7518, section 6.3.1).
func publicKey(n, e string) (*rsa.PublicKey, string) {
	modulus, ok1 := decode64(n)
	exponent, ok2 := decode64(e)
	if !ok1 || !ok2 {
		return nil, "n or e is not base64url"
	}
	mod, exp := new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(exponent)
	switch {
	case mod.BitLen() != keyBits:
		return nil, "does not have 2048 bits"
	case exp.Cmp(big.NewInt(3)) < 0 || exp.Cmp(big.NewInt(maxExponent)) > 0 || exp.Bit(0) == 0:
		return nil, "has a bad exponent"
	}
	return &rsa.PublicKey{N: mod, E: int(exp.Int64())}, ""
}

// candidates are the keys that may have signed a token: those of its kid, or all if it names none.
func (s *KeySet) candidates(t *Token) iter.Seq[*rsa.PublicKey] {
	return func(yield func(*rsa.PublicKey) bool) {
		for _, k := range s.keys {
			if (t.kid == nil || k.id != nil && *k.id == *t.kid) && !yield(k.rsa) {
				return
			}
		}
	}
}

// has says whether the set may have the key of a token.
func (s *KeySet) has(t *Token) bool {
	for range s.candidates(t) {
		return true
	}
	return false
}

// verify checks the signature of a token.
func (s *KeySet) verify(t *Token) *Error {
	if !s.has(t) {
		return fail(SignatureValidationFailed, "the JWKS does not have the key of the token")
	}
	sum := sha256.Sum256([]byte(t.signed))
	for k := range s.candidates(t) {
		if rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], t.signature) == nil {
			return nil
		}
	}
	return fail(SignatureValidationFailed, "wrong signature")
}
