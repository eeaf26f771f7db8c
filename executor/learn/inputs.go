package learn

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/data"
	"pipe.dev/executor/journal"
	"pipe.dev/schema"
)

// inputsFile is where a run folder says what the run was made of besides its
// document.
const inputsFile = "inputs.json"

// inputs are the files that a run depends on, by what they hold: the same
// document and the same inputs give the same bits.
type inputs struct {
	Base []data.FileSum `json:"base,omitempty"` // of the model's folder, and the tokenizer
	Data []data.FileSum `json:"data"`
}

// inputs reads the files of a recipe.
func (r *Run) inputs() (in inputs, err error) {
	for _, f := range r.dataFiles() {
		if !slices.Contains(in.Data, f) {
			in.Data = append(in.Data, f)
		}
	}
	var files []string
	if dir := r.tokenizerFolder(); dir != "" {
		for _, name := range []string{"tokenizer.json", "vocab.json", "merges.txt", "vocab.txt", "tokenizer.model"} {
			if file := filepath.Join(dir, name); isFile(file) {
				files = append(files, file)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Recipe.Lists)) {
		if file := r.Recipe.Lists[name].Vocabulary; file != "" && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	for _, m := range r.Recipe.members() {
		files = append(files, m.files()...)
	}
	for _, f := range files {
		s, err := data.Sum(f)
		if err != nil {
			return in, err
		}
		in.Base = append(in.Base, s)
	}
	return in, nil
}

// files are those that a model is made of.
func (m *Member) files() (files []string) {
	if m.From != "" {
		for _, name := range []string{"config.json", schema.ModelFile} {
			if file := filepath.Join(m.From, name); isFile(file) {
				files = append(files, file)
				break
			}
		}
	}
	weights := []*checkpoint.Checkpoint{m.base}
	for _, b := range m.beginnings {
		weights = append(weights, b.weights)
	}
	for _, c := range weights {
		if c == nil {
			continue
		}
		for _, t := range c.Tensors() {
			if !slices.Contains(files, t.File) {
				files = append(files, t.File)
			}
		}
	}
	if m.from != nil {
		files = append(files, m.from.Files()...)
	}
	return files
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// dataFiles are the files of all data.
func (r *Run) dataFiles() (list []data.FileSum) {
	switch {
	case r.evalExamples != nil:
		return slices.Concat(r.examples.Files(), r.evalExamples.Files())
	case r.examples != nil:
		return r.examples.Files()
	case r.eval != nil:
		return slices.Concat(r.train.Files(), r.eval.Files())
	}
	return r.train.Files()
}

func (in inputs) encode() ([]byte, error) {
	text, err := json.MarshalIndent(in, "", "  ")
	return append(text, '\n'), err
}

// changes says how the files that a run began with differ from those of now.
func (in inputs) changes(run *journal.Run) ([]string, error) {
	text, err := run.ReadFile(inputsFile)
	if errors.Is(err, fs.ErrNotExist) { // a run of an earlier version
		return nil, nil
	}
	var was inputs
	if err == nil {
		err = json.Unmarshal(text, &was)
	}
	if err != nil {
		return nil, checkpoint.FileError(filepath.Join(run.Folder, inputsFile), err)
	}
	before, now := slices.Concat(was.Base, was.Data), slices.Concat(in.Base, in.Data)
	find := func(list []data.FileSum, file string) int {
		return slices.IndexFunc(list, func(f data.FileSum) bool { return f.File == file })
	}
	var out []string
	for _, f := range now {
		switch i := find(before, f.File); {
		case i < 0:
			out = append(out, f.File+" is new")
		case before[i].SHA256 != f.SHA256:
			out = append(out, f.File+" has changed")
		}
	}
	for _, f := range before {
		if find(now, f.File) < 0 {
			out = append(out, f.File+" is not used any more")
		}
	}
	return out, nil
}

// hold compares the inputs with those that a run began with, and refuses to go
// on with one that is finished, or has checkpoints of other inputs.
func (in inputs) hold(run *journal.Run, begun bool) error {
	changes, err := in.changes(run)
	switch {
	case err != nil:
		return err
	case !run.About.Finished.IsZero():
		return &FinishedError{run.Folder, changes}
	case len(changes) > 0 && begun:
		return &ChangedError{run.Folder, changes}
	case len(changes) > 0:
		return in.replace(run)
	}
	return nil
}

// replace notes what a run that has no checkpoint yet is made of now.
func (in inputs) replace(run *journal.Run) error {
	text, err := in.encode()
	if err != nil {
		return err
	}
	return checkpoint.Replace(filepath.Join(run.Folder, inputsFile), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// FinishedError says that a run of the same document is there and finished.
type FinishedError struct {
	Folder  string
	Changes []string // of the files that it was made of
}

func (e *FinishedError) Error() string {
	if len(e.Changes) == 0 {
		return e.Folder + ": this run is finished: the same document, model and data give the same bits; change one, or remove the folder, to train again"
	}
	return fmt.Sprintf("%s: this run is finished, but was made of other files: %s; remove the folder, or change the document's name, to train again",
		e.Folder, strings.Join(e.Changes, ", "))
}

// ChangedError says that a run can't go on, since it would not be the run that
// it began as.
type ChangedError struct {
	Folder  string
	Changes []string
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s: this run can't go on: %s since it began; bring back what was, or remove the folder to begin anew", e.Folder, strings.Join(e.Changes, ", "))
}
