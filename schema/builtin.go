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
	arch     *build.Instance            // stands for archPackage in what imports it, until an evaluation has it
}

// Forget gives back what loading documents keeps for those after them.
func Forget() {
	builtins.Lock()
	defer builtins.Unlock()
	builtins.packages, builtins.arch = nil, nil
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
	p := newPackage(build.NewContext(), importPath, func(_ token.Pos, path string) *build.Instance {
		if path == archPackage {
			return archStand()
		}
		return builtinPackage(path)
	})
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

// archStand is builtins.arch: documents that mention few architectures need not read all.
func archStand() *build.Instance {
	if builtins.arch == nil {
		builtins.arch = newPackage(build.NewContext(), archPackage, nil)
		addFile(builtins.arch, builtinName(archFile), []byte("package arch\n"))
		_ = builtins.arch.Complete()
	}
	return builtins.arch
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
	var err error
	direct := map[string]bool{}
	for s := range e.source.file.ImportSpecs() {
		direct[unquote(s.Path.Value)] = true
	}
	builtins.Lock()
	defer builtins.Unlock()
	for path := range direct {
		first, _, _ := strings.Cut(path, "/")
		if strings.Contains(first, ".") && path != archPackage && builtinPackage(path) == nil { // CUE's own have no dot
			return nil, nil
		}
	}
	e.narrowed = e.narrowed && !direct[archPackage] || e.source.shown != ""
	c := copier{done: map[*build.Instance]*build.Instance{}}
	if e.narrowed {
		if c.tables, err = e.narrow(); err != nil {
			return nil, err
		}
	}
	doc := build.NewContext().NewInstance(filepath.Dir(e.source.abs), c.load)
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

// copier makes packages for one evaluation, which writes to instances, but not to what is in their files.
type copier struct {
	tables []byte // what archPackage is made of; nil: all there is
	done   map[*build.Instance]*build.Instance
}

func (c *copier) load(_ token.Pos, path string) *build.Instance {
	if path == archPackage {
		return c.copy(archStand())
	}
	return c.copy(builtinPackage(path))
}

func (c *copier) copy(p *build.Instance) *build.Instance {
	if p == nil || c.done[p] != nil {
		return c.done[p]
	}
	if p == builtins.arch {
		c.done[p] = c.arch()
		return c.done[p]
	}
	q := *p
	c.done[p] = &q
	q.Imports = make([]*build.Instance, len(p.Imports))
	for i, of := range p.Imports {
		q.Imports[i] = c.copy(of)
	}
	return &q
}

// arch is archPackage.
func (c *copier) arch() *build.Instance {
	if c.tables == nil {
		return c.copy(builtinPackage(archPackage))
	}
	p := newPackage(build.NewContext(), archPackage, c.load)
	addFile(p, builtinName(archFile), c.tables)
	_ = p.Complete()
	return p
}
