package acm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"time"

	api "fairlead/internal/api/acm"
)

// maxOCSPLength is the longest authority URL that an imported certificate may have, in bytes.
const maxOCSPLength = 1000

// imported is what ImportCertificate was given, checked.
type imported struct {
	pem, chain string
	leaf       *x509.Certificate
	algorithm  api.KeyAlgorithm
}

// domain is the name that ACM shows for the certificate.
func (i imported) domain() string {
	if i.leaf.Subject.CommonName == "" && len(i.leaf.DNSNames) > 0 {
		return i.leaf.DNSNames[0]
	}
	return i.leaf.Subject.CommonName
}

// parseImport checks certificate, key and chain against each other and the guidelines of the API.
func parseImport(certificate, key, chain []byte, now time.Time) (imported, error) {
	certs, err := parseCertificates(certificate, "certificate")
	if err != nil {
		return imported{}, err
	}
	if len(certs) > 1 {
		return imported{}, api.ValidationException("The certificate field contains more than one " +
			"certificate. You can specify only one certificate in this field.")
	}
	i := imported{pem: encode(certs), leaf: certs[0]}
	if i.algorithm = keyAlgorithm(i.leaf); i.algorithm == "" {
		return i, api.ValidationException("The key of the certificate is not supported.") // our own text
	}
	if err := checkKey(key, i.leaf); err != nil {
		return i, err
	}
	if err := checkLeaf(i.leaf, now); err != nil {
		return i, err
	}
	if len(chain) == 0 {
		return i, nil
	}
	issuers, err := parseCertificates(chain, "certificate chain")
	if err != nil {
		return i, err
	}
	i.chain = encode(issuers)
	return i, checkChain(i.leaf, issuers)
}

// parseCertificates reads the PEM blocks of a field. Nothing but certificates and text may be
// there.
func parseCertificates(content []byte, field string) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		block, rest := pem.Decode(content)
		if block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil || block.Type != "CERTIFICATE" {
			certs = nil
			break
		}
		certs, content = append(certs, cert), rest
	}
	if len(certs) == 0 { // from memory
		return nil, api.ValidationException("Unable to parse %s. Please ensure the %s is in PEM format.",
			field, field)
	}
	return certs, nil
}

func encode(certs []*x509.Certificate) string {
	var out bytes.Buffer
	for _, c := range certs {
		pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a Buffer never fails
	}
	return out.String()
}

func checkKey(content []byte, leaf *x509.Certificate) error {
	key := parseKey(content)
	if key == nil { // from memory
		return api.ValidationException(
			"Unable to parse private key. Please ensure the private key is unencrypted and in PEM format.")
	}
	public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(key.Public()) {
		return api.ValidationException("The private key does not match the certificate.")
	}
	return nil
}

// parseKey reads a key in any of the three PEM forms; nil when it is none of them.
func parseKey(content []byte) crypto.Signer {
	block, _ := pem.Decode(content)
	if block == nil {
		return nil
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		signer, _ := key.(crypto.Signer)
		return signer
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key
	}
	return nil
}

func checkLeaf(leaf *x509.Certificate, now time.Time) error {
	switch { // our own texts
	case now.Before(leaf.NotBefore):
		return api.ValidationException("The certificate is not valid before %s.",
			leaf.NotBefore.UTC().Format(time.RFC3339))
	case now.After(leaf.NotAfter):
		return api.ValidationException("The certificate expired at %s.",
			leaf.NotAfter.UTC().Format(time.RFC3339))
	case len(leaf.Issuer.Names) == 0:
		return api.ValidationException("The issuer of the certificate must not be empty.")
	case slices.ContainsFunc(leaf.OCSPServer, func(u string) bool { return len(u) > maxOCSPLength }):
		return api.ValidationException(
			"The OCSP authority URL is longer than %d characters.", maxOCSPLength)
	}
	return nil
}

// checkChain checks that every certificate signs the one before it, the first one the leaf.
func checkChain(leaf *x509.Certificate, chain []*x509.Certificate) error {
	child := leaf
	for _, issuer := range chain {
		if issuer.Equal(leaf) && !bytes.Equal(leaf.RawIssuer, leaf.RawSubject) ||
			child.CheckSignatureFrom(issuer) != nil {
			return api.ValidationException("Could not validate the certificate with the certificate chain.")
		}
		child = issuer
	}
	return nil
}

// keyAlgorithm names the certificate's key, or returns "" for one that ACM does not take.
func keyAlgorithm(c *x509.Certificate) api.KeyAlgorithm {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		switch key.N.BitLen() {
		case 1024:
			return api.KeyAlgorithmRSA1024
		case 2048:
			return api.KeyAlgorithmRSA2048
		case 3072:
			return api.KeyAlgorithmRSA3072
		case 4096:
			return api.KeyAlgorithmRSA4096
		}
	case *ecdsa.PublicKey:
		switch key.Curve.Params().BitSize {
		case 256:
			return api.KeyAlgorithmECPrime256v1
		case 384:
			return api.KeyAlgorithmECSecp384r1
		case 521:
			return api.KeyAlgorithmECSecp521r1
		}
	}
	return ""
}
