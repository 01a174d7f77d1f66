package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fairlead/internal/admin"
)

const (
	apiAddress = "127.0.0.1:4566"
	// patience is how long a test waits for something that needs containers, probes or draining.
	patience = 90 * time.Second
	// poll is the pause between two looks.
	poll = 50 * time.Millisecond
)

// fairlead is one instance under test.
type fairlead struct {
	t    *testing.T
	dir  string
	args []string
	cmd  *exec.Cmd
	log  *lockedBuffer
}

// start runs `fairlead serve` on a new data directory and removes everything at the end of the
// test, which fails when something is left.
func start(t *testing.T, args ...string) *fairlead {
	t.Helper()
	if skipReason != "" {
		t.Skip(skipReason)
	}
	f := &fairlead{t: t, dir: t.TempDir(), args: args}
	before := takeInventory(t, f.tag())
	t.Cleanup(func() {
		f.end()
		f.destroy()
		before.compare(t, f.tag())
		if t.Failed() {
			t.Logf("fairlead's log:\n%s", f.log)
		}
	})
	f.log = &lockedBuffer{}
	f.launch()
	return f
}

// tag is how the instance names itself on the machine.
func (f *fairlead) tag() string { return fmt.Sprintf("%x", sha256.Sum256([]byte(f.dir)))[:8] }

// launch starts the process and waits until it is ready.
func (f *fairlead) launch() {
	f.t.Helper()
	args := append([]string{"serve", "--data-dir", f.dir, "--allow-reset"}, f.args...)
	f.cmd = exec.Command(os.Getenv("FAIRLEAD_BIN"), args...)
	f.cmd.Stdout, f.cmd.Stderr = f.log, f.log
	if err := f.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	eventually(f.t, "fairlead is ready", func() error {
		resp, err := http.Get("http://" + apiAddress + "/_fairlead/health")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("health answers %s", resp.Status)
		}
		return nil
	})
}

// kill ends the process with SIGKILL, as a crash would.
func (f *fairlead) kill() {
	f.t.Helper()
	f.cmd.Process.Kill()
	f.cmd.Wait()
	f.cmd = nil
}

// end ends the process with SIGTERM.
func (f *fairlead) end() {
	if f.cmd == nil {
		return
	}
	f.cmd.Process.Signal(syscall.SIGTERM)
	if err := f.cmd.Wait(); err != nil {
		f.t.Errorf("fairlead ended with %v", err)
	}
	f.cmd = nil
}

func (f *fairlead) destroy() {
	out, err := exec.Command(os.Getenv("FAIRLEAD_BIN"), "destroy", "--data-dir", f.dir).CombinedOutput()
	if err != nil {
		f.t.Errorf("fairlead destroy: %v\n%s", err, out)
	}
}

// status asks for /_fairlead/status.
func (f *fairlead) status() admin.Status {
	f.t.Helper()
	resp, err := http.Get("http://" + apiAddress + "/_fairlead/status")
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	var s admin.Status
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		f.t.Fatal(err)
	}
	return s
}

// env is the environment of AWS clients.
func (f *fairlead) env() []string {
	return append(os.Environ(),
		"AWS_ENDPOINT_URL=http://"+apiAddress, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_PAGER=", "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1", "TF_CLI_CONFIG_FILE="+os.DevNull,
	)
}

// run runs a command in dir with the clients' environment and fails the test when it fails.
func (f *fairlead) run(dir, name string, args ...string) string {
	f.t.Helper()
	out, err := f.try(dir, name, args...)
	if err != nil {
		f.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func (f *fairlead) try(dir, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(f.t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, f.env()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// aws runs the AWS CLI and returns its output.
func (f *fairlead) aws(args ...string) string {
	f.t.Helper()
	return strings.TrimSpace(f.run(f.dir, "aws", args...))
}

// query runs the AWS CLI with --query and text output.
func (f *fairlead) query(query string, args ...string) string {
	f.t.Helper()
	return f.aws(append(args, "--output", "text", "--query", query)...)
}

// needCLI skips without the AWS CLI.
func needCLI(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the AWS CLI is not installed")
	}
}

// needTerraform skips without Terraform or the provider.
func needTerraform(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Skip("Terraform is not installed")
	}
	if os.Getenv("FAIRLEAD_TF_PLUGIN_DIR") == "" {
		t.Skip("FAIRLEAD_TF_PLUGIN_DIR does not name a directory with the AWS provider")
	}
}

// eventually waits until look returns nil.
func eventually(t *testing.T, what string, look func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := look()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s: %v", patience, what, err)
		}
		time.Sleep(poll)
	}
}

// stack is a copy of examples/ecs-fargate-alb with a certificate.
func (f *fairlead) stack() string {
	f.t.Helper()
	dir := f.t.TempDir()
	files, err := filepath.Glob("../../examples/ecs-fargate-alb/*.tf")
	if err != nil || len(files) == 0 {
		f.t.Fatalf("find the stack: %v, %d files", err, len(files))
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), raw, 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
	f.run(dir, os.Getenv("FAIRLEAD_BIN"), "cert", "new", "--data-dir", f.dir,
		"--out", filepath.Join(dir, "certificate"), "www.twtech.test", "admin.twtech.test")
	return dir
}

// lockedBuffer collects the output of a process.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
