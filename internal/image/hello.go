package image

import ocispec "github.com/opencontainers/image-spec/specs-go/v1"

// HelloTagVariable is where the program in fairlead/hello finds the tag of its image.
const HelloTagVariable = "FAIRLEAD_HELLO_TAG"

// Hello returns the built-in image fairlead/hello around its program. Tags differ by one
// variable in the environment, and hence by digest, so a deployment can tell them apart.
func Hello(program []byte, ref, tag string) Image {
	return Image{
		Ref: ref,
		Files: []File{
			{Name: "bin/", Mode: 0o755},
			{Name: "bin/sh", Mode: 0o777, Link: "/hello"},
			{Name: "etc/", Mode: 0o755},
			{Name: "etc/passwd", Mode: 0o644, Data: []byte(
				"root:x:0:0:root:/:/hello\nnobody:x:65534:65534:nobody:/:/hello\n")},
			{Name: "etc/group", Mode: 0o644, Data: []byte("root:x:0:\nnobody:x:65534:\n")},
			{Name: "etc/hosts", Mode: 0o644, Data: []byte(
				"127.0.0.1 localhost\n::1 localhost\n")},
			{Name: "hello", Mode: 0o755, Data: program},
			{Name: "tmp/", Mode: 0o1777},
			{Name: "usr/", Mode: 0o755},
			{Name: "usr/bin/", Mode: 0o755},
			{Name: "usr/bin/curl", Mode: 0o777, Link: "/hello"},
			{Name: "usr/bin/hello", Mode: 0o777, Link: "/hello"},
			{Name: "usr/bin/wget", Mode: 0o777, Link: "/hello"},
		},
		Config: ocispec.ImageConfig{
			Entrypoint:   []string{"/hello"},
			Env:          []string{"PATH=/usr/bin:/bin", HelloTagVariable + "=" + tag},
			ExposedPorts: map[string]struct{}{"80/tcp": {}},
			WorkingDir:   "/",
			Labels: map[string]string{
				"org.opencontainers.image.title":   "hello",
				"org.opencontainers.image.version": tag,
			},
		},
	}
}
