package learn

import (
	"fmt"
	"io"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/compiler/attr"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/internal/suggest"
	"pipe.dev/schema"
)

// Saved is a part of a graph that a finished run writes as a model of its own.
type Saved struct {
	Folder  string
	Part    string         `cue:"part!: string" doc:"path"`
	Config  map[string]any `cue:"config!: {...}" doc:"config.json"`
	Weights string         `cue:"weights: string" doc:"file of weights"`
	// Vocabularies are inputs whose vocabulary is written beside it.
	Vocabularies []string `cue:"vocabularies: [...string] | *[]" doc:"inputs"`
	// Normed are patterns of weights that are written as lengths of rows and directions.
	Normed []string `cue:"normed: [...string] | *[]" doc:"patterns"`
}

// saved decodes the parts that are written, by their folders.
func (d *decoder) saved(r *Recipe) {
	for _, folder := range slices.Sorted(maps.Keys(r.Save.Models)) {
		a, err := attr.Decode(Saved{Folder: folder}, r.Save.Models[folder])
		if err != nil {
			d.fail("save.models."+folder, err)
			return
		}
		s := a.(Saved)
		r.Saved = append(r.Saved, s)
		for _, name := range []string{folder, s.Weights} {
			if !filepath.IsLocal(name) {
				d.fail("save.models."+folder, fmt.Errorf("%q is no place within the finished model's folder", name))
			}
		}
	}
	for name := range r.Save.Files {
		if !filepath.IsLocal(name) {
			d.fail("save.files", fmt.Errorf("%q is no place within the finished model's folder", name))
		}
	}
}

// checkSaved wants every part that is written to have weights.
func (r *Run) checkSaved(paths []string) (errs schema.Errors) {
	if len(r.Recipe.Saved) > 0 && r.model.Arch != "" {
		return schema.Errors{r.mistake("save.models", "names parts of a graph, and the model is no graph of the document")}
	}
	for _, s := range r.Recipe.Saved {
		for i, name := range s.Vocabularies {
			if r.Recipe.Lists[name].Vocabulary == "" {
				e := r.mistake(fmt.Sprintf("save.models.%s.vocabularies.%d", s.Folder, i), "%q has no vocabulary in data.lists", name)
				e.Hint = suggest.DidYouMean(name, slices.Sorted(maps.Keys(r.Recipe.Lists)))
				errs = append(errs, e)
			}
		}
		if !slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(p, s.Part+".") }) {
			e := r.mistake("save.models."+s.Folder+".part", "%q holds no weight of the model", s.Part)
			e.Hint = near(s.Part, paths)
			errs = append(errs, e)
		}
		for _, m := range r.Recipe.Models {
			if filepath.Clean(s.Folder) == r.placeOf(m) {
				e := r.mistake("save.models."+s.Folder, "is where %s is written", m.Path())
				e.Hint = "give one of them another name"
				errs = append(errs, e)
			}
		}
	}
	return errs
}

// spelled is a weight as the file has it: as it is, or the length of each row (along the first axis) and a direction,
// as torch.nn.utils.parametrizations.weight_norm calls them.
func (s *Saved) spelled(d checkpoint.Data) []checkpoint.Data {
	if d.Type.Rank() < 2 || !slices.ContainsFunc(s.Normed, func(p string) bool { return train.Match(p, d.Name) }) {
		return []checkpoint.Data{d}
	}
	w := tensorfile.Tensor{Type: d.Type, Data: d.Bytes}.Float64s()
	shape := make([]int, d.Type.Rank())
	for i := range shape {
		shape[i] = 1
	}
	shape[0] = d.Type.Sizes()[0]
	lengths := make([]float64, shape[0])
	cols := len(w) / max(1, len(lengths))
	for i := range lengths {
		lengths[i] = norm(w[i*cols : (i+1)*cols])
	}
	length := checkpoint.Data{Name: train.LengthOf(d.Name), Type: ir.T(d.Type.DType, shape...), Bytes: tensorfile.AppendFloats(nil, d.Type.DType, lengths...)}
	d.Name = train.NormedName(d.Name, func(path string) bool { return path == length.Name })
	return []checkpoint.Data{length, d}
}

// exportParts writes the parts of a graph as folders.
func (r *Run) exportParts(write file, list []checkpoint.Data) error {
	for _, s := range r.Recipe.Saved {
		var part []checkpoint.Data
		for _, d := range list {
			if name, ok := strings.CutPrefix(d.Name, s.Part+"."); ok {
				d.Name = name
				part = append(part, s.spelled(d)...)
			}
		}
		if err := writeWeights(write, path.Join(s.Folder, s.Weights), part); err != nil {
			return err
		}
		if err := writeJSON(write, path.Join(s.Folder, "config.json"), s.Config); err != nil {
			return err
		}
		for _, name := range s.Vocabularies {
			from := r.Recipe.Lists[name].Vocabulary
			beside := func(name string, fill func(io.Writer) error) error { return write(path.Join(s.Folder, name), fill) }
			if err := copyFiles(beside, filepath.Dir(from), []string{filepath.Base(from)}); err != nil {
				return err
			}
		}
	}
	return nil
}
