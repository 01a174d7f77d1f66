package acm

import (
	"cmp"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	api "fairlead/internal/api/acm"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// maxListedNames is how many alternative names ListCertificates shows of one certificate.
const maxListedNames = 100

func leafOf(c row.Certificate) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(c.PEM))
	if block == nil {
		return nil, errors.New("read certificate " + c.ARN + ": no PEM")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s: %w", c.ARN, err)
	}
	return leaf, nil
}

func describe(r state.Reader, c row.Certificate, now time.Time) (*api.CertificateDetail, error) {
	leaf, err := leafOf(c)
	if err != nil {
		return nil, err
	}
	d := &api.CertificateDetail{
		CertificateArn: &c.ARN, Type: api.CertificateType(c.Type), Status: status(leaf, now),
		DomainName: &c.Domain, SubjectAlternativeNames: names(leaf),
		Subject: new(leaf.Subject.String()), Issuer: new(issuer(leaf)), Serial: new(serial(leaf)),
		// Describe writes hyphens where requests and lists have underscores.
		KeyAlgorithm:       api.KeyAlgorithm(strings.ReplaceAll(c.KeyAlgorithm, "_", "-")),
		SignatureAlgorithm: new(signatureAlgorithm(leaf)),
		NotBefore:          new(leaf.NotBefore.UTC()), NotAfter: new(leaf.NotAfter.UTC()),
		CreatedAt: &c.CreatedAt, ImportedAt: c.ImportedAt, InUseBy: usersOf(r, c.ARN),
		RenewalEligibility: api.RenewalEligibilityINELIGIBLE,
		Options: &api.CertificateOptions{
			CertificateTransparencyLoggingPreference: api.CertificateTransparencyLoggingPreferenceDISABLED,
		},
		KeyUsages: []api.KeyUsage{}, ExtendedKeyUsages: []api.ExtendedKeyUsage{},
	}
	for _, u := range keyUsages(leaf) {
		d.KeyUsages = append(d.KeyUsages, api.KeyUsage{Name: u})
	}
	for _, u := range leaf.ExtKeyUsage {
		name, oid := extendedUsage(u)
		d.ExtendedKeyUsages = append(d.ExtendedKeyUsages, api.ExtendedKeyUsage{Name: name, OID: &oid})
	}
	for _, oid := range leaf.UnknownExtKeyUsage {
		d.ExtendedKeyUsages = append(d.ExtendedKeyUsages, api.ExtendedKeyUsage{
			Name: api.ExtendedKeyUsageNameCUSTOM, OID: new(oid.String()),
		})
	}
	return d, nil
}

func summarize(r state.Reader, c row.Certificate, now time.Time) (api.CertificateSummary, error) {
	leaf, err := leafOf(c)
	if err != nil {
		return api.CertificateSummary{}, err
	}
	all := names(leaf)
	s := api.CertificateSummary{
		CertificateArn: &c.ARN, DomainName: &c.Domain, Type: api.CertificateType(c.Type),
		Status: status(leaf, now), KeyAlgorithm: api.KeyAlgorithm(c.KeyAlgorithm),
		SubjectAlternativeNameSummaries:      all[:min(len(all), maxListedNames)],
		HasAdditionalSubjectAlternativeNames: new(len(all) > maxListedNames),
		KeyUsages:                            keyUsages(leaf),
		ExtendedKeyUsages:                    []api.ExtendedKeyUsageName{},
		InUse:                                new(len(usersOf(r, c.ARN)) > 0), RenewalEligibility: api.RenewalEligibilityINELIGIBLE,
		NotBefore: new(leaf.NotBefore.UTC()), NotAfter: new(leaf.NotAfter.UTC()),
		CreatedAt: &c.CreatedAt, ImportedAt: c.ImportedAt,
	}
	for _, u := range leaf.ExtKeyUsage {
		name, _ := extendedUsage(u)
		s.ExtendedKeyUsages = append(s.ExtendedKeyUsages, name)
	}
	return s, nil
}

