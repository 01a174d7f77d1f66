// Package lbfile runs the data plane alone, from a declarative JSON file: listeners, certificates,
// rules, target groups and targets. It is what "fairlead lb --config FILE" does, for benchmarks,
// for tests, and for whoever wants only a load balancer.
//
// The file is watched: when it, or a certificate it names, changes, the new table replaces the old
// one without disturbing traffic; a file with errors is reported and changes nothing. [Schema]
// returns the JSON schema of the format.
package lbfile

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"fairlead/internal/lb"
)

// File is the top of a configuration file.
type File struct {
	Listeners    []Listener    `json:"listeners" doc:"what to accept"`
	TargetGroups []TargetGroup `json:"target_groups,omitempty" doc:"where to forward to"`
	Handover     string        `json:"handover_socket,omitempty" doc:"Unix socket over which a successor takes the listening sockets; a second process with the same configuration replaces the first without refusing a connection"`
	JWKSRoots    string        `json:"jwks_ca_file,omitempty" doc:"authorities, in PEM, that JWKS endpoints may have their certificates from besides those of the system; read at the start"`
	AccessLog    string        `json:"access_log,omitempty" doc:"file for access-log lines; - is standard output; empty turns the log off"`
}

// Listener accepts HTTP or HTTPS on addresses.
type Listener struct {
	ID             string        `json:"id" doc:"unique name"`
	Protocol       string        `json:"protocol" doc:"HTTP or HTTPS"`
	Addresses      []string      `json:"addresses" doc:"IP:port; port 0 takes a free one"`
	Shared         bool          `json:"shared,omitempty" doc:"share the addresses with other listeners; names tell them apart"`
	Names          []string      `json:"names,omitempty" doc:"host names or wildcards on shared addresses"`
	SSLPolicy      string        `json:"ssl_policy,omitempty" doc:"such as ELBSecurityPolicy-TLS13-1-2-2021-06"`
	Certificates   []Certificate `json:"certificates,omitempty" doc:"the default first, then the SNI list"`
	Rules          []Rule        `json:"rules,omitempty" doc:"tried by priority"`
	DefaultActions []Action      `json:"default_actions" doc:"what to do when no rule matches"`
	Attributes     Attributes    `json:"attributes,omitzero" doc:"attributes of load balancer and listener"`
}

// Certificate names the files of a certificate chain and its key, in PEM.
type Certificate struct {
	CertFile string `json:"cert_file"`
	KeyFile  string `json:"key_file"`
}

// Rule routes requests that meet all conditions.
type Rule struct {
	Priority   int         `json:"priority" doc:"1 to 50000"`
	Conditions []Condition `json:"conditions"`
	Actions    []Action    `json:"actions"`
	Transforms []Transform `json:"transforms,omitempty" doc:"at most one of each type, with a forward"`
}

// Condition is met when any of its values matches.
type Condition struct {
	Field       string         `json:"field" doc:"host-header, path-pattern, http-header, query-string, http-request-method or source-ip"`
	HeaderName  string         `json:"header_name,omitempty" doc:"for http-header"`
	Values      []string       `json:"values,omitempty" doc:"patterns with * and ?, methods or CIDRs"`
	RegexValues []string       `json:"regex_values,omitempty" doc:"for host-header, path-pattern and http-header"`
	QueryValues []lb.QueryPair `json:"query_values,omitempty" doc:"for query-string"`
}

// Action answers a request, or lets it on to the action that does; exactly one of its parts besides
// Type must be there.
type Action struct {
	Type          string            `json:"type" doc:"forward, redirect or fixed-response; on HTTPS listeners jwt-validation may stand before it"`
	TargetGroups  []WeightedGroup   `json:"target_groups,omitempty" doc:"for forward"`
	Stickiness    int               `json:"group_stickiness_seconds,omitempty" doc:"for forward; 0 is off"`
	Redirect      *lb.Redirect      `json:"redirect,omitempty" doc:"for redirect"`
	FixedResponse *lb.FixedResponse `json:"fixed_response,omitempty" doc:"for fixed-response"`
	JWTValidation *lb.JWTValidation `json:"jwt_validation,omitempty" doc:"for jwt-validation; Format is single-string, string-array or space-separated-values"`
}

// WeightedGroup is one of the groups of a forward action.
type WeightedGroup struct {
	ID     string `json:"id"`
	Weight *int   `json:"weight,omitempty" doc:"0 to 999, 1 by default"`
}

// Attributes are the attributes of a load balancer.
type Attributes struct {
	IdleTimeout        int         `json:"idle_timeout_seconds,omitempty" doc:"60 by default"`
	ClientKeepAlive    int         `json:"client_keep_alive_seconds,omitempty" doc:"3600 by default"`
	Desync             string      `json:"desync_mitigation_mode,omitempty" doc:"monitor, defensive (default) or strictest"`
	XFF                string      `json:"xff_header_processing_mode,omitempty" doc:"append (default), preserve or remove"`
	XFFClientPort      bool        `json:"xff_client_port,omitempty"`
	PreserveHost       bool        `json:"preserve_host_header,omitempty"`
	DropInvalidHeaders bool        `json:"drop_invalid_header_fields,omitempty"`
	TLSHeaders         bool        `json:"x_amzn_tls_version_and_cipher_suite,omitempty"`
	DisableHTTP2       bool        `json:"disable_http2,omitempty"`
	HideServerHeader   bool        `json:"hide_server_header,omitempty"`
	ResponseHeaders    []lb.Header `json:"response_headers,omitempty" doc:"set in every response"`
}

