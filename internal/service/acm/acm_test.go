package acm_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead/internal/row"
	"fairlead/internal/service/acm"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
	"fairlead/internal/wire"
)

// client calls the service through a router.
type client struct {
	t      *testing.T
	store  *state.Store
	router http.Handler
}

func newClient(t *testing.T) *client {
	store := statetest.Open(t, row.Tables()...)
	router := wire.NewRouter(wire.Config{})
	acm.New(store).Register(router)
	return &client{t, store, router}
}

// answer is a decoded answer, or an error as "CODE: MESSAGE".
type answer map[string]any

func (c *client) call(op string, in map[string]any) (answer, string) {
	c.t.Helper()
	if in == nil {
		in = map[string]any{}
	}
	body, err := json.Marshal(in)
	if err != nil {
		c.t.Fatal(err)
	}
	req := httptest.NewRequest("POST", "http://localhost/", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "CertificateManager."+op)
	req.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=123456789012/20260102/eu-west-1/"+
		"acm/aws4_request, SignedHeaders=host;x-amz-date, Signature=00")
	w := httptest.NewRecorder()
	c.router.ServeHTTP(w, req)
	raw, err := io.ReadAll(w.Result().Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var out answer
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			c.t.Fatalf("%s: %v in %s", op, err, raw)
		}
	}
	if w.Code != http.StatusOK {
		code, _ := out["__type"].(string)
		return nil, fmt.Sprint(code[strings.LastIndex(code, "#")+1:], ": ", out["message"])
	}
	return out, ""
}

func (c *client) must(op string, in map[string]any) answer {
	c.t.Helper()
	out, fault := c.call(op, in)
	if fault != "" {
		c.t.Fatalf("%s: %s", op, fault)
	}
	return out
}

func (c *client) refuse(want, op string, in map[string]any) {
	c.t.Helper()
	if _, got := c.call(op, in); !strings.HasPrefix(got, want) {
		c.t.Errorf("%s: want %s, got %q", op, want, got)
	}
}

// authority signs certificates for the tests.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// issued is a certificate in the form of ImportCertificate's fields.
type issued struct{ cert, key, chain []byte }

func (i issued) input() map[string]any {
	in := map[string]any{"Certificate": i.cert, "PrivateKey": i.key}
	if i.chain != nil {
		in["CertificateChain"] = i.chain
	}
	return in
}

