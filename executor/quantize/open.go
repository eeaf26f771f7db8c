package quantize

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/gguf"
	"pipe.dev/executor/learn"
	"pipe.dev/executor/model"
	"pipe.dev/kernels/half"
	"pipe.dev/kernels/quant"
	"pipe.dev/schema"
)

// Open opens a model's folder or GGUF file to be written anew.
func Open(path string) (*Source, error) {
	if model.IsGGUF(path) {
		return openGGUF(path)
	}
	m, err := model.OpenSource(path, nil)
	if err != nil {
		return nil, err
	}
	s := &Source{close: m.Close}
	table, err := s.describe(m.Arch)
	if err == nil {
		err = s.vocabulary(path)
	}
	for _, t := range m.Tensors() {
		if err != nil {
			break
		}
		err = s.add(m, table, t)
	}
	if err != nil {
		m.Close() // err is what matters
		return nil, err
	}
	return s, nil
}

// describe adds what the architecture says of a file.
func (s *Source) describe(m *schema.Model) (*schema.GGUF, error) {
	table, written, err := schema.WriteGGUF(m)
	if err != nil {
		return nil, err
	}
	s.metadata = append(s.metadata, gguf.Pair{Key: "general.architecture", Value: table.Architecture}, gguf.Pair{Key: "general.name", Value: m.Name})
	for _, key := range slices.Sorted(maps.Keys(written.Metadata)) {
		s.metadata = append(s.metadata, gguf.Pair{Key: key, Value: written.Metadata[key].Value()})
	}
	for _, name := range slices.Sorted(maps.Keys(written.Tensors)) {
		values := written.Tensors[name]
		s.items = append(s.items, item{name: name, path: name, from: "f32", bytes: int64(4 * len(values)), shape: []int64{int64(len(values))},
			open: func() (func([]float32, int64) error, func(), error) {
				return func(dst []float32, _ int64) error { copy(dst, values); return nil }, func() {}, nil
			}})
	}
	return table, nil
}

// add adds a tensor of a folder.
func (s *Source) add(m *model.Source, table *schema.GGUF, t checkpoint.Tensor) error {
	if stack, expert := stackOf(table, t.Name); stack != "" {
		if expert != "0" {
			return nil // it lies in the stack of the first
		}
		all, ok := m.Lookup(stack)
		if !ok {
			return &checkpoint.Error{File: t.File, Msg: fmt.Sprintf("the experts of %q are not of one shape and type", stack)}
		}
		t = all
	}
	path := t.Name
	to, ok := table.Tensor(path)
	for _, p := range m.Arch.Prefixes {
		if !ok {
			if to, ok = table.Tensor(p + t.Name); ok {
				path = p + t.Name
			} else if to, ok = table.Tensor(strings.TrimPrefix(t.Name, p)); ok {
				path = strings.TrimPrefix(t.Name, p)
			}
		}
	}
	switch {
	case m.Arch.Ignores(t.Name):
		return nil
	case !ok:
		return &checkpoint.Error{File: t.File, Msg: fmt.Sprintf("tensor %q has no name in GGUF files of the architecture %q", t.Name, table.Architecture)}
	}
	it := item{name: to.Name, path: path, from: strings.ToLower(t.Raw), bytes: t.Bytes, shape: sizes(t.Shape), keep: to.Keep}
	if to.Row {
		if it.shape = it.shape[1:]; t.Shape[0] != 1 {
			return &checkpoint.Error{File: t.File, Msg: fmt.Sprintf("tensor %q has %d rows, and a GGUF file has one", t.Name, t.Shape[0])}
		}
	}
	if to.Heads != "" {
		it.heads = model.HeadsOf(m.Arch, to.Heads)
		if it.heads == 0 || it.shape[0]%int64(2*it.heads) != 0 {
			return &checkpoint.Error{File: t.File, Msg: fmt.Sprintf("tensor %q has %d rows, which are no pairs of %d heads", t.Name, it.shape[0], it.heads)}
		}
	}
	it.raw = func() ([]byte, error) { return m.View(t.Name) }
	if it.open = opener(m.Checkpoint, t, it.row()); to.Plus != 0 {
		it.open = plus(it.open, float32(to.Plus))
	}
	if to.Transposed {
		it.shape, it.from = []int64{it.shape[1], it.shape[0]}, it.from+" transposed"
		it.open = transposed(opener(m.Checkpoint, t, int64(t.Shape[1])), t.Shape)
	}
	s.items = append(s.items, it)
	return nil
}

