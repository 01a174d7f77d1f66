package lbfile

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fairlead/internal/lb"
)

const full = `{
  "access_log": "-",
  "listeners": [{
    "id": "l", "protocol": "HTTP", "addresses": ["127.0.0.1:0"], "names": ["*.example"],
    "rules": [{"priority": 1,
      "conditions": [{"field": "path-pattern", "values": ["/a*"]},
        {"field": "query-string", "query_values": [{"Key": "k", "Value": "v"}]}],
      "actions": [{"type": "forward", "group_stickiness_seconds": 60,
        "target_groups": [{"id": "g", "weight": 0}, {"id": "h"}]}],
      "transforms": [{"type": "url-rewrite", "regex": "^/a(.*)$", "replace": "/b$1"},
        {"type": "host-header-rewrite", "regex": ".*", "replace": "b.example"}]}],
    "default_actions": [{"type": "redirect", "redirect": {"StatusCode": 301, "Host": "b"}}],
    "attributes": {"idle_timeout_seconds": 5, "desync_mitigation_mode": "strictest",
      "response_headers": [{"Name": "X", "Value": "y"}]}
  }],
  "target_groups": [
    {"id": "g", "targets": [{"address": "10.0.0.1:80", "draining": true}],
      "health_check": {"path": "/h", "interval_seconds": 7, "matcher": "200-204"}},
    {"id": "h", "protocol": "HTTPS", "stickiness": "lb_cookie"},
    {"id": "f", "type": "lambda", "multi_value_headers": true, "targets": [
      {"endpoint": "http://127.0.0.1:9000", "function": "function", "qualifier": "live"}]},
    {"id": "checked", "type": "lambda", "health_check": {"enabled": true, "path": "/h"}}]
}`

