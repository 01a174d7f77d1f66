package containerd

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/opencontainers/image-spec/identity"
	"golang.org/x/sys/unix"

	"fairlead/internal/image"
	"fairlead/internal/runtime"
	"fairlead/internal/runtime/embedded"
)

// normalize completes a reference as Docker does: nginx is docker.io/library/nginx:latest.
// What is no reference stays as it is, and is not found.
func normalize(ref string) string {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return ref
	}
	return named.String()
}

// helloTag returns the tag if the normalized reference is that of the built-in image.
func helloTag(ref string) (tag string, ok bool) {
	return strings.CutPrefix(ref, "docker.io/"+runtime.HelloImage+":")
}

// EnsureImage implements runtime.Images.
func (e *Engine) EnsureImage(ctx context.Context, ref string,
	pull runtime.Pull) (runtime.Image, error) {
	if _, err := reference.ParseDockerRef(ref); err != nil {
		return runtime.Image{}, pullFailure(fmt.Errorf("invalid reference format: %q", ref), false)
	}
	name := normalize(ref)
	found, err := e.provide(ctx, name, pull)
	if err != nil {
		return runtime.Image{}, err
	}
	if err := e.unpack(ctx, found); err != nil {
		return runtime.Image{}, pullFailure(err, true)
	}
	return e.describe(ctx, ref, found)
}

// provide finds, builds or pulls the image.
func (e *Engine) provide(ctx context.Context, name string,
	pull runtime.Pull) (client.Image, error) {
	local, err := e.client.GetImage(ctx, name)
	if err != nil && !errdefs.IsNotFound(err) {
		return nil, pullFailure(err, true)
	}
	exact := runtime.ByDigest(name)
	if local == nil && exact {
		if local, err = e.tagged(ctx, name, pull); err != nil {
			return nil, pullFailure(err, true)
		}
	}
	tag, builtIn := helloTag(name)
	switch {
	case local == nil && builtIn:
		return e.buildHello(ctx, name, tag)
	case builtIn, local != nil && pull.Policy == runtime.PullPreferCached,
		local != nil && exact && pull.Policy == runtime.PullDefault,
		local != nil && pull.Policy == runtime.PullNever:
		return local, nil
	case pull.Policy == runtime.PullNever:
		return nil, pullFailure(fmt.Errorf("no such image: %s", name), false)
	}
	pulled, err := e.pull(ctx, name, pull)
	if err != nil && local != nil && pull.Policy == runtime.PullDefault {
		return local, nil
	}
	return pulled, err
}

// tagged gives an image that is there by a tag its name by digest, under which it stays when the tag
// moves on. It returns nil if there is none.
func (e *Engine) tagged(ctx context.Context, name string, pull runtime.Pull) (client.Image, error) {
	_, digest, _ := strings.Cut(name, "@")
	rows, err := e.client.ImageService().List(ctx, "target.digest=="+digest)
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", digest, err)
	}
	at := slices.IndexFunc(rows, func(row images.Image) bool {
		return runtime.Pinned(row.Name, digest) == name
	})
	if at < 0 {
		return nil, nil
	}
	row, err := e.client.ImageService().Create(ctx, images.Image{
		Name: name, Target: rows[at].Target, Labels: pinLabels(pull),
	})
	if errdefs.IsAlreadyExists(err) {
		return e.client.GetImage(ctx, name)
	}
	if err != nil {
		return nil, fmt.Errorf("name %s: %w", name, err)
	}
	return client.NewImage(e.client, row), nil
}

// pinLabels marks an image record that Pull.Pin made.
func pinLabels(pull runtime.Pull) map[string]string {
	if !pull.Pin {
		return nil
	}
	return map[string]string{labelPinned: "true"}
}

