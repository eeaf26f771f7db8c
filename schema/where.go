package schema

import (
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"pipe.dev/compiler/ir"
)

// where is the place of the value that the person wrote, and whether that is
// exactly the one at fault rather than something around it.
func (d *diagnosis) where(group []raised) (token.Pos, bool) {
	path := group[0].path
	var user []token.Pos
	for _, r := range group {
		for _, p := range r.pos {
			if !p.IsValid() {
				continue
			}
			if strings.HasPrefix(p.Filename(), "--set ") {
				return p, true
			}
			if !d.isSchema(p.Filename()) {
				user = append(user, p)
			}
		}
	}
	var best token.Pos
	for _, p := range user {
		if l := d.places.innermost(p); l != nil && l.name == labelOf(path) {
			if !best.IsValid() || p.Offset() > best.Offset() {
				best = p
			}
		}
	}
	if best.IsValid() {
		return best, true
	}
	if d.source.config != nil {
		return d.whereInConfig(path)
	}
	if pos, _ := literalAt(d.source.file, path); pos.IsValid() {
		return pos, true
	}
	for n := len(path); n > 0; n-- {
		v := d.value.LookupPath(cuePath(path[:n]))
		if f := d.places.written(v, labelOf(path[:n])); f != nil && !d.isSchema(f.Pos().Filename()) {
			return f.Pos(), n == len(path)
		}
	}
	for _, p := range user {
		if p.Filename() == d.source.name && p.Offset() > best.Offset() || !best.IsValid() {
			best = p
		}
	}
	return best, best.IsValid()
}

// whereInConfig is the innermost field of a config.json on a path.
func (d *diagnosis) whereInConfig(path []string) (token.Pos, bool) {
	var e ast.Expr = d.source.config
	var pos token.Pos
	names := strings.Split(configPath(path), ".")
	for i, name := range names {
		f := member(e, unquote(name))
		if f == nil {
			return pos, false
		}
		pos, e = f.Value.Pos(), f.Value
		if i == len(names)-1 {
			return pos, true
		}
	}
	return pos, false
}

// isSchema reports whether a file is no document of the user's.
func (d *diagnosis) isSchema(file string) bool {
	if file == d.source.name {
		return d.source.shown != ""
	}
	return isBuiltin(file)
}

// labelOf is the name of the field at the end of a path, indices left out.
func labelOf(path []string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if p := cuePath(path[i : i+1]); len(p.Selectors()) == 1 && p.Selectors()[0].Type() != cue.IndexLabel {
			return unquote(path[i])
		}
	}
	return ""
}

// place is a position as messages give it.
func (d *diagnosis) place(pos token.Pos, path []string) ir.Pos {
	p := setPlace(at(pos, d.names.short(path)))
	if p.File == "" {
		p.File = d.source.name
		if d.source.shown != "" {
			p.File = d.source.shown
		}
	}
	return p
}
