package schema

import (
	"os"
	"path/filepath"
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/parser"
)

// Options are what the command line adds to a document.
type Options struct {
	// Set holds NAME=VALUE. NAME is a declared input of the pipeline, else a
	// path in the document; VALUE is a CUE literal if it parses as one, else a
	// string. A later one of the same name wins.
	Set []string
	// Unset lets inputs lack a value: they get any of their type, so that
	// everything else is checked. Such a document can't be run.
	Unset bool
	// Source holds documents that are not on disk, by file name.
	Source map[string][]byte
}

// Load reads, validates and converts a document. The error is Errors or
// *Error where the document is at fault, and one line with the file's name
// where it can't be read.
func Load(file string, o Options) (*Document, error) {
	defer relax()()
	s, err := readSource(file, o)
	if err != nil {
		return nil, err
	}
	settings, errs := applySettings(s.file, o.Set)
	if len(errs) > 0 {
		return nil, errs.err()
	}
	if o.Unset {
		fillInputs(s.file)
	}
	e, err := evaluate(s, settings)
	if err != nil {
		return nil, err
	}
	return e.document()
}

// evaluation is a document with all it imports, evaluated.
type evaluation struct {
	source   *source
	inst     *build.Instance
	value    cue.Value
	files    map[string]*ast.File // by the name that positions carry
	settings []setting
	narrowed bool         // tables of architectures have only what the document mentions
	blanked  map[int]bool // offsets of fields whose values were left out, see tolerate.go
}

// evaluate builds s and what it imports, and validates it. What seems wrong with the architectures
// that it mentions is tried again with all, since a model_type may be computed.
func evaluate(s *source, settings []setting) (*evaluation, error) {
	e := &evaluation{source: s, settings: settings, narrowed: true}
	valid, err := e.try()
	if !valid && e.narrowed && s.shown == "" {
		e.narrowed = false
		valid, err = e.try()
	}
	if err != nil {
		return nil, err
	}
	if valid {
		return e, nil
	}
	first := e.value.Validate(cue.Concrete(true))
	if errs := e.diagnose(e.all()); len(errs) > 0 {
		return nil, errs.err()
	}
	return nil, first
}

// try builds the document and says whether it is valid.
func (e *evaluation) try() (bool, error) {
	e.files = map[string]*ast.File{e.source.name: e.source.file}
	if err := e.build(); err != nil {
		return false, err
	}
	return e.valid(), nil
}

// build loads and builds the document.
func (e *evaluation) build() error {
	var err error
	if e.inst, err = e.instance(); err != nil {
		return err
	}
	if e.inst == nil || e.inst.Err != nil {
		if err := e.load(); err != nil {
			return err
		}
	}
	e.value = cuecontext.New().BuildInstance(e.inst)
	return nil
}

// load has CUE's loader find what the document imports, in modules of its own too.
func (e *evaluation) load() error {
	s := e.source
	overlay := map[string]load.Source{s.abs: load.FromBytes(s.data)}
	if err := builtinOverlay(overlay); err != nil {
		return err
	}
	cfg := &load.Config{Dir: filepath.Dir(s.abs), Registry: registry{}, Overlay: overlay, ParseFile: e.parser()}
	if s.shown != "" {
		ownModule(cfg)
	} else {
		chooseModule(cfg)
	}
	e.inst = load.Instances([]string{s.abs}, cfg)[0]
	if e.inst.Err != nil {
		return e.loadErrors(e.inst.Err)
	}
	return nil
}

// parser gives the loader the document as it was read and changed by --set,
// and remembers all files under the names that a person knows them by.
func (e *evaluation) parser() func(string, any, parser.Config) (*ast.File, error) {
	var mu sync.Mutex
	return func(name string, src any, c parser.Config) (*ast.File, error) {
		if name == e.source.abs {
			return e.source.file, nil
		}
		f, err := parser.ParseFile(shortName(name), src, c, parser.ParseComments)
		mu.Lock()
		defer mu.Unlock()
		e.files[shortName(name)] = f
		return f, err
	}
}

// shortName is how messages call a file: pipe.dev/... if it is built in, and
// relative to the current folder if it lies below it.
func shortName(abs string) string {
	if rest, ok := strings.CutPrefix(filepath.ToSlash(abs), filepath.ToSlash(builtinRoot())+"/"); ok {
		return modulePath + "/" + rest
	}
	if dir, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(dir, abs); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return abs
}
