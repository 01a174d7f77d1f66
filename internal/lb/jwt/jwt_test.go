package jwt

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"
)

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		panic(err)
	}
	return k
})

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sign makes the value of Authorization for a token.
func sign(header, payload string) string {
	text := encode([]byte(header)) + "." + encode([]byte(payload))
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(nil, testKey(), crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return "Bearer " + text + "." + encode(sig)
}

// jwk is the test key as a JWK, with more members.
func jwk(members string) string {
	return fmt.Sprintf(`{"kty": "RSA", "n": %q, "e": "AQAB"%s}`, encode(testKey().N.Bytes()), members)
}

// set is a JWKS of keys.
func set(keys ...string) string { return `{"keys": [` + strings.Join(keys, ",") + `]}` }

const rs256 = `{"alg": "RS256", "kid": "k"}`

// reason is that of an error, or "" of none.
func reason(err *Error) Reason {
	if err == nil {
		return ""
	}
	return err.Reason
}

func TestParse(t *testing.T) {
	good := sign(rs256, `{}`)
	for name, c := range map[string]struct {
		values []string
		want   Reason
	}{
		"good":                  {[]string{good}, ""},
		"scheme in other case":  {[]string{"bEARER" + good[6:]}, ""},
		"more spaces":           {[]string{"Bearer   " + good[7:] + " "}, ""},
		"none":                  {nil, HeaderNotPresent},
		"two values":            {[]string{good, good}, RequestFormatInvalid},
		"empty value":           {[]string{""}, RequestFormatInvalid},
		"scheme alone":          {[]string{"Bearer "}, RequestFormatInvalid},
		"other scheme":          {[]string{"Digest" + good[6:]}, RequestFormatInvalid},
		"no scheme":             {[]string{good[7:]}, RequestFormatInvalid},
		"two tokens":            {[]string{good + " " + good[7:]}, RequestFormatInvalid},
		"two tokens in a list":  {[]string{good + "," + good[7:]}, RequestFormatInvalid},
		"four parts":            {[]string{good + ".e30"}, RequestFormatInvalid},
		"no signature":          {[]string{good[:strings.LastIndexByte(good, '.')+1]}, RequestFormatInvalid},
		"padding":               {[]string{good + "="}, RequestFormatInvalid},
		"base64, not base64url": {[]string{"Bearer +/+/." + good}, RequestFormatInvalid},
		"line end":              {[]string{good[:20] + "\n" + good[20:]}, RequestFormatInvalid},
		"header is a list":      {[]string{sign(`[]`, `{}`)}, RequestFormatInvalid},
		"header is null":        {[]string{sign(`null`, `{}`)}, RequestFormatInvalid},
		"kid is a number":       {[]string{sign(`{"alg": "RS256", "kid": 1}`, `{}`)}, RequestFormatInvalid},
		"no alg":                {[]string{sign(`{}`, `{}`)}, SignatureValidationFailed},
		"none as alg":           {[]string{sign(`{"alg": "none"}`, `{}`)}, SignatureValidationFailed},
		"HS256":                 {[]string{sign(`{"alg": "HS256"}`, `{}`)}, SignatureValidationFailed},
		"alg in other case":     {[]string{sign(`{"ALG": "RS256"}`, `{}`)}, SignatureValidationFailed},
		"last alg counts":       {[]string{sign(`{"alg": "RS256", "alg": "none"}`, `{}`)}, SignatureValidationFailed},
		"critical extension":    {[]string{sign(`{"alg": "RS256", "crit": ["b64"], "b64": false}`, `{}`)}, SignatureValidationFailed},
	} {
		token, err := Parse(c.values...)
		if reason(err) != c.want || (token == nil) == (err == nil) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if err != nil && len(good) > 60 && strings.Contains(err.Detail, good[20:60]) {
			t.Errorf("%s: the detail has the token in it: %s", name, err.Detail)
		}
	}
}

func TestParseKeySet(t *testing.T) {
	big4096 := new(big.Int).Lsh(testKey().N, 2048)
	mod := func(n []byte, e string) string {
		return fmt.Sprintf(`{"kty": "RSA", "n": %q, "e": %q}`, encode(n), e)
	}
	n := testKey().N.Bytes()
	for name, c := range map[string]struct {
		text string
		keys int
		want Reason
	}{
		"one":                 {set(jwk("")), 1, ""},
		"all members":         {set(jwk(`, "kid": "k", "use": "sig", "alg": "RS256", "x5c": ["x"]`)), 1, ""},
		"none":                {set(), 0, ""},
		"ten":                 {set(strings.Split(strings.Repeat(jwk("")+"|", 9)+jwk(""), "|")...), 10, ""},
		"for encryption":      {set(jwk(""), jwk(`, "use": "enc", "alg": "RSA-OAEP"`)), 1, ""},
		"leading zero":        {set(mod(append([]byte{0}, n...), "AQAB")), 1, ""},
		"eleven":              {set(strings.Split(strings.Repeat(jwk("")+"|", 10)+jwk(""), "|")...), 0, ResponseSizeExceeded},
		"too large":           {set(jwk("")) + strings.Repeat(" ", maxKeySet), 0, ResponseSizeExceeded},
		"empty":               {"", 0, ResponseInvalid},
		"a list":              {"[" + jwk("") + "]", 0, ResponseInvalid},
		"no keys":             {`{}`, 0, ResponseInvalid},
		"keys is null":        {`{"keys": null}`, 0, ResponseInvalid},
		"keys is an object":   {`{"keys": {}}`, 0, ResponseInvalid},
		"keys in other case":  {`{"KEYS": [` + jwk("") + `]}`, 0, ResponseInvalid},
		"key is null":         {set("null"), 0, ResponseInvalid},
		"other type":          {set(jwk(`, "kty": "EC"`)), 0, ResponseInvalid},
		"other use":           {set(jwk(`, "use": "dance"`)), 0, ResponseInvalid},
		"other algorithm":     {set(jwk(`, "alg": "PS256"`)), 0, ResponseInvalid},
		"kid is a number":     {set(jwk(`, "kid": 1`)), 0, ResponseInvalid},
		"n is not base64url":  {set(jwk(`, "n": "!"`)), 0, ResponseInvalid},
		"no n":                {set(`{"kty": "RSA", "e": "AQAB"}`), 0, ResponseInvalid},
		"1024 bits":           {set(mod(n[:128], "AQAB")), 0, ResponseInvalid},
		"4096 bits":           {set(mod(big4096.Bytes(), "AQAB")), 0, ResponseInvalid},
		"exponent 1":          {set(mod(n, "AQ")), 0, ResponseInvalid},
		"even exponent":       {set(mod(n, "BA")), 0, ResponseInvalid},
		"exponent of 33 bits": {set(mod(n, "AQAAAAE")), 0, ResponseInvalid},
		"one bad beside good": {set(jwk(""), jwk(`, "kty": "EC"`)), 0, ResponseInvalid},
	} {
		s, err := ParseKeySet([]byte(c.text))
		if reason(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if err == nil && len(s.keys) != c.keys {
			t.Errorf("%s: %d keys, want %d", name, len(s.keys), c.keys)
		}
	}
}

// The key is chosen by kid; without one, every key is tried.
func TestKeyChoice(t *testing.T) {
	now := time.Unix(1000, 0)
	const payload = `{"iss": "i", "exp": 2000}`
	with, without := sign(rs256, payload), sign(`{"alg": "RS256"}`, payload)
	odd := fmt.Sprintf(`{"kty": "RSA", "n": %q, "e": "AQAB", "kid": "k"}`,
		encode(new(big.Int).Sub(testKey().N, big.NewInt(2)).Bytes()))
	for name, c := range map[string]struct {
		token, keys string
		want        Reason
	}{
		"kid":                  {with, set(jwk(`, "kid": "k"`)), ""},
		"two of the same kid":  {with, set(odd, jwk(`, "kid": "k"`)), ""},
		"no kid":               {without, set(odd, jwk(`, "kid": "j"`)), ""},
		"no kid anywhere":      {without, set(jwk("")), ""},
		"another kid":          {with, set(jwk(`, "kid": "K"`)), SignatureValidationFailed},
		"key without kid":      {with, set(jwk("")), SignatureValidationFailed},
		"other key of the kid": {with, set(odd), SignatureValidationFailed},
		"no keys":              {without, set(), SignatureValidationFailed},
	} {
		token, err := Parse(c.token)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := ParseKeySet([]byte(c.keys))
		if err != nil {
			t.Fatal(err)
		}
		if err := token.Check(keys, &Policy{Issuer: "i"}, now); reason(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestClaims(t *testing.T) {
	now := time.Unix(1000, 500e6)
	policy := &Policy{Issuer: "i", AdditionalClaims: []Claim{
		{Name: "one", Format: SingleString, Values: []string{"a b"}},
		{Name: "list", Format: StringArray, Values: []string{"a", "b"}},
		{Name: "words", Format: SpaceSeparated, Values: []string{"a", "b"}},
	}}
	keys, err := ParseKeySet([]byte(set(jwk(`, "kid": "k"`))))
	if err != nil {
		t.Fatal(err)
	}
	for more, want := range map[string]Reason{
		``:                                 "",
		`, "x": null`:                      "",
		`, "nbf": 1000.5, "iat": 1000`:     "",
		`, "exp": 1000.6`:                  "",
		`, "exp": 1e300`:                   "",
		`, "list": ["b", "c", "a"]`:        "",
		`, "words": "b c a"`:               "",
		`, "exp": 1000.5`:                  ClaimValueInvalid,
		`, "exp": -1`:                      ClaimValueInvalid,
		`, "exp": null`:                    ClaimFormatInvalid,
		`, "exp": 1e999`:                   ClaimFormatInvalid,
		`, "exp": "2000"`:                  ClaimFormatInvalid,
		`, "nbf": true`:                    ClaimFormatInvalid,
		`, "nbf": 1000.6`:                  ClaimValueInvalid,
		`, "iat": 1001`:                    ClaimValueInvalid,
		`, "iss": ["i"]`:                   ClaimFormatInvalid,
		`, "iss": null`:                    ClaimFormatInvalid,
		`, "iss": "I"`:                     ClaimValueInvalid,
		`, "one": "a"`:                     ClaimValueInvalid,
		`, "one": ["a b"]`:                 ClaimFormatInvalid,
		`, "one": true`:                    ClaimFormatInvalid,
		`, "list": ["a"]`:                  ClaimValueInvalid,
		`, "list": []`:                     ClaimValueInvalid,
		`, "list": "a"`:                    ClaimFormatInvalid,
		`, "list": ["a", "b", 3]`:          ClaimFormatInvalid,
		`, "list": ["a", "b", null]`:       ClaimFormatInvalid,
		`, "list": null`:                   ClaimFormatInvalid,
		`, "words": "a"`:                   ClaimValueInvalid,
		`, "words": "a,b"`:                 ClaimValueInvalid,
		`, "words": ["a", "b"]`:            ClaimFormatInvalid,
		`, "EXP": 1, "Iss": 2, "ONE": "x"`: "",
	} {
		token, err := Parse(sign(rs256, `{"iss": "i", "exp": 2000, "one": "a b", "list": ["a", "b"], `+
			`"words": "a b"`+more+`}`))
		if err != nil {
			t.Fatal(err)
		}
		if err := token.Check(keys, policy, now); reason(err) != want {
			t.Errorf("%s: %v, want %s", more, err, want)
		}
	}
	for payload, want := range map[string]Reason{
		`{}`: ClaimNotPresent, `{"exp": 2000}`: ClaimNotPresent, `{"iss": "i"}`: ClaimNotPresent,
		`{"iss": "i", "exp": 2000}`: ClaimNotPresent, `null`: RequestFormatInvalid,
		`[]`: RequestFormatInvalid, `{`: RequestFormatInvalid,
	} {
		token, err := Parse(sign(rs256, payload))
		if err != nil {
			t.Fatal(err)
		}
		if err := token.Check(keys, policy, now); reason(err) != want {
			t.Errorf("%s: %v, want %s", payload, err, want)
		}
	}
}

func TestStatus(t *testing.T) {
	for r, want := range map[Reason]int{HeaderNotPresent: 401, RequestFormatInvalid: 401,
		SignatureValidationFailed: 401, ClaimNotPresent: 401, ClaimFormatInvalid: 401,
		ClaimValueInvalid: 401, RequestTimeout: 500, ResponseSizeExceeded: 500, RequestFailed: 562,
		ResponseInvalid: 562, InternalError: 500} {
		if got := (&Error{Reason: r}).Status(); got != want {
			t.Errorf("%s: %d, want %d", r, got, want)
		}
	}
}

func TestValidate(t *testing.T) {
	long := strings.Repeat("ü", 257)
	claim := func(c Claim) Policy {
		return Policy{JWKSEndpoint: "https://a/b", Issuer: "i", AdditionalClaims: []Claim{c}}
	}
	many := make([]Claim, 11)
	for i := range many {
		many[i] = Claim{Name: fmt.Sprint(i), Format: SingleString, Values: []string{"v"}}
	}
	ok := []Policy{
		{JWKSEndpoint: "https://a/b", Issuer: long[:512]},
		{JWKSEndpoint: "https://a:8443/b?c", Issuer: "i", AdditionalClaims: many[:10]},
		claim(Claim{"c", StringArray, strings.Split("0123456789", "")}),
		claim(Claim{"c", SpaceSeparated, []string{long[:512]}}),
	}
	bad := []Policy{
		{Issuer: "i"}, {JWKSEndpoint: "https://a/b"},
		{JWKSEndpoint: "http://a/b", Issuer: "i"}, {JWKSEndpoint: "https:///b", Issuer: "i"},
		{JWKSEndpoint: "https://u:p@a/b", Issuer: "i"}, {JWKSEndpoint: "https://a/%", Issuer: "i"},
		{JWKSEndpoint: "https://a/" + long, Issuer: "i"}, {JWKSEndpoint: "https://a/b", Issuer: long},
		{JWKSEndpoint: "https://a/b", Issuer: "i", AdditionalClaims: many},
		{JWKSEndpoint: "https://a/b", Issuer: "i", AdditionalClaims: []Claim{many[0], many[0]}},
		claim(Claim{"", StringArray, []string{"v"}}), claim(Claim{"exp", SingleString, []string{"v"}}),
		claim(Claim{"c", StringArray, nil}), claim(Claim{"c", "list", []string{"v"}}),
		claim(Claim{"c", StringArray, strings.Split("0123456789a", "")}),
		claim(Claim{"c", SingleString, []string{"a", "b"}}), claim(Claim{"c", StringArray, []string{""}}),
		claim(Claim{"c", SpaceSeparated, []string{"a b"}}), claim(Claim{"c", StringArray, []string{long}}),
	}
	for _, p := range ok {
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
	for _, p := range bad {
		if p.Validate() == nil {
			t.Errorf("%+v: accepted", p)
		}
	}
}
