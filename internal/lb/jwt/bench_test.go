package jwt

import (
	"testing"
	"time"
)

// BenchmarkCheck is what a request with known keys costs its loop.
func BenchmarkCheck(b *testing.B) {
	value := sign(rs256, `{"iss": "i", "exp": 2000, "sub": "s", "scope": "a b c"}`)
	keys, err := ParseKeySet([]byte(set(jwk(`, "kid": "k"`))))
	if err != nil {
		b.Fatal(err)
	}
	policy := &Policy{Issuer: "i", AdditionalClaims: []Claim{{"scope", SpaceSeparated, []string{"b"}}}}
	for b.Loop() {
		token, err := Parse(value)
		if err == nil {
			err = token.Check(keys, policy, time.Unix(1000, 0))
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
