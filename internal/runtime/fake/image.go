package fake

import (
	"archive/tar"
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"fairlead/internal/runtime"
)

// AddImage puts an image into the registry, from where EnsureImage takes it. Its Ref is
// completed as Docker does; an empty Digest is made of it.
func (r *Runtime) AddImage(img runtime.Image, program Program) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(img, program, false)
}

// add stores an image. The caller holds mu.
func (r *Runtime) add(img runtime.Image, program Program, local bool) *image {
	name := normalize(img.Ref)
	img.Digest = cmp.Or(img.Digest, fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(name))))
	img.StopSignal = cmp.Or(img.StopSignal, runtime.StopSignal)
	r.images[name] = &image{Image: img, program: program, local: local}
	if exact := runtime.Pinned(name, img.Digest); r.images[exact] == nil {
		r.images[exact] = &image{Image: img, program: program}
	}
	return r.images[name]
}

// tagged tells whether the image that a reference by digest names is there by a tag.
func (r *Runtime) tagged(ref string) bool {
	for name, img := range r.images {
		if img.local && runtime.ByDigest(ref) && runtime.Pinned(name, img.Digest) == ref {
			return true
		}
	}
	return false
}

// normalize completes a reference as Docker does, as far as tests need it.
func normalize(ref string) string {
	host, _, hasHost := strings.Cut(ref, "/")
	switch {
	case !hasHost:
		ref = "docker.io/library/" + ref
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		ref = "docker.io/" + ref
	}
	if !strings.Contains(ref[strings.LastIndexByte(ref, '/'):], ":") {
		ref += ":latest"
	}
	return ref
}

// EnsureImage implements runtime.Images.
func (r *Runtime) EnsureImage(_ context.Context, ref string,
	pull runtime.Pull) (runtime.Image, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.failure("EnsureImage"); err != nil {
		return runtime.Image{}, err
	}
	name := normalize(ref)
	img := r.images[name]
	if tag, ok := strings.CutPrefix(name, "docker.io/"+runtime.HelloImage+":"); ok && img == nil {
		img = r.add(helloImage(name, tag), Hello, true)
	}
	if img == nil || (!img.local && pull.Policy == runtime.PullNever && !r.tagged(name)) {
		return runtime.Image{}, &runtime.Failure{
			Reason: runtime.CannotPullContainer,
			Message: "pull image manifest has been retried 1 time(s): failed to resolve ref " +
				name + ": " + name + ": not found",
			Err: runtime.ErrNotFound,
		}
	}
	if !img.local {
		img.local, img.Pinned = true, pull.Pin
	}
	found := img.Image
	found.Ref = ref
	return found, nil
}

func helloImage(ref, tag string) runtime.Image {
	return runtime.Image{
		Ref: ref, EntryPoint: []string{"/hello"}, Env: []string{"FAIRLEAD_HELLO_TAG=" + tag},
		ExposedPorts: []string{"80/tcp"}, WorkDir: "/", Size: 7 * mebibyte,
	}
}

// ListImages implements runtime.Images.
func (r *Runtime) ListImages(context.Context) ([]runtime.Image, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []runtime.Image
	for name, img := range r.images {
		if img.local {
			listed := img.Image
			listed.Ref = name
			all = append(all, listed)
		}
	}
	slices.SortFunc(all, func(a, b runtime.Image) int { return cmp.Compare(a.Ref, b.Ref) })
	return all, nil
}

// RemoveImage implements runtime.Images. The registry keeps it.
func (r *Runtime) RemoveImage(_ context.Context, ref string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if img := r.images[normalize(ref)]; img != nil {
		img.local = false
	}
	return nil
}

// LoadImage implements runtime.Images. The images run Hello.
func (r *Runtime) LoadImage(_ context.Context, archive io.Reader) ([]runtime.Image, error) {
	content := sha256.New()
	refs, err := archiveRefs(io.TeeReader(archive, content))
	if err != nil {
		return nil, fmt.Errorf("load image: %w", err)
	}
	if len(refs) == 0 {
		return nil, errors.New("load image: the archive names no image")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var loaded []runtime.Image
	for _, ref := range refs {
		img := helloImage(normalize(ref), "loaded")
		img.Digest = fmt.Sprintf("sha256:%x", content.Sum(nil))
		loaded = append(loaded, r.add(img, Hello, true).Image)
	}
	return loaded, nil
}

// archiveRefs reads the names in a Docker or OCI archive, gzipped or not.
func archiveRefs(archive io.Reader) ([]string, error) {
	buffered := bufio.NewReader(archive)
	var plain io.Reader = buffered
	if magic, err := buffered.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, err
		}
		plain = unzipped
	}
	var refs []string
	for files := tar.NewReader(plain); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return refs, nil
		}
		if err != nil {
			return nil, err
		}
		found, err := fileRefs(header.Name, files)
		if err != nil {
			return nil, err
		}
		refs = append(refs, found...)
	}
}

func fileRefs(name string, content io.Reader) ([]string, error) {
	var refs []string
	switch name {
	case "manifest.json":
		var manifests []struct{ RepoTags []string }
		if err := json.NewDecoder(content).Decode(&manifests); err != nil {
			return nil, err
		}
		for _, manifest := range manifests {
			refs = append(refs, manifest.RepoTags...)
		}
	case "index.json":
		var index struct {
			Manifests []struct{ Annotations map[string]string }
		}
		if err := json.NewDecoder(content).Decode(&index); err != nil {
			return nil, err
		}
		for _, manifest := range index.Manifests {
			refs = append(refs, manifest.Annotations["io.containerd.image.name"])
		}
	}
	return refs, nil
}