func TestSpec(t *testing.T) {
	f, err := Parse([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := f.Spec()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lb.Compile(spec); err != nil {
		t.Fatal(err)
	}
	l, g := spec.Listeners[0], spec.Groups[0]
	w := l.Rules[0].Actions[0].Forward.Groups
	if tr := l.Rules[0].Transforms; len(tr) != 2 ||
		tr[0] != (lb.Transform{Type: lb.URLRewrite, Regex: "^/a(.*)$", Replace: "/b$1"}) {
		t.Errorf("transforms %+v", tr)
	}
	if w[0].Weight != 0 || w[1].Weight != 1 || l.Attributes.IdleTimeout != 5*time.Second ||
		!l.Attributes.AccessLog || !g.Targets[0].Draining || g.Targets[0].Port != 80 ||
		g.HealthCheck.Interval != 7*time.Second || g.Protocol != lb.HTTP {
		t.Errorf("%+v %+v", l, g)
	}
	fn := spec.Groups[2]
	want := lb.Function{Endpoint: "http://127.0.0.1:9000", Name: "function", Qualifier: "live"}
	if !fn.Lambda || !fn.MultiValueHeaders || !fn.HealthCheck.Disabled || fn.Protocol != "" ||
		fn.Targets[0].Function != want || spec.Groups[3].HealthCheck.Disabled {
		t.Errorf("%+v", fn)
	}
}

func TestRefusedFiles(t *testing.T) {
	for name, text := range map[string]string{
		"not JSON":       `listeners:`,
		"unknown member": `{"listeners": [], "nope": 1}`,
		"text behind":    `{"listeners": []} {}`,
		"bad address":    `{"listeners": [{"id": "l", "protocol": "HTTP", "addresses": ["here"]}]}`,
		"no certificate": `{"listeners": [{"id": "l", "protocol": "HTTPS", "certificates": [{"cert_file": "/nope"}]}]}`,
		"bad target":     `{"target_groups": [{"id": "g", "targets": [{"address": "x:1"}]}]}`,
		"unknown protocol": `{"listeners": [{"id": "l", "protocol": "FTP", "default_actions": [
			{"type": "fixed-response", "fixed_response": {"StatusCode": 200}}]}]}`,
		"bad transform": `{"listeners": [{"id": "l", "protocol": "HTTP", "default_actions": [
			{"type": "forward", "target_groups": [{"id": "g"}]}], "rules": [{"priority": 1,
			"conditions": [{"field": "path-pattern", "values": ["/"]}],
			"actions": [{"type": "forward", "target_groups": [{"id": "g"}]}],
			"transforms": [{"type": "url-rewrite", "regex": "(?=a)", "replace": ""}]}]}],
			"target_groups": [{"id": "g"}]}`,
		"unknown type":             `{"target_groups": [{"id": "g", "type": "alb"}]}`,
		"function with a protocol": `{"target_groups": [{"id": "g", "type": "lambda", "protocol": "HTTP"}]}`,
		"function with an address": `{"target_groups": [{"id": "g", "type": "lambda", "targets": [
			{"address": "127.0.0.1:1", "endpoint": "http://h", "function": "f"}]}]}`,
		"function without endpoint": `{"target_groups": [{"id": "g", "type": "lambda", "targets": [
			{"function": "f"}]}]}`,
		"two functions": `{"target_groups": [{"id": "g", "type": "lambda", "targets": [
			{"endpoint": "http://h", "function": "f"}, {"endpoint": "http://h", "function": "g"}]}]}`,
		"function among addresses": `{"target_groups": [{"id": "g", "targets": [
			{"address": "127.0.0.1:1", "endpoint": "http://h", "function": "f"}]}]}`,
		"enabled for addresses": `{"target_groups": [{"id": "g", "health_check": {"enabled": true}}]}`,
		"enabled and disabled": `{"target_groups": [{"id": "g", "type": "lambda",
			"health_check": {"enabled": true, "disabled": true}}]}`,
		"multi-value for addresses": `{"target_groups": [{"id": "g", "multi_value_headers": true}]}`,
		"unknown action":            `{"listeners": [{"id": "l", "protocol": "HTTP", "default_actions": [{"type": "dance"}]}]}`,
	} {
		f, err := Parse([]byte(text))
		var spec lb.TableSpec
		if err == nil {
			spec, err = f.Spec()
		}
		if err == nil {
			_, err = lb.Compile(spec)
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The schema names every member of the example, and is JSON.
func TestSchema(t *testing.T) {
	b, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]any
		Required   []string
	}
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	if len(schema.Properties) != 5 || fmt.Sprint(schema.Required) != "[listeners]" {
		t.Errorf("properties %v, required %v", schema.Properties, schema.Required)
	}
	for _, word := range []string{"query_values", "certificates", "draining", "StatusCode", "transforms",
		"regex", "multi_value_headers", "endpoint", "JWKSEndpoint", "AdditionalClaims"} {
		if !strings.Contains(string(b), `"`+word+`"`) {
			t.Errorf("the schema does not know %s", word)
		}
	}
}

// A change of the file takes effect while the program runs; a broken file changes nothing.
func TestRunReloads(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	path := filepath.Join(t.TempDir(), "lb.json")
	write := func(body string) {
		text := fmt.Sprintf(`{"listeners": [{"id": "l", "protocol": "HTTP", "addresses": [%q],
			"default_actions": [{"type": "fixed-response", "fixed_response":
			{"StatusCode": 200, "ContentType": "text/plain", "Body": %s}}]}]}`, addr, body)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`"one"`)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Run(ctx, path, 1, slog.New(slog.DiscardHandler)) }()
	await(t, addr, "one")
	write(`"broken`)
	await(t, addr, "one")
	write(`"two"`)
	await(t, addr, "two")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A function of the file is invoked.
func TestRunFunction(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"statusCode": 200, "body": %q}`, r.URL)
	}))
	defer api.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	path := filepath.Join(t.TempDir(), "lb.json")
	text := fmt.Sprintf(`{"listeners": [{"id": "l", "protocol": "HTTP", "addresses": [%q],
		"default_actions": [{"type": "forward", "target_groups": [{"id": "f"}]}]}],
		"target_groups": [{"id": "f", "type": "lambda", "targets": [{"endpoint": %q,
		"function": "hello", "qualifier": "live"}]}]}`, addr, api.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Run(ctx, path, 1, slog.New(slog.DiscardHandler)) }()
	await(t, addr, "/2015-03-31/functions/hello/invocations?Qualifier=live")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A second process with the same configuration replaces the first, and every request is answered.
func TestRunHandsOver(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	dir := t.TempDir()
	config := func(name string) string {
		path := filepath.Join(dir, name)
		text := fmt.Sprintf(`{"handover_socket": "handover", "listeners": [{"id": "l",
			"protocol": "HTTP", "addresses": [%q], "default_actions": [{"type": "fixed-response",
			"fixed_response": {"StatusCode": 200, "ContentType": "text/plain", "Body": %q}}]}]}`,
			addr, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	log := slog.New(slog.DiscardHandler)
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- Run(t.Context(), config("one"), 2, log) }()
	await(t, addr, "one")
	for { // it answers a moment before it offers its sockets
		if _, err := os.Stat(filepath.Join(dir, "handover")); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { second <- Run(ctx, config("two"), 1, log) }()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for len(second) == 0 {
		resp, err := c.Get("http://" + addr)
		if err != nil {
			t.Fatalf("during the hand-over: %v", err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) == "two" && len(first) == 1 {
			break
		}
	}
	if len(second) > 0 {
		t.Fatalf("successor: %v", <-second)
	}
	if err := <-first; err != nil {
		t.Errorf("predecessor: %v", err)
	}
	cancel()
	if err := <-second; err != nil {
		t.Errorf("successor: %v", err)
	}
}

// await asks until the answer is the wanted one.
func await(t *testing.T, addr, want string) {
	t.Helper()
	defer http.DefaultClient.CloseIdleConnections()
	deadline := time.Now().Add(10 * time.Second)
	got := ""
	for time.Now().Before(deadline) {
		if resp, err := http.Get("http://" + addr); err == nil {
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if got = string(b); got == want {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("answer %q, want %q", got, want)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Parse(b)
		if err != nil {
			return
		}
		for i := range file.Listeners {
			file.Listeners[i].Certificates = nil // no files are read here
		}
		if spec, err := file.Spec(); err == nil {
			lb.Compile(spec)
		}
	})
}
