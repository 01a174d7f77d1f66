package lb

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"fairlead/internal/lb/sslpolicy"
)

// tlsSetup is the compiled TLS of a listener.
type tlsSetup struct {
	config *tls.Config
	certs  []*serverCert // the default first
}

// serverCert is a certificate that can be chosen.
type serverCert struct {
	id   string
	cert tls.Certificate
	rank []int // better certificates have greater ranks, compared in order
}

func newTLSSetup(t *TLS, http2 bool) (*tlsSetup, error) {
	if len(t.Certificates) == 0 {
		return nil, errors.New("an HTTPS listener needs a certificate")
	}
	setup := &tlsSetup{config: &tls.Config{DynamicRecordSizingDisabled: true}}
	for _, c := range t.Certificates {
		sc, err := newServerCert(c)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", c.ID, err)
		}
		setup.certs = append(setup.certs, sc)
	}
	policy, ok := sslpolicy.Lookup(t.Policy)
	if !ok {
		return nil, fmt.Errorf("security policy %q is not known", t.Policy)
	}
	if err := policy.Apply(setup.config); err != nil {
		return nil, err
	}
	setup.config.NextProtos = []string{"http/1.1"}
	if http2 && setup.config.MaxVersion >= tls.VersionTLS12 {
		setup.config.NextProtos = []string{"h2", "http/1.1"}
	}
	setup.config.GetCertificate = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		chosen := setup.choose(h)
		if t, ok := h.Conn.(*tlsTransport); ok {
			t.chosen, t.named = chosen, chosen.has(h.ServerName)
		}
		return &chosen.cert, nil
	}
	return setup, nil
}

func newServerCert(c Certificate) (*serverCert, error) {
	if len(c.Cert.Certificate) == 0 || c.Cert.PrivateKey == nil {
		return nil, errors.New("has no certificate or no private key")
	}
	leaf := c.Cert.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(c.Cert.Certificate[0]); err != nil {
			return nil, fmt.Errorf("parse: %w", err)
		}
		c.Cert.Leaf = leaf
	}
	return &serverCert{id: c.ID, cert: c.Cert, rank: rankOf(leaf)}, nil
}

// rankOf orders certificates the way the smart selection of Application Load Balancers does: ECDSA
// over RSA, then the strongest hash, then the longest key, then the longest validity.
func rankOf(leaf *x509.Certificate) []int {
	ec, bits := 0, 0
	switch k := leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		ec, bits = 1, k.Curve.Params().BitSize
	case *rsa.PublicKey:
		bits = k.N.BitLen()
	}
	hash := 0
	for strength, name := range []string{"MD5", "SHA1", "SHA256", "SHA384", "SHA512"} {
		if strings.Contains(leaf.SignatureAlgorithm.String(), name) {
			hash = strength
		}
	}
	return []int{ec, hash, bits, int(leaf.NotAfter.Sub(leaf.NotBefore).Seconds())}
}

// choose picks the certificate for a client: the best of those that have the name and that the
// client can use; the default if there is none.
func (t *tlsSetup) choose(h *tls.ClientHelloInfo) *serverCert {
	best := t.certs[0]
	found := false
	for _, c := range t.certs {
		if c.has(h.ServerName) && h.SupportsCertificate(&c.cert) == nil &&
			(!found || slices.CompareFunc(c.rank, best.rank, cmp.Compare[int]) > 0) {
			best, found = c, true
		}
	}
	return best
}

// has says whether the certificate is good for a name. A wildcard stands for one label.
func (c *serverCert) has(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || c.cert.Leaf == nil {
		return false
	}
	return c.cert.Leaf.VerifyHostname(name) == nil || len(c.cert.Leaf.DNSNames) == 0 &&
		strings.EqualFold(c.cert.Leaf.Subject.CommonName, name)
}
