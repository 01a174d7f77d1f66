package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"fairlead/internal/runtime"
)

// source is a task with two containers, of which the second has stopped.
type source struct{ measured int }

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (s *source) Task() Task {
	return Task{
		Cluster: "c", TaskARN: "arn:aws:ecs:eu-west-1:123456789012:task/c/t", Family: "web", Revision: "3",
		DesiredStatus: "RUNNING", KnownStatus: "RUNNING", Limits: &TaskLimits{CPU: 0.25, Memory: 512},
		TaskTags:   map[string]string{"team": "a"},
		Containers: []Container{{DockerID: "t-0", Name: "app"}, {DockerID: "t-1", Name: "init"}},
	}
}

// Stats has used 100 ms of processor time and received 1000 bytes more at every measurement.
func (s *source) Stats(_ context.Context, id string) (runtime.Stats, error) {
	if id == "t-1" {
		return runtime.Stats{}, runtime.ErrNotRunning
	}
	s.measured++
	n := int64(s.measured)
	return runtime.Stats{
		At: start.Add(time.Duration(n) * time.Second), CPU: time.Duration(n) * 100 * time.Millisecond,
		Memory: 1 << 20, MemoryLimit: 512 << 20, Pids: 7, RxBytes: 1000 * n,
	}, nil
}

func (s *source) Credentials(id string) (Credentials, bool) {
	return Credentials{RoleArn: "arn:role", AccessKeyID: "ASIA", Expiration: start}, id == "good"
}

func get(t *testing.T, h http.Handler, path string, out any) int {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			t.Fatalf("GET %s answers %q: %v", path, w.Body, err)
		}
	}
	return w.Code
}

func TestDocuments(t *testing.T) {
	h := Handler(&source{})
	for _, version := range []string{"/v3", "/v4"} {
		var c map[string]any
		if code := get(t, h, version+"/t-1", &c); code != 200 || c["Name"] != "init" || c["DockerId"] != "t-1" {
			t.Errorf("%s/t-1: %d %v", version, code, c)
		}
		var task map[string]any
		get(t, h, version+"/t-0/task", &task)
		limits := task["Limits"].(map[string]any)
		if task["Family"] != "web" || limits["CPU"] != 0.25 || task["TaskTags"] != nil ||
			len(task["Containers"].([]any)) != 2 {
			t.Errorf("%s/t-0/task: %v", version, task)
		}
		get(t, h, version+"/t-0/taskWithTags", &task)
		if tags := task["TaskTags"].(map[string]any); tags["team"] != "a" {
			t.Errorf("%s/t-0/taskWithTags: %v", version, tags)
		}
	}
	var text string
	if code := get(t, h, "/v4/somebody", &text); code != 404 || !strings.Contains(text, "unable to get container ID") {
		t.Errorf("an unknown id: %d %q", code, text)
	}
}

func TestStats(t *testing.T) {
	h := Handler(&source{})
	var s Stats
	get(t, h, "/v4/t-0/stats", &s)
	if s.CPUStats.Usage.Total != int64(100*time.Millisecond) || !s.PreRead.IsZero() || s.PidsStats.Current != 7 ||
		s.MemoryStats.Limit != 512<<20 || s.Networks["eth0"].RxBytes != 1000 {
		t.Errorf("the first measurement is %+v", s)
	}
	get(t, h, "/v4/t-0/stats", &s)
	if s.PreCPUStats.Usage.Total != int64(100*time.Millisecond) || s.Rates.Rx != 1000 ||
		s.CPUStats.System-s.PreCPUStats.System != int64(time.Second)*int64(s.CPUStats.Online) {
		t.Errorf("the second measurement is %+v", s)
	}
	if code := get(t, h, "/v4/t-1/stats", nil); code != 500 {
		t.Errorf("statistics of a stopped container answer %d", code)
	}
	var all map[string]*Stats
	get(t, h, "/v4/t-0/task/stats", &all)
	if len(all) != 2 || all["t-0"] == nil || all["t-1"] != nil {
		t.Errorf("statistics of the task: %v", all)
	}
}

func TestCredentials(t *testing.T) {
	h := Handler(&source{})
	var c map[string]any
	if code := get(t, h, CredentialsPath+"good", &c); code != 200 || c["AccessKeyId"] != "ASIA" ||
		c["Expiration"] != "2026-01-01T00:00:00Z" {
		t.Errorf("credentials: %d %v", code, c)
	}
	if code := get(t, h, CredentialsPath+"bad", &c); code != 400 || c["code"] != "InvalidIdInRequest" ||
		c["message"] != "CredentialsV2Request: Credentials not found" || c["HTTPErrorCode"] != 400.0 {
		t.Errorf("credentials of an unknown id: %d %v", code, c)
	}
}

func TestRateLimit(t *testing.T) {
	h := Handler(&source{})
	refused := 0
	for range 2 * requestBurst {
		if get(t, h, "/v4/t-0", nil) == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 {
		t.Error("no request of twice the burst was refused")
	}
}

// failing is a source whose runtime does not answer.
type failing struct{ source }

func (*failing) Stats(context.Context, string) (runtime.Stats, error) {
	return runtime.Stats{}, errors.New("containerd does not answer")
}

func TestRuntimeDoesNotAnswer(t *testing.T) {
	var text string
	if code := get(t, Handler(&failing{}), "/v4/t-0/task/stats", &text); code != 500 ||
		!strings.Contains(text, "does not answer") {
		t.Errorf("%d %q", code, text)
	}
}
