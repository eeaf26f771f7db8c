// Package convert writes the tensors of a checkpoint in another format or
// element type: safetensors, whole or in shards, PyTorch's state dicts, NumPy's
// archives, and GGUF as a container. Names stay as they are. A graph, of an ONNX
// file, becomes a document with its weights beside it.
//
// Tensors go through one after the other, in pieces, so that no more memory is
// needed than the largest of them; what is written is there whole or not at all.
//
// Not here: quantising, and giving a model's tensors the names that GGUF has
// for them (executor/quantize).
package convert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/gguf"
)

// Options say what to convert.
type Options struct {
	In, Out string
	DType   ir.DType // of weights: F32, BF16, F16 or F64; Invalid keeps every tensor as it is
	Shard   int64    // bytes of a file of safetensors at most, in a folder; 0 is one file
	Under   string   // only tensors whose names begin with it and a dot, without both; "" is all
	Force   bool     // replace what is at Out
	Model   *Model   // in a folder: what In is a model of; nil is a checkpoint as it is
	// Fix gives numbers to named sizes and inputs of a graph, Rename other names to
	// named sizes.
	Fix      map[string]float64
	Rename   map[string]string
	Progress func(done, total int64)
}

// Model is what a model's folder has that its source calls otherwise, as GGUF files
// do.
type Model struct {
	Checkpoint *checkpoint.Checkpoint // is closed with the conversion
	// Name is what a tensor is called in the folder, with {e} for the number of an
	// expert where it is a stack of these; false leaves it out.
	Name func(tensor string) (string, bool)
	// Files lie beside the weights, by name: config.json and the tokenizer.
	Files map[string][]byte
}

// File is a file that was written.
type File struct {
	Path  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

// Report is what was done.
type Report struct {
	In         string         `json:"in"`
	Out        string         `json:"out"`
	Files      []File         `json:"files"`
	Tensors    int            `json:"tensors"`
	Parameters int64          `json:"parameters"`
	Before     int64          `json:"bytes_before"`
	After      int64          `json:"bytes_after"`
	Changed    int            `json:"tensors_of_another_type"`
	DTypes     map[string]int `json:"dtypes"`
}

// item is a tensor on its way: as it is in the source, and as it is written.
type item struct {
	from checkpoint.Tensor
	to   checkpoint.Tensor
	part int // of from, which is a stack of as large ones; 0 for the whole
}

// stored is the bytes of what is written, in the source.
func (i item) stored() int64 {
	if len(i.to.Shape) == len(i.from.Shape) {
		return i.from.Bytes
	}
	return i.from.Bytes / int64(i.from.Shape[0])
}

// job is one conversion.
type job struct {
	Options
	ctx      context.Context
	in       *checkpoint.Checkpoint
	metadata map[string]string
	pairs    []gguf.Pair // metadata of a GGUF file
	items    []item
	byName   map[string]item // by the name that is written
	done     int64
	total    int64
	values   []float64 // of a piece
	out      []byte    // of a piece
}

// Run converts. Every error is a *checkpoint.Error, but for those of ctx.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Model != nil {
		defer o.Model.Checkpoint.Close()
	}
	s, err := sinkOf(o)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(o.Out); err == nil && !o.Force {
		return nil, &checkpoint.Error{File: o.Out, Msg: "exists already; --force replaces it"}
	}
	if isGraph(o, s) {
		return runGraph(ctx, o)
	}
	if len(o.Fix)+len(o.Rename) > 0 {
		return nil, &checkpoint.Error{File: o.In, Msg: "is written as tensors alone, and --fix is for an ONNX file that becomes a folder"}
	}
	j := &job{Options: o, ctx: ctx, byName: map[string]item{}}
	if err := j.open(); err != nil {
		return nil, err
	}
	defer j.in.Close()
	if err := j.choose(s); err != nil {
		return nil, checkpoint.FileError(o.In, err)
	}
	r := &Report{In: o.In, Out: o.Out, Tensors: len(j.items), DTypes: map[string]int{}}
	for _, i := range j.items {
		r.Parameters += elems(i.to.Shape)
		r.Before, r.After = r.Before+i.stored(), r.After+i.to.Bytes
		r.DTypes[i.to.Raw]++
		if i.from.Raw != i.to.Raw {
			r.Changed++
		}
	}
	j.total = r.After
	files, err := s.write(j)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, checkpoint.FileError(o.Out, err)
	}
	return r, r.list(files)
}

