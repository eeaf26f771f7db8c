package learn

import (
	"fmt"
	"slices"
	"strings"

	"pipe.dev/compiler/train"
	"pipe.dev/internal/suggest"
	"pipe.dev/schema"
)

// withAdapters are the paths of weights that are trained, or might be: where a
// model has an adapter, those of it alone.
func (r *Run) withAdapters(paths, linear []string) []string {
	out := slices.DeleteFunc(slices.Clone(paths), func(path string) bool { m, _ := r.Recipe.of(path); return m.Adapter != nil })
	for _, path := range linear {
		if l, ok := r.Recipe.AdaptedLayer(path); ok {
			adapter := train.AdapterOf(path)
			out = append(out, adapter.A, adapter.B)
			if l.DoRA {
				out = append(out, adapter.Magnitude)
			}
		}
	}
	return out
}

// pathsOf are those of a model's own among paths of the recipe.
func (r *Run) pathsOf(m *Member, paths []string) (own []string) {
	for _, path := range paths {
		if of, rest := r.Recipe.of(path); of == m {
			own = append(own, rest)
		}
	}
	return own
}

// checkTargets wants the layers that adapters are for to be there.
func (r *Run) checkTargets(linear []string) (errs schema.Errors) {
	for _, m := range r.Recipe.members() {
		own := r.pathsOf(m, linear)
		switch {
		case m.from != nil:
			errs = append(errs, r.checkFrom(m, own)...)
		case m.Adapter != nil:
			errs = append(errs, r.checkTargetsOf(m, own)...)
		}
	}
	return errs
}

// checkTargetsOf wants every target that was written, and one at least of those
// that are the default, to be a linear layer.
func (r *Run) checkTargetsOf(m *Member, linear []string) schema.Errors {
	a, at := m.Adapter, m.Path()+".adapter.targets"
	errs := r.matching(at, a.Targets, linear, "is no linear layer of the model")
	if _, written := r.doc.Recipe.Written(at); written {
		return errs
	}
	if len(errs) < len(a.Targets) {
		return nil
	}
	e := r.mistake(at, "none of %s is a linear layer of the model", strings.Join(a.Targets, ", "))
	e.Hint = near("", linear)
	return schema.Errors{e}
}

// checkFrom wants every layer of the adapter that is trained on to be a linear
// layer.
func (r *Run) checkFrom(m *Member, linear []string) (errs schema.Errors) {
	for _, l := range m.from.Layers {
		if !slices.Contains(linear, l.Path) {
			e := r.mistake(m.Path()+".adapter.from", "%s adapts %s, which is no linear layer of the model", m.from.Dir, l.Path)
			e.Hint = near(l.Path, linear)
			errs = append(errs, e)
		}
	}
	return errs
}

// checkFreeze wants patterns of weights to match some.
func (r *Run) checkFreeze(paths []string) (errs schema.Errors) {
	for _, m := range r.Recipe.members() {
		errs = append(errs, r.matching(m.Path()+".freeze", m.Freeze, r.pathsOf(m, paths), "matches no weight of the model")...)
	}
	for i, p := range r.Recipe.Parts {
		if p.Name != "" {
			errs = append(errs, r.matching(fmt.Sprintf("phases.%d.update", i), p.Update, paths, "matches no weight of the model")...)
		}
	}
	for i, x := range r.Recipe.Rates {
		if !slices.ContainsFunc(paths, func(path string) bool { return train.Match(x.Pattern, path) }) {
			e := r.mistake(fmt.Sprintf("rates.%d.pattern", i), "%q matches no weight of the model", x.Pattern)
			e.Hint = near(x.Pattern, paths)
			errs = append(errs, e)
		}
	}
	return errs
}

// checkTrained wants every part to have a weight that it changes.
func (r *Run) checkTrained(paths []string) (errs schema.Errors) {
	for i := range r.Recipe.Parts {
		p, at := &r.Recipe.Parts[i], "model.freeze"
		if len(r.Recipe.Models) > 0 {
			at = "models"
		}
		if p.Name != "" {
			at = fmt.Sprintf("phases.%d.update", i)
		}
		if !slices.ContainsFunc(paths, func(path string) bool { return r.Recipe.Trained(p, path) }) {
			errs = append(errs, r.mistake(at, "leaves no weight that is trained"))
		}
	}
	return errs
}

// checkBalance wants biases that follow the load of experts to be there.
func (r *Run) checkBalance(paths []string) schema.Errors {
	b := r.Recipe.Balance
	if b == nil || slices.ContainsFunc(paths, func(path string) bool { return train.Match(b.Bias, path) }) {
		return nil
	}
	e := r.mistake("balance.bias", "%q matches no weight of the model", b.Bias)
	e.Hint = near(b.Bias, paths)
	return schema.Errors{e}
}

// matching wants each pattern of a list to match one of the paths.
func (r *Run) matching(at string, patterns, paths []string, fact string) schema.Errors {
	var errs schema.Errors
	for i, p := range patterns {
		if !slices.ContainsFunc(paths, func(path string) bool { return train.Match(p, path) }) {
			e := r.mistake(fmt.Sprintf("%s.%d", at, i), "%q %s", p, fact)
			e.Hint = near(p, paths)
			errs = append(errs, e)
		}
	}
	return errs
}

func (r *Run) checkDecay(paths []string) schema.Errors {
	var errs schema.Errors
	for i, rule := range r.Recipe.Decay {
		if !slices.ContainsFunc(paths, func(path string) bool { return train.Match(rule.Pattern, path) }) {
			e := r.mistake(fmt.Sprintf("decay.%d.pattern", i), "%q matches no weight that is trained", rule.Pattern)
			e.Hint = near(rule.Pattern, paths)
			errs = append(errs, e)
		}
	}
	return errs
}

// near says which paths there are, those of a stack once, or only those with
// the part that may have been meant.
func near(pattern string, paths []string) string {
	const most = 16
	var words, shown []string
	for _, p := range paths {
		words = append(words, strings.Split(p, ".")...)
		if p = numbers.ReplaceAllString(p, "$1*$2"); !slices.Contains(shown, p) {
			shown = append(shown, p)
		}
	}
	begin, end := "there are ", ""
	for _, part := range strings.FieldsFunc(pattern, func(c rune) bool { return c == '.' || c == '*' }) {
		if slices.Contains(words, part) {
			continue
		}
		if word := suggest.Nearest(part, words); word != "" {
			shown = slices.DeleteFunc(shown, func(p string) bool { return !slices.Contains(strings.Split(p, "."), word) })
			begin, end = "did you mean ", "?"
			break
		}
	}
	if n := len(shown) - most; n > 0 {
		shown, end = shown[:most], fmt.Sprintf(" and %d more%s", n, end)
	}
	return begin + strings.Join(shown, ", ") + end
}
