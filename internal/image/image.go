// Package image makes container images out of files, in Go and in memory: the built-in
// fairlead/hello, and whatever tests need. An image is written as an OCI archive or as the kind
// that `docker save` writes, and can be served blob by blob as a registry does.
//
// The same input gives the same bytes, so an image that exists is recognised by its digest.
package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// File is a file, a symbolic link or, with a Name that ends in a slash, a directory.
type File struct {
	// Name is relative to the root, such as etc/passwd; parents are made as needed by unpackers.
	Name string
	// Mode holds the permission bits.
	Mode int64
	// Link is the target of a symbolic link; Data is then ignored.
	Link string
	Data []byte
}

// Image is one layer and how to run it, for the architecture of this binary.
type Image struct {
	// Ref is the full reference: docker.io/fairlead/hello:latest.
	Ref    string
	Files  []File
	Config ocispec.ImageConfig
}

// Blob is one piece of an image as registries store it.
type Blob struct {
	ocispec.Descriptor
	Data []byte
}

// Parts is an image taken apart; Manifest is the piece that the reference points at.
type Parts struct {
	Manifest, Config, Layer Blob
}

// Parts encodes the image.
func (i Image) Parts() (Parts, error) {
	layer, err := i.layer()
	if err != nil {
		return Parts{}, fmt.Errorf("write layer of %s: %w", i.Ref, err)
	}
	var parts Parts
	parts.Layer = blob(ocispec.MediaTypeImageLayer, layer)
	parts.Config, err = jsonBlob(ocispec.MediaTypeImageConfig, ocispec.Image{
		Created:  new(time.Unix(0, 0).UTC()),
		Platform: ocispec.Platform{Architecture: runtime.GOARCH, OS: "linux"},
		Config:   i.Config,
		RootFS: ocispec.RootFS{
			Type: "layers", DiffIDs: []digest.Digest{parts.Layer.Digest},
		},
	})
	if err != nil {
		return Parts{}, fmt.Errorf("write config of %s: %w", i.Ref, err)
	}
	parts.Manifest, err = jsonBlob(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    parts.Config.Descriptor,
		Layers:    []ocispec.Descriptor{parts.Layer.Descriptor},
	})
	if err != nil {
		return Parts{}, fmt.Errorf("write manifest of %s: %w", i.Ref, err)
	}
	return parts, nil
}

// WriteOCI writes the image as an archive of an OCI image layout.
func (i Image) WriteOCI(w io.Writer) error {
	parts, err := i.Parts()
	if err != nil {
		return err
	}
	top := parts.Manifest.Descriptor
	top.Annotations = map[string]string{
		"io.containerd.image.name": i.Ref,
	}
	index, err := json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{top},
	})
	if err != nil {
		return fmt.Errorf("write index of %s: %w", i.Ref, err)
	}
	files := []File{
		{Name: ocispec.ImageLayoutFile, Data: []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{Name: ocispec.ImageIndexFile, Data: index},
	}
	for _, b := range []Blob{parts.Manifest, parts.Config, parts.Layer} {
		files = append(files, File{Name: "blobs/sha256/" + b.Digest.Encoded(), Data: b.Data})
	}
	return writeTar(w, files)
}

// WriteDocker writes the image as `docker save` does.
func (i Image) WriteDocker(w io.Writer) error {
	parts, err := i.Parts()
	if err != nil {
		return err
	}
	config, layer := parts.Config.Digest.Encoded()+".json", "layer/layer.tar"
	manifest, err := json.Marshal([]struct {
		Config   string
		RepoTags []string
		Layers   []string
	}{{config, []string{i.Ref}, []string{layer}}})
	if err != nil {
		return fmt.Errorf("write manifest of %s: %w", i.Ref, err)
	}
	return writeTar(w, []File{
		{Name: config, Data: parts.Config.Data},
		{Name: layer, Data: parts.Layer.Data},
		{Name: "manifest.json", Data: manifest},
	})
}

func (i Image) layer() ([]byte, error) {
	var layer bytes.Buffer
	if err := writeTar(&layer, i.Files); err != nil {
		return nil, err
	}
	return layer.Bytes(), nil
}

func jsonBlob(mediaType string, v any) (Blob, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return Blob{}, err
	}
	return blob(mediaType, data), nil
}

func blob(mediaType string, data []byte) Blob {
	return Blob{Data: data, Descriptor: ocispec.Descriptor{
		MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data)),
	}}
}

// writeTar writes files without anything that changes from run to run.
func writeTar(w io.Writer, files []File) error {
	archive := tar.NewWriter(w)
	for _, file := range files {
		if err := archive.WriteHeader(file.header()); err != nil {
			return fmt.Errorf("write %s: %w", file.Name, err)
		}
		if file.Link != "" {
			continue
		}
		if _, err := archive.Write(file.Data); err != nil {
			return fmt.Errorf("write %s: %w", file.Name, err)
		}
	}
	return archive.Close()
}

func (f File) header() *tar.Header {
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: f.Name, Mode: f.Mode, Size: int64(len(f.Data)),
		ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
	}
	switch {
	case f.Link != "":
		header.Typeflag, header.Linkname, header.Size = tar.TypeSymlink, f.Link, 0
	case f.Name[len(f.Name)-1] == '/':
		header.Typeflag = tar.TypeDir
	}
	return header
}