// list adds the files that were written.
func (r *Report) list(files []string) error {
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return checkpoint.FileError(f, err)
		}
		r.Files = append(r.Files, File{f, info.Size()})
	}
	return nil
}

// open opens the source.
func (j *job) open() error {
	if j.Model != nil {
		j.in, j.metadata = j.Model.Checkpoint, map[string]string{}
		return nil
	}
	if isGGUF(j.In) {
		f, err := gguf.Open(j.In)
		if err != nil {
			return err
		}
		j.pairs, j.metadata = f.Metadata, map[string]string{}
		for _, p := range f.Metadata {
			if s, ok := p.Value.(string); ok && len(s) < 1024 {
				j.metadata[p.Key] = s
			}
		}
		if j.in, err = f.Checkpoint(nil); err != nil {
			f.Close() // err is what matters
		}
		return err
	}
	var err error
	if j.in, err = checkpoint.Open(j.In); err != nil {
		return err
	}
	j.metadata = j.in.Metadata()
	if j.DType == ir.Invalid {
		return nil
	}
	if err := j.in.Unpack(); err != nil {
		j.in.Close() // err is what matters
		return err
	}
	return nil
}

func isGGUF(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [4]byte
	_, err = f.Read(magic[:])
	return err == nil && string(magic[:]) == "GGUF"
}

// choose says what is written of every tensor.
func (j *job) choose(s sink) error {
	tensors := j.in.Tensors()
	if j.pairs != nil && s.name == "gguf" { // the order of the file
		slices.SortFunc(tensors, func(a, b checkpoint.Tensor) int { return cmp.Compare(a.Offset, b.Offset) })
	}
	for _, t := range tensors {
		name, ok := j.name(t)
		if !ok {
			continue
		}
		to := t
		to.Form, to.Name = checkpoint.Form{}, name
		if j.DType != ir.Invalid && (t.DType.Float() || t.DType.Blocked()) {
			to.DType, to.Raw = j.DType, strings.ToUpper(j.DType.String())
			to.Bytes = to.Type().Bytes()
		}
		if to.DType.Blocked() && s.name != "gguf" {
			return fmt.Errorf("tensor %q is of type %v, which only GGUF files have: --dtype f16 writes what it stands for", t.Name, to.DType)
		}
		if s.widen != nil {
			to = s.widen(to)
		}
		if err := s.accepts(to); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		for _, i := range parts(item{from: t, to: to}) {
			if _, ok := j.byName[i.to.Name]; ok {
				return fmt.Errorf("two tensors are called %q", i.to.Name)
			}
			j.byName[i.to.Name] = i
			j.items = append(j.items, i)
		}
	}
	if len(j.items) == 0 {
		if j.Under != "" {
			return fmt.Errorf("has no tensor below %q", j.Under)
		}
		return errors.New("has no tensors")
	}
	return nil
}

// name is what a tensor is called where it is written; false leaves it out.
func (j *job) name(t checkpoint.Tensor) (string, bool) {
	if j.Model != nil {
		return j.Model.Name(t.Name)
	}
	if j.Under == "" {
		return t.Name, true
	}
	return strings.CutPrefix(t.Name, strings.TrimSuffix(j.Under, ".")+".")
}

// parts are the tensors of a stack, one for each expert, or i alone.
func parts(i item) []item {
	if !checkpoint.Stacked(i.to.Name) || len(i.to.Shape) < 2 || i.to.Shape[0] == 0 {
		return []item{i}
	}
	var list []item
	for n := range i.to.Shape[0] {
		one := i
		one.part, one.to.Name = n, checkpoint.Part(i.to.Name, n)
		one.to.Shape, one.to.Bytes = i.to.Shape[1:], i.to.Bytes/int64(i.to.Shape[0])
		list = append(list, one)
	}
	return list
}

func elems(shape []int) int64 {
	n := int64(1)
	for _, s := range shape {
		n *= int64(s)
	}
	return n
}
