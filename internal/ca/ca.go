// Package ca is the local certificate authority: a root certificate in a directory, which a user
// can trust once, and certificates for servers that it signs.
//
// The root is an ECDSA P-256 key of ten years; its private key lies in a file that only its owner
// can read. What it issues keeps to the rules that browsers enforce: names in the subject
// alternative names, the extended key usage serverAuth, at most 397 days.
package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Lifetimes of certificates. A clock may be slow, hence backdate.
const (
	rootLifetime = 10 * 365 * 24 * time.Hour
	leafLifetime = 397*24*time.Hour - backdate // what browsers accept, start included
	backdate     = time.Hour
)

// Names of the two files in the directory.
const (
	rootFile = "root.pem"
	keyFile  = "root-key.pem"
)

// maxCommonName is the longest common name that X.509 permits, in bytes.
const maxCommonName = 64

// Authority signs certificates for servers. It is safe for concurrent use.
type Authority struct {
	root    *x509.Certificate
	rootPEM []byte
	key     *ecdsa.PrivateKey
}

// Open loads the authority in dir, and makes one first if there is none.
func Open(dir string, now time.Time) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open certificate authority: %w", err)
	}
	a, err := load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = create(dir, now); err == nil {
			a, err = load(dir)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open certificate authority in %s: %w", dir, err)
	}
	return a, nil
}

// create makes key and root. The root is written last: while it is missing there is no authority,
// and a crash before leaves a key that the next call replaces.
func create(dir string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"Fairlead"}, CommonName: "Fairlead local CA"},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(rootLifetime),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	root, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("sign root: %w", err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	if err := replace(filepath.Join(dir, keyFile), keyPEM, 0o600); err != nil {
		return err
	}
	return replace(filepath.Join(dir, rootFile), encodeCertificate(root), 0o644)
}

// replace writes a file as a whole or not at all.
func replace(path string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}

func load(dir string) (*Authority, error) {
	rootPEM, err := os.ReadFile(filepath.Join(dir, rootFile))
	if err != nil {
		return nil, err
	}
	keyPEM, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, err
	}
	root, err := decode(rootPEM, x509.ParseCertificate)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", rootFile, err)
	}
	parsed, err := decode(keyPEM, x509.ParsePKCS8PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", keyFile, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(root.PublicKey) {
		return nil, fmt.Errorf("%s is not the key of %s", keyFile, rootFile)
	}
	return &Authority{root: root, rootPEM: rootPEM, key: key}, nil
}

func decode[T any](content []byte, parse func([]byte) (T, error)) (T, error) {
	block, _ := pem.Decode(content)
	if block == nil {
		var none T
		return none, errors.New("is not PEM")
	}
	return parse(block.Bytes)
}

// Root is the root certificate in PEM, for a client to trust.
func (a *Authority) Root() []byte { return a.rootPEM }

// Certificate is a server certificate: everything in PEM.
type Certificate struct {
	Cert  []byte
	Key   []byte // PKCS #8
	Chain []byte // the root
}

// Issue makes a key and a certificate for it that is valid for the names from an hour ago on, for
// at most 397 days. A name is a DNS name, which may begin with "*.", or an IP address.
func (a *Authority) Issue(names []string, now time.Time) (Certificate, error) {
	template, err := a.template(names, now)
	if err != nil {
		return Certificate{}, fmt.Errorf("issue certificate: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Certificate{}, fmt.Errorf("issue certificate: make key: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.root, key.Public(), a.key)
	if err != nil {
		return Certificate{}, fmt.Errorf("issue certificate: %w", err)
	}
	keyPEM, err := encodeKey(key)
	return Certificate{Cert: encodeCertificate(der), Key: keyPEM, Chain: a.rootPEM}, err
}

func (a *Authority) template(names []string, now time.Time) (*x509.Certificate, error) {
	if len(names) == 0 {
		return nil, errors.New("no name given")
	}
	t := &x509.Certificate{
		NotBefore: now.Add(-backdate), NotAfter: now.Add(leafLifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if t.NotAfter.After(a.root.NotAfter) {
		t.NotAfter = a.root.NotAfter
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
			continue
		}
		if !isDNSName(name) {
			return nil, fmt.Errorf("%q is neither a DNS name nor an IP address", name)
		}
		t.DNSNames = append(t.DNSNames, name)
	}
	if len(names[0]) <= maxCommonName {
		t.Subject.CommonName = names[0]
	}
	return t, nil
}

func isDNSName(name string) bool {
	name = strings.TrimPrefix(name, "*.")
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		bad := strings.ContainsFunc(label, func(r rune) bool {
			return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-')
		})
		if bad || label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
