package learn

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/compiler/plan"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/checkpoint"
)

// pictureWeights is what the file of weights is called in folders of diffusers,
// whose config.json has a _class_name.
const pictureWeights = "diffusion_pytorch_model.safetensors"

// exportModels writes the models that the recipe's own calls and that training
// changes, each as a folder in dir, laid out as the one that it was made from.
// With save.folder, dir is a copy of that folder but for them.
func (r *Run) exportModels(t *Trainer, dir string) error {
	places := map[*Member]string{}
	var replaced []string
	for _, m := range r.Recipe.Models {
		if r.exported(t, m) {
			places[m] = r.placeOf(m)
			replaced = append(replaced, places[m])
		}
	}
	if folder := r.Recipe.Save.Folder; folder != "" {
		if err := copyTree(folder, dir, func(name string, _ bool) bool { return slices.Contains(replaced, name) }); err != nil {
			return err
		}
	}
	for _, m := range r.Recipe.Models {
		if place, ok := places[m]; ok {
			if err := r.exportModel(t, m, filepath.Join(dir, place)); err != nil {
				return err
			}
		}
	}
	return nil
}

// exported reports whether a model is another one after training.
func (r *Run) exported(t *Trainer, m *Member) bool {
	if m.Adapter != nil {
		return r.Recipe.Save.Merged
	}
	return slices.ContainsFunc(r.weightsOf(t, m), func(s plan.State) bool { return s.Changes })
}

// onlyAdapters reports whether a finished run writes adapters and no model.
func (r *Run) onlyAdapters(t *Trainer) bool {
	return !r.Recipe.Save.Merged && !slices.ContainsFunc(t.changing(), func(s plan.State) bool { return !train.IsAdapter(s.Path) })
}

// placeOf is where in the exported folder a model lies: as in save.folder, or
// under its name.
func (r *Run) placeOf(m *Member) string {
	folder := r.Recipe.Save.Folder
	if folder == "" || m.From == "" {
		return m.Name
	}
	rel, err := filepath.Rel(folder, m.From)
	if err != nil || rel == "." || strings.HasPrefix(rel, "..") {
		return m.Name
	}
	return rel
}

// exportModel writes one of them.
func (r *Run) exportModel(t *Trainer, m *Member, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return checkpoint.FileError(dir, err)
	}
	write := func(name string, fill func(io.Writer) error) error {
		return checkpoint.Replace(filepath.Join(dir, name), fill)
	}
	name := weightsFile
	if m.arch.Config["_class_name"] != nil {
		name = pictureWeights
	}
	list, err := r.exportedWeights(t, m)
	if err != nil {
		return err
	}
	if err := writeWeights(write, name, list); err != nil {
		return err
	}
	if m.base == nil {
		if len(m.arch.Config) == 0 { // a graph of the document, which is in the run's folder
			return nil
		}
		return writeJSON(write, "config.json", m.arch.Config)
	}
	return copyTree(m.From, dir, func(name string, folder bool) bool { return folder || isWeights(name) })
}

// isWeights reports whether a file of a model's folder holds weights, or says
// which do.
func isWeights(name string) bool {
	return slices.ContainsFunc([]string{".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5", ".onnx", ".index.json"},
		func(end string) bool { return strings.HasSuffix(name, end) })
}

// copyTree copies the files of a folder, but for those, and for folders, that skip
// names by their paths in it, and for hidden ones. Links are followed.
func copyTree(from, to string, skip func(name string, folder bool) bool) error {
	return copyBelow(from, to, "", skip)
}

func copyBelow(from, to, below string, skip func(name string, folder bool) bool) error {
	entries, err := os.ReadDir(filepath.Join(from, below))
	if err != nil {
		return checkpoint.FileError(filepath.Join(from, below), err)
	}
	for _, e := range entries {
		name := filepath.Join(below, e.Name())
		info, err := os.Stat(filepath.Join(from, name)) // of what a link leads to
		if err != nil {
			return checkpoint.FileError(filepath.Join(from, name), err)
		}
		switch {
		case strings.HasPrefix(e.Name(), ".") || skip(name, info.IsDir()):
		case info.IsDir():
			err = copyBelow(from, to, name, skip)
		case info.Mode().IsRegular():
			err = copyFile(filepath.Join(from, name), filepath.Join(to, name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return checkpoint.FileError(to, err)
	}
	f, err := os.Open(from)
	if err != nil {
		return checkpoint.FileError(from, err)
	}
	defer f.Close()
	return checkpoint.Replace(to, func(w io.Writer) error { _, err := io.Copy(w, f); return err })
}
