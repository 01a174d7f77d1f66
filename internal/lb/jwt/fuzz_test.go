package jwt

import (
	"strings"
	"testing"
	"time"
)

// FuzzToken: whatever a client sends, nothing passes but a token whose signed text is the one that
// the issuer has signed.
func FuzzToken(f *testing.F) {
	good := sign(rs256, `{"iss": "i", "exp": 2000, "c": "a b"}`)
	for _, s := range []string{good, "", "Bearer", "Bearer a.b.c", "Basic eDp5", "Bearer ..",
		sign(`{"alg": "none"}`, `{}`), sign(rs256, `[1, {"a": null}]`), good + "=", good + " x"} {
		f.Add(s)
	}
	keys, err := ParseKeySet([]byte(set(jwk(`, "kid": "k"`))))
	if err != nil {
		f.Fatal(err)
	}
	policy := &Policy{Issuer: "i", AdditionalClaims: []Claim{{"c", SpaceSeparated, []string{"a"}}}}
	f.Fuzz(func(t *testing.T, value string) {
		token, err := Parse(value)
		if err == nil {
			err = token.Check(keys, policy, time.Unix(1000, 0))
		}
		if err == nil && !strings.HasSuffix(strings.TrimRight(value, " "), good[7:]) {
			t.Fatalf("%q passes", value)
		}
		if err != nil && err.Status() != 401 {
			t.Fatalf("%q: %v", value, err)
		}
	})
}

// FuzzClaims: a payload of the issuer either passes or fails with a reason of claims; one that
// passes does not any more when it has expired.
func FuzzClaims(f *testing.F) {
	for _, s := range []string{`{"iss": "i", "exp": 2000, "c": ["a"]}`, `{"exp": 1e999}`, `{"iss": 1}`,
		`{"iss": "i", "exp": 3, "nbf": null}`, `null`, `{"c": [[]], "c": "x"}`} {
		f.Add(s)
	}
	policy := &Policy{Issuer: "i", AdditionalClaims: []Claim{{"c", StringArray, []string{"a"}}}}
	f.Fuzz(func(t *testing.T, payload string) {
		c, ok := object([]byte(payload))
		if !ok || claims(c).check(policy, time.Unix(0, 0)) != nil {
			return
		}
		exp, err := claims(c).seconds("exp")
		if err != nil || exp == nil {
			t.Fatalf("%q passes without exp", payload)
		}
		if claims(c).checkTimes(*exp) == nil {
			t.Fatalf("%q passes when it has expired", payload)
		}
	})
}

// FuzzKeySet: whatever an endpoint answers, every key that comes of it is one for RS256.
func FuzzKeySet(f *testing.F) {
	for _, s := range []string{set(jwk("")), set(jwk(`, "kid": "k", "use": "enc"`)), set(), "", "{}",
		`{"keys": [{"kty": "RSA", "n": "AQ", "e": "Ag"}]}`, `{"keys": [null]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseKeySet(b)
		if err != nil {
			if st := err.Status(); st != 562 && st != 500 {
				t.Fatalf("%v is a %d", err, st)
			}
			return
		}
		if len(s.keys) > maxKeys {
			t.Fatalf("%d keys", len(s.keys))
		}
		for _, k := range s.keys {
			if k.rsa.N.BitLen() != keyBits || k.rsa.E < 3 || k.rsa.E%2 == 0 {
				t.Fatalf("key %v", k.rsa)
			}
		}
	})
}
