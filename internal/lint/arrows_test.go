package lint

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "fairlead/"

// arrows lists what each package may import of this module, as in ARCHITECTURE.md. A key covers the
// packages below it unless they have a key of their own; so does a value. Every package may import
// those below its own key.
var arrows = map[string][]string{
	"cmd/fairlead":              {"internal"},
	"cmd/genapi":                {},
	"cmd/hello":                 {},
	"internal/alarm":            {"internal/api", "internal/aws", "internal/metric", "internal/row"},
	"internal/admin":            {"internal/aws", "internal/elb", "internal/event", "internal/row", "internal/state", "internal/runtime"},
	"internal/api":              {"internal/aws"},
	"internal/aws":              {},
	"internal/ca":               {},
	"internal/control/alarm":    {"internal/alarm", "internal/aws", "internal/metric", "internal/row", "internal/state"},
	"internal/control/metric":   {"internal/alarm", "internal/api", "internal/lb", "internal/metric", "internal/row", "internal/state"},
	"internal/control/balancer": {"internal/api", "internal/aws", "internal/elb", "internal/lb", "internal/row", "internal/state"},
	"internal/control/network":  {"internal/aws", "internal/eni", "internal/row", "internal/state", "internal/vpc"},
	"internal/control/service":  {"internal/api", "internal/aws", "internal/plan", "internal/row", "internal/state"},
	"internal/control/task":     {"internal/api", "internal/aws", "internal/eni", "internal/node", "internal/row", "internal/runtime", "internal/state"},
	"internal/dns":              {},
	"internal/elb":              {"internal/api", "internal/aws", "internal/lb/jwt", "internal/row", "internal/state"},
	"internal/eni":              {"internal/aws", "internal/row", "internal/state"},
	"internal/event":            {"internal/api", "internal/aws", "internal/row", "internal/state"},
	"internal/image":            {},
	"internal/lb":               {},
	"internal/lint":             {},
	"internal/logstore":         {},
	"internal/metric":           {},
	"internal/node":             {"internal/api", "internal/aws", "internal/row", "internal/runtime"},
	"internal/plan":             {"internal/api", "internal/aws", "internal/row"},
	"internal/row":              {"internal/api", "internal/aws", "internal/state"},
	"internal/runtime":          {"internal/image"},
	"internal/service":          {"internal/alarm", "internal/api", "internal/aws", "internal/elb", "internal/eni", "internal/lb/rewrite", "internal/lb/sslpolicy", "internal/logstore", "internal/metric", "internal/plan", "internal/row", "internal/state", "internal/wire"},
	"internal/sim":              {"internal/api", "internal/aws", "internal/control/service", "internal/plan", "internal/row", "internal/state"},
	"internal/state":            {},
	"internal/vpc":              {},
	"internal/wire":             {"internal/api", "internal/aws"},
	"examples":                  {},
}

// anywhere are the packages that are not bound: the tests of the whole and the benchmarks.
var anywhere = []string{"test", "bench"}

func TestArrows(t *testing.T) {
	seen := map[string]bool{}
	for file, dir := range sources(t) {
		if slices.ContainsFunc(anywhere, func(p string) bool { return below(dir, p) }) {
			continue
		}
		key := keyOf(dir)
		if key == "" {
			t.Errorf("package %s is not in the table of arrows", dir)
			continue
		}
		seen[key] = true
		for _, imported := range imports(t, file) {
			if !below(imported, key) && !slices.ContainsFunc(arrows[key], func(p string) bool { return below(imported, p) }) {
				t.Errorf("%s imports %s, which ARCHITECTURE.md does not allow to %s", file, imported, key)
			}
		}
	}
	for key := range arrows {
		if !seen[key] {
			t.Errorf("there is no package %s any more", key)
		}
	}
}

// sources yields every Go file that is not a test, with its directory, relative to the root.
func sources(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir("../..", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() != ".." && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(p, ".go") && !strings.HasSuffix(p, "_test.go") {
			rel, err := filepath.Rel("../..", p)
			files[rel] = path.Dir(rel)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// keyOf is the longest key that covers the directory.
func keyOf(dir string) string {
	best := ""
	for key := range arrows {
		if below(dir, key) && len(key) > len(best) {
			best = key
		}
	}
	return best
}

func below(dir, root string) bool { return dir == root || strings.HasPrefix(dir, root+"/") }

func imports(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), "../../"+file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if rest, ours := strings.CutPrefix(name, module); ours {
			out = append(out, rest)
		}
	}
	return out
}