// plus adds a number to what is read.
func plus(open func() (func([]float32, int64) error, func(), error), add float32) func() (func([]float32, int64) error, func(), error) {
	return func() (func([]float32, int64) error, func(), error) {
		read, done, err := open()
		return func(dst []float32, row int64) error {
			err := read(dst, row)
			for i := range dst {
				dst[i] += add
			}
			return err
		}, done, err
	}
}

// transposed reads the columns of a matrix as rows.
func transposed(open func() (func([]float32, int64) error, func(), error), shape []int) func() (func([]float32, int64) error, func(), error) {
	return func() (func([]float32, int64) error, func(), error) {
		read, done, err := open()
		if err != nil {
			return nil, nil, err
		}
		defer done()
		rows, cols := shape[0], shape[1]
		whole := make([]float32, rows*cols)
		for r := range rows {
			if err := read(whole[r*cols:(r+1)*cols], int64(r)); err != nil {
				return nil, nil, err
			}
		}
		return func(dst []float32, col int64) error {
			for r := range dst {
				dst[r] = whole[r*cols+int(col)]
			}
			return nil
		}, func() {}, nil
	}
}

// stackOf is the stack in which a file holds the tensor of an expert, and which
// expert that is; "" for other tensors.
func stackOf(table *schema.GGUF, name string) (stack, expert string) {
	parts := strings.Split(name, ".")
	for i := len(parts) - 1; i > 0; i-- {
		if parts[i] == "" || strings.Trim(parts[i], "0123456789") != "" {
			continue
		}
		expert, parts[i] = parts[i], checkpoint.EachExpert
		if stack = strings.Join(parts, "."); schema.Index(stack) != "" {
			if _, ok := table.Tensor(stack); ok {
				return stack, expert
			}
		}
		return "", ""
	}
	return "", ""
}

// openGGUF takes a file over as it is, but for the types of its matrices.
func openGGUF(path string) (*Source, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	s := &Source{metadata: f.Metadata}
	names := pathsOf(path, f)
	c, err := f.Checkpoint(nil)
	if err != nil {
		f.Close()
		return nil, err
	}
	s.close = c.Close
	for _, t := range f.Tensors { // in their order
		of, _ := c.Lookup(t.Name)
		if of.DType == ir.Invalid || !of.DType.Float() && !of.DType.Blocked() {
			c.Close()
			return nil, &checkpoint.Error{File: path, Msg: fmt.Sprintf("tensor %q is %s, which is not read", t.Name, of.Raw)}
		}
		it := item{name: t.Name, path: t.Name, from: t.Type.String(), bytes: t.Bytes, shape: t.Shape}
		if p, ok := names(t.Name); ok {
			it.path, it.keep = p.path, p.keep
		}
		it.open = opener(c, of, it.row())
		it.raw = func() ([]byte, error) { return c.View(of.Name) }
		s.items = append(s.items, it)
	}
	return s, nil
}

type named struct {
	path string
	keep bool
}

// pathsOf says which weight of the model a tensor is, where that is known.
func pathsOf(path string, f *gguf.File) func(name string) (named, bool) {
	facts, err := model.FactsOf(f)
	var table *schema.GGUF
	if err == nil {
		_, table, err = schema.LoadGGUF(path, facts)
	}
	if err != nil { // another program may know it
		return func(string) (named, bool) { return named{}, false }
	}
	paths := map[string]named{}
	for p, t := range table.Tensors {
		paths[t.Name] = named{p, t.Keep}
	}
	return func(name string) (named, bool) {
		n, ok := paths[schema.IndexTemplate(name)]
		n.path = strings.ReplaceAll(n.path, "{i}", schema.Index(name))
		return n, ok
	}
}

