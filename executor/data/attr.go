package data

import (
	"slices"
	"strings"

	"pipe.dev/internal/suggest"
)

// Attr describes one source of training data.
type Attr struct {
	Files         []string             `cue:"files!: [string, ...string]" doc:"files, folders (all files in them that a kind of source reads; of images and audio, all pictures or all sound) and patterns as *.jsonl; .gz is unpacked"`
	Kind          string               `cue:"kind: \"text\" | \"jsonl\" | \"json\" | \"csv\" | \"arrays\" | \"idx\" | \"parquet\" | *\"auto\"" doc:"what the files are; auto goes by their names"`
	Format        string               `cue:"format: \"alpaca\" | \"sharegpt\" | \"messages\" | \"preference\" | \"columns\" | \"images\" | \"audio\" | *\"text\"" doc:"what a row holds"`
	Fields        map[string]string    `cue:"fields: {[string]: string} | *{}" doc:"the names of the format's fields in the files, where they differ: {instruction: \"question\"}"`
	Columns       map[string][]string  `cue:"columns: {[string]: [string, ...string]} | *{}" doc:"for formats columns, images and audio: the columns, or arrays, that make each input of the model: {x: [\"width\", \"height\"]}; of images and audio, an input without any is made of the column of its name"`
	Pattern       string               `cue:"pattern: string | *\"\"" doc:"for formats images and audio: how files are called, without their endings, with names of columns in place of what differs: \"{label}_{speaker}_{index}\""`
	Only          map[string][]string  `cue:"only: {[string]: [string, ...string]} | *{}" doc:"for these formats: rows whose columns have one of these values are taken, the others left out: {index: [\"0\", \"1\"]}"`
	Without       map[string][]string  `cue:"without: {[string]: [string, ...string]} | *{}" doc:"for these formats: rows whose columns have one of these values are left out"`
	Normalize     map[string][]float64 `cue:"normalize: {[string]: [number, number & !=0]} | *{}" doc:"for format columns: a mean, and a deviation, of inputs of the model, which get (x - mean) / deviation: {x: [127.5, 127.5]}"`
	Constants     map[string]string    `cue:"constants: {[string]: string} | *{}" doc:"for format images: columns that hold the same in every row, whatever else says: {text: \"a photo of a cat\"}"`
	Document      string               `cue:"document: \"line\" | \"paragraph\" | *\"file\"" doc:"what one document is in files of text; blank lines end paragraphs"`
	Layout        string               `cue:"layout: \"chatml\" | *\"headings\"" doc:"how a conversation becomes text"`
	TrainOnPrompt bool                 `cue:"train_on_prompt: bool | *false" doc:"the loss counts prompts too, not only answers"`
	Special       bool                 `cue:"special: bool | *true" doc:"put around each document what the tokenizer puts around a text, as a token that begins it"`
	OnError       string               `cue:"on_error: \"skip\" | *\"stop\"" doc:"what a bad row does: stop the run, or be left out and counted"`
	Weight        float64              `cue:"weight: number & >0 | *1" doc:"the share of predicted tokens that this source gives, beside the weights of the others"`
	Validation    float64              `cue:"validation: number & >=0 & <1 | *0" doc:"the share at the end that is kept for validation: of the tokens if documents are files, else of the documents"`
}

// Check reports what the schema would not let through, since Attr may be made
// in Go, and fields that the format lacks, by an *OptionError.
func (a *Attr) Check() error {
	if len(a.Files) == 0 {
		return &OptionError{"files", "none given"}
	}
	kinds := []string{"auto"}
	for _, s := range sources {
		kinds = append(kinds, s.name)
	}
	var named []string
	for _, f := range formats {
		named = append(named, f.name)
	}
	var styles []string
	for _, l := range layouts {
		styles = append(styles, l.Name())
	}
	for _, c := range []struct {
		name, value string
		allowed     []string
	}{
		{"kind", a.Kind, kinds},
		{"format", a.Format, named},
		{"layout", a.Layout, styles},
		{"document", a.Document, []string{"file", "line", "paragraph"}},
		{"on_error", a.OnError, []string{"stop", "skip"}},
	} {
		if err := oneOf(c.name, c.value, c.allowed); err != nil {
			return err
		}
	}
	if !(a.Weight > 0) {
		return optionErrorf("weight", "is %v, want more than 0", a.Weight)
	}
	if !(a.Validation >= 0 && a.Validation < 1) {
		return optionErrorf("validation", "is %v, want at least 0 and less than 1", a.Validation)
	}
	if !a.OfFiles() && (a.Format == Columns) != (len(a.Columns) > 0) {
		return optionErrorf("columns", "and format: \"columns\" go together: give both or neither")
	}
	if !a.OfFiles() && (a.Pattern != "" || len(a.Only)+len(a.Without) > 0) {
		return optionErrorf("pattern", "only and without go with format: \"images\" or \"audio\"")
	}
	if _, err := newNamed(a.Pattern); err != nil {
		return err
	}
	if a.Format != Images && len(a.Constants) > 0 {
		return optionErrorf("constants", "are for format: \"images\"")
	}
	for k, v := range a.Normalize {
		if len(v) != 2 || v[1] == 0 {
			return optionErrorf("normalize", "%s is %v, want a mean and a deviation that is not 0", k, v)
		}
	}
	f := a.format()
	for k := range a.Fields {
		if !slices.Contains(f.fields, k) {
			return optionErrorf("fields", "format %s has no field %s, it has %s%s", f.name, k, strings.Join(f.fields, ", "), hint(k, f.fields))
		}
	}
	return nil
}

// OfNumbers reports whether the source gives examples of numbers, pictures and sound among them, not text.
func (a *Attr) OfNumbers() bool { return a.Format == Columns || a.OfFiles() }

// OfFiles reports whether examples are made of files of their own: pictures or sound.
func (a *Attr) OfFiles() bool { return a.Format == Images || a.Format == Sounds }

// Paired reports whether a row of the format is a pair of documents. The
// attribute must have been checked.
func (a *Attr) Paired() bool { return a.format().group > 1 }

func (a *Attr) format() *format {
	for i := range formats {
		if formats[i].name == a.Format {
			return &formats[i]
		}
	}
	panic("data: format not checked")
}

func (a *Attr) layout() Layout {
	for _, l := range layouts {
		if l.Name() == a.Layout {
			return l
		}
	}
	panic("data: layout not checked")
}

func oneOf(name, value string, allowed []string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return optionErrorf(name, "is %q, want one of %v%s", value, allowed, hint(value, allowed))
}

// hint is "; did you mean X?", or "".
func hint(word string, known []string) string {
	if s := suggest.DidYouMean(word, known); s != "" {
		return "; " + s
	}
	return ""
}
