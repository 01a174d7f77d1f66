package ca_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fairlead/internal/ca"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, dir string) *ca.Authority {
	t.Helper()
	a, err := ca.Open(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestIssuedCertificateIsTrusted(t *testing.T) {
	a := open(t, t.TempDir())
	c, err := a.Issue([]string{"*.app.localhost", "app.localhost", "127.0.0.1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(c.Cert, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.Root())
	for _, name := range []string{"app.localhost", "web.app.localhost", "127.0.0.1"} {
		for _, at := range []time.Time{now, now.Add(396 * 24 * time.Hour)} {
			opts := x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: at}
			if _, err := pair.Leaf.Verify(opts); err != nil {
				t.Errorf("%s at %v: %v", name, at, err)
			}
		}
	}
	if life := pair.Leaf.NotAfter.Sub(pair.Leaf.NotBefore); life > 397*24*time.Hour {
		t.Errorf("valid for %v, browsers accept 397 days", life)
	}
}

func TestOpenKeepsTheRoot(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	if !bytes.Equal(first.Root(), open(t, dir).Root()) {
		t.Error("the second Open made another root")
	}
	info, err := os.Stat(filepath.Join(dir, "root-key.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info.Mode(), err)
	}
}

// A crash between the writing of the key and of the root leaves the key alone.
func TestOpenAfterCrash(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	if err := os.Remove(filepath.Join(dir, "root.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, dir).Issue([]string{"a.localhost"}, now); err != nil {
		t.Error(err)
	}
}

func TestOpenRefusesForeignKey(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	open(t, dir)
	open(t, other)
	key, err := os.ReadFile(filepath.Join(other, "root-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "root-key.pem"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Open(dir, now); err == nil {
		t.Error("a key that is not the root's was accepted")
	}
}

func TestIssueRefusesNames(t *testing.T) {
	a := open(t, t.TempDir())
	for _, names := range [][]string{nil, {""}, {"a..b"}, {"-a.test"}, {"a b.test"}, {"a.*.test"}} {
		if _, err := a.Issue(names, now); err == nil {
			t.Errorf("issued for %q", names)
		}
	}
}
