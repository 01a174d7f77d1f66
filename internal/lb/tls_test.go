package lb

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// certFor makes a self-signed certificate; rsaKey decides on the kind of its key.
func certFor(t *testing.T, id string, rsaKey bool, names ...string) Certificate {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: id},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: names}
	if rsaKey {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		return selfSigned(t, id, tmpl, &k.PublicKey, k)
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return selfSigned(t, id, tmpl, &k.PublicKey, k)
}

func selfSigned(t *testing.T, id string, tmpl *x509.Certificate, pub, key any) Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	return Certificate{ID: id, Cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}
}

// secure makes the listener of a fixture an HTTPS listener.
func secure(certs ...Certificate) func(*Listener) {
	return func(l *Listener) {
		l.Protocol = HTTPS
		l.TLS = &TLS{Policy: "ELBSecurityPolicy-TLS13-1-2-2021-06", Certificates: certs}
	}
}

// httpsClient speaks HTTP/1.1 or HTTP/2 over TLS and believes every certificate.
func httpsClient(t *testing.T, h2 bool) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2: h2}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func TestTLSBodies(t *testing.T) {
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Write(b)
	})
	f := serve(t, groupOf("g", addr), secure(certFor(t, "c", false, "a.example")))
	c := httpsClient(t, false)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for _, size := range []int{0, 1, 20_000, 1 << 20} {
				sent := bytes.Repeat([]byte{byte(i)}, size)
				resp, err := c.Post("https://"+f.addr()+"/", "x/y", bytes.NewReader(sent))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || !bytes.Equal(got, sent) {
					t.Errorf("%d bytes came back as %d (%v)", size, len(got), err)
				}
			}
		})
	}
	wg.Wait()
	for _, r := range f.allRecords() {
		if r.Type != "https" || r.TLSVersion != "TLSv1.3" || r.TLSCipher == "" ||
			r.Certificate != "c" || !strings.HasPrefix(r.ConnTraceID, "TID_") {
			t.Fatalf("record %+v", r)
		}
	}
}

func TestCertificateChoice(t *testing.T) {
	f := serve(t, groupOf("g"), secure(
		certFor(t, "default", false, "default.example"),
		certFor(t, "rsa", true, "both.example"),
		certFor(t, "ecdsa", false, "both.example"),
		certFor(t, "wild", false, "*.wild.example"),
	))
	for name, want := range map[string]string{
		"": "default", "unknown.example": "default", "both.example": "ecdsa",
		"x.wild.example": "wild", "x.y.wild.example": "default", "wild.example": "default",
	} {
		c, err := tls.Dial("tcp", f.addr(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("%q: certificate %s, want %s", name, got, want)
		}
		c.Close()
	}
	c, err := tls.Dial("tcp", f.addr(), &tls.Config{ServerName: "both.example",
		InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != "rsa" {
		t.Errorf("a client without ECDSA got %s", got)
	}
}

// A session is resumed on whatever loop the next connection lands, and after a swap too.
func TestSessionResumption(t *testing.T) {
	f := serve(t, groupOf("g"), secure(certFor(t, "c", false, "a.example")))
	cfg := &tls.Config{InsecureSkipVerify: true, ServerName: "a.example",
		ClientSessionCache: tls.NewLRUClientSessionCache(10)}
	for i := range 12 {
		if i == 6 {
			f.swap(f.spec)
		}
		c, err := tls.Dial("tcp", f.addr(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, hello)
		c.Read(make([]byte, 1)) // the ticket comes before the response
		if got := c.ConnectionState().DidResume; got != (i > 0) {
			t.Errorf("connection %d: resumed = %v", i, got)
		}
		c.Close()
	}
}

func TestTLSPolicyIsEnforced(t *testing.T) {
	f := serve(t, groupOf("g"), secure(certFor(t, "c", false, "a.example")))
	_, err := tls.Dial("tcp", f.addr(), &tls.Config{InsecureSkipVerify: true,
		MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	if err == nil {
		t.Error("TLS 1.1 was accepted by a policy of TLS 1.2 and 1.3")
	}
	if n := f.Stats().LoadBalancers["app/lb/1"].ClientTLSNegotiationErrorCount; n != 1 {
		t.Errorf("ClientTLSNegotiationErrorCount = %d, want 1", n)
	}
}

func TestPlainHTTPOnTLSPort(t *testing.T) {
	f := serve(t, groupOf("g"), secure(certFor(t, "c", false, "a.example")))
	resp, body := f.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp.StatusCode != 400 || !strings.Contains(body, "plain HTTP request was sent to HTTPS") {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

// A handshake that stops half way must not disturb anybody.
func TestUnfinishedHandshakes(t *testing.T) {
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) {})
	f := serve(t, groupOf("g", addr), secure(certFor(t, "c", false, "a.example")))
	f.raw("\x16\x03\x01")
	f.raw("").Close()
	resp, err := httpsClient(t, false).Get("https://" + f.addr())
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
}

func TestTLSTargets(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%d", len(b))
	}))
	t.Cleanup(srv.Close)
	g := groupOf("g", netip.MustParseAddrPort(srv.Listener.Addr().String()))
	g.Protocol = HTTPS
	f := serve(t, g)
	for _, size := range []int{0, 10, 1 << 20} {
		resp, err := http.Post(f.url("/"), "x/y", bytes.NewReader(make([]byte, size)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(b) != fmt.Sprint(size) {
			t.Errorf("target got %q of %d bytes, %v", b, size, err)
		}
	}
}

func TestTLSHandshakeWithPlainTarget(t *testing.T) {
	g := groupOf("g", startTarget(t, func(http.ResponseWriter, *http.Request) {}))
	g.Protocol = HTTPS
	f := serve(t, g)
	if status, _ := get(t, f.url("/")); status != 502 {
		t.Errorf("status %d, want 502", status)
	}
	if n := f.Stats().Groups["g"].TargetTLSNegotiationErrorCount; n != 1 {
		t.Errorf("TargetTLSNegotiationErrorCount = %d, want 1", n)
	}
}

// Listeners that share an address are told apart by SNI and Host.
func TestFrontDoor(t *testing.T) {
	spec := TableSpec{}
	probe, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{certFor(t, "p", false, "p").Cert}})
	if err != nil {
		t.Fatal(err)
	}
	shared := Bind{Addr: netip.MustParseAddrPort(probe.Addr().String()), Shared: true}
	probe.Close()
	for _, name := range []string{"one", "two"} {
		host := name + ".localhost"
		l := Listener{ID: name, LoadBalancer: name, Protocol: HTTPS, Names: []string{host},
			Binds: []Bind{shared}, TLS: &TLS{Certificates: []Certificate{certFor(t, name, false, host)}},
			Default: []Action{{Type: ActionFixedResponse,
				FixedResponse: &FixedResponse{StatusCode: 200, ContentType: "text/plain", Body: name}}}}
		spec.Listeners = append(spec.Listeners, l)
	}
	serveSpec(t, spec)
	for name, want := range map[string]string{"one": "200 one", "two": "200 two"} {
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true,
			ServerName: name + ".localhost"}}
		req, _ := http.NewRequest("GET", "https://"+shared.Addr.String(), nil)
		req.Host = name + ".localhost"
		resp, err := (&http.Client{Transport: tr}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		tr.CloseIdleConnections()
		cn := resp.TLS.PeerCertificates[0].Subject.CommonName
		if got := fmt.Sprintf("%d %s", resp.StatusCode, body); got != want || cn != name {
			t.Errorf("%s: %s with certificate %s", name, got, cn)
		}
	}
}
