package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"
)

func sample(tag string) Image {
	return Hello([]byte("program"), "docker.io/fairlead/hello:"+tag, tag)
}

// names lists the files in an archive.
func names(t *testing.T, archive io.Reader) []string {
	t.Helper()
	var all []string
	for files := tar.NewReader(archive); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, header.Name)
	}
}

func TestSameInputSameBytes(t *testing.T) {
	var one, two bytes.Buffer
	if err := errors.Join(sample("1").WriteOCI(&one), sample("1").WriteOCI(&two)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("two archives of one image differ")
	}
}

func TestTagsDifferByDigestAndShareTheLayer(t *testing.T) {
	one, err := sample("1").Parts()
	if err != nil {
		t.Fatal(err)
	}
	two, err := sample("2").Parts()
	if err != nil {
		t.Fatal(err)
	}
	if one.Manifest.Digest == two.Manifest.Digest || one.Layer.Digest != two.Layer.Digest {
		t.Errorf("manifests %s %s, layers %s %s", one.Manifest.Digest, two.Manifest.Digest,
			one.Layer.Digest, two.Layer.Digest)
	}
}

func TestArchives(t *testing.T) {
	parts, err := sample("1").Parts()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		write func(Image, io.Writer) error
		want  map[string]bool
	}{
		"OCI": {Image.WriteOCI, map[string]bool{
			"oci-layout": true, "index.json": true,
			"blobs/sha256/" + parts.Manifest.Digest.Encoded(): true,
			"blobs/sha256/" + parts.Config.Digest.Encoded():   true,
			"blobs/sha256/" + parts.Layer.Digest.Encoded():    true,
		}},
		"Docker": {Image.WriteDocker, map[string]bool{
			"manifest.json": true, "layer/layer.tar": true,
			parts.Config.Digest.Encoded() + ".json": true,
		}},
	} {
		var archive bytes.Buffer
		if err := test.write(sample("1"), &archive); err != nil {
			t.Fatal(err)
		}
		got := names(t, &archive)
		slices.Sort(got)
		if want := slices.Sorted(maps.Keys(test.want)); !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", name, got, want)
		}
	}
}

func TestLayer(t *testing.T) {
	layer, err := Image{Files: []File{
		{Name: "d/", Mode: 0o700}, {Name: "d/f", Mode: 0o640, Data: []byte("x")},
		{Name: "l", Mode: 0o777, Link: "/d/f"},
	}}.layer()
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(bytes.NewReader(layer)); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]tar.Header{
			"d/":  {Typeflag: tar.TypeDir, Mode: 0o700},
			"d/f": {Typeflag: tar.TypeReg, Mode: 0o640, Size: 1},
			"l":   {Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: "/d/f"},
		}[header.Name]
		if header.Typeflag != want.Typeflag || header.Mode != want.Mode ||
			header.Size != want.Size || header.Linkname != want.Linkname {
			t.Errorf("%s: got %+v, want %+v", header.Name, header, want)
		}
	}
}
