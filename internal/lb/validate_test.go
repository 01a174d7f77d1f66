package lb

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/lb/jwt"
)

// signingKey is the key of every issuer in the tests, otherKey one that no JWKS has.
var signingKey, otherKey = sync.OnceValue(newKey), sync.OnceValue(newKey)

func newKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

// issuer is an identity provider: a JWKS endpoint.
type issuer struct {
	*httptest.Server
	asked atomic.Int32
}

// newIssuer starts one; nil serves the signing key as "k".
func newIssuer(t *testing.T, jwks http.HandlerFunc) *issuer {
	t.Helper()
	if jwks == nil {
		jwks = func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, keySet("k")) }
	}
	i := &issuer{}
	i.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.asked.Add(1)
		jwks(w, r)
	}))
	t.Cleanup(i.Close)
	return i
}

// roots trusts the issuer.
func (i *issuer) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(i.Certificate())
	return pool
}

// cache makes a cache that is impatient.
func (i *issuer) cache(timeout time.Duration) *jwt.Cache {
	return jwt.NewCache(jwt.NewClient(i.roots()), timeout)
}

// guard puts a validation before the default action.
func (i *issuer) guard(claims ...Claim) func(*Listener) {
	return func(l *Listener) {
		l.Default = append([]Action{{Type: ActionJWTValidation, JWTValidation: &JWTValidation{
			JWKSEndpoint: i.URL + "/jwks.json", Issuer: "https://me", AdditionalClaims: claims,
		}}}, l.Default...)
	}
}

func keySet(ids ...string) string {
	var keys []map[string]string
	for _, id := range ids {
		keys = append(keys, map[string]string{"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256",
			"n": encode64(signingKey().N.Bytes()), "e": "AQAB"})
	}
	b, _ := json.Marshal(map[string]any{"keys": keys})
	return string(b)
}

func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sign makes a token of any header and payload.
func sign(k *rsa.PrivateKey, header, payload string) string {
	text := encode64([]byte(header)) + "." + encode64([]byte(payload))
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + encode64(sig)
}

// bearer makes a good Authorization, but for the claims given, as members of a JSON object; they
// come last, and the last of a name counts.
func bearer(claims string) string {
	payload := fmt.Sprintf(`{"iss": "https://me", "exp": %d%s}`, time.Now().Add(time.Hour).Unix(), claims)
	return "Bearer " + sign(signingKey(), `{"alg": "RS256", "kid": "k"}`, payload)
}

// guarded serves target behind an HTTPS listener that validates tokens.
func guarded(t *testing.T, cfg Config, target netip.AddrPort, change ...func(*Listener)) *fixture {
	t.Helper()
	return guardedGroup(t, cfg, unprobed(groupOf("g", target)), change...)
}

func guardedGroup(t *testing.T, cfg Config, g Group, change ...func(*Listener)) *fixture {
	t.Helper()
	ln := Listener{ID: "l", LoadBalancer: "app/lb/1", Binds: []Bind{loopback()},
		Default: forwardTo(g.ID), Attributes: Attributes{AccessLog: true}}
	secure(certFor(t, "c", false, "a"))(&ln)
	for _, f := range change {
		f(&ln)
	}
	return serveWith(t, cfg, TableSpec{Listeners: []Listener{ln}, Groups: []Group{g}})
}

// answer asks with values of Authorization and returns status and body.
func (f *fixture) answer(h2 bool, authorization ...string) (int, string) {
	f.t.Helper()
	req, err := http.NewRequest("GET", "https://"+f.addr()+"/", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header["Authorization"] = authorization
	resp, err := httpsClient(f.t, h2).Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor == 2 != h2 {
		f.t.Errorf("protocol %s", resp.Proto)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// echoAuthorization is a target that answers with the Authorization it got.
func echoAuthorization(t *testing.T) netip.AddrPort {
	return startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Join(r.Header.Values("Authorization"), "|"))
	})
}

// A good token passes, untouched, over either protocol, and the keys are fetched once.
func TestValidToken(t *testing.T) {
	i := newIssuer(t, nil)
	f := guarded(t, Config{RootCAs: i.roots()}, echoAuthorization(t), i.guard(
		Claim{Name: "sub", Format: jwt.SingleString, Values: []string{"me"}},
		Claim{Name: "roles", Format: jwt.StringArray, Values: []string{"b", "a"}},
		Claim{Name: "scope", Format: jwt.SpaceSeparated, Values: []string{"read"}}))
	token := bearer(`, "sub": "me", "roles": ["a", "b", "c"], "scope": "write read", "nbf": 1, "iat": 1.5`)
	for _, h2 := range []bool{false, true} {
		if status, body := f.answer(h2, token); status != 200 || body != token {
			t.Errorf("HTTP/2 %v: %d %q", h2, status, body)
		}
	}
	if n := i.asked.Load(); n != 1 {
		t.Errorf("the endpoint was asked %d times", n)
	}
	s := f.Stats().LoadBalancers["app/lb/1"]
	if s.JWTValidationSuccessCount != 2 || s.JWTValidationFailureCount != 0 || s.RequestCount != 2 {
		t.Errorf("counted %+v", s)
	}
	for _, r := range f.allRecords() {
		if r.Actions != "jwt-validation,forward" || r.ErrorReason != "" || r.Status != 200 {
			t.Errorf("record %+v", r)
		}
	}
}

