package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxDatagram in bytes is UDP's own limit.
const maxDatagram = 64 << 10

// servers is everything that listens.
type servers struct {
	addresses []string
	http      []*http.Server
	others    []io.Closer
	running   sync.WaitGroup
}

func (h *hello) listen(s settings) (*servers, error) {
	all := &servers{}
	for _, open := range []struct {
		ports []string
		serve func(port string) error
	}{
		{s.http, func(port string) error { return all.serveHTTP(port, h.routes(), nil) }},
		{s.https, func(port string) error { return all.serveHTTPS(port, h.routes()) }},
		{s.tcp, all.echoTCP},
		{s.udp, all.echoUDP},
	} {
		for _, port := range open.ports {
			if err := open.serve(port); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// shutdown lets requests in flight finish.
func (a *servers) shutdown(ctx context.Context) error {
	var (
		mu   sync.Mutex
		errs []error
	)
	var waiting sync.WaitGroup
	for _, server := range a.http {
		waiting.Go(func() {
			err := server.Shutdown(ctx)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	for _, other := range a.others {
		_ = other.Close()
	}
	waiting.Wait()
	a.running.Wait()
	return errors.Join(errs...)
}

func (a *servers) serveHTTP(port string, handler http.Handler, secure *tls.Config) error {
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{
		Handler: handler, TLSConfig: secure, ReadHeaderTimeout: time.Minute,
		ErrorLog: log.Default(), Protocols: new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	a.addresses = append(a.addresses, listener.Addr().String())
	a.http = append(a.http, server)
	a.running.Go(func() {
		if secure != nil {
			_ = server.ServeTLS(listener, "", "")
			return
		}
		_ = server.Serve(listener)
	})
	return nil
}

func (a *servers) serveHTTPS(port string, handler http.Handler) error {
	certificate, err := selfSigned()
	if err != nil {
		return err
	}
	secure := &tls.Config{Certificates: []tls.Certificate{certificate}}
	return a.serveHTTP(port, handler, secure)
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "hello"},
		DNSNames:     []string{"hello", "localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(10, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// echoTCP sends back what arrives, until the other side closes or we end.
func (a *servers) echoTCP(port string) error {
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	a.addresses = append(a.addresses, listener.Addr().String()+"/echo")
	a.others = append(a.others, listener)
	a.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { // ends with its connection, at the latest with the process
				defer conn.Close()
				n, _ := io.Copy(conn, conn)
				log.Printf("%s tcp %d bytes", conn.RemoteAddr(), n)
			}()
		}
	})
	return nil
}

// echoUDP sends every datagram back.
func (a *servers) echoUDP(port string) error {
	conn, err := net.ListenPacket("udp", ":"+port)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	a.addresses = append(a.addresses, conn.LocalAddr().String()+"/udp")
	a.others = append(a.others, conn)
	a.running.Go(func() {
		datagram := make([]byte, maxDatagram)
		for {
			n, from, err := conn.ReadFrom(datagram)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(datagram[:n], from)
			log.Printf("%s udp %d bytes", from, n)
		}
	})
	return nil
}
