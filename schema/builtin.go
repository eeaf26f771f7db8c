package schema

import (
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	pipe "pipe.dev"
)

// builtins are the packages of the built-in module that documents have asked for,
// parsed and resolved. Nothing changes them afterwards, so any number of
// evaluations may read them.
var builtins struct {
	sync.Mutex
	packages map[string]*build.Instance // by import path
}

// Forget gives back what loading documents keeps for those after them.
func Forget() {
	builtins.Lock()
	defer builtins.Unlock()
	builtins.packages = nil
}

// builtinName is how messages call a file of the built-in module.
func builtinName(file string) string { return modulePath + "/" + file }

// builtinPackage is a package of the built-in module, nil if there is none; builtins are locked.
func builtinPackage(importPath string) *build.Instance {
	if p := builtins.packages[importPath]; p != nil {
		return p
	}
	dir, ok := strings.CutPrefix(importPath, modulePath+"/")
	if !ok {
		return nil
	}
	files, err := fs.Glob(pipe.CUE, path.Join(dir, "*.cue"))
	if err != nil || len(files) == 0 {
		return nil
	}
	p := newPackage(build.NewContext(), importPath, func(_ token.Pos, path string) *build.Instance { return builtinPackage(path) })
	for _, file := range files {
		text, err := pipe.CUE.ReadFile(file)
		if err != nil {
			return nil
		}
		addFile(p, builtinName(file), text)
	}
	_ = p.Complete() // its errors stand in p
	if builtins.packages == nil {
		builtins.packages = map[string]*build.Instance{}
	}
	builtins.packages[importPath] = p
	return p
}

func newPackage(c *build.Context, importPath string, load build.LoadFunc) *build.Instance {
	p := c.NewInstance(filepath.Join(builtinRoot(), filepath.FromSlash(strings.TrimPrefix(importPath, modulePath))), load)
	p.ImportPath, p.CanonicalID = importPath, importPath
	return p
}

func addFile(p *build.Instance, name string, text []byte) {
	f, err := parser.ParseFile(name, text, parser.ParseComments)
	if err != nil {
		p.ReportError(errors.Promote(err, "parse"))
		return
	}
	_ = p.AddSyntax(f)
}

// instance is the document with what it imports, without CUE's loader, which reads and resolves every
// package anew; nil if it imports more than the built-in module has.
func (e *evaluation) instance() (*build.Instance, error) {
	direct := map[string]bool{}
	for s := range e.source.file.ImportSpecs() {
		direct[unquote(s.Path.Value)] = true
	}
	builtins.Lock()
	defer builtins.Unlock()
	for path := range direct {
		first, _, _ := strings.Cut(path, "/")
		if strings.Contains(first, ".") && builtinPackage(path) == nil { // CUE's own have no dot
			return nil, nil
		}
	}
	var tables []byte
	if e.source.shown != "" {
		var err error
		if tables, err = e.narrow(); err != nil {
			return nil, err
		}
	}
	c := build.NewContext()
	copies := map[*build.Instance]*build.Instance{}
	var load build.LoadFunc
	load = func(_ token.Pos, path string) *build.Instance {
		if path == archPackage && tables != nil {
			p := newPackage(c, path, load)
			addFile(p, builtinName(archFile), tables)
			_ = p.Complete()
			return p
		}
		return copyPackage(builtinPackage(path), copies)
	}
	doc := c.NewInstance(filepath.Dir(e.source.abs), load)
	doc.User = true
	doc.PkgName = e.source.file.PackageName()
	_ = doc.AddSyntax(e.source.file)
	_ = doc.Complete()
	for _, p := range doc.Imports { // the document's own are those that were written, whatever was edited
		e.collectFiles(p, map[*build.Instance]bool{})
	}
	return doc, nil
}

// collectFiles notes the files of p and of what it imports.
func (e *evaluation) collectFiles(p *build.Instance, seen map[*build.Instance]bool) {
	if seen[p] {
		return
	}
	seen[p] = true
	for _, f := range p.Files {
		e.files[f.Filename] = f
	}
	for _, q := range p.Imports {
		e.collectFiles(q, seen)
	}
}

// copyPackage is p for one evaluation, which writes to instances, but not to what is in their files.
func copyPackage(p *build.Instance, copies map[*build.Instance]*build.Instance) *build.Instance {
	if p == nil || copies[p] != nil {
		return copies[p]
	}
	q := *p
	copies[p] = &q
	q.Imports = make([]*build.Instance, len(p.Imports))
	for i, of := range p.Imports {
		q.Imports[i] = copyPackage(of, copies)
	}
	return &q
}
