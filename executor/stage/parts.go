package stage

import (
	"context"
	"maps"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/model"
	"pipe.dev/executor/tensorfile"
)

// The named sizes of models that a call may be cut along.
const (
	batchSize  = "batch"
	heightSize = "height"
	widthSize  = "width"
)

// parts is a call of a model over whole sequences that may be made in parts: some rows of the
// batch after the others, which gives the same bits, or tiles of pictures.
type parts struct {
	model   *model.Model
	outputs []string
	take    []string
	given   []string           // names of inputs
	inputs  map[string]ir.Type // with named sizes
	results []ir.Type          // too
	sizes   map[string]int     // of the whole
	rows    int                // at once; sizes["batch"] is a multiple
	tiles   *tiling            // nil if pictures are computed whole
	first   *plan.Plan         // of the largest part
	plans   map[[3]int]*plan.Plan
}

// newParts asks for the plans of a call of these sizes with the given inputs.
func newParts(m *model.Model, sizes map[string]int, a RunAttr, given []string) (*parts, error) {
	p := &parts{model: m, outputs: a.Outputs, take: a.Take, given: given, sizes: sizes, rows: max(1, sizes[batchSize])}
	var err error
	if p.inputs, err = m.Inputs(); err != nil {
		return nil, err
	}
	if p.results, err = m.OutputTypes(a.Outputs, a.Take, given...); err != nil {
		return nil, err
	}
	if a.AtOnce > 0 && p.byRows() {
		p.rows = divisor(p.rows, a.AtOnce)
	}
	if a.Tile > 0 && max(sizes[heightSize], sizes[widthSize]) > a.Tile {
		if p.tiles, err = newTiling(a); err == nil {
			err = p.tileable()
		}
		if err != nil {
			return nil, err
		}
	}
	return p, p.ask()
}

// divisor is the largest divisor of n that is at most most.
func divisor(n, most int) int {
	for k := min(n, most); k > 1; k-- {
		if n%k == 0 {
			return k
		}
	}
	return 1
}

// byRows reports whether there are rows that may be computed apart from each other.
func (p *parts) byRows() bool { return p.sizes[batchSize] > 1 && rowwise(p.results, p.inputs) }

// rowwise reports whether every row of the batch is computed from its own inputs alone, as far
// as the types say it: the batch is the first axis of all that has it.
func rowwise(results []ir.Type, inputs map[string]ir.Type) bool {
	for _, t := range results {
		if t.Rank() == 0 || t.Shape[0] != ir.Sym(batchSize) {
			return false
		}
	}
	for _, t := range slices.Concat(results, slices.Collect(maps.Values(inputs))) {
		for i, d := range t.Shape {
			if i > 0 && d.Syms == batchSize || d.Syms != batchSize && slices.Contains(names(d), batchSize) || i == 0 && d.Syms == batchSize && d.N != 1 {
				return false
			}
		}
	}
	return true
}

// ask asks for plans of all parts that differ in size.
func (p *parts) ask() error {
	p.plans, p.first = map[[3]int]*plan.Plan{}, nil
	for _, at := range p.boxes() {
		key := [3]int{p.rows, at.rows, at.columns}
		if p.plans[key] != nil {
			continue
		}
		made, err := p.model.Call(p.partSizes(at), p.outputs, p.take, p.given...)
		if err != nil {
			return err
		}
		p.plans[key] = made
		if p.first == nil {
			p.first = made
		}
	}
	return nil
}

// partSizes are the sizes of a part.
func (p *parts) partSizes(at box) map[string]int {
	sizes := maps.Clone(p.sizes)
	if sizes[batchSize] > 0 {
		sizes[batchSize] = p.rows
	}
	if p.tiles != nil {
		sizes[heightSize], sizes[widthSize] = at.rows, at.columns
	}
	return sizes
}

// smaller asks for plans of fewer rows at once, if there are any; results stay the same.
func (p *parts) smaller() (bool, error) {
	if p.rows < 2 || !p.byRows() {
		return false, nil
	}
	p.forget()
	p.rows = divisor(p.sizes[batchSize], p.rows/2)
	return true, p.ask()
}

