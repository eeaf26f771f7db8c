package learn

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/data"
	"pipe.dev/executor/model"
	"pipe.dev/executor/tokenizer"
	"pipe.dev/internal/suggest"
)

// openEncoder finds what turns text into ids.
func (r *Run) openEncoder() (data.Encoder, error) {
	if r.Recipe.Tokenizer == "characters" {
		return data.CharactersOf(slices.Concat(r.Recipe.Train, r.Recipe.Eval), data.Options{})
	}
	dir := r.tokenizerFolder()
	if dir == "" {
		return nil, r.mistake("data.tokenizer", `is "model", and a model without a folder has none: use "characters", or the folder of a tokenizer`)
	}
	if _, err := os.Stat(dir); dir != r.Recipe.Model.From && errors.Is(err, fs.ErrNotExist) {
		e := r.mistake("data.tokenizer", "there is no folder %q", dir)
		e.Hint = suggest.DidYouMean(dir, []string{"model", "characters"})
		return nil, e
	}
	return model.OpenTokenizer(dir)
}

// tokenizerFolder is where the tokenizer.json lies; "" if there is none.
func (r *Run) tokenizerFolder() string {
	switch r.Recipe.Tokenizer {
	case "characters":
		return ""
	case "model":
		return r.Recipe.Model.From
	}
	return r.Recipe.Tokenizer
}

// openData encodes the sources, or takes them from the cache.
func (r *Run) openData() error {
	o, err := r.dataOptions()
	if err != nil {
		return err
	}
	open := func(sources []data.Attr) (*data.Dataset, error) {
		var sets []*data.Dataset
		for _, a := range sources {
			d, err := data.Open(a, r.encoder, o)
			if err != nil {
				return nil, err
			}
			sets = append(sets, d)
		}
		return data.Mix(sets...), nil
	}
	all, err := open(r.Recipe.Train)
	if err != nil {
		return err
	}
	if r.train, r.eval = all.Split(); r.train.Summary().Tokens == 0 {
		return r.mistake(r.keeper(), "leaves nothing to train on of %d tokens", all.Summary().Tokens)
	}
	if len(r.Recipe.Eval) > 0 {
		if r.eval, err = open(r.Recipe.Eval); err != nil {
			return err
		}
	}
	return nil
}

// keeper is the path of the share that the first source keeps for evaluation.
func (r *Run) keeper() string {
	i := slices.IndexFunc(r.Recipe.Train, func(a data.Attr) bool { return a.Validation > 0 })
	return fmt.Sprintf("data.train.%d.validation", max(i, 0))
}

func (r *Run) dataOptions() (data.Options, error) {
	o := data.Options{Cache: filepath.Join(r.opt.Root, ".tokens"), Report: r.opt.Warn}
	switch e := r.encoder.(type) {
	case *data.Characters:
		o.Identity = e.Identity()
	case *tokenizer.Tokenizer:
		file := filepath.Join(r.tokenizerFolder(), "tokenizer.json")
		text, err := os.ReadFile(file)
		if err != nil {
			return o, checkpoint.FileError(file, err)
		}
		o.Identity = fmt.Sprintf("%x", sha256.Sum256(text))
		if end := e.EOS(); len(end) > 0 {
			o.End = end[:1]
		}
	}
	return o, nil
}