// buildHello imports the image that Fairlead carries.
func (e *Engine) buildHello(ctx context.Context, name, tag string) (client.Image, error) {
	select {
	case e.unpacking <- struct{}{}:
		defer func() { <-e.unpacking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if local, err := e.client.GetImage(ctx, name); err == nil {
		return local, nil
	}
	program, err := embedded.Hello()
	if err != nil {
		return nil, pullFailure(err, false)
	}
	var archive bytes.Buffer
	if err := image.Hello(program, name, tag).WriteOCI(&archive); err != nil {
		return nil, pullFailure(err, false)
	}
	if _, err := e.client.Import(ctx, &archive); err != nil {
		return nil, pullFailure(fmt.Errorf("import %s: %w", name, err), true)
	}
	return e.client.GetImage(ctx, name)
}

// unpack makes the snapshot that containers of the image are put on.
func (e *Engine) unpack(ctx context.Context, img client.Image) error {
	done, err := img.IsUnpacked(ctx, e.config.Snapshotter)
	if err != nil {
		return fmt.Errorf("look for snapshot of %s: %w", img.Name(), err)
	}
	if done {
		return nil
	}
	if err := img.Unpack(ctx, e.config.Snapshotter); err != nil {
		return fmt.Errorf("unpack %s: %w", img.Name(), err)
	}
	return nil
}

// chainID names the snapshot of all layers of the image.
func chainID(ctx context.Context, img client.Image) (string, error) {
	layers, err := img.RootFS(ctx)
	if err != nil {
		return "", fmt.Errorf("read layers of %s: %w", img.Name(), err)
	}
	return identity.ChainID(layers).String(), nil
}

// LoadImage implements runtime.Images.
func (e *Engine) LoadImage(ctx context.Context, archive io.Reader) ([]runtime.Image, error) {
	plain, err := decompress(archive)
	if err != nil {
		return nil, fmt.Errorf("load image: %w", err)
	}
	imported, err := e.client.Import(ctx, plain,
		client.WithImportPlatform(platforms.Default()),
		client.WithImageRefTranslator(normalize))
	if err != nil {
		return nil, fmt.Errorf("load image: %w", err)
	}
	if len(imported) == 0 {
		return nil, errors.New("load image: the archive names no image")
	}
	var loaded []runtime.Image
	for _, row := range imported {
		img := client.NewImage(e.client, row)
		if err := e.unpack(ctx, img); err != nil {
			return nil, fmt.Errorf("load image: %w", err)
		}
		described, err := e.describe(ctx, row.Name, img)
		if err != nil {
			return nil, fmt.Errorf("load image: %w", err)
		}
		loaded = append(loaded, described)
	}
	return loaded, nil
}

// decompress undoes gzip if the archive begins like it.
func decompress(archive io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(archive)
	magic, err := buffered.Peek(2)
	if err != nil {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	if magic[0] != 0x1f || magic[1] != 0x8b {
		return buffered, nil
	}
	unzipped, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	return unzipped, nil
}

// ListImages implements runtime.Images.
func (e *Engine) ListImages(ctx context.Context) ([]runtime.Image, error) {
	rows, err := e.client.ImageService().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	var all []runtime.Image
	for _, row := range rows {
		described, err := e.describe(ctx, row.Name, client.NewImage(e.client, row))
		if errdefs.IsNotFound(err) {
			continue // deleted meanwhile, or only partly pulled
		}
		if err != nil {
			return nil, err
		}
		all = append(all, described)
	}
	slices.SortFunc(all, func(a, b runtime.Image) int { return cmp.Compare(a.Ref, b.Ref) })
	return all, nil
}

// RemoveImage implements runtime.Images.
func (e *Engine) RemoveImage(ctx context.Context, ref string) error {
	err := e.client.ImageService().Delete(ctx, normalize(ref), images.SynchronousDelete())
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove image %s: %w", ref, err)
	}
	return nil
}

func (e *Engine) describe(ctx context.Context, ref string,
	img client.Image) (runtime.Image, error) {
	config, err := imageConfig(ctx, img)
	if err != nil {
		return runtime.Image{}, err
	}
	size, err := img.Size(ctx)
	if err != nil {
		return runtime.Image{}, fmt.Errorf("measure %s: %w", ref, err)
	}
	var ports []string
	for port := range config.ExposedPorts {
		ports = append(ports, port)
	}
	slices.Sort(ports)
	return runtime.Image{
		Ref: ref, Digest: img.Target().Digest.String(), Size: size,
		EntryPoint: config.Entrypoint, Command: config.Cmd,
		Env: config.Env, User: config.User, WorkDir: config.WorkingDir,
		StopSignal: stopSignal(config.StopSignal), ExposedPorts: ports, Labels: config.Labels,
		Pinned: img.Labels()[labelPinned] != "",
	}, nil
}

// stopSignal reads an image's STOPSIGNAL, a number or a name with or without SIG.
func stopSignal(text string) syscall.Signal {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return syscall.Signal(n)
	}
	name := "SIG" + strings.TrimPrefix(strings.ToUpper(text), "SIG")
	if signal := unix.SignalNum(name); signal != 0 {
		return signal
	}
	return runtime.StopSignal
}