func status(leaf *x509.Certificate, now time.Time) api.CertificateStatus {
	if now.After(leaf.NotAfter) {
		return api.CertificateStatusEXPIRED
	}
	return api.CertificateStatusISSUED
}

// names lists the names of a certificate, the common name first.
func names(leaf *x509.Certificate) []string {
	all := []string{}
	for _, n := range append([]string{leaf.Subject.CommonName}, leaf.DNSNames...) {
		if n != "" && !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

func issuer(leaf *x509.Certificate) string {
	return cmp.Or(strings.Join(leaf.Issuer.Organization, ", "), leaf.Issuer.CommonName,
		leaf.Issuer.String())
}

// serial is the serial number as pairs of hex digits with colons between them.
func serial(leaf *x509.Certificate) string {
	digits := hex.EncodeToString(leaf.SerialNumber.Bytes())
	var pairs []string
	for pair := range slices.Chunk([]byte(digits), 2) {
		pairs = append(pairs, string(pair))
	}
	return strings.Join(pairs, ":")
}

// signatureAlgorithm turns SHA256-RSA into SHA256WITHRSA.
func signatureAlgorithm(leaf *x509.Certificate) string {
	name := leaf.SignatureAlgorithm.String()
	if hash, ok := strings.CutPrefix(name, "ECDSA-"); ok {
		return hash + "WITHECDSA"
	}
	if hash, ok := strings.CutSuffix(name, "-RSA"); ok {
		return hash + "WITHRSA"
	}
	return strings.ToUpper(name)
}

func keyUsages(leaf *x509.Certificate) []api.KeyUsageName {
	// In the order of the bits of x509.KeyUsage, which is that of RFC 5280.
	bits := []api.KeyUsageName{
		api.KeyUsageNameDIGITALSIGNATURE, api.KeyUsageNameNONREPUDIATION,
		api.KeyUsageNameKEYENCIPHERMENT, api.KeyUsageNameDATAENCIPHERMENT,
		api.KeyUsageNameKEYAGREEMENT, api.KeyUsageNameCERTIFICATESIGNING,
		api.KeyUsageNameCRLSIGNING, api.KeyUsageNameENCIPHERONLY, api.KeyUsageNameDECIPHERONLY,
	}
	usages := []api.KeyUsageName{}
	for i, name := range bits {
		if leaf.KeyUsage&(1<<i) != 0 {
			usages = append(usages, name)
		}
	}
	return usages
}

// extendedUsage returns ACM's name and the object identifier of an extended key usage.
func extendedUsage(u x509.ExtKeyUsage) (api.ExtendedKeyUsageName, string) {
	const base = "1.3.6.1.5.5.7.3."
	switch u {
	case x509.ExtKeyUsageServerAuth:
		return api.ExtendedKeyUsageNameTLSWEBSERVERAUTHENTICATION, base + "1"
	case x509.ExtKeyUsageClientAuth:
		return api.ExtendedKeyUsageNameTLSWEBCLIENTAUTHENTICATION, base + "2"
	case x509.ExtKeyUsageCodeSigning:
		return api.ExtendedKeyUsageNameCODESIGNING, base + "3"
	case x509.ExtKeyUsageEmailProtection:
		return api.ExtendedKeyUsageNameEMAILPROTECTION, base + "4"
	case x509.ExtKeyUsageIPSECEndSystem:
		return api.ExtendedKeyUsageNameIPSECENDSYSTEM, base + "5"
	case x509.ExtKeyUsageIPSECTunnel:
		return api.ExtendedKeyUsageNameIPSECTUNNEL, base + "6"
	case x509.ExtKeyUsageIPSECUser:
		return api.ExtendedKeyUsageNameIPSECUSER, base + "7"
	case x509.ExtKeyUsageTimeStamping:
		return api.ExtendedKeyUsageNameTIMESTAMPING, base + "8"
	case x509.ExtKeyUsageOCSPSigning:
		return api.ExtendedKeyUsageNameOCSPSIGNING, base + "9"
	case x509.ExtKeyUsageAny:
		return api.ExtendedKeyUsageNameANY, "2.5.29.37.0"
	}
	return api.ExtendedKeyUsageNameCUSTOM, ""
}
