package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"fairlead/internal/row"
	"fairlead/internal/runtime"
	"fairlead/internal/runtime/fake"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

const (
	service = "arn:aws:ecs:eu-west-1:123456789012:service/c/web"
	group   = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/1"
)

func newAdmin(t *testing.T, change func(*Config)) (*state.Store, http.Handler) {
	t.Helper()
	images := fake.New()
	t.Cleanup(images.Close)
	cfg := Config{
		Store: statetest.Open(t, row.Tables()...), Images: images, Version: "v1",
		Logger: slog.New(slog.DiscardHandler), Info: map[string]string{"api": "http://a"},
	}
	if change != nil {
		change(&cfg)
	}
	return cfg.Store, Handler(cfg)
}

func call(t *testing.T, h http.Handler, method, path string, body *bytes.Buffer, out any) int {
	t.Helper()
	if body == nil {
		body = new(bytes.Buffer)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, body))
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			t.Fatalf("%s %s answers %q: %v", method, path, w.Body, err)
		}
	}
	return w.Code
}

func TestHealth(t *testing.T) {
	_, h := newAdmin(t, nil)
	var got Health
	if code := call(t, h, "GET", "/_fairlead/health", nil, &got); code != 200 || got.Status != "ready" ||
		got.Version != "v1" || got.Info["api"] != "http://a" {
		t.Errorf("%d %+v", code, got)
	}
}

func TestStatusCountsARollout(t *testing.T) {
	store, h := newAdmin(t, nil)
	task := func(id, deployment, status, health string, draining bool) row.Task {
		arn := "arn:aws:ecs:eu-west-1:123456789012:task/c/" + id
		return row.Task{ARN: arn, ID: id, Service: service, Deployment: deployment, LastStatus: status,
			TaskDefinition: "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:1",
			Registered:     []row.Target{{TargetGroup: group, ID: "10.0.0." + id, Port: 80}}}
	}
	statetest.Update(t, store, func(tx *state.Tx) {
		row.Services.Put(tx, row.Service{ARN: service, Name: "web", Status: row.ServiceActive, DesiredCount: 3,
			Cluster: "arn:aws:ecs:eu-west-1:123456789012:cluster/c"})
		row.Deployments.Put(tx, row.Deployment{Service: service, ID: "ecs-svc/2", Status: row.DeploymentPrimary,
			RolloutState: "IN_PROGRESS"})
		row.Deployments.Put(tx, row.Deployment{Service: service, ID: "ecs-svc/1", Status: row.DeploymentActive})
		row.Tasks.Put(tx, task("1", "ecs-svc/1", row.TaskDeactivating, "healthy", true))
		row.Tasks.Put(tx, task("2", "ecs-svc/2", row.TaskPending, "", false))
		running := task("3", "ecs-svc/2", row.TaskRunning, "healthy", false)
		running.Registered = nil
		row.Tasks.Put(tx, running)
		row.Tasks.Put(tx, task("4", "ecs-svc/1", row.TaskStopped, "", false))
		row.Tasks.Put(tx, row.Task{ARN: "arn:aws:ecs:eu-west-1:123456789012:task/c/5", ID: "5",
			LastStatus: row.TaskRunning})
	})
	var got Status
	call(t, h, "GET", "/_fairlead/status", nil, &got)
	if len(got.Services) != 1 || len(got.Tasks) != 1 {
		t.Fatalf("status %+v, want one service and one task without", got)
	}
	s := got.Services[0]
	if s.Running != 1 || s.Pending != 1 || s.Draining != 1 || s.Healthy != 1 || s.New != 1 ||
		s.Rollout != "IN_PROGRESS" || len(s.Tasks) != 3 {
		t.Errorf("service %+v", s)
	}
	if target := s.Tasks[0].Targets[0]; target.State != "drained" || target.TargetGroup != "web" {
		t.Errorf("a target that is registered no more is %+v", target)
	}
}

func TestImages(t *testing.T) {
	runner := fake.New()
	t.Cleanup(runner.Close)
	_, h := newAdmin(t, func(c *Config) { c.Images = runner })
	var refusal Refusal
	if code := call(t, h, "POST", "/_fairlead/images", bytes.NewBufferString("no archive"), &refusal); code != 400 ||
		refusal.Error == "" {
		t.Errorf("a file that is no archive: %d %+v", code, refusal)
	}
	var images []Image
	if code := call(t, h, "GET", "/_fairlead/images", nil, &images); code != 200 || len(images) != 0 {
		t.Errorf("without images: %d %+v", code, images)
	}
	if _, err := runner.EnsureImage(t.Context(), "fairlead/hello", runtime.Pull{}); err != nil {
		t.Fatal(err)
	}
	if call(t, h, "GET", "/_fairlead/images", nil, &images); len(images) != 1 || images[0].Digest == "" {
		t.Errorf("with one image: %+v", images)
	}
}

func TestReset(t *testing.T) {
	_, h := newAdmin(t, nil)
	var refusal Refusal
	if code := call(t, h, "POST", "/_fairlead/reset", nil, &refusal); code != 403 ||
		!strings.Contains(refusal.Error, "--allow-reset") {
		t.Errorf("without --allow-reset: %d %+v", code, refusal)
	}
	var err error
	_, h = newAdmin(t, func(c *Config) { c.Reset = func(context.Context) error { return err } })
	if code := call(t, h, "POST", "/_fairlead/reset", nil, nil); code != 200 {
		t.Errorf("reset answers %d", code)
	}
	err = errors.New("a container stayed")
	if code := call(t, h, "POST", "/_fairlead/reset", nil, &refusal); code != 500 || refusal.Error != "a container stayed" {
		t.Errorf("a reset that fails: %d %+v", code, refusal)
	}
}

// TestOtherSites keeps web pages of other sites from using a browser against the endpoints.
func TestOtherSites(t *testing.T) {
	_, h := newAdmin(t, func(c *Config) { c.Reset = func(context.Context) error { return nil } })
	r := httptest.NewRequest("POST", "/_fairlead/reset", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("a cross-site reset answers %d", w.Code)
	}
}

func TestUnknownEndpoint(t *testing.T) {
	_, h := newAdmin(t, nil)
	if code := call(t, h, "GET", "/_fairlead/nothing", nil, nil); code != 404 {
		t.Errorf("an unknown endpoint answers %d", code)
	}
}
