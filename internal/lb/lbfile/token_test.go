package lbfile

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// writePEM writes a file of one block and returns its name.
func writePEM(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// certificateFiles makes a certificate for a listener.
func certificateFiles(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, "cert.pem", "CERTIFICATE", der), writePEM(t, "key.pem", "PRIVATE KEY", private)
}

// A file can ask for tokens, and say whom to believe that the keys are the issuer's: then the
// endpoint is asked, and that it has no key is an answer to the request.
func TestRunValidatesTokens(t *testing.T) {
	asked := make(chan struct{}, 1)
	issuer := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		io.WriteString(w, `{"keys": []}`)
	}))
	defer issuer.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	roots := writePEM(t, "roots.pem", "CERTIFICATE", issuer.Certificate().Raw)
	cert, key := certificateFiles(t)
	path := filepath.Join(t.TempDir(), "lb.json")
	text := fmt.Sprintf(`{"jwks_ca_file": %q, "listeners": [{"id": "l", "protocol": "HTTPS",
		"addresses": [%q], "certificates": [{"cert_file": %q, "key_file": %q}], "default_actions": [
		{"type": "jwt-validation", "jwt_validation": {"JWKSEndpoint": %q, "Issuer": "i",
			"AdditionalClaims": [{"Name": "c", "Format": "string-array", "Values": ["v"]}]}},
		{"type": "fixed-response", "fixed_response": {"StatusCode": 200}}]}]}`,
		roots, addr, cert, key, issuer.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Run(ctx, path, 1, slog.New(slog.DiscardHandler)) }()
	if status := ask(t, addr); status != http.StatusUnauthorized {
		t.Errorf("status %d", status)
	}
	if len(asked) != 1 {
		t.Error("the endpoint was not asked")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// ask sends a request with a token, signed by nobody, as soon as somebody listens.
func ask(t *testing.T, addr string) int {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer tr.CloseIdleConnections()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		req, err := http.NewRequest("GET", "https://"+addr+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.AAAA") // {"alg":"RS256"}, {}
		resp, err := tr.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
			return resp.StatusCode
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
