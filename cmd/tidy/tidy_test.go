// Package tidy holds the house rules that a program can check: who may import whom, what stands at
// the top, and that everything which is exported is explained. It has tests only.
package tidy

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the import path of the program; bench is a module of its own below it.
const module = "sluice"

// root is the top of the repository, seen from this folder.
const root = "../.."

// source is one file of the repository.
type source struct {
	path   string // seen from the top, with slashes
	folder string
	text   []byte
	file   *ast.File // of a Go file, else nil
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// repository returns all files but those that are made (bin, bench/out) or kept by git.
func repository(t *testing.T) []source {
	t.Helper()
	all, err := read()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// places turns a position in a file that was read into its line.
var places = token.NewFileSet()

var read = sync.OnceValues(func() ([]source, error) {
	var all []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if slices.Contains([]string{".git", "bin", "bench/out"}, rel) || d.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		s := source{path: rel, folder: path.Dir(rel), text: text}
		if strings.HasSuffix(rel, ".go") {
			if s.file, err = parser.ParseFile(places, rel, text, parser.ParseComments); err != nil {
				return err
			}
		}
		all = append(all, s)
		return nil
	})
	return all, err
})

// top is what stands at the top of the repository, besides files that begin with a dot.
var top = []string{
	"engine", "codec", "router", "upstream", "cmd", "bench", "conf",
	"Makefile", "go.mod", "go.sum", "README.md", "LICENSE", "CHANGELOG.md", "Dockerfile",
	"bin", // made, not kept
}

func TestTop(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(top, e.Name()) {
			t.Errorf("%s: has no place at the top", e.Name())
		}
	}
}

// bannedNames say nothing about what is in a package.
var bannedNames = []string{
	"util", "utils", "common", "helper", "helpers", "base", "types", "manager", "misc", "shared", "lib",
}

func TestPackageNames(t *testing.T) {
	files := repository(t)
	for _, s := range files {
		if s.file != nil && slices.Contains(bannedNames, s.file.Name.Name) {
			t.Errorf("%s: a package named %s says nothing", s.path, s.file.Name.Name)
		}
	}
}

// TestPackageDocs holds that each package says what it is.
func TestPackageDocs(t *testing.T) {
	files := repository(t)
	explained := map[string]bool{}
	for _, s := range files {
		if s.file != nil {
			explained[s.folder] = explained[s.folder] || s.file.Doc != nil
		}
	}
	for folder, ok := range explained {
		if !ok {
			t.Errorf("%s: no file has a package comment", folder)
		}
	}
}

// TestExportedNamesAreExplained wants a comment at each exported name of a package that others import.
func TestExportedNamesAreExplained(t *testing.T) {
	files := repository(t)
	for _, s := range files {
		if s.file == nil || s.isTest() || s.file.Name.Name == "main" {
			continue
		}
		for _, id := range unexplained(s.file) {
			t.Errorf("%v: %s has no comment", places.Position(id.Pos()), id.Name)
		}
	}
}

// unexplained finds the exported names at the top of a file that have no comment: of their own, on
// their line, or above the group they stand in.
func unexplained(f *ast.File) []*ast.Ident {
	var found []*ast.Ident
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && d.Name.IsExported() && receiverExported(d) {
				found = append(found, d.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if d.Doc == nil && spec.Doc == nil && spec.Comment == nil && spec.Name.IsExported() {
						found = append(found, spec.Name)
					}
				case *ast.ValueSpec:
					if d.Doc == nil && spec.Doc == nil && spec.Comment == nil && !isEnum(d) {
						found = append(found, exported(spec.Names)...)
					}
				}
			}
		}
	}
	return found
}

// isEnum tells groups of constants of one type: its comment explains them.
func isEnum(d *ast.GenDecl) bool {
	return d.Tok == token.CONST && d.Specs[0].(*ast.ValueSpec).Type != nil
}

func exported(names []*ast.Ident) []*ast.Ident {
	return slices.DeleteFunc(slices.Clone(names), func(id *ast.Ident) bool { return !id.IsExported() })
}

// conventional are the methods whose meaning an interface of the standard library gives.
var conventional = []string{
	"Error", "Unwrap", "Is", "As", "Len", "Less", "Swap", "Timeout", "Temporary", "Write", "Read",
	"Close", "LocalAddr", "RemoteAddr", "SetDeadline", "SetReadDeadline", "SetWriteDeadline",
}

// receiverExported tells whether a function can be seen from other packages: methods of types that
// can't be seen are not, and those of the standard library's interfaces need no word.
func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported() && !slices.Contains(conventional, d.Name.Name)
		default:
			return false
		}
	}
}

// never are texts that no file may hold. They are put together here so that this file does not hold
// them either.
var never = []struct {
	what  string
	words []string       // one of which is in each such text
	text  *regexp.Regexp // is looked for where one of the words is
}{
	{"unfinished work", []string{"TO" + "DO", "FIX" + "ME", "XX" + "X"},
		regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)},
	{"a path of one machine", []string{"/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/"},
		regexp.MustCompile(`(^|[\s"'=(` + "`" + `])/(wo` + `rk|ro` + `ot|ho` + `me)/`)},
}

func TestNever(t *testing.T) {
	files := repository(t)
	for _, s := range files {
		if path.Base(s.path) == "go.sum" || bytes.IndexByte(s.text, 0) >= 0 {
			continue
		}
		text := string(s.text)
		for _, rule := range never {
			if !slices.ContainsFunc(rule.words, func(w string) bool { return strings.Contains(text, w) }) {
				continue
			}
			for n, line := range strings.Split(text, "\n") {
				if rule.text.MatchString(line) {
					t.Errorf("%s:%d: %s: %s", s.path, n+1, rule.what, strings.TrimSpace(line))
				}
			}
		}
	}
}

// imports returns the import paths of a file.
func imports(f *ast.File) []string {
	var paths []string
	for _, i := range f.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			panic(err) // the parser has read it
		}
		paths = append(paths, p)
	}
	return paths
}
