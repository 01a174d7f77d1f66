package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// site is a load balancer as its clients see it.
type site struct {
	t       *testing.T
	dnsName string
	roots   *x509.CertPool
}

// visit returns the site with this DNS name whose certificate the stack in dir made.
func visit(t *testing.T, dir, dnsName string) *site {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "certificate", "chain.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(raw) {
		t.Fatal("chain.pem holds no certificate")
	}
	return &site{t: t, dnsName: dnsName, roots: roots}
}

// client connects every host to the load balancer, whose name it resolves by Fairlead's DNS. It
// does not follow redirects. fresh makes a connection per request.
func (s *site) client(http2, fresh bool) *http.Client {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:4553")
	}}
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: s.roots},
		DisableKeepAlives: fresh,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			ips, err := resolver.LookupNetIP(ctx, "ip4", s.dnsName+".")
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(ips[0].String(), port))
		},
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport.Protocols = protocols
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// echo is what fairlead/hello says of a request.
type echo struct {
	Host    string      `json:"host"`    // of the container that answers
	Message string      `json:"message"` // environment variable MESSAGE
	Version string      `json:"version"` // tag of the image
	Proto   string      `json:"proto"`
	Path    string      `json:"path"`
	Headers http.Header `json:"headers"`
}

// ask makes a request that the demo server echoes.
func ask(client *http.Client, url string) (echo, *http.Response, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return echo{}, nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return echo{}, nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return echo{}, resp, err
	}
	if resp.StatusCode != http.StatusOK {
		return echo{}, resp, fmt.Errorf("%s answers %s: %.200s", url, resp.Status, raw)
	}
	var e echo
	if err := json.Unmarshal(raw, &e); err != nil {
		return echo{}, resp, fmt.Errorf("%s answers %.200q: %w", url, raw, err)
	}
	return e, resp, nil
}
