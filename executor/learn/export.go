package learn

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/data"
	"pipe.dev/executor/tokenizer"
	"pipe.dev/schema"
)

// The files that training does not change: those of a tokenizer's folder, and
// of a model's.
var (
	ofTokenizer = []string{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}
	ofModel     = []string{"generation_config.json"}
)

// export writes the trained model as a Hugging Face folder, and those that it
// calls as folders in it; a graph of the document as a folder with model.cue, or
// as one for each part that the recipe names.
func (r *Run) export(t *Trainer, dir string) error {
	write := func(name string, fill func(io.Writer) error) error {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return checkpoint.FileError(dir, err)
		}
		return checkpoint.Replace(path, fill)
	}
	if err := r.exportModels(t, dir); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(r.Recipe.Save.Files)) {
		if err := writeJSON(write, name, r.Recipe.Save.Files[name]); err != nil {
			return err
		}
	}
	names := r.classNames()
	if r.model.Arch == "" && names != nil {
		if err := writeJSON(write, "labels.json", labels(names)); err != nil {
			return err
		}
	}
	if len(r.weightsOf(t, r.Recipe.Model)) == 0 { // a graph that connects others
		return nil
	}
	list, err := r.exportedWeights(t, r.Recipe.Model)
	if err != nil {
		return err
	}
	if len(r.Recipe.Saved) > 0 {
		return r.exportParts(write, list)
	}
	if err := writeWeights(write, weightsFile, list); err != nil {
		return err
	}
	if r.model.Arch == "" && (len(r.model.Text) == 0 || len(r.Recipe.Models) > 0) { // a graph that calls others is in the run's folder
		return nil
	}
	if r.model.Arch == "" {
		return write(schema.ModelFile, func(w io.Writer) error { _, err := w.Write(r.model.Text); return err })
	}
	config := map[string]any{}
	for k, v := range r.model.Config {
		config[k] = v
	}
	for _, key := range []string{"dtype", "torch_dtype"} {
		delete(config, key)
	}
	if names != nil {
		maps.Copy(config, labels(names))
	}
	if t, ok := r.encoder.(*tokenizer.Tokenizer); ok && r.Recipe.Model.From == "" {
		markEnds(config, t)
	}
	saved, err := r.saveType(r.Recipe.Model)
	if err != nil {
		return err
	}
	config["dtype"] = map[ir.DType]string{ir.F32: "float32", ir.BF16: "bfloat16", ir.F16: "float16"}[saved]
	if err := writeJSON(write, "config.json", config); err != nil {
		return err
	}
	if c, ok := r.encoder.(*data.Characters); ok {
		return writeJSON(write, "tokenizer.json", characterTokenizer(c))
	}
	if err := copyFiles(write, r.tokenizerFolder(), ofTokenizer); err != nil {
		return err
	}
	return copyFiles(write, r.Recipe.Model.From, ofModel)
}

// markEnds notes the ids that begin and end a text, unless the recipe did.
func markEnds(config map[string]any, t *tokenizer.Tokenizer) {
	if _, ok := config["bos_token_id"]; !ok {
		if id, ok := t.BOS(); ok {
			config["bos_token_id"] = id
		}
	}
	if _, ok := config["eos_token_id"]; !ok && len(t.EOS()) > 0 {
		config["eos_token_id"] = t.EOS()[0]
	}
}

// copyFiles writes files of a folder as they are; those that it lacks, it lacks
// on. A folder "" has none.
func copyFiles(write file, dir string, names []string) error {
	if dir == "" {
		return nil
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = write(name, func(w io.Writer) error { _, err := w.Write(text); return err })
		}
		if err != nil {
			return checkpoint.FileError(name, err)
		}
	}
	return nil
}

func writeJSON(write file, name string, v any) error {
	return write(name, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(v)
	})
}

// characterTokenizer is a vocabulary of characters in the form of a
// tokenizer.json: byte-pair encoding without a single merge.
func characterTokenizer(c *data.Characters) any {
	vocab := map[string]int32{}
	for id := range int32(c.Size()) {
		text, err := c.Decode([]int32{id}, false)
		if err == nil {
			vocab[text] = id
		}
	}
	return map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": []any{}, "normalizer": nil, "pre_tokenizer": nil,
		"post_processor": nil, "decoder": map[string]any{"type": "Fuse"},
		"model": map[string]any{"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": []any{}},
	}
}