func newAuthority(t *testing.T, parent *authority) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{"Test CA"}, CommonName: "Test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	signer := &authority{template, key}
	if parent != nil {
		template.Subject.CommonName = "Test CA 2"
		signer = parent
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.cert, key.Public(), signer.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

// issue makes a certificate for app.test; change may alter it before it is signed.
func (a *authority) issue(t *testing.T, key crypto.Signer, change func(*x509.Certificate)) issued {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0xabcdef), Subject: pkix.Name{CommonName: "app.test"},
		DNSNames:  []string{"app.test", "*.app.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return issued{block("CERTIFICATE", der), block("PRIVATE KEY", pkcs8), block("CERTIFICATE", a.cert.Raw)}
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func rsaKey(t *testing.T, bits int) crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ecKey(t *testing.T, curve elliptic.Curve) crypto.Signer {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestImportedCertificate(t *testing.T) {
	c, ca := newClient(t), newAuthority(t, nil)
	in := ca.issue(t, rsaKey(t, 2048), nil)
	input := in.input()
	input["Tags"] = []map[string]string{{"Key": "env", "Value": "dev"}}
	arn := c.must("ImportCertificate", input)["CertificateArn"].(string)
	if !strings.HasPrefix(arn, "arn:aws:acm:eu-west-1:123456789012:certificate/") {
		t.Errorf("ARN %s", arn)
	}
	byARN := map[string]any{"CertificateArn": arn}

	detail := c.must("DescribeCertificate", byARN)["Certificate"].(map[string]any)
	for name, want := range map[string]string{
		"CertificateArn": arn, "DomainName": "app.test", "Status": "ISSUED", "Type": "IMPORTED",
		"KeyAlgorithm": "RSA-2048", "SignatureAlgorithm": "SHA256WITHECDSA", "Issuer": "Test CA",
		"Serial": "ab:cd:ef", "Subject": "CN=app.test", "RenewalEligibility": "INELIGIBLE",
		"SubjectAlternativeNames": "[app.test *.app.test]", "InUseBy": "[]",
		"KeyUsages":         "[map[Name:DIGITAL_SIGNATURE]]",
		"ExtendedKeyUsages": "[map[Name:TLS_WEB_SERVER_AUTHENTICATION OID:1.3.6.1.5.5.7.3.1]]",
	} {
		if got := fmt.Sprint(detail[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}

	got := c.must("GetCertificate", byARN)
	if got["Certificate"] != string(in.cert) || got["CertificateChain"] != string(in.chain) {
		t.Errorf("GetCertificate: %v", got)
	}
	for _, op := range []string{"GetCertificate", "DescribeCertificate", "ListCertificates"} {
		if raw := fmt.Sprint(c.must(op, byARNOrNothing(op, byARN))); strings.Contains(raw, "PRIVATE KEY") {
			t.Errorf("%s shows the private key", op)
		}
	}
	if tags := fmt.Sprint(c.must("ListTagsForCertificate", byARN)); tags != "map[Tags:[map[Key:env Value:dev]]]" {
		t.Errorf("tags %s", tags)
	}
}

func byARNOrNothing(op string, byARN map[string]any) map[string]any {
	if op == "ListCertificates" {
		return nil
	}
	return byARN
}

func TestImportIsRefused(t *testing.T) {
	c, ca := newClient(t), newAuthority(t, nil)
	key := ecKey(t, elliptic.P256())
	good := ca.issue(t, key, nil)
	with := func(change func(*x509.Certificate)) map[string]any { return ca.issue(t, key, change).input() }
	edit := func(change func(in *issued)) map[string]any {
		in := good
		change(&in)
		return in.input()
	}
	sec1, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, want string
		in         map[string]any
	}{
		{"no PEM", "ValidationException: Unable to parse certificate.", edit(func(i *issued) { i.cert = []byte("x") })},
		{"a key as certificate", "ValidationException: Unable to parse certificate.", edit(func(i *issued) { i.cert = i.key })},
		{"two certificates", "ValidationException: The certificate field contains more than one certificate.",
			edit(func(i *issued) { i.cert = slices.Concat(i.cert, i.chain) })},
		{"no key", "ValidationException: Unable to parse private key.", edit(func(i *issued) { i.key = i.cert })},
		{"foreign key", "ValidationException: The private key does not match the certificate.",
			edit(func(i *issued) { i.key = ca.issue(t, ecKey(t, elliptic.P256()), nil).key })},
		{"key too long", "ValidationException: 1 validation error detected", edit(func(i *issued) {
			i.key = bytes.Repeat([]byte{'x'}, 5121)
		})},
		{"foreign chain", "ValidationException: Could not validate the certificate with the certificate chain.",
			edit(func(i *issued) { i.chain = block("CERTIFICATE", newAuthority(t, nil).cert.Raw) })},
		{"chain with the leaf", "ValidationException: Could not validate",
			edit(func(i *issued) { i.chain = slices.Concat(i.cert, i.chain) })},
		{"chain of nonsense", "ValidationException: Unable to parse certificate chain.",
			edit(func(i *issued) { i.chain = []byte("x") })},
		{"expired", "ValidationException: The certificate expired at", with(func(c *x509.Certificate) {
			c.NotAfter = time.Now().Add(-time.Minute)
		})},
		{"not valid yet", "ValidationException: The certificate is not valid before",
			with(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })},
		{"small curve", "ValidationException: The key of the certificate is not supported.",
			ca.issue(t, ecKey(t, elliptic.P224()), nil).input()},
		{"unknown ARN", "ResourceNotFoundException: Could not find certificate", addTo(good.input(), "CertificateArn",
			"arn:aws:acm:eu-west-1:123456789012:certificate/00000000-0000-0000-0000-000000000000")},
		{"another partition", "InvalidArnException", addTo(good.input(), "CertificateArn",
			"arn:aws-cn:acm:eu-west-1:123456789012:certificate/1")},
	} {
		t.Run(test.name, func(t *testing.T) { c.refuse(test.want, "ImportCertificate", test.in) })
	}
	if n := row.Certificates.Len(c.store.View()); n != 0 {
		t.Errorf("%d certificates were stored", n)
	}
	c.must("ImportCertificate", edit(func(i *issued) { i.key = block("EC PRIVATE KEY", sec1) }))
}

func addTo(in map[string]any, key string, value any) map[string]any {
	in[key] = value
	return in
}

func TestChainOfTwo(t *testing.T) {
	c, root := newClient(t), newAuthority(t, nil)
	middle := newAuthority(t, root)
	in := middle.issue(t, ecKey(t, elliptic.P384()), nil)
	in.chain = slices.Concat(in.chain, block("CERTIFICATE", root.cert.Raw))
	c.must("ImportCertificate", in.input())
	first := len(block("CERTIFICATE", middle.cert.Raw))
	in.chain = slices.Concat(in.chain[first:], in.chain[:first])
	c.refuse("ValidationException: Could not validate", "ImportCertificate", in.input())
}

func TestReimport(t *testing.T) {
	c, ca := newClient(t), newAuthority(t, nil)
	first := ca.issue(t, ecKey(t, elliptic.P256()), nil)
	arn := c.must("ImportCertificate", first.input())["CertificateArn"]
	second := ca.issue(t, ecKey(t, elliptic.P256()), nil)
	again := c.must("ImportCertificate", addTo(second.input(), "CertificateArn", arn))
	if again["CertificateArn"] != arn {
		t.Errorf("ARN %v became %v", arn, again["CertificateArn"])
	}
	got := c.must("GetCertificate", map[string]any{"CertificateArn": arn})
	if got["Certificate"] != string(second.cert) {
		t.Error("the old certificate is still there")
	}
	other := addTo(ca.issue(t, rsaKey(t, 2048), nil).input(), "CertificateArn", arn)
	c.refuse("ValidationException: The key algorithm", "ImportCertificate", other)
	tagged := addTo(second.input(), "CertificateArn", arn)
	c.refuse("ValidationException: Tagging is not permitted on re-import.", "ImportCertificate",
		addTo(tagged, "Tags", []map[string]string{{"Key": "a"}}))
}

func TestListCertificates(t *testing.T) {
	c, ca := newClient(t), newAuthority(t, nil)
	for _, key := range []crypto.Signer{
		rsaKey(t, 2048), rsaKey(t, 3072), ecKey(t, elliptic.P256()), ecKey(t, elliptic.P521()),
	} {
		c.must("ImportCertificate", ca.issue(t, key, nil).input())
	}
	keys := func(in map[string]any) string {
		var algorithms []string
		for _, s := range c.must("ListCertificates", in)["CertificateSummaryList"].([]any) {
			algorithms = append(algorithms, s.(map[string]any)["KeyAlgorithm"].(string))
		}
		slices.Sort(algorithms)
		return strings.Join(algorithms, " ")
	}
	includes := func(key string, values ...string) map[string]any {
		return map[string]any{"Includes": map[string]any{key: values}}
	}
	for _, test := range []struct {
		name, want string
		in         map[string]any
	}{
		{"default", "RSA_2048", nil},
		{"key types", "EC_prime256v1 RSA_3072", includes("keyTypes", "RSA_3072", "EC_prime256v1")},
		{"status", "RSA_2048", map[string]any{"CertificateStatuses": []string{"ISSUED", "EXPIRED"}}},
		{"other status", "", map[string]any{"CertificateStatuses": []string{"EXPIRED"}}},
		{"key usage", "RSA_2048", includes("keyUsage", "DIGITAL_SIGNATURE")},
		{"other key usage", "", includes("keyUsage", "CRL_SIGNING")},
		{"extended key usage", "", includes("extendedKeyUsage", "CODE_SIGNING")},
	} {
		if got := keys(test.in); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	all := includes("keyTypes", "RSA_2048", "RSA_3072", "EC_prime256v1", "EC_secp521r1")
	page := c.must("ListCertificates", addTo(all, "MaxItems", 3))
	if n := len(page["CertificateSummaryList"].([]any)); n != 3 {
		t.Fatalf("%d items in the first page", n)
	}
	rest := c.must("ListCertificates", addTo(all, "NextToken", page["NextToken"]))
	if n := len(rest["CertificateSummaryList"].([]any)); n != 1 || rest["NextToken"] != nil {
		t.Errorf("%d items in the last page, token %v", n, rest["NextToken"])
	}
	c.refuse("ValidationException", "ListCertificates", map[string]any{"NextToken": "x"})
	c.refuse("ValidationException", "ListCertificates", map[string]any{"SortBy": "CREATED_AT"})
}

func TestDeleteCertificate(t *testing.T) {
	c, ca := newClient(t), newAuthority(t, nil)
	arn := c.must("ImportCertificate", ca.issue(t, ecKey(t, elliptic.P256()), nil).input())["CertificateArn"].(string)
	byARN := map[string]any{"CertificateArn": arn}
	statetest.Update(t, c.store, func(tx *state.Tx) {
		row.Listeners.Put(tx, row.Listener{ARN: "l1", LoadBalancer: "lb", Certificates: []string{arn}})
		row.Listeners.Put(tx, row.Listener{ARN: "l2", LoadBalancer: "lb", Certificate: arn})
	})
	detail := c.must("DescribeCertificate", byARN)["Certificate"].(map[string]any)
	if got := fmt.Sprint(detail["InUseBy"]); got != "[lb]" {
		t.Errorf("InUseBy %s", got)
	}
	c.refuse("ResourceInUseException: Certificate "+arn+" in account 123456789012 is in use.",
		"DeleteCertificate", byARN)
	statetest.Update(t, c.store, func(tx *state.Tx) {
		row.Listeners.Delete(tx, "l1")
		row.Listeners.Delete(tx, "l2")
	})
	c.must("DeleteCertificate", byARN)
	for _, op := range []string{"DeleteCertificate", "DescribeCertificate", "GetCertificate",
		"ListTagsForCertificate"} {
		c.refuse("ResourceNotFoundException", op, byARN)
	}
}

func TestTags(t *testing.T) {
	c, ca := newClient(t), newAuthority(t, nil)
	arn := c.must("ImportCertificate", ca.issue(t, ecKey(t, elliptic.P256()), nil).input())["CertificateArn"]
	tagged := func(pairs ...string) map[string]any {
		var tags []map[string]any
		for i := 0; i < len(pairs); i += 2 {
			tag := map[string]any{"Key": pairs[i]}
			if pairs[i+1] != "" {
				tag["Value"] = pairs[i+1]
			}
			tags = append(tags, tag)
		}
		return map[string]any{"CertificateArn": arn, "Tags": tags}
	}
	c.must("AddTagsToCertificate", tagged("a", "1", "b", "2", "c", "3"))
	c.must("RemoveTagsFromCertificate", tagged("a", "other", "b", "2", "c", ""))
	got := fmt.Sprint(c.must("ListTagsForCertificate", map[string]any{"CertificateArn": arn}))
	if got != "map[Tags:[map[Key:a Value:1]]]" {
		t.Errorf("tags %s", got)
	}
	c.refuse("InvalidTagException", "AddTagsToCertificate", tagged("aws:x", "1"))
}

func TestRequestCertificateSaysWhatToDo(t *testing.T) {
	newClient(t).refuse("ValidationException: RequestCertificate: not served by Fairlead yet",
		"RequestCertificate", map[string]any{"DomainName": "app.test"})
}

func TestPrivateKeyDoesNotPrint(t *testing.T) {
	c := row.Certificate{PrivateKey: "secret"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, c); strings.Contains(text, "secret") {
			t.Errorf("%s prints %s", format, text)
		}
	}
}
