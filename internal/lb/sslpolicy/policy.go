// Package sslpolicy knows the predefined security policies of Application and Network Load
// Balancers: their names, protocols and ciphers, for describing them and for serving them with
// crypto/tls.
package sslpolicy

import (
	"crypto/tls"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Default is the policy of a listener that was created without one through the API.
const Default = "ELBSecurityPolicy-2016-08"

const prefix = "ELBSecurityPolicy-"

// Policy is a predefined security policy.
type Policy struct {
	Name      string
	Protocols []string // such as TLSv1.2, newest first
	Ciphers   []string // names of OpenSSL, by priority
	PQ        bool     // offers hybrid post-quantum groups
}

// cipher is one cipher of the policies.
type cipher struct {
	code byte // a letter that the rows below use
	name string
	id   uint16
}

// ciphers are in the order in which policies list them. Not all of them are implemented by
// crypto/tls: the CBC suites with SHA-384 and AES-256-CBC with SHA-256 are never negotiated.
var ciphers = []cipher{
	{'1', "TLS_AES_128_GCM_SHA256", tls.TLS_AES_128_GCM_SHA256},
	{'2', "TLS_AES_256_GCM_SHA384", tls.TLS_AES_256_GCM_SHA384},
	{'3', "TLS_CHACHA20_POLY1305_SHA256", tls.TLS_CHACHA20_POLY1305_SHA256},
	{'a', "ECDHE-ECDSA-AES128-GCM-SHA256", 0xc02b},
	{'b', "ECDHE-RSA-AES128-GCM-SHA256", 0xc02f},
	{'c', "ECDHE-ECDSA-AES128-SHA256", 0xc023},
	{'d', "ECDHE-RSA-AES128-SHA256", 0xc027},
	{'e', "ECDHE-ECDSA-AES128-SHA", 0xc009},
	{'f', "ECDHE-RSA-AES128-SHA", 0xc013},
	{'g', "ECDHE-ECDSA-AES256-GCM-SHA384", 0xc02c},
	{'h', "ECDHE-RSA-AES256-GCM-SHA384", 0xc030},
	{'i', "ECDHE-ECDSA-AES256-SHA384", 0xc024},
	{'j', "ECDHE-RSA-AES256-SHA384", 0xc028},
	{'k', "ECDHE-RSA-AES256-SHA", 0xc014},
	{'l', "ECDHE-ECDSA-AES256-SHA", 0xc00a},
	{'m', "AES128-GCM-SHA256", 0x009c},
	{'n', "AES128-SHA256", 0x003c},
	{'o', "AES128-SHA", 0x002f},
	{'p', "AES256-GCM-SHA384", 0x009d},
	{'q', "AES256-SHA256", 0x003d},
	{'r', "AES256-SHA", 0x0035},
	{'Z', "DES-CBC3-SHA", 0x000a},
}

// row is one policy: protocols as digits (3 is TLS 1.3, 0 is TLS 1.0), ciphers as codes.
type row struct {
	name, protocols, ciphers string
	pq                       bool // has a twin with the suffix -PQ-2025-09
}

// rows follow "Security policies for your Application Load Balancer" of the AWS guide.
var rows = []row{
	{"2016-08", "210", "abcdefghijklmnopqr", false},
	{"TLS13-1-3-2021-06", "3", "123", true},
	{"TLS13-1-2-Res-2021-06", "32", "123abgh", true},
	{"TLS13-1-2-2021-06", "32", "123abcdghij", true},
	{"TLS13-1-2-Ext1-2021-06", "32", "123abcdghijmnpq", true},
	{"TLS13-1-2-Ext2-2021-06", "32", "123abcdefghijklmnopqr", true},
	{"TLS13-1-1-2021-06", "321", "123abcdefghijklmnopqr", false},
	{"TLS13-1-0-2021-06", "3210", "123abcdefghijklmnopqr", true},
	{"TLS-1-2-Ext-2018-06", "2", "abcdefghijklmnopqr", false},
	{"TLS-1-2-2017-01", "2", "abcdghijmnpq", false},
	{"TLS-1-1-2017-01", "21", "abcdefghijklmnopqr", false},
	{"2015-05", "210", "abcdefghijklmnopqr", false},
	{"TLS-1-0-2015-04", "210", "abcdefghijklmnopqrZ", false},
	{"FS-2018-06", "210", "abcdefghijkl", false},
	{"FS-1-1-2019-08", "21", "abcdefghijkl", false},
	{"FS-1-2-2019-08", "2", "abcdefghijkl", false},
	{"FS-1-2-Res-2019-08", "2", "abcdghij", false},
	{"FS-1-2-Res-2020-10", "2", "abgh", false},
	{"TLS13-1-3-FIPS-2023-04", "3", "12", true},
	{"TLS13-1-2-Res-FIPS-2023-04", "32", "12abgh", true},
	{"TLS13-1-2-FIPS-2023-04", "32", "12abcdghij", true},
	{"TLS13-1-2-Ext0-FIPS-2023-04", "32", "12abcdefghijkl", true},
	{"TLS13-1-2-Ext1-FIPS-2023-04", "32", "12abcdghijmnpq", true},
	{"TLS13-1-2-Ext2-FIPS-2023-04", "32", "12abcdefghijklmnopqr", true},
	{"TLS13-1-1-FIPS-2023-04", "321", "12abcdefghijklmnopqr", false},
	{"TLS13-1-0-FIPS-2023-04", "3210", "12abcdefghijklmnopqr", true},
}

// All returns the policies, the default first.
func All() iter.Seq[Policy] {
	return func(yield func(Policy) bool) {
		for _, r := range rows {
			if !yield(r.policy("", false)) {
				return
			}
		}
		for _, r := range rows {
			if r.pq && !yield(r.policy(r.pqName(), true)) {
				return
			}
		}
	}
}

// pqName replaces the date of the twin without post-quantum groups.
func (r row) pqName() string { return r.name[:len(r.name)-len("2021-06")] + "PQ-2025-09" }

func (r row) policy(name string, pq bool) Policy {
	if name == "" {
		name = r.name
	}
	p := Policy{Name: prefix + name, PQ: pq}
	for _, c := range r.protocols {
		p.Protocols = append(p.Protocols,
			map[rune]string{'3': "TLSv1.3", '2': "TLSv1.2", '1': "TLSv1.1", '0': "TLSv1"}[c])
	}
	for _, c := range ciphers {
		if strings.IndexByte(r.ciphers, c.code) >= 0 {
			p.Ciphers = append(p.Ciphers, c.name)
		}
	}
	return p
}

// Lookup finds a policy by name; empty is the default.
func Lookup(name string) (Policy, bool) {
	if name == "" {
		name = Default
	}
	for p := range All() {
		if p.Name == name {
			return p, true
		}
	}
	return Policy{}, false
}

var versions = map[string]uint16{"TLSv1.3": tls.VersionTLS13, "TLSv1.2": tls.VersionTLS12,
	"TLSv1.1": tls.VersionTLS11, "TLSv1": tls.VersionTLS10}

// Apply sets versions, ciphers and curves of a TLS configuration.
//
// crypto/tls orders ciphers by its own judgement of their strength and does not let the ciphers of
// TLS 1.3 be chosen; a policy with a subset of those offers all three.
func (p Policy) Apply(c *tls.Config) error {
	if len(p.Protocols) == 0 {
		return fmt.Errorf("security policy %q has no protocols", p.Name)
	}
	c.MaxVersion = versions[p.Protocols[0]]
	c.MinVersion = versions[p.Protocols[len(p.Protocols)-1]]
	c.CipherSuites = []uint16{}
	for _, name := range p.Ciphers {
		i := slices.IndexFunc(ciphers, func(c cipher) bool { return c.name == name })
		c.CipherSuites = append(c.CipherSuites, ciphers[i].id)
	}
	c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
	if p.PQ {
		c.CurvePreferences = append([]tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768,
			tls.SecP384r1MLKEM1024}, c.CurvePreferences...)
	}
	return nil
}

// CipherName is the name that OpenSSL has for a cipher suite, as headers and logs show it.
func CipherName(id uint16) string {
	for _, c := range ciphers {
		if c.id == id {
			return c.name
		}
	}
	return tls.CipherSuiteName(id)
}

// VersionName is the name of a protocol version in headers and logs, such as TLSv1.2.
func VersionName(v uint16) string {
	for name, version := range versions {
		if version == v {
			return name
		}
	}
	return ""
}
