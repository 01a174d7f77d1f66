package acm

import (
	"testing"
	"time"

	"fairlead/internal/ca"
)

// FuzzParseImport looks for input that breaks the parsing, and for output that does not parse
// again.
func FuzzParseImport(f *testing.F) {
	authority, err := ca.Open(f.TempDir(), time.Now())
	if err != nil {
		f.Fatal(err)
	}
	c, err := authority.Issue([]string{"app.test"}, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.Cert, c.Key, c.Chain)
	f.Add(c.Cert, c.Key, []byte{})
	f.Add(c.Key, c.Cert, c.Chain)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), []byte("x"), []byte("x"))
	f.Fuzz(func(t *testing.T, cert, key, chain []byte) {
		now := time.Now()
		first, err := parseImport(cert, key, chain, now)
		if err != nil {
			return
		}
		again, err := parseImport([]byte(first.pem), key, []byte(first.chain), now)
		if err != nil || again.pem != first.pem || again.chain != first.chain {
			t.Errorf("what was stored does not parse to itself: %v", err)
		}
	})
}