func sizes(shape []int) []int64 {
	out := make([]int64, len(shape))
	for i, n := range shape {
		out[i] = int64(n)
	}
	return out
}

// opener gives what reads the rows of a tensor as f32.
func opener(c *checkpoint.Checkpoint, t checkpoint.Tensor, row int64) func() (func([]float32, int64) error, func(), error) {
	return func() (func([]float32, int64) error, func(), error) {
		data, err := c.View(t.Name)
		if err != nil {
			return nil, nil, err
		}
		decode, err := decoder(t.DType)
		if err != nil {
			return nil, nil, &checkpoint.Error{File: t.File, Msg: fmt.Sprintf("tensor %q is %s, which is not read", t.Name, t.Raw)}
		}
		elems, bytes := t.DType.Block()
		size := row / int64(elems) * int64(bytes)
		read := func(dst []float32, r int64) error { return decode(dst, data[r*size:(r+1)*size]) }
		return read, func() { c.Release(t.Name) }, nil
	}
}

// decoder gives what reads elements, or blocks, as f32.
func decoder(d ir.DType) (func(dst []float32, src []byte) error, error) {
	each := func(size int, get func(b []byte) float32) func([]float32, []byte) error {
		return func(dst []float32, src []byte) error {
			for i := range dst {
				dst[i] = get(src[i*size:])
			}
			return nil
		}
	}
	switch {
	case d.Blocked():
		f, err := quant.Lookup(d.String())
		return f.Decode, err
	case d == ir.F64:
		return each(8, func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }), nil
	case d == ir.F32:
		return each(4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }), nil
	case d == ir.F16:
		return each(2, func(b []byte) float32 { return half.F16ToF32(binary.LittleEndian.Uint16(b)) }), nil
	case d == ir.BF16:
		return each(2, func(b []byte) float32 { return half.BF16ToF32(binary.LittleEndian.Uint16(b)) }), nil
	}
	return nil, fmt.Errorf("%v is not read", d)
}

// Random gives an architecture with weights that are drawn: normal, with a
// deviation of 0.02, or as the op says. They depend on the seed and on their
// paths alone. Its vocabulary is made up.
func Random(m *schema.Model, weights []*ir.State, seed uint64) (*Source, error) {
	s := &Source{close: func() error { return nil }}
	table, err := s.describe(m)
	if err != nil {
		return nil, err
	}
	s.metadata = append(s.metadata, madeUp(model.HeadsOf(m, "vocab_size"))...)
	for _, w := range weights {
		to, ok := table.Tensor(w.Path)
		if !ok {
			return nil, fmt.Errorf("%s: weight %s has no name in GGUF files of the architecture %q", m.Name, w.Path, table.Architecture)
		}
		it := item{name: to.Name, path: w.Path, from: "drawn", shape: sizes(w.Read.Type().Sizes()), keep: to.Keep}
		it.bytes = 4 * it.elems()
		if to.Heads != "" {
			it.heads = model.HeadsOf(m, to.Heads)
		}
		st := plan.State{Path: w.Path, Type: w.Read.Type(), Init: w.Init}
		row := it.row()
		if to.Transposed {
			row = it.shape[0]
		}
		it.open = func() (func([]float32, int64) error, func(), error) {
			draw, err := learn.Draw(st, seed, deviation)
			return func(dst []float32, r int64) error {
				for i := range dst {
					dst[i] = float32(draw(r*row + int64(i)))
				}
				return nil
			}, func() {}, err
		}
		if to.Plus != 0 {
			it.open = plus(it.open, float32(to.Plus))
		}
		if to.Row {
			it.shape = it.shape[1:]
		}
		if to.Transposed { // each is drawn alike
			slices.Reverse(it.shape)
		}
		s.items = append(s.items, it)
	}
	slices.SortStableFunc(s.items, func(a, b item) int { return checkpoint.CompareNames(a.name, b.name) })
	return s, nil
}

const deviation = 0.02
