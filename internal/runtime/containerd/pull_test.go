package containerd

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"fairlead/internal/image"
	"fairlead/internal/runtime"
	"fairlead/internal/runtime/embedded"
)

// registry serves images by the OCI distribution protocol, as much as a pull needs.
type registry struct {
	*httptest.Server
	images   map[string]image.Parts // by repository:tag
	user     string                 // if not empty, asked for with password "secret"
	requests atomic.Int64
}

func newRegistry(t *testing.T) *registry {
	t.Helper()
	r := &registry{images: map[string]image.Parts{}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

// ref is the reference of an image in this registry.
func (r *registry) ref(name string) string {
	return strings.TrimPrefix(r.URL, "http://") + "/" + name
}

func (r *registry) serve(w http.ResponseWriter, request *http.Request) {
	r.requests.Add(1)
	user, password, _ := request.BasicAuth()
	if r.user != "" && (user != r.user || password != "secret") {
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		http.Error(w, "who are you", http.StatusUnauthorized)
		return
	}
	path := strings.TrimPrefix(request.URL.Path, "/v2/")
	for name, parts := range r.images {
		repository, tag, _ := strings.Cut(name, ":")
		for _, blob := range []image.Blob{parts.Manifest, parts.Config, parts.Layer} {
			digest := blob.Digest.String()
			switch path {
			case repository + "/manifests/" + digest, repository + "/blobs/" + digest:
			case repository + "/manifests/" + tag:
				blob, digest = parts.Manifest, parts.Manifest.Digest.String()
			default:
				continue
			}
			w.Header().Set("Content-Type", blob.MediaType)
			w.Header().Set("Docker-Content-Digest", digest)
			_, _ = w.Write(blob.Data)
			return
		}
	}
	http.NotFound(w, request)
}

// put adds an image of hello with a label.
func (r *registry) put(t *testing.T, name, label string) {
	t.Helper()
	program, err := embedded.Hello()
	if err != nil {
		t.Fatal(err)
	}
	parts, err := image.Image{
		Ref:   r.ref(name),
		Files: []image.File{{Name: "hello", Mode: 0o755, Data: program}},
		Config: ocispec.ImageConfig{
			Entrypoint: []string{"/hello"}, Cmd: []string{"--print", label}, StopSignal: "SIGINT",
			Labels: map[string]string{"label": label},
		},
	}.Parts()
	if err != nil {
		t.Fatal(err)
	}
	r.images[name] = parts
}

func TestPull(t *testing.T) {
	m := newMachine(t)
	r := newRegistry(t)
	r.put(t, "team/app:1", "first")
	ref := r.ref("team/app:1")
	pulled, err := m.EnsureImage(t.Context(), ref, runtime.Pull{})
	if err != nil {
		t.Fatal(err)
	}
	if pulled.Ref != ref || pulled.Digest != r.images["team/app:1"].Manifest.Digest.String() ||
		pulled.StopSignal.String() != "interrupt" || pulled.Labels["label"] != "first" {
		t.Errorf("pulled %+v", pulled)
	}
	output, code := m.runToEnd(runtime.Container{ID: "a", Image: ref})
	if code != 0 || output != "first\n" {
		t.Errorf("exit code %d, output %q", code, output)
	}
	byDigest := r.ref("team/app@" + pulled.Digest)
	if found, err := m.EnsureImage(t.Context(), byDigest, runtime.Pull{}); err != nil ||
		found.Digest != pulled.Digest {
		t.Errorf("by digest: %+v %v", found, err)
	}
}

// TestPinnedImageOutlivesItsTag: what a tag meant still runs after the tag has moved on, and when
// the registry is gone, until it is removed.
func TestPinnedImageOutlivesItsTag(t *testing.T) {
	m := newMachine(t)
	r := newRegistry(t)
	r.put(t, "team/app:1", "first")
	ref := r.ref("team/app:1")
	old, err := m.EnsureImage(t.Context(), ref, runtime.Pull{})
	if err != nil {
		t.Fatal(err)
	}
	pinned := runtime.Pinned(ref, old.Digest)
	if _, err := m.EnsureImage(t.Context(), pinned, runtime.Pull{Pin: true}); err != nil {
		t.Fatal(err)
	}
	r.put(t, "team/app:1", "second")
	now, err := m.EnsureImage(t.Context(), ref, runtime.Pull{})
	if err != nil || now.Digest == old.Digest {
		t.Fatalf("the tag has not moved: %+v %v", now, err)
	}
	asked := r.requests.Load()
	again, err := m.EnsureImage(t.Context(), pinned, runtime.Pull{Pin: true})
	if err != nil || again.Digest != old.Digest || !again.Pinned || r.requests.Load() != asked {
		t.Errorf("pinned %+v %v, want %s without a request", again, err, old.Digest)
	}
	r.Close()
	for image, want := range map[string]string{pinned: "first\n", ref: "second\n"} {
		output, code := m.runToEnd(runtime.Container{ID: strings.TrimSpace(want), Image: image})
		if code != 0 || output != want {
			t.Errorf("%s: exit code %d, output %q, want %q", image, code, output, want)
		}
	}
	if err := m.RemoveImage(t.Context(), pinned); err != nil {
		t.Fatal(err)
	}
	if _, err := m.EnsureImage(t.Context(), pinned, runtime.Pull{}); err == nil {
		t.Error("an image that was removed is there without a registry")
	}
}

func TestPullPolicies(t *testing.T) {
	m := newMachine(t)
	r := newRegistry(t)
	r.put(t, "app:1", "old")
	ref := r.ref("app:1")
	label := func(policy runtime.PullPolicy) string {
		t.Helper()
		found, err := m.EnsureImage(t.Context(), ref, runtime.Pull{Policy: policy})
		if err != nil {
			return err.Error()
		}
		return found.Labels["label"]
	}
	if got := label(runtime.PullNever); !strings.Contains(got, "no such image") {
		t.Errorf("never, nothing there: %s", got)
	}
	if got := label(runtime.PullPreferCached); got != "old" {
		t.Errorf("prefer cached, nothing there: %s", got)
	}
	r.put(t, "app:1", "new")
	asked := r.requests.Load()
	if got := label(runtime.PullPreferCached); got != "old" || r.requests.Load() != asked {
		t.Errorf("prefer cached: %s", got)
	}
	if got := label(runtime.PullDefault); got != "new" {
		t.Errorf("default: %s", got)
	}
	r.Close()
	if got := label(runtime.PullDefault); got != "new" {
		t.Errorf("default without a registry: %s", got)
	}
	if got := label(runtime.PullAlways); !strings.HasPrefix(got, "CannotPullContainerError: ") {
		t.Errorf("always without a registry: %s", got)
	}
}

func TestPullFailures(t *testing.T) {
	m := newMachine(t)
	r := newRegistry(t)
	r.put(t, "private:1", "secret")
	r.user = "me"
	closed := newRegistry(t)
	closed.Close()
	for name, test := range map[string]struct {
		ref   string
		retry bool
		want  string
	}{
		"unauthorized": {r.ref("private:1"), false,
			"pull image manifest has been retried 1 time(s): failed to resolve ref "},
		"no registry": {closed.ref("app:1"), true, "connection refused"},
		"malformed":   {"UPPER", false, "invalid reference format"},
	} {
		_, err := m.EnsureImage(t.Context(), test.ref, runtime.Pull{})
		failure, ok := errors.AsType[*runtime.Failure](err)
		if !ok || failure.Reason != runtime.CannotPullContainer {
			t.Errorf("%s: %v", name, err)
			continue
		}
		t.Log(err)
		if failure.Retry != test.retry || !strings.Contains(failure.Message, test.want) {
			t.Errorf("%s: retry %t, message %q", name, failure.Retry, failure.Message)
		}
	}
	mine := runtime.Pull{Username: "me", Password: "secret"}
	if _, err := m.EnsureImage(t.Context(), r.ref("private:1"), mine); err != nil {
		t.Errorf("with credentials: %v", err)
	}
	_, err := m.EnsureImage(t.Context(), r.ref("private:2"), mine)
	if failure, ok := errors.AsType[*runtime.Failure](err); !ok || failure.Retry ||
		!strings.HasSuffix(failure.Message, r.ref("private:2")+": not found") {
		t.Errorf("unknown tag: %v", err)
	}
}
