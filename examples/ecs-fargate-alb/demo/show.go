package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// show sends requests through the load balancer and prints what came back.
func (d *demo) show(ctx context.Context, dnsName string) error {
	client, err := d.client()
	if err != nil {
		return err
	}
	say("Requests through the load balancer")
	var chain []*x509.Certificate
	for _, url := range []string{
		"http://" + dnsName + "/", "https://www.twtech.test/", "https://www.twtech.test/",
		"https://www.twtech.test/api/users", "https://admin.twtech.test/",
	} {
		answer, state, err := get(ctx, client, url)
		if err != nil {
			return err
		}
		fmt.Printf("  %-44s %s\n", url, answer)
		if state != nil {
			chain = state.PeerCertificates
		}
	}
	say("Certificate chain")
	for _, c := range chain {
		fmt.Printf("  %s, issued by %s, for %s, until %s\n", c.Subject.CommonName, c.Issuer.CommonName,
			strings.Join(c.DNSNames, " "), c.NotAfter.Format("2006-01-02"))
	}
	say("Open https://%s/", dnsName)
	fmt.Printf("  or: curl --cacert %s --connect-to ::%s: https://www.twtech.test/\n",
		filepath.Join(d.certificateDir(), "chain.pem"), dnsName)
	return d.command(ctx, d.binary, "status", "--endpoint", "http://"+apiAddress)
}

// client trusts the local authority and goes to the front door whatever the host is called.
func (d *demo) client() (*http.Client, error) {
	raw, err := os.ReadFile(filepath.Join(d.certificateDir(), "chain.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(raw)
	return &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				_, port, _ := net.SplitHostPort(address)
				return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// get returns one line about the answer, and the TLS state.
func get(ctx context.Context, client *http.Client, url string) (string, *tls.ConnectionState, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	line := fmt.Sprintf("%d %s", resp.StatusCode, resp.Header.Get("Location"))
	var who struct{ Message, Host, Task string }
	if json.NewDecoder(resp.Body).Decode(&who) == nil {
		line += fmt.Sprintf("from %s on %s %.8s", who.Message, who.Host, who.Task)
	}
	return line, resp.TLS, nil
}
