package adapter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
)

// Options say what to merge, or to take out again.
type Options struct {
	Model    string // folder
	Adapter  string // folder
	Out      string // folder that is made
	Base     string // of Undo: the folder that was merged into, if it is at hand
	DType    ir.DType
	Scale    float64                 // a factor beside the adapter's own; 0 is 1
	Prefixes []string                // that names of tensors may lack or have, as the architecture says
	Aliases  map[string]string       // what a file of several models may write in place of parts of names, likewise
	Progress func(done, total int64) // bytes of weights; may be nil
}

// Report says what became of the weights.
type Report struct {
	Out     string  `json:"out"`
	Layers  int     `json:"layers"`
	Changed float64 `json:"largest_change"` // of an element of an adapted weight
	// Of Undo: whether every element is known to be that of the base, and if
	// not, how many may differ, by how much at most.
	Identical bool    `json:"bit_identical"`
	Unsure    int64   `json:"elements_unsure"`
	Elements  int64   `json:"elements"`
	Error     float64 `json:"largest_error"`
}

// Merge writes a copy of a model's folder with the adapter merged into its
// weights: sums are made in float64, and rounded once to the element type of
// the weight, or to DType. Weights that are not adapted stay bit for bit, but
// for DType. What is not in safetensors is written in that.
func Merge(ctx context.Context, o Options) (rep Report, err error) {
	m, err := open(o)
	if err != nil {
		return rep, err
	}
	defer m.close()
	rep.Out, rep.Layers = o.Out, len(m.adapter.Layers)
	err = m.rewrite(ctx, addition)
	rep.Changed, rep.Elements = m.total.changed, m.total.elements
	return rep, err
}

// addition merges a row.
func addition(l *LowRank, row int, x, d []float64, _ weight, s *share) {
	before := slices.Clone(x)
	l.Merge(row, x, d)
	for i, v := range x {
		s.changed = max(s.changed, math.Abs(v-before[i]))
	}
}

// job is a model, an adapter, and what is to be written.
type job struct {
	Options
	adapter *Adapter
	model   *checkpoint.Checkpoint
	adapted map[string]Layer // by the name of the weight in the model
	total   share
	done    int64
}

// share is what goroutines gather.
type share struct {
	changed, err     float64
	unsure, elements int64
	bad              error
}

func (s *share) add(o share) {
	s.changed, s.err = max(s.changed, o.changed), max(s.err, o.err)
	s.unsure, s.elements = s.unsure+o.unsure, s.elements+o.elements
	s.bad = errors.Join(s.bad, o.bad)
}

// open opens both, and proves that the adapter is one of the model.
func open(o Options) (*job, error) {
	m := &job{Options: o, adapted: map[string]Layer{}}
	var err error
	if m.model, err = checkpoint.Open(o.Model); err != nil {
		return nil, err
	}
	if m.adapter, err = m.openAdapter(); err != nil {
		m.model.Close()
		return nil, err
	}
	var wants []checkpoint.Want
	for _, l := range m.adapter.Layers {
		w := checkpoint.Want{Name: m.model.Name(l.Path+".weight", o.Prefixes), Shape: []int{l.Out, l.In}, Pos: l.Path + " of " + o.Adapter,
			DTypes: []ir.DType{ir.F32, ir.BF16, ir.F16, ir.F64}}
		if m.adapter.Transposed {
			w.Shape = []int{l.In, l.Out}
		}
		if t, ok := m.model.Lookup(w.Name); ok && len(t.Shape) > 2 && t.Shape[0] == l.Out && elems(t.Shape[1:]) == l.In { // a convolution
			w.Shape = t.Shape
		}
		m.adapted[w.Name] = l
		wants = append(wants, w)
	}
	if err := m.model.Prove(wants, func(string) bool { return true }); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// openAdapter opens the adapter, or what a file of several has for the model, by
// the name of its folder.
func (m *job) openAdapter() (*Adapter, error) {
	file, ok := IsPipeline(m.Adapter)
	if !ok {
		a, err := Open(m.Adapter)
		return m.scaled(a), err
	}
	var layers []string
	for _, t := range m.model.Tensors() {
		if path, ok := strings.CutSuffix(t.Name, ".weight"); ok {
			layers = append(layers, path)
		}
	}
	a, err := OpenPart(file, filepath.Base(m.Model), layers, m.Prefixes, m.Aliases)
	if err == nil && a == nil {
		err = errorf(file, "has no layer of %s: names of its tensors begin with the name of the model's folder", filepath.Base(m.Model))
	}
	return m.scaled(a), err
}

// scaled is the adapter with the factor of the options; a may be nil.
func (m *job) scaled(a *Adapter) *Adapter {
	if a != nil && m.Scale != 0 {
		a.Rescale(m.Scale)
	}
	return a
}

func (m *job) close() {
	m.adapter.Close()
	m.model.Close()
}

// weight is an adapted weight, and the type that its new values have.
type weight struct {
	checkpoint.Tensor
	to ir.DType
}

// change replaces a row x of an adapted weight; d is room for as many values.
type change func(l *LowRank, row int, x, d []float64, w weight, s *share)

// values are the new bytes of an adapted weight. Rows are shared out to all
// processors; each is computed alone, so the bytes do not depend on how.
func (m *job) values(ctx context.Context, w weight, c change) ([]byte, error) {
	l, err := m.adapter.LowRank(m.adapted[w.Name])
	if err != nil {
		return nil, err
	}
	data, err := m.model.View(w.Name)
	if err != nil {
		return nil, err
	}
	rows, in := w.Shape[0], elems(w.Shape[1:])
	out := make([]byte, rows*in*w.to.Size())
	workers := min(runtime.GOMAXPROCS(0), max(rows, 1))
	shares := make([]share, workers)
	var group sync.WaitGroup
	for n := range workers {
		group.Go(func() {
			d, from := make([]float64, in), in*w.DType.Size()
			for row := rows * n / workers; row < rows*(n+1)/workers; row++ {
				if row%64 == 0 && ctx.Err() != nil {
					return
				}
				x := tensorfile.Tensor{Type: ir.T(w.DType, in), Data: data[row*from : (row+1)*from]}.Float64s()
				c(l, row, x, d, w, &shares[n])
				at := row * in * w.to.Size()
				tensorfile.AppendFloats(out[at:at:at+in*w.to.Size()], w.to, x...)
				for i, v := range x {
					if math.IsNaN(v) || math.IsInf(v, 0) {
						shares[n].bad = fmt.Errorf("element [%d %d] becomes %v", row, i, v)
						return
					}
				}
			}
			shares[n].elements += int64(rows*(n+1)/workers-rows*n/workers) * int64(in)
		})
	}
	group.Wait()
	sum := share{}
	for _, s := range shares {
		sum.add(s)
	}
	m.total.add(sum)
	if sum.bad != nil {
		return nil, errorf(w.File, "tensor %q: %v", w.Name, firstOf(shares))
	}
	return out, ctx.Err()
}

func firstOf(shares []share) error {
	for _, s := range shares {
		if s.bad != nil {
			return s.bad
		}
	}
	return nil
}
