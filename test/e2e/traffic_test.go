package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTraffic sends requests to the stack by the load balancer's own addresses and by the front door.
func TestTraffic(t *testing.T) {
	s := start(t).bringUp(nil)
	s.site.checkRouting(t)
	t.Run("certificate", s.site.checkCertificate)
	t.Run("front door", s.site.checkFrontDoor)
	t.Run("curl", s.checkCurl)
}

// checkRouting sends requests the ways that the listeners and rules tell apart.
func (s *site) checkRouting(t *testing.T) {
	for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(proto, func(t *testing.T) { s.checkProtocol(t, http2, proto) })
	}
	t.Run("redirect", func(t *testing.T) { checkRedirect(t, s.client(t, false, true)) })
}

func (s *site) checkProtocol(t *testing.T, http2 bool, proto string) {
	client := s.client(t, http2, false)
	hosts := map[string]int{}
	for range 20 {
		e, resp, err := ask(client, "https://www.twtech.test/page")
		if err != nil {
			t.Fatal(err)
		}
		if resp.Proto != proto || e.Message != "web" {
			t.Fatalf("%s answers over %s, want web over %s", e.Message, resp.Proto, proto)
		}
		checkHeaders(t, e)
		hosts[e.Host]++
	}
	if len(hosts) != 2 {
		t.Errorf("20 requests were answered by %v, want two tasks", hosts)
	}
	for _, url := range []string{"https://www.twtech.test/api/x", "https://admin.twtech.test/"} {
		if e, _, err := ask(client, url); err != nil || e.Message != "api" {
			t.Errorf("%s is answered by %q (%v), want api", url, e.Message, err)
		}
	}
}

func checkHeaders(t *testing.T, e echo) {
	t.Helper()
	for name, want := range map[string]string{"X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"} {
		if got := e.Headers.Get(name); got != want {
			t.Errorf("the task sees %s: %q, want %q", name, got, want)
		}
	}
	if got := e.Headers.Get("X-Forwarded-For"); !strings.HasPrefix(got, "127.") {
		t.Errorf("the task sees X-Forwarded-For: %q, want the client's loopback address", got)
	}
	if got := e.Headers.Get("X-Amzn-Trace-Id"); !strings.HasPrefix(got, "Root=1-") {
		t.Errorf("the task sees X-Amzn-Trace-Id: %q", got)
	}
}

func checkRedirect(t *testing.T, client *http.Client) {
	resp, err := client.Get("http://www.twtech.test/a?b=c")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	location := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusMovedPermanently || location != "https://www.twtech.test:443/a?b=c" {
		t.Errorf("port 80 answers %s to %q", resp.Status, location)
	}
}

// flows waits until requests are answered again after a restart, which opens its listeners a moment
// after the API.
func (s *site) flows(t *testing.T) {
	t.Helper()
	client := s.client(t, false, true)
	eventually(t, "traffic flows again", func() error {
		_, _, err := ask(client, "https://www.twtech.test/")
		return err
	})
}

// checkCertificate compares what is served with what was imported.
func (s *site) checkCertificate(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(s.dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	imported, _ := pem.Decode(raw)
	if imported == nil {
		t.Fatal("cert.pem is no PEM file")
	}
	address, err := s.resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, offer := range [][]string{{"http/1.1"}, {"h2", "http/1.1"}} {
		conn, err := tls.Dial("tcp", net.JoinHostPort(address, "443"), &tls.Config{
			RootCAs: s.roots, ServerName: "www.twtech.test", NextProtos: offer,
		})
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		state := conn.ConnectionState()
		if got := state.PeerCertificates[0]; string(got.Raw) != string(imported.Bytes) {
			t.Errorf("served is the certificate of %v, number %v", got.DNSNames, got.SerialNumber)
		}
		if state.NegotiatedProtocol != offer[0] {
			t.Errorf("of %v ALPN chooses %q", offer, state.NegotiatedProtocol)
		}
	}
}

// checkFrontDoor goes to 127.0.0.1, where load balancers are told apart by Host and SNI.
func (s *site) checkFrontDoor(t *testing.T) {
	client := s.clientTo(t, false, true, func(context.Context) (string, error) { return "127.0.0.1", nil })
	checkRedirect(t, client)
	for url, want := range map[string]string{
		"https://www.twtech.test/": "web", "https://admin.twtech.test/": "api",
		"https://" + s.dnsName + "/": "web", "https://" + s.dnsName + "/api/": "api",
	} {
		if e, _, err := ask(client, url); err != nil || e.Message != want {
			t.Errorf("%s is answered by %q (%v), want %s", url, e.Message, err, want)
		}
	}
}

// checkCurl opens the name as Terraform prints it. curl knows that *.localhost is this machine.
func (s *stack) checkCurl(t *testing.T) {
	s = s.in(t)
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	name := s.site.dnsName
	got := s.run(s.dir, "curl", "-sS", "--max-time", "10", "-o", "/dev/null",
		"-w", "%{http_code} %{redirect_url}", "http://"+name+"/")
	if want := "301 https://" + name + ":443/"; got != want {
		t.Errorf("curl http://%s/ sees %q, want %q", name, got, want)
	}
	got = s.run(s.dir, "curl", "-sSL", "--max-time", "10", "--cacert", filepath.Join(s.dir, "chain.pem"),
		"http://"+name+"/")
	if !strings.HasPrefix(got, "web: ") {
		t.Errorf("curl -L http://%s/ sees %q", name, got)
	}
}

// site is a load balancer as its clients see it.
type site struct {
	dnsName string
	dir     string // of the certificate that it serves
	roots   *x509.CertPool
}

// visit returns the site with this DNS name and the certificate in dir.
func visit(t *testing.T, dir, dnsName string) *site {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "chain.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(raw) {
		t.Fatal("chain.pem holds no certificate")
	}
	return &site{dnsName: dnsName, dir: dir, roots: roots}
}

// resolve asks Fairlead's DNS for the load balancer's address.
func (s *site) resolve(ctx context.Context) (string, error) {
	dns := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:4553")
	}}
	ips, err := dns.LookupNetIP(ctx, "ip4", s.dnsName+".")
	if err != nil {
		return "", err
	}
	return ips[0].String(), nil
}

// client connects every host to the load balancer's own address. fresh makes a connection per
// request.
func (s *site) client(t *testing.T, http2, fresh bool) *http.Client {
	t.Helper()
	return s.clientTo(t, http2, fresh, s.resolve)
}

// clientIdle is shorter than the balancer's idle timeout, as AWS wants of clients: else the end of an
// idle connection could meet a request.
const clientIdle = 5 * time.Second

// clientTo connects every host to the address that resolve returns. It follows no redirects.
func (s *site) clientTo(
	t *testing.T, http2, fresh bool, resolve func(context.Context) (string, error),
) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: s.roots},
		DisableKeepAlives: fresh,
		IdleConnTimeout:   clientIdle,
		Protocols:         new(http.Protocols),
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			ip, err := resolve(ctx)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(ip, port))
		},
	}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetHTTP2(http2)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// echo is what fairlead/hello says of a request.
type echo struct {
	Task    string      `json:"task"`    // that answers; empty if its start found no metadata endpoint
	Host    string      `json:"host"`    // name of the container
	Message string      `json:"message"` // environment variable MESSAGE
	Version string      `json:"version"` // tag of the image
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
