// Package embedded holds the programs that Fairlead carries in its binary, compressed:
// containerd's shim and hello, the program of the image fairlead/hello.
//
// `make build` (build/embed.mk) puts them into bin/ before Fairlead itself is compiled. A clean
// clone compiles without them and says so when they are needed.
package embedded

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

//go:embed all:bin
var bin embed.FS

// ErrMissing is a program that was not there when Fairlead was compiled.
var ErrMissing = errors.New("not built into this binary: compile it with `make build`")

const (
	shimName  = "containerd-shim-runc-v2"
	helloName = "hello"
)

// Hello returns the program of the image fairlead/hello.
func Hello() ([]byte, error) { return unpack(helloName) }

// ShimPath is where InstallShim puts containerd's shim in dir. The name carries the hash of the
// content: a shim that still runs under an older Fairlead's containers is never overwritten.
func ShimPath(dir string) (string, error) {
	packed, err := read(shimName)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, fmt.Sprintf("%s-%x", shimName, sha256.Sum256(packed))[:maxName]), nil
}

// maxName is the shim's name, a hyphen and 12 digits.
const maxName = len(shimName) + 13

// InstallShim writes the shim to ShimPath of dir unless it is there. That takes a tenth of a
// second, so it is worth doing beside other things.
func InstallShim(dir string) error {
	path, err := ShimPath(dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	program, err := unpack(shimName)
	if err != nil {
		return err
	}
	if err := writeProgram(path, program); err != nil {
		return fmt.Errorf("install %s: %w", shimName, err)
	}
	return nil
}

// writeProgram writes the file under another name first, so that path is whole or absent.
func writeProgram(path string, program []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(program)
	if err := errors.Join(err, file.Chmod(0o755), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

func read(name string) ([]byte, error) {
	packed, err := bin.ReadFile("bin/" + name + ".gz")
	if err != nil {
		return nil, fmt.Errorf("%s is %w", name, ErrMissing)
	}
	return packed, nil
}

func unpack(name string) ([]byte, error) {
	packed, err := read(name)
	if err != nil {
		return nil, err
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", name, err)
	}
	program, err := io.ReadAll(reader)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", name, err)
	}
	return program, nil
}
