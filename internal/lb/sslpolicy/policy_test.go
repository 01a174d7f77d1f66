package sslpolicy

import (
	"crypto/tls"
	"testing"
)

// The counts are those of the tables of the AWS guide.
func TestPolicies(t *testing.T) {
	for name, ciphers := range map[string]int{
		"ELBSecurityPolicy-2016-08":                        18,
		"ELBSecurityPolicy-TLS13-1-2-2021-06":              11,
		"ELBSecurityPolicy-TLS13-1-2-Res-2021-06":          7,
		"ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09":       7,
		"ELBSecurityPolicy-TLS13-1-0-2021-06":              21,
		"ELBSecurityPolicy-TLS-1-0-2015-04":                19,
		"ELBSecurityPolicy-FS-1-2-Res-2020-10":             4,
		"ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-2023-04":    14,
		"ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-PQ-2025-09": 14,
	} {
		p, ok := Lookup(name)
		if !ok || len(p.Ciphers) != ciphers {
			t.Errorf("%s: found %v, %d ciphers, want %d", name, ok, len(p.Ciphers), ciphers)
		}
	}
	if _, ok := Lookup("ELBSecurityPolicy-Nope"); ok {
		t.Error("an unknown policy was found")
	}
	if p, _ := Lookup(""); p.Name != Default {
		t.Errorf("default is %s", p.Name)
	}
}

func TestApply(t *testing.T) {
	p, _ := Lookup("ELBSecurityPolicy-TLS13-1-2-2021-06")
	var c tls.Config
	if err := p.Apply(&c); err != nil {
		t.Fatal(err)
	}
	if c.MinVersion != tls.VersionTLS12 || c.MaxVersion != tls.VersionTLS13 {
		t.Errorf("versions %x to %x", c.MinVersion, c.MaxVersion)
	}
}

func TestNames(t *testing.T) {
	if got := CipherName(tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256); got !=
		"ECDHE-RSA-AES128-GCM-SHA256" {
		t.Error(got)
	}
	if got := VersionName(tls.VersionTLS13); got != "TLSv1.3" {
		t.Error(got)
	}
}
