package elbv2

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"

	"fairlead/internal/api/acm"
	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// AddListenerCertificates adds a certificate to a listener's SNI list; one that is there already is
// no error.
func (s *Service) AddListenerCertificates(
	ctx context.Context, in *api.AddListenerCertificatesInput,
) (*api.AddListenerCertificatesOutput, error) {
	arns, err := certificateARNs(in.Certificates)
	if err != nil {
		return nil, err
	}
	return &api.AddListenerCertificatesOutput{Certificates: listCertificates(arns)},
		s.store.Update(ctx, func(tx *state.Tx) error {
			l, err := findSecureListener(tx, aws.Val(in.ListenerArn))
			if err != nil {
				return err
			}
			for _, arn := range arns {
				if err := checkCertificate(tx, arn); err != nil {
					return err
				}
				if !slices.Contains(l.Certificates, arn) {
					l.Certificates = append(slices.Clone(l.Certificates), arn)
				}
			}
			row.Listeners.Put(tx, l)
			return checkCertificateLimit(tx, l.LoadBalancer)
		})
}

// certificateARNs reads the list of an Add or Remove call.
func certificateARNs(list []api.Certificate) ([]string, error) {
	var arns []string
	for _, c := range list {
		if c.IsDefault != nil { // our own text
			return nil, invalid("'IsDefault' cannot be specified")
		}
		arns = append(arns, aws.Val(c.CertificateArn))
	}
	if len(arns) == 0 { // our own text
		return nil, invalid("A certificate must be specified")
	}
	return arns, nil
}

func checkCertificateLimit(r state.Reader, balancer string) error {
	n := 0
	for l := range row.Listeners.By(r, "balancer", balancer) {
		n += len(l.Certificates)
	}
	if n > maxCertificates { // our own text
		return api.TooManyCertificatesException(
			"A load balancer can only have '%d' certificates", maxCertificates)
	}
	return nil
}

// RemoveListenerCertificates takes certificates out of a listener's SNI list.
func (s *Service) RemoveListenerCertificates(
	ctx context.Context, in *api.RemoveListenerCertificatesInput,
) (*api.RemoveListenerCertificatesOutput, error) {
	arns, err := certificateARNs(in.Certificates)
	if err != nil {
		return nil, err
	}
	return &api.RemoveListenerCertificatesOutput{}, s.store.Update(ctx, func(tx *state.Tx) error {
		l, err := findSecureListener(tx, aws.Val(in.ListenerArn))
		if err != nil {
			return err
		}
		listed := func(arn string) bool { return slices.Contains(l.Certificates, arn) }
		if slices.Contains(arns, l.Certificate) && !listed(l.Certificate) { // our own text
			return api.OperationNotPermittedException("The default certificate cannot be removed")
		}
		l.Certificates = slices.DeleteFunc(slices.Clone(l.Certificates), func(arn string) bool {
			return slices.Contains(arns, arn)
		})
		row.Listeners.Put(tx, l)
		return nil
	})
}

// DescribeListenerCertificates lists the default certificate first, then the SNI list.
func (s *Service) DescribeListenerCertificates(
	_ context.Context, in *api.DescribeListenerCertificatesInput,
) (*api.DescribeListenerCertificatesOutput, error) {
	l, err := findListener(s.store.View(), aws.Val(in.ListenerArn))
	if err != nil {
		return nil, err
	}
	all := listCertificates(l.Certificates)
	if l.Certificate != "" {
		standard := api.Certificate{CertificateArn: &l.Certificate, IsDefault: new(true)}
		all = slices.Insert(all, 0, standard)
	}
	page, next, err := paginate(all, in.Marker, in.PageSize)
	return &api.DescribeListenerCertificatesOutput{Certificates: page, NextMarker: next}, err
}

func listCertificates(arns []string) []api.Certificate {
	list := []api.Certificate{}
	for _, arn := range arns {
		list = append(list, api.Certificate{CertificateArn: new(arn), IsDefault: new(false)})
	}
	return list
}

func findSecureListener(r state.Reader, arn string) (row.Listener, error) {
	l, err := findListener(r, arn)
	if err == nil && l.Protocol != "HTTPS" {
		err = invalid("A certificate cannot be specified for HTTP listeners")
	}
	return l, err
}

// checkCertificate refuses a certificate that is unknown or that no listener can use.
func checkCertificate(r state.Reader, arn string) error {
	c, ok := row.Certificates.Get(r, arn)
	if !ok {
		return api.CertificateNotFoundException("Certificate '%s' not found", arn)
	}
	if c.KeyAlgorithm == string(acm.KeyAlgorithmRSA1024) || !qualified(c) {
		return aws.NewFault("UnsupportedCertificate", "The certificate '%s' must have a "+
			"fully-qualified domain name, a supported signature, and a supported key size.", arn)
	}
	return nil
}

// qualified tells whether a certificate is for a name of at least two labels.
func qualified(c row.Certificate) bool {
	block, _ := pem.Decode([]byte(c.PEM))
	if block == nil {
		return false
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return false
	}
	names := append(slices.Clone(parsed.DNSNames), parsed.Subject.CommonName)
	return slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, ".") })
}
