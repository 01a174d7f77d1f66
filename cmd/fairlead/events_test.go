package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const someEvents = `{"detail-type":"ECS Task State Change","time":"2026-07-01T12:00:00Z","resources":["arn:aws:ecs:r:1:task/c/0123456789abcdef"],"detail":{"group":"service:web","lastStatus":"RUNNING","desiredStatus":"STOPPED","stoppedReason":"enough"},"sequence":7}
{"detail-type":"ECS Deployment State Change","time":"2026-07-01T12:00:01Z","resources":["arn:aws:ecs:r:1:service/c/web"],"detail":{"eventName":"SERVICE_DEPLOYMENT_COMPLETED","deploymentId":"ecs-svc/1","reason":"ECS deployment ecs-svc/1 completed."},"sequence":8}
{"detail-type":"ECS Service Action","time":"2026-07-01T12:00:02Z","resources":["arn:aws:ecs:r:1:service/c/web"],"detail":{"eventName":"TASKS_STOPPED","taskArns":["a","b"]},"sequence":9}
`

func TestEvents(t *testing.T) {
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		w.Write([]byte(someEvents))
	}))
	defer server.Close()
	run := func(args ...string) (string, error) {
		var out strings.Builder
		cmd := rootCommand()
		cmd.SetArgs(append([]string{"events", "--endpoint", server.URL}, args...))
		cmd.SetOut(&out)
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	if got, err := run("--service", "web", "--since", "6"); err != nil || got != someEvents ||
		asked != "/_fairlead/events?service=web&since=6" {
		t.Errorf("asked for %s, error %v, printed\n%s", asked, err, got)
	}
	got, err := run("--plain")
	lines := strings.Split(got, "\n")
	for i, want := range []string{
		"01234567 service:web             RUNNING -> STOPPED  enough",
		"web                              SERVICE_DEPLOYMENT_COMPLETED  ECS deployment ecs-svc/1 completed.",
		"web                              TASKS_STOPPED  2 tasks",
	} {
		if err != nil || !strings.HasSuffix(lines[i], "  "+want) {
			t.Errorf("error %v, line %q, want %q", err, lines[i], want)
		}
	}
	if _, err := run("--follow"); err == nil || !strings.Contains(err.Error(), "--since 9") {
		t.Errorf("a stream that was to be followed ends with %v", err)
	}
}
