package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"pipe.dev/executor/learn"
	"pipe.dev/executor/model"
	"pipe.dev/schema"
)

// vocabularyOf decodes the recipe of a tokenizer.
func vocabularyOf(c *console, doc *schema.Document, root string) (*learn.Vocabulary, error) {
	return learn.DecodeVocabulary(doc, learn.Options{Root: root, Version: thisBuild().Version,
		Warn: func(err error) { c.log.Warn(err.Error()) }})
}

// trainTokenizer runs the recipe of a tokenizer.
func trainTokenizer(cmd *cobra.Command, c *console, doc *schema.Document, root string, asJSON bool) error {
	v, err := vocabularyOf(c, doc, root)
	if err != nil {
		return err
	}
	_, size, err := v.Size()
	if err != nil {
		return err
	}
	p := newProgress(c)
	defer p.stop()
	begin := func(folder string) { c.log.Info("begins", "run", folder, "vocab_size", v.Attr.VocabSize) }
	r, err := v.Execute(cmd.Context(), begin, func(stage string, done, total int64) error {
		if stage == "words" { // of the files; their text may be longer, as they may be packed
			p.update(stage, done, max(done, size))
		} else {
			p.count(stage, done, total)
		}
		return nil
	})
	p.stop()
	if err != nil {
		return err
	}
	if asJSON {
		return c.writeJSON(struct {
			Document string `json:"document"`
			Name     string `json:"name"`
			Hash     string `json:"hash"`
			learn.VocabularyReport
		}{doc.File, doc.Name, doc.Hash, r})
	}
	of := "training text"
	if r.HeldOut {
		of = "held-out text"
	}
	_, err = fmt.Fprintf(c.out, "%s\n%s of %s tokens; %.4f tokens per byte (%.2f bytes per token) of %s bytes of %s; %.1f s\n",
		r.Tokenizer, r.Kind, grouped(int64(r.Vocabulary)), r.PerByte, 1/r.PerByte, grouped(r.Bytes), of, r.Seconds)
	return err
}

// planTokenizer says what the recipe of a tokenizer will read and make.
func planTokenizer(c *console, doc *schema.Document, asJSON bool) error {
	v, err := vocabularyOf(c, doc, "")
	if err != nil {
		return err
	}
	files, bytes, err := v.Size()
	if err != nil {
		return err
	}
	if asJSON {
		return c.writeJSON(map[string]any{"document": doc.File, "name": doc.Name, "hash": doc.Hash,
			"kind": v.Attr.Kind, "vocab_size": v.Attr.VocabSize, "files": files, "bytes": bytes})
	}
	_, err = fmt.Fprintf(c.out, "document %s\nhash %s\ntokenizer %s, %s tokens at most\ndata %d files, %d bytes (%s)\n",
		doc.Name, doc.Hash, v.Attr.Kind, grouped(int64(v.Attr.VocabSize)), files, bytes, model.Size(bytes))
	return err
}
