package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// terraform runs Terraform on a copy of the example stack.
type terraform struct {
	*fairlead
	dir string
}

func (f *fairlead) terraform() *terraform {
	f.t.Helper()
	tf := &terraform{f, f.stack()}
	tf.do("init", "-input=false", "-no-color", "-plugin-dir="+os.Getenv("FAIRLEAD_TF_PLUGIN_DIR"))
	return tf
}

func (tf *terraform) do(args ...string) string {
	tf.t.Helper()
	return tf.run(tf.dir, "terraform", args...)
}

func (tf *terraform) apply(vars ...string) string {
	tf.t.Helper()
	return tf.do(append([]string{"apply", "-auto-approve", "-input=false", "-no-color"}, flags(vars)...)...)
}

func (tf *terraform) destroyStack() {
	tf.t.Helper()
	tf.do("destroy", "-auto-approve", "-input=false", "-no-color")
}

// planIsEmpty fails the test when Terraform would change something.
func (tf *terraform) planIsEmpty(vars ...string) {
	tf.t.Helper()
	args := append([]string{"plan", "-detailed-exitcode", "-input=false", "-no-color"}, flags(vars)...)
	out, err := tf.try(tf.dir, "terraform", args...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 2 {
		tf.t.Errorf("the plan after apply is not empty:\n%s", out)
	} else if err != nil {
		tf.t.Fatalf("terraform plan: %v\n%s", err, out)
	}
}

func flags(vars []string) []string {
	var out []string
	for _, v := range vars {
		out = append(out, "-var="+v)
	}
	return out
}

func (tf *terraform) output(name string) string {
	tf.t.Helper()
	var s string
	if err := json.Unmarshal([]byte(tf.do("output", "-json", name)), &s); err != nil {
		tf.t.Fatal(err)
	}
	return s
}

// site waits until the whole stack serves and returns its load balancer.
func (tf *terraform) site(web, api int) *site {
	tf.t.Helper()
	tf.steady(web, api)
	return visit(tf.t, tf.dir, tf.output("dns_name"))
}

// steady waits until both services have their tasks, all healthy, and no others.
func (f *fairlead) steady(web, api int) {
	f.t.Helper()
	want := map[string]int{"twtech-web-app": web, "twtech-api": api}
	eventually(f.t, "the services are steady", func() error {
		for _, s := range f.status().Services {
			if s.Running != want[s.Name] || len(s.Tasks) != s.Running || s.Rollout != "COMPLETED" {
				return fmt.Errorf("%s: %d running of %d tasks, want %d; rollout %s", s.Name, s.Running,
					len(s.Tasks), want[s.Name], s.Rollout)
			}
			for _, task := range s.Tasks {
				if len(task.Targets) != 1 || task.Targets[0].State != "healthy" {
					return fmt.Errorf("%s: task %s has targets %+v", s.Name, task.ID, task.Targets)
				}
			}
		}
		return nil
	})
}

func TestTerraform(t *testing.T) {
	f := start(t)
	needTerraform(t)
	before := takeInventory(t, f.tag())
	tf := f.terraform()
	tf.apply()
	tf.planIsEmpty()
	site := tf.site(2, 1)
	site.checkRouting()

	t.Run("desired count in place", func(t *testing.T) {
		out := tf.apply("desired_count=3")
		if !strings.Contains(out, "0 added, 1 changed, 0 destroyed") {
			t.Errorf("apply says:\n%s", out)
		}
		tf.planIsEmpty("desired_count=3")
		tf.steady(3, 1)
	})
	t.Run("rule in place", func(t *testing.T) {
		vars := []string{"desired_count=3", `api_paths=["/api/*","/v2/*"]`}
		out := tf.apply(vars...)
		if !strings.Contains(out, "0 added, 1 changed, 0 destroyed") {
			t.Errorf("apply says:\n%s", out)
		}
		tf.planIsEmpty(vars...)
		eventually(t, "/v2/ reaches the API", func() error {
			e, _, err := ask(site.client(false, true), "https://www.twtech.test/v2/x")
			if err != nil || e.Message != "api" {
				return fmt.Errorf("%s answers: %w", e.Message, err)
			}
			return nil
		})
	})
	t.Run("image in place", func(t *testing.T) {
		vars := []string{"desired_count=3", `api_paths=["/api/*","/v2/*"]`, "image=fairlead/hello:v2"}
		tf.apply(vars...)
		tf.planIsEmpty(vars...)
		tf.steady(3, 1)
		e, _, err := ask(site.client(false, true), "https://www.twtech.test/")
		if err != nil || e.Version != "v2" {
			t.Errorf("version %q answers (%v), want v2", e.Version, err)
		}
	})
	tf.destroyStack()
	eventually(t, "the devices are gone", func() error { return before.difference(t, f.tag()) })
	tf.nothingRuns()
}

// checkRouting sends requests the ways that the listeners and rules tell apart.
func (s *site) checkRouting() {
	s.t.Helper()
	for _, http2 := range []bool{false, true} {
		proto := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2]
		s.t.Run(proto, func(t *testing.T) { s.checkProtocol(t, http2, proto) })
	}
	s.t.Run("redirect", s.checkRedirect)
}

func (s *site) checkProtocol(t *testing.T, http2 bool, proto string) {
	client := s.client(http2, false)
	hosts := map[string]int{}
	for range 20 {
		e, resp, err := ask(client, "https://www.twtech.test/page")
		if err != nil {
			t.Fatal(err)
		}
		if resp.Proto != proto || e.Message != "web" {
			t.Fatalf("%s answers over %s, want web over %s", e.Message, resp.Proto, proto)
		}
		s.checkHeaders(t, e)
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

func (s *site) checkHeaders(t *testing.T, e echo) {
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

func (s *site) checkRedirect(t *testing.T) {
	resp, err := s.client(false, true).Get("http://www.twtech.test/a?b=c")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	location := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusMovedPermanently || location != "https://www.twtech.test:443/a?b=c" {
		t.Errorf("port 80 answers %s to %q", resp.Status, location)
	}
}

// nothingRuns fails the test when a container or a snapshot is left.
func (f *fairlead) nothingRuns() {
	f.t.Helper()
	status := f.status()
	if len(status.Services)+len(status.Tasks)+len(status.LoadBalancers) > 0 {
		f.t.Errorf("still there: %+v", status)
	}
}
