// Demo is what `make run` runs: it starts Fairlead, applies the stack of the directory above, waits
// until its services are steady, sends requests through the load balancer and shows what came back.
// It stays up until Ctrl-C and removes everything then.
//
// The stack is applied by Terraform where Terraform and the AWS provider are there, and otherwise by
// the same calls through the AWS SDK for Go (package apply).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const (
	apiAddress = "127.0.0.1:4566"
	// patience is how long each wait may take.
	patience = 2 * time.Minute
	poll     = 200 * time.Millisecond
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	binary := flag.String("fairlead", "bin/fairlead", "the fairlead binary")
	stack := flag.String("stack", "examples/ecs-fargate-alb", "the directory of the stack")
	sdk := flag.Bool("sdk", false, "apply with the AWS SDK even where Terraform is installed")
	once := flag.Bool("once", false, "end after the requests instead of waiting for Ctrl-C")
	flag.Parse()
	d := demo{stack: *stack, sdk: *sdk}
	var err error
	if d.binary, err = filepath.Abs(*binary); err == nil {
		err = d.run(ctx, *once)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

type demo struct {
	binary string
	stack  string
	sdk    bool
	dir    string // of this run: data, certificate, Terraform's files
}

func (d *demo) run(ctx context.Context, once bool) (err error) {
	if d.dir, err = os.MkdirTemp("", "fairlead-demo-"); err != nil {
		return err
	}
	defer os.RemoveAll(d.dir)
	say("Starting Fairlead")
	end, err := d.start(ctx)
	if err != nil {
		return err
	}
	defer func() {
		say("Removing everything")
		err = errors.Join(err, end())
	}()
	if err := d.certificate(ctx); err != nil {
		return err
	}
	dnsName, err := d.apply(ctx)
	if err != nil {
		return err
	}
	say("Waiting until the services are steady")
	if err := d.steady(ctx); err != nil {
		return err
	}
	if err := d.show(ctx, dnsName); err != nil || once {
		return err
	}
	say("Fairlead stays up; Ctrl-C removes everything. In another terminal:")
	fmt.Printf("  eval \"$(%s env)\"\n  aws ecs list-services --cluster twtech\n  %s status\n", d.binary, d.binary)
	<-ctx.Done()
	return nil
}

func say(format string, args ...any) {
	fmt.Printf("\n\033[1m==> "+format+"\033[0m\n", args...)
}

// start runs fairlead serve and returns what ends it.
func (d *demo) start(ctx context.Context) (end func() error, err error) {
	cmd := exec.Command(d.binary, "serve", "--ephemeral", "--data-dir", filepath.Join(d.dir, "data"),
		"--listen", apiAddress)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is ours alone
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start fairlead: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	end = func() error {
		cmd.Process.Signal(syscall.SIGTERM)
		return <-ended
	}
	ready := func() error {
		select {
		case err := <-ended:
			ended <- err
			return fatal{fmt.Errorf("fairlead ended: %w", err)}
		default:
		}
		resp, err := http.Get("http://" + apiAddress + "/_fairlead/health")
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := wait(ctx, ready); err != nil {
		end()
		return nil, err
	}
	return end, nil
}

// fatal is an error that waiting does not mend.
type fatal struct{ error }

// wait tries until look returns nil.
func wait(ctx context.Context, look func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := look()
		if err == nil {
			return nil
		}
		if f, ok := errors.AsType[fatal](err); ok {
			return f.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(poll):
		}
	}
}

// certificate has Fairlead's local authority issue the certificate that the stack imports.
func (d *demo) certificate(ctx context.Context) error {
	say("Issuing a certificate from the local certificate authority")
	return d.command(ctx, d.binary, "cert", "new", "--data-dir", filepath.Join(d.dir, "data"),
		"--out", d.certificateDir(), "www.twtech.test", "admin.twtech.test", "*.us-east-1.elb.localhost")
}

func (d *demo) certificateDir() string { return filepath.Join(d.dir, "certificate") }

// quietly runs a program like command, but shows what it prints only when it fails.
func (d *demo) quietly(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = clientEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w\n%s", name, args, err, out)
	}
	return nil
}

// command runs a program with the environment of AWS clients and shows what it prints.
func (d *demo) command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdout, os.Stderr, clientEnv()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %v: %w", name, args, err)
	}
	return nil
}

// clientEnv is what `fairlead env` prints.
func clientEnv() []string {
	return append(os.Environ(),
		"AWS_ENDPOINT_URL=http://"+apiAddress, "AWS_ACCESS_KEY_ID=fairlead",
		"AWS_SECRET_ACCESS_KEY=fairlead", "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_EC2_METADATA_DISABLED=true", "CHECKPOINT_DISABLE=1", "TF_CLI_CONFIG_FILE="+os.DevNull,
	)
}
