package learn

import (
	"context"
	"errors"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"pipe.dev/compiler/attr"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/data"
	"pipe.dev/executor/journal"
	"pipe.dev/executor/tokenizer"
	vocab "pipe.dev/executor/tokenizer/train"
	"pipe.dev/schema"
)

// Vocabulary is a decoded recipe of a tokenizer.
type Vocabulary struct {
	Name  string
	Train []data.Attr
	Eval  []data.Attr
	Attr  vocab.Attr

	doc *schema.Document
	opt Options
}

// DecodeVocabulary reads the fields of a recipe of a tokenizer that the schema
// has validated. Of the options the device is not used.
func DecodeVocabulary(doc *schema.Document, o Options) (*Vocabulary, error) {
	d := decoder{fields: doc.Tokenizer.Fields}
	v := &Vocabulary{Name: doc.Tokenizer.Name, doc: doc, opt: o}
	if o.Warn == nil {
		v.opt.Warn = func(error) {}
	}
	v.Train, v.Eval = d.sources(d.object("data")["train"]), d.sources(d.object("data")["eval"])
	a, err := attr.Decode(vocab.Defaults(), d.object("tokenizer"))
	if err == nil {
		v.Attr = a.(vocab.Attr)
		err = v.Attr.Check()
	}
	switch {
	case d.err != nil:
		return nil, &schema.Error{Pos: doc.Tokenizer.Place("data"), Msg: d.err.Error()}
	case err != nil:
		return nil, v.mistake(err)
	}
	return v, nil
}

// Size counts the files that a tokenizer is trained on, and their bytes.
func (v *Vocabulary) Size() (files int, bytes int64, err error) {
	for _, a := range v.Train {
		list, err := data.Files(a, data.Options{})
		if err != nil {
			return 0, 0, err
		}
		for _, f := range list {
			info, err := os.Stat(f)
			if err != nil {
				return 0, 0, checkpoint.FileError(f, err)
			}
			files, bytes = files+1, bytes+info.Size()
		}
	}
	return files, bytes, nil
}

// VocabularyReport is what came of a tokenizer's training.
type VocabularyReport struct {
	Run        string  `json:"run"`       // folder
	Tokenizer  string  `json:"tokenizer"` // folder with tokenizer.json
	Kind       string  `json:"kind"`
	Vocabulary int     `json:"vocabulary"`      // tokens
	HeldOut    bool    `json:"held_out"`        // whether it was measured on text that it was not trained on
	Bytes      int64   `json:"bytes"`           // of the text that it was measured on
	PerByte    float64 `json:"tokens_per_byte"` // of that text
	Seconds    float64 `json:"seconds"`
}

// Execute trains the tokenizer, and writes it as a folder into its run. When
// ctx ends nothing but the empty run is left, which the same document takes up.
// begin is told the run's folder; progress may be nil.
func (v *Vocabulary) Execute(ctx context.Context, begin func(folder string), progress vocab.Progress) (rep VocabularyReport, err error) {
	start := time.Now()
	run, err := v.openRun()
	if err != nil {
		return rep, err
	}
	defer func() { err = errors.Join(err, run.Close()) }()
	begin(run.Folder)
	rep = VocabularyReport{Run: run.Folder, Tokenizer: filepath.Join(run.Folder, "tokenizer"), Kind: v.Attr.Kind}
	heard := func(stage string, done, total int64) error {
		if progress != nil && ctx.Err() == nil {
			return progress(stage, done, total)
		}
		return ctx.Err()
	}
	file, err := vocab.Run(v.Attr, v.texts(ctx, v.Train, trainPart, v.opt.Warn), heard)
	if err != nil {
		return rep, v.blame(err)
	}
	t, err := tokenizer.Parse(filepath.Join(rep.Tokenizer, "tokenizer.json"), file)
	if err != nil {
		return rep, err
	}
	rep.Vocabulary = t.Size()
	if err := v.measure(ctx, t, &rep); err != nil {
		return rep, err
	}
	if err := v.write(rep.Tokenizer, file); err != nil {
		return rep, err
	}
	row := journal.Row{Values: map[string]float64{"vocabulary": float64(rep.Vocabulary), "tokens_per_byte": rep.PerByte}}
	if err := run.Log(row); err != nil {
		return rep, err
	}
	rep.Seconds = time.Since(start).Seconds()
	return rep, run.Finish()
}

// blame says of an error of the training whose it is: that of a file or of the
// system stays, any other is a mistake of the document.
func (v *Vocabulary) blame(err error) error {
	var file *checkpoint.Error
	if errors.As(err, &file) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return v.mistake(err)
}

// mistake is an error of the attributes, which begins with the field's name.
func (v *Vocabulary) mistake(err error) error {
	field, rest, ok := strings.Cut(err.Error(), ": ")
	if name, _, is := strings.Cut(err.Error(), " is "); is && len(name) < len(field) {
		field, rest, ok = name, err.Error()[len(name)+1:], true
	}
	if _, known := v.doc.Tokenizer.Fields["tokenizer"].(map[string]any)[field]; !ok || !known {
		return &schema.Error{Pos: v.doc.Tokenizer.Place("tokenizer"), Msg: err.Error()}
	}
	return &schema.Error{Pos: v.doc.Tokenizer.Place("tokenizer." + field), Msg: rest}
}

