package main

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// cut writes models/SERVICE.json from a public model: decoding into the model type drops the prose.
func cut(dir, service, from string) error {
	m, err := readPublic(from)
	if err != nil {
		return err
	}
	keep, err := readOps(filepath.Join(dir, service+".ops"))
	if err != nil {
		return err
	}
	if keep != nil {
		if err := keepOperations(m, keep); err != nil {
			return err
		}
	}
	dropUnreachable(m)
	out, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", service, err)
	}
	return os.WriteFile(filepath.Join(dir, service+".json"), append(out, '\n'), 0o644)
}

func readPublic(path string) (*model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
	}
	m := new(model)
	if err := json.NewDecoder(r).Decode(m); err != nil {
		return nil, fmt.Errorf("parse %s: %w", path, err)
	}
	return m, nil
}

// readOps returns the operations to keep, or nil when there is no such file: keep all.
func readOps(path string) ([]string, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(string(raw)), err
}

func keepOperations(m *model, keep []string) error {
	for _, name := range keep {
		if m.Operations[name] == nil {
			return fmt.Errorf("no operation %s in the model", name)
		}
	}
	for _, name := range sorted(m.Operations) {
		if !slices.Contains(keep, name) {
			m.OtherOperations = append(m.OtherOperations, name)
			delete(m.Operations, name)
		}
	}
	return nil
}

func dropUnreachable(m *model) {
	seen := map[string]bool{}
	var visit func(ref *shapeRef)
	visit = func(ref *shapeRef) {
		if ref == nil || seen[ref.Shape] {
			return
		}
		seen[ref.Shape] = true
		s := m.Shapes[ref.Shape]
		for _, member := range s.Members {
			visit(member)
		}
		visit(s.Member)
		visit(s.Key)
		visit(s.Value)
	}
	for _, op := range m.Operations {
		visit(op.Input)
		visit(op.Output)
		for i := range op.Errors {
			visit(&op.Errors[i])
		}
	}
	for name := range m.Shapes {
		if !seen[name] {
			delete(m.Shapes, name)
		}
	}
}
