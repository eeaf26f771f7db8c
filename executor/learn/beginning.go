package learn

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pipe.dev/compiler/plan"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/hub"
	"pipe.dev/schema"
)

// beginning is a part of a graph whose weights begin as those of files.
type beginning struct {
	part    string // path
	weights *checkpoint.Checkpoint
	arch    *schema.Model // that the folder describes; nil if it describes none
}

// openBeginnings reads the headers of the weights that parts begin with.
func (r *Run) openBeginnings(m *Member) error {
	for _, part := range slices.Sorted(maps.Keys(m.Parts)) {
		folder, err := hub.Folder(m.Parts[part])
		if err != nil {
			return err
		}
		b := beginning{part: part}
		if b.weights, err = checkpoint.Open(folder); err != nil {
			return r.mistake(m.Path()+".parts."+part, "%v", err)
		}
		m.beginnings = append(m.beginnings, b)
		if err := b.weights.Unpack(); err != nil {
			return err
		}
		// What else files of its architecture hold does not matter.
		m.beginnings[len(m.beginnings)-1].arch, _ = schema.LoadModel(folder)
	}
	return nil
}

// beginning is that of the innermost part a weight belongs to; nil if there is none.
func (m *Member) beginning(path string) (best *beginning) {
	for i, b := range m.beginnings {
		if strings.HasPrefix(path, b.part+".") && (best == nil || len(b.part) > len(best.part)) {
			best = &m.beginnings[i]
		}
	}
	return best
}

// load reads the weights of the part, which must be what the files hold: as a model of
// its own, or among others, in a checkpoint of a run.
func (b *beginning) load(t *Trainer, weights []plan.State) error {
	within := b.part + "."
	name := func(path string) string { return strings.TrimPrefix(stored(path), within) }
	ignore := func(tensor string) bool { return b.arch != nil && b.arch.Ignores(tensor) }
	if slices.ContainsFunc(b.weights.Tensors(), func(t checkpoint.Tensor) bool { return strings.HasPrefix(t.Name, within) }) {
		name = stored
		ignore = func(tensor string) bool { return !strings.HasPrefix(tensor, within) }
	}
	if err := b.weights.Prove(wanted(weights, name), ignore); err != nil {
		return err
	}
	return t.loadStates(b.weights, name, weights)
}

// checkBeginnings wants parts that begin as files do to have weights.
func (r *Run) checkBeginnings(paths []string) (errs schema.Errors) {
	for _, m := range r.Recipe.members() {
		for _, part := range slices.Sorted(maps.Keys(m.Parts)) {
			at := m.Path() + ".parts"
			own := r.pathsOf(m, paths)
			switch {
			case m.From != "":
				errs = append(errs, r.mistake(at, "is of parts of a graph of the document, and the model is %s", m.baseName))
			case !slices.ContainsFunc(own, func(p string) bool { return strings.HasPrefix(p, part+".") }):
				e := r.mistake(fmt.Sprintf("%s.%s", at, part), "%q holds no weight of the model", part)
				e.Hint = near(part, own)
				errs = append(errs, e)
			}
		}
	}
	return errs
}