// openRun makes the run folder, or takes up that of an interrupted run.
func (v *Vocabulary) openRun() (*journal.Run, error) {
	runs := journal.Runs{Root: v.opt.Root, Version: v.opt.Version}
	files, err := data.Sums(slices.Concat(v.Train, v.Eval), data.Options{})
	if err != nil {
		return nil, err
	}
	run, found, err := openRun(runs, v.doc, v.Name, inputs{Data: files}, nil, v.opt.Warn)
	if found != nil { // a run of a tokenizer saves none
		err = errors.Join(err, &checkpoint.Error{File: run.Folder, Msg: "is not the run of a tokenizer"}, run.Close())
	}
	return run, err
}

// measure counts the tokens of the text that is held out, or else of that of
// the training.
func (v *Vocabulary) measure(ctx context.Context, t *tokenizer.Tokenizer, rep *VocabularyReport) error {
	quiet := func(error) {}
	held := v.texts(ctx, v.Train, heldPart, quiet)
	if len(v.Eval) > 0 {
		held = v.texts(ctx, v.Eval, wholePart, v.opt.Warn)
	}
	tokens, err := count(t, held, &rep.Bytes)
	if rep.HeldOut = rep.Bytes > 0; err == nil && !rep.HeldOut {
		tokens, err = count(t, v.texts(ctx, v.Train, wholePart, quiet), &rep.Bytes)
	}
	if err == nil && rep.Bytes > 0 {
		rep.PerByte = float64(tokens) / float64(rep.Bytes)
	}
	return err
}

func count(t *tokenizer.Tokenizer, texts iter.Seq2[string, error], bytes *int64) (tokens int64, err error) {
	var ids []int32
	for text, err := range texts {
		if err != nil {
			return 0, err
		}
		if ids, err = t.Encode(ids[:0], text, false); err != nil {
			return 0, err
		}
		tokens, *bytes = tokens+int64(len(ids)), *bytes+int64(len(text))
	}
	return tokens, nil
}

// textPart says which part of the sources is meant.
type textPart int

const (
	wholePart textPart = iota
	trainPart          // what is not kept for validation
	heldPart           // what is
)

// errEnough ends the reading of a source before its end.
var errEnough = errors.New("enough")

// texts gives the documents of sources. What a source keeps for validation is
// its last bytes; the text in which they begin is cut before a space, if it has
// one before that.
func (v *Vocabulary) texts(ctx context.Context, sources []data.Attr, part textPart, warn func(error)) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, a := range sources {
			from, to, err := bounds(ctx, a, part)
			if err != nil {
				yield("", err)
				return
			}
			at, stopped := int64(0), false
			err = data.Texts(a, data.Options{Report: warn}, func(text string) error {
				low, high := cutText(text, from-at), cutText(text, to-at)
				at += int64(len(text))
				stopped = high > low && !yield(text[low:high], nil)
				switch {
				case ctx.Err() != nil:
					return ctx.Err()
				case stopped || at >= to:
					return errEnough
				}
				return nil
			})
			if stopped {
				return
			}
			if err != nil && !errors.Is(err, errEnough) {
				yield("", err)
				return
			}
		}
	}
}

// bounds are the bytes of a source's texts that belong to a part.
func bounds(ctx context.Context, a data.Attr, part textPart) (from, to int64, err error) {
	if part == wholePart || a.Validation == 0 {
		if part == heldPart {
			return 0, 0, nil
		}
		return 0, math.MaxInt64, nil
	}
	var all int64
	err = data.Texts(a, data.Options{}, func(text string) error {
		all += int64(len(text))
		return ctx.Err()
	})
	border := int64(float64(all) * (1 - a.Validation))
	if part == trainPart {
		return 0, border, err
	}
	return border, all, err
}

// cutText is where a text is cut that should have n bytes.
func cutText(text string, n int64) int {
	switch {
	case n <= 0:
		return 0
	case n >= int64(len(text)):
		return len(text)
	}
	if i := strings.LastIndexByte(text[:n+1], ' '); i > 0 {
		return i
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return int(n)
}

// write writes the folder of the tokenizer, as transformers opens it.
func (v *Vocabulary) write(dir string, file []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return checkpoint.FileError(dir, err)
	}
	write := func(name string, fill func(io.Writer) error) error {
		return checkpoint.Replace(filepath.Join(dir, name), fill)
	}
	err := write("tokenizer.json", func(w io.Writer) error { _, err := w.Write(file); return err })
	if err != nil {
		return err
	}
	config := map[string]any{"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false}
	for name, token := range map[string]string{"unk_token": v.Attr.UnknownToken, "bos_token": v.Attr.BeginToken, "eos_token": v.Attr.EndToken} {
		if token != "" {
			config[name] = token
		}
	}
	return writeJSON(write, "tokenizer_config.json", config)
}
