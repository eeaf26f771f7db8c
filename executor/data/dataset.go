package data

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"pipe.dev/executor/checkpoint"
)

// Options are what a document does not say: what surrounds a source.
type Options struct {
	Root     string      // where relative names of files start
	Cache    string      // folder for token files, made if need be; "" keeps the tokens in memory
	Identity string      // tells encoders apart, as the hash of tokenizer.json; needed with Cache
	Begin    []int32     // ids before each document, instead of those that the encoder puts there
	End      []int32     // ids after each document and each answer
	Layout   Layout      // of conversations, instead of the attribute's
	Report   func(error) // is told of skipped rows and of token files made anew; may be nil

	// Progress is told how far a task is that takes long; may be nil.
	Progress func(task string, done, total int64)
}

// Files lists the files of a source, in order.
func Files(a Attr, o Options) ([]string, error) { return o.files(&a) }

func (o *Options) files(a *Attr) ([]string, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	return expand(o.Root, a.Files, a.Kind)
}

// Dataset is a number of token streams, each made of documents. It does not change: any number of Loaders may use it.
type Dataset struct{ parts []part }

// part is a range of a token file: the tokens from lo to hi, which lie in the documents from first to last.
type part struct {
	*store
	name        string // for errors
	lo, hi      int64
	first, last int64
	weight      float64
	kept        float64 // the share that is kept for validation
	byToken     bool    // of tokens, not documents
	files       []FileSum
}

// encoderVersion is part of every key: another number makes all token files anew.
const encoderVersion = 1

// Open reads one source and encodes it, or finds it encoded in the cache. Errors about files are *checkpoint.Error, and
// those about rows *RowError.
func Open(a Attr, enc Encoder, o Options) (*Dataset, error) {
	files, err := o.files(&a)
	if err != nil {
		return nil, err
	}
	c, err := newCoder(enc, &a, &o)
	if err != nil {
		return nil, err
	}
	for _, ids := range [][]int32{o.Begin, o.End} {
		for _, id := range ids {
			if id < 0 || int(id) >= enc.Size() {
				return nil, fmt.Errorf("id %d that begins or ends documents is not below the encoder's size %d", id, enc.Size())
			}
		}
	}
	if o.Cache != "" && o.Identity == "" {
		return nil, errors.New("a cache of tokens needs the identity of the tokenizer")
	}
	sums, err := sumsOf(files)
	if err != nil {
		return nil, err
	}
	key, err := keyOf(sums, &a, &o, c)
	if err != nil {
		return nil, err
	}
	s, err := load(files, key, &a, &o, c)
	if err != nil {
		return nil, err
	}
	if s.foot.Documents == 0 || s.foot.Tokens == 0 {
		s.close()
		return nil, errorf(files[0], "the source has no document that can be used; %d rows were skipped", s.foot.Skipped.Rows)
	}
	byToken := true // all of it is text of whole files
	for _, f := range files {
		k, err := pick(f, a.Kind)
		byToken = byToken && err == nil && k.name == "text" && a.Document == "file"
	}
	return &Dataset{[]part{{
		store: s, name: files[0], hi: s.foot.Tokens, last: s.foot.Documents, weight: a.Weight, kept: a.Validation, byToken: byToken, files: sums,
	}}}, nil
}

// load encodes the files into memory, or into the cache.
func load(files []string, key string, a *Attr, o *Options, c *coder) (*store, error) {
	if o.Cache == "" {
		var b bytes.Buffer
		if err := encode(&b, key, files, a, o, c); err != nil {
			return nil, err
		}
		return parseStore("tokens in memory", b.Bytes(), func() {})
	}
	if err := os.MkdirAll(o.Cache, 0o777); err != nil {
		return nil, checkpoint.FileError(o.Cache, err)
	}
	path := filepath.Join(o.Cache, filepath.Base(files[0])+"-"+key[:16]+".tokens")
	return cached(path, key, a, o, func(w io.Writer) error { return encode(w, key, files, a, o, c) })
}

// keyOf is a hash of all that the tokens depend on.
func keyOf(files []FileSum, a *Attr, o *Options, c *coder) (string, error) {
	layout := a.Layout
	if o.Layout != nil {
		layout = o.Layout.Name()
	}
	h := sha256.New()
	var fields []string
	for _, k := range slices.Sorted(maps.Keys(a.Fields)) {
		fields = append(fields, k, a.Fields[k])
	}
	err := json.NewEncoder(h).Encode([]any{encoderVersion, a.Format, fields, a.Document, layout, a.TrainOnPrompt, a.OnError,
		o.Identity, c.enc.Size(), hex.EncodeToString([]byte(c.fingerprint()))})
	if err != nil {
		return "", err
	}
	for _, f := range files {
		s, err := pick(f.File, a.Kind)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %s %s\n", s.name, filepath.Ext(f.File), f.SHA256)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// Mix puts data sets together. Each keeps its weights; those of one data set after those of the one before.
func Mix(sets ...*Dataset) *Dataset {
	m := &Dataset{}
	for _, d := range sets {
		m.parts = append(m.parts, d.parts...)
	}
	return m
}

// Split returns what is for training and what is kept for validation, which is nil if nothing is. Of text in whole files
// the last tokens are kept, as nanoGPT does, else the last documents.
func (d *Dataset) Split() (train, validation *Dataset) {
	train, validation = &Dataset{}, &Dataset{}
	for _, p := range d.parts {
		front, back := p, p
		if p.byToken {
			front.hi = p.lo + int64(float64(p.hi-p.lo)*(1-p.kept))
			back.lo = front.hi
			if front.hi < p.hi {
				front.last, back.first = p.document(max(front.hi-1, 0))+1, p.document(front.hi)
			}
		} else {
			groups := (p.last - p.first) / int64(p.foot.Group)
			front.last = p.first + int64(float64(groups)*(1-p.kept))*int64(p.foot.Group)
			back.first = front.last
			front.hi = p.start(front.last)
			back.lo = front.hi
		}
		if front.hi > front.lo {
			train.parts = append(train.parts, front)
		}
		if back.hi > back.lo {
			validation.parts = append(validation.parts, back)
		}
	}
	if len(validation.parts) == 0 {
		return train, nil
	}
	return train, validation
}

// Name is the first file of the first source.
func (d *Dataset) Name() string { return d.parts[0].name }

// Paired reports whether documents belong together, as the two answers of a preference.
func (d *Dataset) Paired() bool {
	return slices.ContainsFunc(d.parts, func(p part) bool { return p.foot.Group > 1 })
}

// Close gives back what the data set holds; no Loader may use it afterwards. Data sets that were made of it by Mix and
// Split are closed with it.
func (d *Dataset) Close() {
	for _, p := range d.parts {
		p.close()
	}
}

// Summary says how much there is.
type Summary struct {
	Tokens    int64   `json:"tokens"`
	Documents int64   `json:"documents"`
	Skipped   Skipped `json:"skipped"`
}

// Summary counts the tokens and documents, and the rows that were skipped when their sources were encoded.
func (d *Dataset) Summary() Summary {
	var s Summary
	for _, p := range d.parts {
		s.Tokens += p.hi - p.lo
		s.Documents += p.last - p.first
		s.Skipped.Rows += p.foot.Skipped.Rows
		s.Skipped.First = append(s.Skipped.First, p.foot.Skipped.First...)
	}
	s.Skipped.First = s.Skipped.First[:min(len(s.Skipped.First), maxKept)]
	return s
}

// bounds are the tokens of a document that lie in the part.
func (p *part) bounds(document int64) (from, to int64) {
	return max(p.start(document), p.lo), min(p.start(document+1), p.hi)
}
