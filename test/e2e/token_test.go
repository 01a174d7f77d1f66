package e2e

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestTokens has a listener ask for tokens. The keys are those of an issuer whose certificate is from
// the local authority, which the load balancer trusts without being told.
func TestTokens(t *testing.T) {
	needCLI(t)
	c := &cli{fairlead: start(t), dir: t.TempDir()}
	c.certificate(c.dir)
	c.makeNetwork()
	c.makeBalancer()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c.aws("elbv2", "modify-listener", "--listener-arn", c.listener, "--default-actions",
		fmt.Sprintf(`[{"Type": "fixed-response", "Order": 2, "FixedResponseConfig": {"StatusCode": "204"}},
		{"Type": "jwt-validation", "Order": 1, "JwtValidationConfig": {
			"JwksEndpoint": %q, "Issuer": "https://me", "AdditionalClaims": [
				{"Name": "scope", "Format": "space-separated-values", "Values": ["read"]}]}}]`,
			c.issuer(key)))
	claims := func(scope string) string {
		return fmt.Sprintf(`{"iss": "https://me", "exp": %d, "scope": %q}`,
			time.Now().Add(time.Hour).Unix(), scope)
	}
	for authorization, want := range map[string]int{
		"": 401, signed(key, claims("write")): 401, signed(key, claims("write read")): 204,
	} {
		eventually(t, "the listener answers as it should", func() error {
			got, err := c.statusFor(authorization)
			if err == nil && got != want {
				err = fmt.Errorf("%q is answered with %d, want %d", authorization, got, want)
			}
			return err
		})
	}
}

// issuer serves a key under a certificate of the local authority and returns the URL.
func (c *cli) issuer(key *rsa.PrivateKey) string {
	c.t.Helper()
	dir := filepath.Join(c.dir, "issuer")
	c.run(c.dir, os.Getenv("FAIRLEAD_BIN"), "cert", "new", "--data-dir", c.fairlead.dir, "--out", dir,
		"localhost")
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		c.t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"keys": [{"kty": "RSA", "n": %q, "e": "AQAB"}]}`, encode64(key.N.Bytes()))
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	srv.StartTLS()
	c.t.Cleanup(srv.Close)
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		c.t.Fatal(err)
	}
	return "https://localhost:" + port + "/jwks.json"
}

// statusFor asks the front door with a value of Authorization.
func (c *cli) statusFor(authorization string) (int, error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:443")
		},
	}}
	req, err := http.NewRequest("GET", "https://www.twtech.test/", nil)
	if err != nil {
		return 0, err
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// signed is the Authorization of a token.
func signed(key *rsa.PrivateKey, claims string) string {
	text := encode64([]byte(`{"alg": "RS256"}`)) + "." + encode64([]byte(claims))
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return "Bearer " + text + "." + encode64(sig)
}
