package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"fairlead/examples/ecs-fargate-alb/apply"
)

// pluginDirVar names the directory of Terraform's plugins, which `make run` finds.
const pluginDirVar = "FAIRLEAD_TF_PLUGIN_DIR"

// apply brings the stack up and returns the DNS name of its load balancer.
func (d *demo) apply(ctx context.Context) (string, error) {
	if reason := d.noTerraform(); reason != "" {
		say("Applying the stack with the AWS SDK for Go (%s)", reason)
		return apply.Stack(ctx, apply.Config{
			Endpoint: "http://" + apiAddress, Region: "us-east-1", CertificateDir: d.certificateDir(),
			Log: func(step string) { fmt.Println("  ", step) },
		})
	}
	say("Applying %s with Terraform", d.stack)
	return d.terraform(ctx)
}

// noTerraform tells why Terraform cannot be used; empty when it can.
func (d *demo) noTerraform() string {
	if d.sdk {
		return "as asked"
	}
	if _, err := exec.LookPath("terraform"); err != nil {
		return "Terraform is not installed"
	}
	if os.Getenv(pluginDirVar) == "" {
		return "the Terraform AWS provider is not on this machine"
	}
	return ""
}

func (d *demo) terraform(ctx context.Context) (string, error) {
	files, err := filepath.Glob(filepath.Join(d.stack, "*.tf"))
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("no Terraform files in %s", d.stack)
	}
	work := filepath.Join(d.dir, "terraform")
	if err := os.Mkdir(work, 0o755); err != nil {
		return "", err
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(work, filepath.Base(file)), raw, 0o644); err != nil {
			return "", err
		}
	}
	chdir := "-chdir=" + work
	for _, step := range [][]string{
		{"init", "-input=false", "-plugin-dir=" + os.Getenv(pluginDirVar)},
		{"plan", "-input=false", "-out=plan", "-var=certificate_dir=" + d.certificateDir()},
	} {
		if err := d.quietly(ctx, "terraform", append([]string{chdir}, step...)...); err != nil {
			return "", err
		}
	}
	if err := d.command(ctx, "terraform", chdir, "apply", "-input=false", "plan"); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "terraform", chdir, "output", "-json", "dns_name").Output()
	if err != nil {
		return "", fmt.Errorf("read the load balancer's name: %w", err)
	}
	var name string
	return name, json.Unmarshal(out, &name)
}

// steady waits until every service has all its tasks, healthy behind the load balancer.
func (d *demo) steady(ctx context.Context) error {
	return wait(ctx, func() error {
		s, err := status()
		if err != nil {
			return err
		}
		for _, service := range s.Services {
			if service.Running != service.Desired || service.Pending > 0 || service.Rollout != "COMPLETED" {
				return fmt.Errorf("%s has %d of %d tasks running", service.Name, service.Running, service.Desired)
			}
		}
		return nil
	})
}

// serviceStatus is the part of /_fairlead/status that the demo reads.
type serviceStatus struct {
	Services []struct {
		Name                      string
		Desired, Running, Pending int
		Rollout                   string
	}
}

func status() (s serviceStatus, err error) {
	resp, err := http.Get("http://" + apiAddress + "/_fairlead/status")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}
