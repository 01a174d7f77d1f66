package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// TestEveryPackageHasOneComment holds every package to exactly one package comment.
func TestEveryPackageHasOneComment(t *testing.T) {
	comments := map[string]int{}
	for file, dir := range sources(t) {
		parsed, err := parser.ParseFile(token.NewFileSet(), "../../"+file, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		comments[dir] += 0
		if parsed.Doc != nil {
			comments[dir]++
		}
	}
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("package %s has %d package comments, want one", dir, n)
		}
	}
}

// TestEveryExportedNameHasAComment holds exported functions and types to a doc comment.
func TestEveryExportedNameHasAComment(t *testing.T) {
	for file := range sources(t) {
		parsed, err := parser.ParseFile(token.NewFileSet(), "../../"+file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			if name := undocumented(decl); name != "" {
				t.Errorf("%s: %s has no comment", file, name)
			}
		}
	}
}

func undocumented(decl ast.Decl) string {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
			return d.Name.Name
		}
	case *ast.GenDecl:
		if d.Tok != token.TYPE || d.Doc != nil {
			return ""
		}
		for _, spec := range d.Specs {
			if s := spec.(*ast.TypeSpec); s.Name.IsExported() && s.Doc == nil {
				return s.Name.Name
			}
		}
	}
	return ""
}

// exportedReceiver tells methods that users of the package see; those that implement an interface of
// the standard library explain themselves on types that are not exported.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if index, ok := typ.(*ast.IndexExpr); ok {
		typ = index.X
	}
	ident, ok := typ.(*ast.Ident)
	return ok && ident.IsExported()
}
