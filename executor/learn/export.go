package learn

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/data"
	"pipe.dev/executor/tokenizer"
)

// The files that training does not change: those of a tokenizer's folder, and
// of a model's.
var (
	ofTokenizer = []string{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}
	ofModel     = []string{"generation_config.json"}
)

// export writes the trained model as a Hugging Face folder.
func (r *Run) export(t *Trainer, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return checkpoint.FileError(dir, err)
	}
	write := func(name string, fill func(io.Writer) error) error {
		return checkpoint.Replace(filepath.Join(dir, name), fill)
	}
	if err := r.exportWeights(t, write); err != nil {
		return err
	}
	names := r.classNames()
	if r.model.Arch == "" { // a graph of the document, which is in the run's folder
		if names == nil {
			return nil
		}
		return writeJSON(write, "labels.json", labels(names))
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
	saved, err := r.saveType()
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
