package learn

import (
	"context"
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

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/data"
	"pipe.dev/executor/tensorfile"
)

// key tells results apart: by the model's files, by the examples, and by how
// they are made into what the model reads.
func (c *computed) key(of *data.Examples, evaluate bool) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, "1", of.Identity(), evaluate, c.outputs)
	for _, name := range slices.Sorted(maps.Keys(c.given)) {
		f := c.given[name]
		fmt.Fprintln(h, name, f.Name, f.Shape)
		if in := f.Images; in != nil {
			text, err := json.Marshal([]any{in.ImagesAttr, in.Train.Key(), in.Eval.Key()})
			if err != nil {
				return "", err
			}
			fmt.Fprintln(h, string(text))
		}
	}
	for _, file := range c.member.files() {
		sum, err := data.Sum(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, filepath.Base(file), sum.SHA256)
	}
	return hex.EncodeToString(h.Sum(nil))[:32], nil
}

// computeAll computes what is not there yet.
func (r *Run) computeAll(ctx context.Context) error {
	for _, c := range r.computed {
		for i := range c.from {
			s := &c.from[i]
			if s.done {
				continue
			}
			if _, err := os.Stat(s.file); errors.Is(err, fs.ErrNotExist) {
				if err := c.make(ctx, r, s); err != nil {
					return err
				}
			}
			if err := c.read(s); err != nil {
				return err
			}
			s.done = true
		}
	}
	return nil
}

// make computes the results of all examples, one by one, and writes them.
func (c *computed) make(ctx context.Context, r *Run, s *computedSet) error {
	m, p, err := c.open(r)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.Load(ctx); err != nil {
		return err
	}
	l, err := s.of.Batches(data.BatchOptions{Batch: 1, Order: "file", Epochs: 1, Evaluate: s.evaluate}, nil, data.Position{})
	if err != nil {
		return err
	}
	defer l.Close()
	values := map[string][]byte{}
	var b data.Batch
	for n := int64(1); ; n++ {
		if err := l.Next(&b); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		in := map[string]tensorfile.Tensor{}
		for name, f := range c.given {
			in[name] = tensorfile.Tensor{Type: ir.T(f.DType, append([]int{1}, f.Shape...)...), Data: b.Values[f.Name]}
		}
		outs, err := m.Run(ctx, p, in)
		if err != nil {
			return err
		}
		for _, x := range outs {
			values[x.Name] = append(values[x.Name], x.Data...)
		}
		if r.opt.Progress != nil {
			r.opt.Progress("computing what "+c.member.Path()+" gives", n, int64(s.of.Len()))
		}
	}
	var list []checkpoint.Data
	for i, name := range c.outputs {
		f := c.fields[i]
		list = append(list, checkpoint.Data{Name: name, Type: ir.T(ir.F32, append([]int{s.of.Len()}, f.Shape...)...), Bytes: values[name]})
	}
	if err := os.MkdirAll(filepath.Dir(s.file), 0o755); err != nil {
		return checkpoint.FileError(s.file, err)
	}
	return checkpoint.Replace(s.file, func(w io.Writer) error { return checkpoint.Encode(w, list, nil) })
}

// read gives the examples the results of a file.
func (c *computed) read(s *computedSet) error {
	file, err := checkpoint.Open(s.file)
	if err != nil {
		return err
	}
	defer file.Close()
	for i, name := range c.outputs {
		data, err := file.View(name)
		if err != nil {
			return err
		}
		t, _ := file.Lookup(name)
		if err := s.with.Fill(c.fields[i].Name, tensorfile.Tensor{Type: t.Type(), Data: data}.Float32s()); err != nil {
			return &checkpoint.Error{File: s.file, Msg: err.Error() + ": remove it, and it is made again"}
		}
	}
	return nil
}
