package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

func newTestHello() *hello {
	return newHello(settings{message: "Hi"}, identity{Task: "t1", Host: "h1", Version: "v2"})
}

// ask sends a request through the whole handler.
func ask(h *hello, method, target string, headers ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, target, strings.NewReader("body"))
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	h.routes().ServeHTTP(answer, request)
	return answer
}

func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		method, target string
		status         int
		want           string
	}{
		{"GET", "/", 200, "Hi: version v2, task t1, host h1, path /\n"},
		{"GET", "/any/path", 200, "path /any/path"},
		{"GET", "/help", 200, "/health/fail"},
		{"GET", "/health", 200, "ok"},
		{"GET", "/status/503", 503, "503 Service Unavailable"},
		{"GET", "/status/204", 204, ""},
		{"GET", "/status/99", 400, "200 to 599"},
		{"GET", "/status/x", 400, "200 to 599"},
		{"GET", "/?status=418", 418, "Hi"},
		{"GET", "/?status=1", 200, "Hi"},
		{"GET", "/bytes/5", 200, "\x00\x00\x00\x00\x00"},
		{"GET", "/bytes/-1", 400, "number of bytes"},
		{"GET", "/memory/-1", 400, "number of MiB"},
		{"GET", "/memory/1", 200, "holding 1 MiB"},
		{"GET", "/exit/256", 400, "0 to 255"},
		{"GET", "/sleep/x", 400, "invalid duration"},
		{"GET", "/cpu/1ms", 200, "rounds in 1ms"},
	} {
		answer := ask(newTestHello(), test.method, test.target)
		if answer.Code != test.status || !strings.Contains(answer.Body.String(), test.want) {
			t.Errorf("%s: got %d %q, want %d %q", test.target, answer.Code, answer.Body,
				test.status, test.want)
		}
		if answer.Header().Get("X-Hello-Task") != "t1" {
			t.Errorf("%s is not signed: %v", test.target, answer.Header())
		}
	}
}

func TestIndexNegotiates(t *testing.T) {
	page := ask(newTestHello(), "GET", "/<x>", "Accept", "text/html,*/*")
	if !strings.Contains(page.Body.String(), "<h1>Hi</h1>") ||
		strings.Contains(page.Body.String(), "<x>") {
		t.Errorf("page %s", page.Body)
	}
	asJSON := ask(newTestHello(), "GET", "/", "Accept", "application/json")
	if asJSON.Header().Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", asJSON.Header())
	}
}

func TestEcho(t *testing.T) {
	answer := ask(newTestHello(), "POST", "/echo/a?b=c", "X-Mine", "1")
	var got struct {
		Task, Method, Path, Query, Body string
		Headers                         http.Header
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Task != "t1" || got.Method != "POST" || got.Path != "/echo/a" || got.Query != "b=c" ||
		got.Body != "body" || got.Headers.Get("X-Mine") != "1" {
		t.Errorf("got %+v", got)
	}
}

func TestHealthIsToggled(t *testing.T) {
	h := newTestHello()
	for _, step := range []struct {
		target string
		status int
	}{
		{"/health", 200}, {"/health/fail", 200}, {"/health", 500}, {"/", 200},
		{"/health/fail?all=1", 200}, {"/", 500}, {"/health", 500},
		{"/health/ok", 200}, {"/health", 200}, {"/", 200},
	} {
		if got := ask(h, "GET", step.target).Code; got != step.status {
			t.Errorf("%s: got %d, want %d", step.target, got, step.status)
		}
	}
}

func TestSleepAndStreamTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for target, want := range map[string]time.Duration{
			"/sleep/2s": 2 * time.Second, "/?sleep=3s": 3 * time.Second,
			"/stream?n=3&every=1s": 2 * time.Second, "/stream": 9 * time.Second,
		} {
			start := time.Now()
			ask(newTestHello(), "GET", target)
			if got := time.Since(start); got != want {
				t.Errorf("%s took %s, want %s", target, got, want)
			}
		}
	})
}

func TestStreamAsEvents(t *testing.T) {
	answer := ask(newTestHello(), "GET", "/stream?n=2&every=0s", "Accept", "text/event-stream")
	if got := strings.Count(answer.Body.String(), "data: "); got != 2 ||
		answer.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("got %q %v", answer.Body, answer.Header())
	}
}

func TestAbort(t *testing.T) {
	server := httptest.NewServer(newTestHello().routes())
	defer server.Close()
	if _, err := http.Get(server.URL + "/abort"); err == nil {
		t.Error("an aborted request was answered")
	}
}

func TestSettings(t *testing.T) {
	env := map[string]string{
		"PORT": "80, 8080", "UDP_PORT": "53", "DRAIN_TIMEOUT": "3s", "IGNORE_SIGTERM": "true",
	}
	got := settingsFrom(func(name string) string { return env[name] })
	if strings.Join(got.http, "+") != "80+8080" || len(got.udp) != 1 || len(got.https) != 0 ||
		got.drain != 3*time.Second || !got.ignoreTerm || got.failing {
		t.Errorf("got %+v", got)
	}
	empty := settingsFrom(func(string) string { return "" })
	if strings.Join(empty.http, "+") != "80" || empty.drain == 0 || empty.message == "" {
		t.Errorf("got %+v", empty)
	}
}

func TestIdentityAsksForTheTask(t *testing.T) {
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v4/x/task" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, `{"TaskARN":"arn:aws:ecs:eu-west-1:1:task/demo/abc"}`)
	}))
	defer metadata.Close()
	env := map[string]string{
		"ECS_CONTAINER_METADATA_URI_V4": metadata.URL + "/v4/x", "FAIRLEAD_HELLO_TAG": "v7",
	}
	got := identify(func(name string) string { return env[name] })
	if got.Task != "abc" || got.Version != "v7" || got.Host == "" {
		t.Errorf("got %+v", got)
	}
}