// TestInvalidTokens sends what does not pass, over either protocol, and looks at the response, the
// counters and the record of the log.
func TestInvalidTokens(t *testing.T) {
	const rs256 = `{"alg": "RS256", "kid": "k"}`
	claims := fmt.Sprintf(`{"iss": "https://me", "exp": %d, "c": "x"}`, time.Now().Add(time.Hour).Unix())
	mangled := strings.Split(bearer(`, "c": "x"`), ".")
	for name, c := range map[string]struct {
		authorization []string
		reason        jwt.Reason
	}{
		"no header":       {nil, jwt.HeaderNotPresent},
		"two headers":     {[]string{bearer(`, "c": "x"`), bearer(`, "c": "x"`)}, jwt.RequestFormatInvalid},
		"other scheme":    {[]string{"Basic eDp5"}, jwt.RequestFormatInvalid},
		"no token":        {[]string{"Bearer"}, jwt.RequestFormatInvalid},
		"two tokens":      {[]string{bearer("") + ", " + bearer("")[7:]}, jwt.RequestFormatInvalid},
		"two parts":       {[]string{"Bearer e30.e30"}, jwt.RequestFormatInvalid},
		"not base64":      {[]string{"Bearer e30.e30.!"}, jwt.RequestFormatInvalid},
		"no JSON header":  {[]string{"Bearer " + sign(signingKey(), "x", claims)}, jwt.RequestFormatInvalid},
		"no JSON claims":  {[]string{"Bearer " + sign(signingKey(), rs256, "x")}, jwt.RequestFormatInvalid},
		"other algorithm": {[]string{"Bearer " + sign(signingKey(), `{"alg": "none"}`, claims)}, jwt.SignatureValidationFailed},
		"unknown key":     {[]string{"Bearer " + sign(signingKey(), `{"alg": "RS256", "kid": "K"}`, claims)}, jwt.SignatureValidationFailed},
		"other key":       {[]string{"Bearer " + sign(otherKey(), rs256, claims)}, jwt.SignatureValidationFailed},
		"other claims":    {[]string{mangled[0] + "." + encode64([]byte(claims+" ")) + "." + mangled[2]}, jwt.SignatureValidationFailed},
		"no exp":          {[]string{"Bearer " + sign(signingKey(), rs256, `{"iss": "https://me", "c": "x"}`)}, jwt.ClaimNotPresent},
		"no iss":          {[]string{"Bearer " + sign(signingKey(), rs256, `{"exp": 9e9, "c": "x"}`)}, jwt.ClaimNotPresent},
		"no claim":        {[]string{bearer("")}, jwt.ClaimNotPresent},
		"exp is text":     {[]string{bearer(`, "c": "x", "exp": "9e9"`)}, jwt.ClaimFormatInvalid},
		"claim is list":   {[]string{bearer(`, "c": ["x"]`)}, jwt.ClaimFormatInvalid},
		"expired":         {[]string{bearer(`, "c": "x", "exp": 1`)}, jwt.ClaimValueInvalid},
		"not yet":         {[]string{bearer(`, "c": "x", "nbf": 9e9`)}, jwt.ClaimValueInvalid},
		"from the future": {[]string{bearer(`, "c": "x", "iat": 9e9`)}, jwt.ClaimValueInvalid},
		"other issuer":    {[]string{bearer(`, "c": "x", "iss": "https://you"`)}, jwt.ClaimValueInvalid},
		"other value":     {[]string{bearer(`, "c": "y"`)}, jwt.ClaimValueInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t, nil)
			for _, h2 := range []bool{false, true} {
				f := guarded(t, Config{RootCAs: i.roots()}, closedPort(t),
					i.guard(Claim{Name: "c", Format: jwt.SingleString, Values: []string{"x"}}))
				f.checkDenied(h2, 401, c.reason, c.authorization...)
			}
		})
	}
}

// checkDenied asks once and expects a refusal, counted and logged.
func (f *fixture) checkDenied(h2 bool, status int, reason jwt.Reason, authorization ...string) {
	f.t.Helper()
	got, body := f.answer(h2, authorization...)
	if got != status || !strings.Contains(body, fmt.Sprintf("<center><h1>%d", status)) {
		f.t.Errorf("%d %q, want %d", got, body, status)
	}
	s := f.Stats().LoadBalancers["app/lb/1"]
	checkCounted(f.t, s, status)
	if s.JWTValidationFailureCount != 1 || s.JWTValidationSuccessCount != 0 || s.RequestCount != 0 {
		f.t.Errorf("counted %+v", s)
	}
	f.checkLogged(status)
	if r := f.allRecords()[0]; r.ErrorReason != string(reason) || r.Actions != "jwt-validation" {
		f.t.Errorf("reason %q (%s), actions %q, want %s", r.ErrorReason, r.FailureDetail, r.Actions, reason)
	}
}
