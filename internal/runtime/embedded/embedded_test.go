package embedded

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestInstallShim(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bin")
	path, err := ShimPath(dir)
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := InstallShim(dir); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("files %v, %v, want only the shim", files, err)
	}
}

func TestHelloIsAnExecutable(t *testing.T) {
	program, err := Hello()
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	if err != nil || !bytes.HasPrefix(program, []byte("\x7fELF")) {
		t.Errorf("%d bytes, %v", len(program), err)
	}
}

func TestMissing(t *testing.T) {
	if _, err := unpack("absent"); !errors.Is(err, ErrMissing) {
		t.Errorf("got %v, want %v", err, ErrMissing)
	}
}