// cut asks for plans of tiles of a size; nil if nothing is larger than that, or no tile is.
func (p *parts) cut(a RunAttr, size int) (*Tiled, error) {
	h, w := p.sizes[heightSize], p.sizes[widthSize]
	if size >= max(h, w) || p.tiles != nil && size >= p.tiles.size {
		return nil, nil
	}
	a.Tile = size
	tiles, err := newTiling(a)
	if err != nil {
		return nil, err
	}
	before := p.tiles
	if p.tiles = tiles; p.tileable() != nil {
		p.tiles = before
		return nil, nil
	}
	p.tiles = before
	p.forget()
	p.tiles = tiles
	made := &Tiled{Size: size}
	for _, at := range p.boxes() {
		made.Count++
		made.More += float64(at.rows) * float64(at.columns) / float64(h*w)
	}
	return made, p.ask()
}

func (p *parts) forget() {
	for _, made := range p.plans {
		p.model.Forget(made)
	}
}

// types are those of the whole results, under their names.
func (p *parts) types() []tensorfile.Tensor {
	list := p.model.Results(p.first)
	for i := range list {
		list[i].Type = p.results[i].Bind(p.sizes)
	}
	return list
}

// run computes all parts, and puts them together.
func (p *parts) run(ctx context.Context, in map[string]tensorfile.Tensor, progress func(done, total int)) ([]tensorfile.Tensor, error) {
	batch := max(1, p.sizes[batchSize])
	boxes := p.boxes()
	total := len(boxes) * (batch / p.rows)
	if total == 1 {
		return p.model.Run(ctx, p.first, in)
	}
	whole := p.types()
	for i := range whole {
		whole[i].Data = make([]byte, whole[i].Type.Bytes())
	}
	done := 0
	for from := 0; from < batch; from += p.rows {
		rows := rowsOf(whole, p.results, from, p.rows)
		seams := make([]*seam, len(rows))
		for i := range rows {
			if p.tiles != nil {
				seams[i] = p.tiles.seam(rows[i], p.results[i])
			}
		}
		for _, at := range boxes {
			outs, err := p.model.Run(ctx, p.plans[[3]int{p.rows, at.rows, at.columns}], p.part(in, from, at))
			if err != nil {
				return nil, err
			}
			for i, out := range outs {
				if p.tiles == nil {
					copy(rows[i].Data, out.Data)
				} else {
					seams[i].put(at, out)
				}
			}
			if done++; progress != nil {
				progress(done, total)
			}
		}
	}
	return whole, nil
}

// rowsOf are some rows of tensors that share a batch, in the same memory.
func rowsOf(list []tensorfile.Tensor, types []ir.Type, from, n int) []tensorfile.Tensor {
	out := slices.Clone(list)
	for i, t := range list {
		out[i] = someRows(t, types[i], from, n)
	}
	return out
}

// someRows are rows of a tensor whose first axis is the batch; of another, all of it.
func someRows(t tensorfile.Tensor, like ir.Type, from, n int) tensorfile.Tensor {
	if like.Rank() == 0 || like.Shape[0].Syms != batchSize {
		return t
	}
	sizes := t.Type.Sizes()
	row := len(t.Data) / sizes[0]
	sizes[0] = n
	return tensorfile.Tensor{Name: t.Name, Type: ir.T(t.Type.DType, sizes...), Data: t.Data[from*row : (from+n)*row]}
}

// part is what a part reads.
func (p *parts) part(in map[string]tensorfile.Tensor, from int, at box) map[string]tensorfile.Tensor {
	out := map[string]tensorfile.Tensor{}
	for name, t := range in {
		like := p.inputs[name]
		if t = someRows(t, like, from, p.rows); p.tiles != nil {
			t = cutOut(t, like, at)
		}
		out[name] = t
	}
	return out
}

// ownBytes is the memory of running besides inputs, results and the model's own.
func (p *parts) ownBytes() int64 {
	var sum int64
	if len(p.plans) == 1 && p.tiles == nil && p.rows == max(1, p.sizes[batchSize]) {
		return 0
	}
	for _, out := range p.first.Outputs {
		sum += out.Place.Type.Bytes()
	}
	if p.tiles == nil {
		return sum
	}
	for _, t := range p.inputs {
		sum += t.Bind(p.partSizes(p.boxes()[0])).Bytes()
	}
	for _, t := range p.results {
		sum += p.tiles.seamBytes(t.Bind(p.sizes), t, p.rows)
	}
	return sum
}
