package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// second are the flags of an instance that runs beside one with the defaults.
var second = []string{"--listen", "127.0.0.1:5566", "--dns", "127.0.0.1:5553", "--front-door", ""}

// fairlead is one instance, as one test or subtest sees it.
type fairlead struct {
	t *testing.T
	*process
}

// process is one instance under test. It is shared by the subtests that use it.
type process struct {
	dir  string
	api  string // address
	args []string
	cmd  *exec.Cmd // nil while it does not run
	log  *lockedBuffer

	launched map[int]bool // pids that TestTakeOver knows
}

// start runs `fairlead serve` on a new data directory and removes everything at the end of the
// test, which fails when something is left.
func start(t *testing.T, args ...string) *fairlead {
	t.Helper()
	if skipReason != "" {
		t.Skip(skipReason)
	}
	f := &fairlead{t, &process{dir: t.TempDir(), api: apiAddress, args: args, log: &lockedBuffer{}}}
	if i := slices.Index(args, "--listen"); i >= 0 {
		f.api = args[i+1]
	}
	before := takeInventory(t, f.tag())
	t.Cleanup(func() {
		f.end()
		f.destroy()
		before.compare(t, f.tag())
		if left := cgroups(t, f.tag()); len(left) > 0 {
			t.Errorf("cgroups of the instance are left: %v", left)
		}
		if t.Failed() {
			t.Logf("fairlead's log:\n%s", f.log)
		}
	})
	f.launch()
	return f
}

// in is the same instance for a subtest.
func (f *fairlead) in(t *testing.T) *fairlead { return &fairlead{t, f.process} }

// tag is how the instance names itself on the machine.
func (p *process) tag() string { return fmt.Sprintf("%x", sha256.Sum256([]byte(p.dir)))[:8] }

// url is the address of one of Fairlead's own endpoints.
func (p *process) url(endpoint string) string { return "http://" + p.api + "/_fairlead/" + endpoint }

// launch starts the process and waits until it is ready.
func (f *fairlead) launch() {
	f.t.Helper()
	args := append([]string{"serve", "--data-dir", f.dir, "--allow-reset"}, f.args...)
	f.cmd = exec.Command(os.Getenv("FAIRLEAD_BIN"), args...)
	f.cmd.Stdout, f.cmd.Stderr = f.log, f.log
	if err := f.cmd.Start(); err != nil {
		f.cmd = nil
		f.t.Fatal(err)
	}
	eventually(f.t, "fairlead is ready", func() error {
		if f.ended() {
			f.t.Fatal("fairlead has ended")
		}
		resp, err := http.Get(f.url("health"))
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

// ended is whether the process has ended by itself. It is a zombie then, for nobody waited for it.
func (p *process) ended() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	return err != nil || bytes.Contains(stat, []byte(") Z "))
}

// kill ends the process with SIGKILL, as a crash would.
func (f *fairlead) kill() {
	f.t.Helper()
	if err := f.cmd.Process.Kill(); err != nil {
		f.t.Fatal(err)
	}
	f.cmd.Wait() // tells what is known: it was killed
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

// destroy removes what the instance left behind. An --ephemeral one has done so itself.
func (f *fairlead) destroy() {
	if _, err := os.Stat(filepath.Join(f.dir, "lock")); errors.Is(err, fs.ErrNotExist) {
		return
	}
	out, err := exec.Command(os.Getenv("FAIRLEAD_BIN"), "destroy", "--data-dir", f.dir).CombinedOutput()
	if err != nil {
		f.t.Errorf("fairlead destroy: %v\n%s", err, out)
	}
}

// status asks for /_fairlead/status.
func (f *fairlead) status() admin.Status {
	f.t.Helper()
	resp, err := http.Get(f.url("status"))
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
func (p *process) env() []string {
	return append(os.Environ(),
		"AWS_ENDPOINT_URL=http://"+p.api, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
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

// certificate has the instance's authority issue the stack's certificate into dir.
func (f *fairlead) certificate(dir string) {
	f.t.Helper()
	f.run(f.dir, os.Getenv("FAIRLEAD_BIN"), "cert", "new", "--data-dir", f.dir, "--out", dir,
		"www.twtech.test", "admin.twtech.test", "*.us-east-1.elb.localhost")
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
