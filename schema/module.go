package schema

import (
	"fmt"
	"os"
	"path/filepath"

	"cuelang.org/go/cue/load"
	"cuelang.org/go/mod/modfile"
)

// moduleFile is the module of documents in folders without cue.mod; pipe init
// writes the same.
var moduleFile = fmt.Sprintf("module: \"pipe.local@v0\"\nlanguage: version: \"v0.17.0\"\n%s", dependency)

// dependency asks for the built-in module.
var dependency = fmt.Sprintf("deps: %q: v: %q\n", moduleMajor, moduleVersion)

// chooseModule chooses the module of documents in cfg.Dir: the one around it, to
// which the built-in module is added if it does not ask for it, or one of
// their own. The folder of the built-in module itself counts as none, so that
// documents mean the same everywhere.
func chooseModule(cfg *load.Config) {
	for dir := cfg.Dir; ; dir = filepath.Dir(dir) {
		name := filepath.Join(dir, "cue.mod", "module.cue")
		if data, err := os.ReadFile(name); err == nil {
			f, err := modfile.ParseNonStrict(data, name)
			if err == nil && f.QualifiedModule() == moduleMajor {
				break
			}
			if err == nil && f.Deps[moduleMajor] == nil {
				cfg.Overlay[name] = load.FromBytes(append(data, "\n"+dependency...))
			}
			return
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	ownModule(cfg)
}

// ownModule makes cfg.Dir a module of its own.
func ownModule(cfg *load.Config) {
	cfg.ModuleRoot = cfg.Dir
	cfg.Overlay[filepath.Join(cfg.Dir, "cue.mod", "module.cue")] = load.FromString(moduleFile)
}
