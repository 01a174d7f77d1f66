package row

import (
	"fmt"
	"time"

	"fairlead/internal/state"
)

func acmTables() []state.TableInfo { return []state.TableInfo{Certificates} }

// Certificate is a server certificate with its private key. What X.509 says about it is read from
// the PEM, not stored a second time. Writer: the acm service.
type Certificate struct {
	Scope
	ARN        string     `json:"arn"`
	Type       string     `json:"type"`            // IMPORTED or AMAZON_ISSUED
	PEM        string     `json:"pem"`             // the leaf
	Chain      string     `json:"chain,omitempty"` // intermediates, leaf's issuer first
	PrivateKey PrivateKey `json:"privateKey"`
	// Domain is the name that ACM shows: the common name, or else the first alternative name.
	Domain       string     `json:"domain,omitempty"`
	KeyAlgorithm string     `json:"keyAlgorithm"` // acm.KeyAlgorithm, e.g. EC_prime256v1
	CreatedAt    time.Time  `json:"createdAt"`
	ImportedAt   *time.Time `json:"importedAt,omitempty"`
	IssuedAt     *time.Time `json:"issuedAt,omitempty"`
	// Token makes RequestCertificate idempotent for an hour after CreatedAt.
	Token string `json:"token,omitempty"`
	Tags  Tags   `json:"tags,omitempty"`
}

// PrivateKey is a private key in PEM. It prints as its length only, so that it does not get into a
// log by accident.
type PrivateKey string

// String hides the key.
func (k PrivateKey) String() string { return fmt.Sprintf("(private key, %d bytes)", len(k)) }

// GoString hides the key.
func (k PrivateKey) GoString() string { return k.String() }

// Certificates is the table of certificates. A certificate is in use while a listener names it, see
// the index certificate of [Listeners].
var Certificates = state.NewTable("acm.certificate", func(c Certificate) string { return c.ARN })
