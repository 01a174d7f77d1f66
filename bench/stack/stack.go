package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"fairlead/examples/ecs-fargate-alb/apply"
)

// stack applies the example and notes when its first task runs and when the first request is
// answered through the load balancer.
func (f *figures) stack(ctx context.Context, binary, dir string) error {
	certificate := filepath.Join(dir, "certificate")
	cmd := exec.CommandContext(ctx, binary, "cert", "new", "--data-dir", filepath.Join(dir, "data"),
		"--out", certificate, "www.twtech.test")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	begin := time.Now()
	_, err := apply.Stack(ctx, apply.Config{Endpoint: endpoint, Region: "us-east-1", CertificateDir: certificate})
	if err != nil {
		return err
	}
	f.apply = append(f.apply, time.Since(begin))
	if err := wait(ctx, running); err != nil {
		return err
	}
	begin = time.Now()
	if err := wait(ctx, answered); err != nil {
		return err
	}
	f.first = append(f.first, time.Since(begin))
	return wait(ctx, steady)
}

// answered makes a request over a new connection through the front door.
func answered() error {
	client := http.Client{Transport: &http.Transport{
		// The figure is about time; that the certificate is the right one is for the tests.
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:443")
		},
	}}
	resp, err := client.Get("https://www.twtech.test/")
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", resp.Status)
	}
	return nil
}

// service is what the figures need of /_fairlead/status.
type service struct {
	Name             string
	Desired, Running int
	Rollout          string
}

func services() ([]service, error) {
	resp, err := http.Get(endpoint + "/_fairlead/status")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var s struct{ Services []service }
	return s.Services, json.NewDecoder(resp.Body).Decode(&s)
}

// running waits for the first task of the web service.
func running() error {
	list, err := services()
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.Name == "twtech-web-app" && s.Running > 0 {
			return nil
		}
	}
	return os.ErrNotExist
}

func steady() error {
	list, err := services()
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.Running != s.Desired || s.Rollout != "COMPLETED" {
			return fmt.Errorf("%s is not steady", s.Name)
		}
	}
	return nil
}
