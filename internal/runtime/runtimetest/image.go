package runtimetest

import (
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	build "fairlead/internal/image"
	"fairlead/internal/runtime"
)

func testBuiltInImage(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	one, err := f.EnsureImage(t.Context(), "fairlead/hello:v1", runtime.Pull{})
	f.must(err)
	always := runtime.Pull{Policy: runtime.PullAlways}
	two, err := f.EnsureImage(t.Context(), "docker.io/fairlead/hello:v2", always)
	f.must(err)
	if one.Digest == two.Digest || one.Ref != "fairlead/hello:v1" {
		t.Errorf("two tags are not told apart: %+v %+v", one, two)
	}
	if !slices.Equal(one.EntryPoint, []string{"/hello"}) || one.StopSignal != runtime.StopSignal ||
		!slices.Equal(one.ExposedPorts, []string{"80/tcp"}) || one.Size == 0 {
		t.Errorf("image %+v", one)
	}
	again, err := f.EnsureImage(t.Context(), "fairlead/hello:v1", runtime.Pull{})
	f.must(err)
	if again.Digest != one.Digest {
		t.Errorf("digest %s, then %s", one.Digest, again.Digest)
	}
}

func testUnknownImage(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	never := runtime.Pull{Policy: runtime.PullNever}
	_, err := f.EnsureImage(t.Context(), "fairlead/absent:1", never)
	failure := f.wantFailure(err, runtime.CannotPullContainer)
	if !strings.HasPrefix(err.Error(), "CannotPullContainerError: ") || failure.Retry {
		t.Errorf("error %q, retry %t", err, failure.Retry)
	}
}

func testLoadImage(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	for name, write := range map[string]func(build.Image, io.Writer) error{
		"docker": build.Image.WriteDocker,
		"oci":    build.Image.WriteOCI,
		"gzip": func(img build.Image, w io.Writer) error {
			zipped := gzip.NewWriter(w)
			if err := img.WriteDocker(zipped); err != nil {
				return err
			}
			return zipped.Close()
		},
	} {
		ref := "docker.io/library/loaded-" + name + ":1"
		var archive bytes.Buffer
		f.must(write(build.Image{
			Ref:    ref,
			Files:  []build.File{{Name: "hello", Mode: 0o755, Data: []byte(name)}},
			Config: ocispec.ImageConfig{Entrypoint: []string{"/hello"}},
		}, &archive))
		loaded, err := f.LoadImage(t.Context(), &archive)
		f.must(err)
		if len(loaded) != 1 || loaded[0].Ref != ref {
			t.Fatalf("loaded %+v, want %s", loaded, ref)
		}
		never := runtime.Pull{Policy: runtime.PullNever}
		found, err := f.EnsureImage(t.Context(), "loaded-"+name+":1", never)
		f.must(err)
		if found.Digest != loaded[0].Digest || !slices.Equal(found.EntryPoint, []string{"/hello"}) {
			t.Errorf("found %+v, loaded %+v", found, loaded[0])
		}
		f.must(f.RemoveImage(t.Context(), ref))
	}
	if _, err := f.LoadImage(t.Context(), strings.NewReader("no archive at all")); err == nil {
		t.Error("nonsense was loaded")
	}
}

func testRemoveImage(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	const ref = "docker.io/fairlead/hello:gone"
	_, err := f.EnsureImage(t.Context(), ref, runtime.Pull{})
	f.must(err)
	has := func() bool {
		images, err := f.ListImages(t.Context())
		f.must(err)
		return slices.ContainsFunc(images, func(i runtime.Image) bool { return i.Ref == ref })
	}
	if !has() {
		t.Error("an image that was ensured is not listed")
	}
	for range 2 {
		f.must(f.RemoveImage(t.Context(), ref))
	}
	if has() {
		t.Error("an image that was removed is listed")
	}
}

// testPinnedImage moves a tag, as a build does, and still makes containers of what it meant before.
func testPinnedImage(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	const ref = "docker.io/library/moving:1"
	load := func(content string) string {
		t.Helper()
		var archive bytes.Buffer
		f.must(build.Image{Ref: ref,
			Files:  []build.File{{Name: "hello", Mode: 0o755, Data: []byte(content)}},
			Config: ocispec.ImageConfig{Entrypoint: []string{"/hello"}},
		}.WriteOCI(&archive))
		loaded, err := f.LoadImage(t.Context(), &archive)
		f.must(err)
		return loaded[0].Digest
	}
	old := load("old")
	pinned := runtime.Pinned(ref, old)
	for range 2 {
		found, err := f.EnsureImage(t.Context(), pinned, runtime.Pull{Pin: true})
		f.must(err)
		if found.Digest != old || !found.Pinned {
			t.Errorf("pinned %+v, want %s", found, old)
		}
	}
	if now := load("new"); now == old {
		t.Fatal("the tag has not moved")
	}
	found, err := f.EnsureImage(t.Context(), pinned, runtime.Pull{Policy: runtime.PullNever})
	f.must(err)
	if found.Digest != old {
		t.Errorf("after the tag has moved: %s, want %s", found.Digest, old)
	}
	id := f.createAs(runtime.Container{ID: f.id("pinned"), Image: pinned})
	if made := f.status(id).Digest; made != old {
		t.Errorf("the container is made of %s, want %s", made, old)
	}
	for _, name := range []string{ref, pinned} {
		f.must(f.RemoveImage(t.Context(), name))
	}
}