// maxFile is the largest configuration file, in bytes.
const maxFile = 16 << 20

// Load reads a configuration file. Members that the format does not have are errors. Relative file
// names in it are relative to its directory.
func Load(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("configuration %s is larger than %d bytes", path, maxFile)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	f, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	f.Handover = within(filepath.Dir(path), f.Handover)
	f.JWKSRoots = within(filepath.Dir(path), f.JWKSRoots)
	for i := range f.Listeners {
		for j := range f.Listeners[i].Certificates {
			c := &f.Listeners[i].Certificates[j]
			c.CertFile = within(filepath.Dir(path), c.CertFile)
			c.KeyFile = within(filepath.Dir(path), c.KeyFile)
		}
	}
	return f, nil
}

func within(dir, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// Parse decodes a configuration.
func Parse(b []byte) (*File, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var f File
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	if dec.More() {
		return nil, errors.New("parse: text after the end")
	}
	return &f, nil
}

// Spec makes the table of the data plane; certificates are read from their files.
func (f *File) Spec() (lb.TableSpec, error) {
	var spec lb.TableSpec
	var errs []error
	for i := range f.Listeners {
		l, err := f.Listeners[i].spec(f.AccessLog != "")
		if err != nil {
			errs = append(errs, fmt.Errorf("listener %s: %w", f.Listeners[i].ID, err))
		}
		spec.Listeners = append(spec.Listeners, l)
	}
	for i := range f.TargetGroups {
		g, err := f.TargetGroups[i].spec()
		if err != nil {
			errs = append(errs, fmt.Errorf("target group %s: %w", f.TargetGroups[i].ID, err))
		}
		spec.Groups = append(spec.Groups, g)
	}
	return spec, errors.Join(errs...)
}

func (l *Listener) spec(logged bool) (lb.Listener, error) {
	out := lb.Listener{ID: l.ID, LoadBalancer: l.ID, Protocol: lb.Protocol(l.Protocol),
		Names: l.Names, Default: actions(l.DefaultActions), Attributes: l.Attributes.spec()}
	out.Attributes.AccessLog = logged
	var errs []error
	for _, a := range l.Addresses {
		addr, err := netip.ParseAddrPort(a)
		errs = append(errs, err)
		out.Binds = append(out.Binds, lb.Bind{Addr: addr, Shared: l.Shared})
	}
	if len(l.Certificates) > 0 || l.SSLPolicy != "" {
		out.TLS = &lb.TLS{Policy: l.SSLPolicy}
	}
	for _, c := range l.Certificates {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			errs = append(errs, fmt.Errorf("certificate %s: %w", c.CertFile, err))
		}
		out.TLS.Certificates = append(out.TLS.Certificates,
			lb.Certificate{ID: c.CertFile, Cert: pair})
	}
	for _, r := range l.Rules {
		rule := lb.Rule{Priority: r.Priority, Actions: actions(r.Actions)}
		for _, c := range r.Conditions {
			rule.Conditions = append(rule.Conditions, c.spec())
		}
		for _, t := range r.Transforms {
			rule.Transforms = append(rule.Transforms, t.spec())
		}
		out.Rules = append(out.Rules, rule)
	}
	return out, errors.Join(errs...)
}

func (c Condition) spec() lb.Condition {
	return lb.Condition{Field: lb.ConditionField(c.Field), HeaderName: c.HeaderName,
		Values: c.Values, Regex: c.RegexValues, Query: c.QueryValues}
}

func actions(in []Action) []lb.Action {
	var out []lb.Action
	for _, a := range in {
		action := lb.Action{Type: lb.ActionType(a.Type), Redirect: a.Redirect,
			FixedResponse: a.FixedResponse, JWTValidation: a.JWTValidation}
		if a.TargetGroups != nil {
			action.Forward = &lb.Forward{Stickiness: seconds(a.Stickiness)}
		}
		for _, g := range a.TargetGroups {
			w := lb.WeightedGroup{Group: g.ID, Weight: 1}
			if g.Weight != nil {
				w.Weight = *g.Weight
			}
			action.Forward.Groups = append(action.Forward.Groups, w)
		}
		out = append(out, action)
	}
	return out
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func (a Attributes) spec() lb.Attributes {
	return lb.Attributes{
		IdleTimeout: seconds(a.IdleTimeout), ClientKeepAlive: seconds(a.ClientKeepAlive),
		Desync: lb.DesyncMode(a.Desync), XFF: lb.XFFMode(a.XFF), XFFClientPort: a.XFFClientPort,
		PreserveHost: a.PreserveHost, DropInvalidHeaders: a.DropInvalidHeaders,
		TLSHeaders: a.TLSHeaders, DisableHTTP2: a.DisableHTTP2,
		HideServerHeader: a.HideServerHeader, ResponseHeaders: a.ResponseHeaders,
	}
}
