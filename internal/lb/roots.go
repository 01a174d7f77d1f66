package lb

import (
	"crypto/x509"
	"errors"
	"fmt"
)

// Roots returns the authorities that the system trusts and those of a PEM text, for
// [Config].RootCAs.
func Roots(pem []byte) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the authorities of the system: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in PEM form among the authorities")
	}
	return pool, nil
}