func TestCheckURL(t *testing.T) {
	server := httptest.NewServer(newTestHello().routes())
	defer server.Close()
	for target, want := range map[string]int{"/health": 0, "/status/302": 0, "/status/500": 1} {
		if got := checkURL(server.URL+target, time.Second); got != want {
			t.Errorf("%s: exit code %d, want %d", target, got, want)
		}
	}
	if got := checkURL("http://127.0.0.1:1/", time.Second); got != 1 {
		t.Errorf("nobody there: exit code %d", got)
	}
}

func TestOneShot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	for name, test := range map[string]struct {
		oneShot
		want int
	}{
		"exit":      {oneShot{code: 3}, 3},
		"no code":   {oneShot{text: "x", code: -1}, 0},
		"write":     {oneShot{write: file, code: -1}, 0},
		"cat":       {oneShot{write: file, cat: file, code: 2}, 2},
		"no file":   {oneShot{cat: file + "/absent", code: -1}, 1},
		"read-only": {oneShot{write: "/proc/version", code: -1}, 1},
		"memory":    {oneShot{memory: 1, code: -1}, 0},
	} {
		if got := test.run(); got != test.want {
			t.Errorf("%s: exit code %d, want %d", name, got, test.want)
		}
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "hello\n" {
		t.Errorf("wrote %q, %v", content, err)
	}
}

func TestListenersAnswerAndShutDown(t *testing.T) {
	h := newTestHello()
	all, err := h.listen(settings{
		http: []string{"0"}, https: []string{"0"}, tcp: []string{"0"}, udp: []string{"0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, network := range []string{"tcp", "udp"} {
		address, _, _ := strings.Cut(all.addresses[2+i], "/")
		conn, err := net.Dial(network, address)
		if err != nil {
			t.Fatal(err)
		}
		reply := make([]byte, 4)
		_, _ = conn.Write([]byte("ping"))
		if _, err := io.ReadFull(conn, reply); err != nil || string(reply) != "ping" {
			t.Errorf("%s echoed %q, %v", network, reply, err)
		}
		_ = conn.Close()
	}
	response, err := http.Get("http://" + all.addresses[0] + "/health")
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", response, err)
	}
	_ = response.Body.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := all.shutdown(ctx); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", all.addresses[0]); err == nil {
		t.Error("it listens after shutdown")
	}
}

func TestShell(t *testing.T) {
	server := httptest.NewServer(newTestHello().routes())
	defer server.Close()
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for script, want := range map[string]int{
		"curl -f URL/health || exit 1":                   0,
		"curl -fsS --max-time 2 -o /dev/null URL/health": 0,
		"curl -f URL/status/500 || exit 1":               1,
		"curl -f URL/status/500":                         22,
		"wget -q --spider 'URL/health' || exit 1":        0,
		"wget -qO- URL/health >/dev/null 2>&1 || exit 1": 0,
		`curl -f "http://127.0.0.1:1/" || exit 1`:        1,
		"true && false || exit 3":                        3,
		"exit 4; true":                                   4,
		"false; true":                                    0,
		"false && exit 9":                                1,
		"echo a b":                                       0,
		"test -f " + file:                                0,
		"[ -f /absent ]":                                 1,
		"pg_isready -U postgres":                         127,
		"curl $HOST":                                     2,
		"cat x | grep y":                                 2,
		"echo 'open":                                     2,
		"":                                               0,
		"curl -f " + strings.TrimPrefix(server.URL, "http://"): 0,
	} {
		script = strings.ReplaceAll(script, "URL", server.URL)
		if got, ok := applet([]string{"/bin/sh", "-c", script}); got != want || !ok {
			t.Errorf("%s: exit code %d, want %d", script, got, want)
		}
	}
	if _, ok := applet([]string{"/hello", "--exit", "1"}); ok {
		t.Error("hello was taken for another program")
	}
}

func FuzzTokenize(f *testing.F) {
	for _, seed := range []string{"curl -f http://localhost/ || exit 1", "a 'b c'\"\"d;&&", "'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, script string) {
		tokens, err := tokenize(script)
		for _, token := range tokens {
			if err != nil || (token.operator && !strings.Contains("&& || ;", token.text)) {
				t.Errorf("%q becomes %v, %v", script, tokens, err)
			}
		}
	})
}

func FuzzOrders(f *testing.F) {
	f.Add("sleep=0s&status=500")
	f.Add("status=999&sleep=-1h")
	f.Add("%zz")
	h := newTestHello()
	f.Fuzz(func(t *testing.T, query string) {
		if strings.Contains(query, "sleep") {
			t.Skip("would sleep")
		}
		request := httptest.NewRequest("GET", "/", nil)
		request.URL.RawQuery = query
		answer := httptest.NewRecorder()
		h.orders(http.HandlerFunc(h.health)).ServeHTTP(answer, request)
		if answer.Code < 200 || answer.Code > 599 {
			t.Errorf("status %d", answer.Code)
		}
	})
}

// TestFailPath: one path fails, the others and its neighbours do not.
func TestFailPath(t *testing.T) {
	env := map[string]string{"FAIL_PATH": "/broken"}
	h := newHello(settingsFrom(func(name string) string { return env[name] }), identity{})
	for path, want := range map[string]int{"/broken": 500, "/broken?x=y": 500, "/broken/x": 200, "/": 200} {
		if got := ask(h, "GET", path).Code; got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}
