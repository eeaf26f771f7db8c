package stage

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/model"
	"pipe.dev/executor/tensorfile"
)

// RunAttr describes a single call of a model.
type RunAttr struct {
	Outputs []string `cue:"outputs: [...string] | *[]" doc:"the model's outputs that are wanted; all, if none is named. Inputs that only others need are left out"`
	Take    []string `cue:"take: [...string] | *[]" doc:"paths of nodes whose values are wanted besides the model's output"`
	AtOnce  int      `cue:"at_once: int & >=0 | *0" doc:"rows of the batch that are computed at once; 0 is all, or what fits into memory. The results are the same"`
	Tile    int      `cue:"tile: int & >=0 | *0" doc:"of a model whose sizes are called height and width, as autoencoders: what is larger than this is computed in tiles that overlap, each alone, and put together; in the model's named sizes, which are those of latents. 0 computes the whole"`
	Overlap float64  `cue:"overlap: number & >=0 & <1 | *0.25" doc:"how much of a tile lies over the one before it"`
	Blend   string   `cue:"blend: *\"fade\" | \"over\"" doc:"how tiles are put together: fade goes over from each to the next, as AutoencoderKL does, over lays each on those before it, as AutoencoderTiny does (with an overlap of 0.125)"`
	Window  int      `cue:"window: int & >=0 | *0" doc:"the result is handed on while it is computed, in parts: first one of so many elements of the size along, then longer ones, each computed with as much around it as the model looks at, so that the numbers are those of the whole. 0 computes the whole"`
	Along   string   `cue:"along: string | *\"frames\"" doc:"of a window: the model's named size that it goes along"`
	MayTile bool     `cue:"may_tile: bool | *false" doc:"where the whole does not fit into memory, a size of tiles is chosen, and kept in the resolved document"`
}

func run() *Def {
	return &Def{
		Name: "run", Title: "Run", Result: Tensors, Rows: true,
		Doc: "calls a model once over whole sequences, without a cache; gives its outputs, \"logits\" if they have no names, and the nodes in take.",
		Ports: []Port{
			{Name: "model", Doc: "the model", Kinds: []Kind{Model}},
			{Name: "with", Doc: "the model's inputs by their names", Kinds: []Kind{Tensor, IDs}, Map: true},
			{Name: "mask", Doc: "[batch, seq], 1 at tokens and 0 at padding, before them or after; ids of several texts need none", Kinds: []Kind{Tensor}, Optional: true},
		},
		Attr:    RunAttr{},
		Prepare: prepareRun,
		Lazy:    func(attr any) bool { return attr.(RunAttr).Window > 0 },
		Own: func(c *Call) int64 {
			switch p := c.kept.(type) {
			case *parts:
				return p.ownBytes()
			case *windows:
				return p.ownBytes()
			}
			return 0
		},
		Smaller: func(c *Call) (bool, error) {
			switch p := c.kept.(type) {
			case *parts:
				return p.smaller()
			case *windows:
				return p.smaller(), nil
			}
			return false, nil
		},
		Tiles: func(c *Call, size int) (*Tiled, error) {
			a := c.Attr.(RunAttr)
			if p, ok := c.kept.(*parts); ok && a.MayTile {
				return p.cut(a, size)
			}
			return nil, nil
		},
		Promise: func(c *Call) Value {
			switch p := c.kept.(type) {
			case *parts:
				return p.types()
			case *windows:
				return p.types()
			}
			return nil
		},
		Run: func(ctx context.Context, c *Call) (Value, error) {
			in, err := runInputs(c)
			if err != nil {
				return nil, err
			}
			switch p := c.kept.(type) {
			case *parts:
				if p, err = p.exactly(c, in.tensors); err != nil {
					return nil, err
				}
				return p.run(ctx, in.tensors, c.Progress)
			case *windows:
				if p, err = p.exactly(in.tensors); err != nil {
					return nil, err
				}
				return p.run(ctx, in.tensors, c.Progress), nil
			case *model.Padded:
				return c.Model("model").RunPadded(ctx, p, in.tensors)
			}
			return nil, errUnknownSizes
		},
	}
}

// exactly gives the call for inputs that are smaller than what was promised, as the frames of
// speech, which are known while it is made. Memory was planned for the promise.
func (p *parts) exactly(c *Call, in map[string]tensorfile.Tensor) (*parts, error) {
	sizes, err := sizesOf(p.inputs, in)
	if err != nil || maps.Equal(sizes, p.sizes) {
		return p, err
	}
	for name, n := range sizes {
		if n > p.sizes[name] {
			return nil, fmt.Errorf("%s is %d, and %d was promised", name, n, p.sizes[name])
		}
	}
	a := c.Attr.(RunAttr)
	if p.rows < p.sizes[batchSize] {
		a.AtOnce = p.rows
	}
	if p.tiles != nil {
		a.Tile = p.tiles.size
	}
	return newParts(p.model, sizes, a, p.given)
}

// inputsOfRun are the inputs of a call of a model.
type inputsOfRun struct {
	tensors map[string]tensorfile.Tensor
	padding *model.Padding // nil where all sequences are whole
	unknown bool           // something is not known yet
}

// runInputs gives tensors of one axis a first one of size 1 where the model
// wants two, [batch, seq].
func runInputs(c *Call) (*inputsOfRun, error) {
	in := &inputsOfRun{tensors: map[string]tensorfile.Tensor{}}
	wants, err := c.Model("model").Inputs()
	if err != nil {
		return nil, err
	}
	mask, given := c.In["mask"]
	if t, ok := mask.(tensorfile.Tensor); ok && t.Data != nil {
		if in.padding, err = model.ReadPadding(twoAxes(t)); err != nil {
			return nil, err
		}
	}
	if t, ok := mask.(tensorfile.Tensor); ok && t.Data == nil {
		mask = nil
	}
	in.unknown = given && mask == nil
	for _, name := range slices.Sorted(maps.Keys(c.Maps["with"])) {
		v, err := Collect(c.Maps["with"][name])
		if err != nil {
			return nil, err
		}
		switch v := v.(type) {
		case tensorfile.Tensor:
			if wants[name].Rank() == 2 {
				v = twoAxes(v)
			}
			in.tensors[name] = v
		case []int32:
			in.tensors[name] = tensorfile.FromInt32s(name, v, 1, len(v))
		case [][]int32:
			in.tensors[name] = in.rows(name, v)
		case nil:
			in.unknown = true
		default:
			return nil, fmt.Errorf("with.%s is %s, want %s", name, KindOf(v), Tensor)
		}
	}
	return in, nil
}

// twoAxes is a tensor with the axis of sequences in front, where it lacks one.
func twoAxes(t tensorfile.Tensor) tensorfile.Tensor {
	if t.Type.Rank() == 1 {
		t.Type = t.Type.With(ir.D(1), t.Type.Shape[0])
	}
	return t
}

// rows fills sequences of ids up to the longest.
func (in *inputsOfRun) rows(name string, rows [][]int32) tensorfile.Tensor {
	sizes := make([]int, len(rows))
	for i, row := range rows {
		sizes[i] = len(row)
	}
	width := slices.Max(sizes)
	all := make([]int32, len(rows)*width)
	for i, row := range rows {
		copy(all[i*width:], row)
	}
	if slices.Min(sizes) != width {
		in.padding = model.PaddingOf(sizes)
	}
	return tensorfile.FromInt32s(name, all, len(rows), width)
}

// prepareRun asks for a plan of the inputs' sizes, which are known beforehand
// where they come from files.
func prepareRun(c *Call) error {
	m := c.Model("model")
	wants, err := m.Inputs()
	if err != nil {
		return err
	}
	for name := range c.Maps["with"] {
		if _, ok := wants[name]; !ok {
			return fmt.Errorf("with.%s: the model has no such input; it has %s", name, strings.Join(slices.Sorted(maps.Keys(wants)), ", "))
		}
	}
	in, err := runInputs(c)
	if err != nil {
		return err
	}
	sizes, err := sizesOf(wants, in.tensors)
	if err != nil {
		return err
	}
	a := c.Attr.(RunAttr)
	var p *plan.Plan
	switch given := slices.Collect(maps.Keys(c.Maps["with"])); {
	case a.Window > 0 && in.padding != nil:
		return fmt.Errorf("window: rows of several lengths are not computed in parts")
	case a.Window > 0:
		var call *windows
		if call, err = newWindows(m, sizes, a, given); err == nil {
			c.kept, p = call, call.plans[call.lengths[0]]
		}
	case in.padding == nil:
		var call *parts
		if call, err = newParts(m, sizes, a, given); err == nil {
			c.kept, p = call, call.first
		}
	default:
		var call *model.Padded
		if call, err = m.Padded(in.padding, a.Outputs, a.Take); err == nil {
			c.kept, p = call, call.Plan()
		}
	}
	if err != nil {
		return err
	}
	for _, name := range model.Inputs(p) {
		if _, ok := c.Maps["with"][name]; !ok {
			return fmt.Errorf("with.%s is missing: the model needs it", name)
		}
	}
	if in.unknown {
		c.kept = nil
	}
	return nil
}

// multiples are those of k next to n.
func multiples(n, k int) string {
	if n < k {
		return fmt.Sprintf("%d is", k)
	}
	return fmt.Sprintf("%d and %d are", n-n%k, n-n%k+k)
}

// sizesOf gives the named sizes of a model's inputs the numbers that tensors
// have there; a size that none has is 1.
func sizesOf(wants map[string]ir.Type, inputs map[string]tensorfile.Tensor) (map[string]int, error) {
	sizes, from := map[string]int{}, map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		want, t := wants[name], inputs[name].Type
		if t.Rank() != want.Rank() {
			return nil, fmt.Errorf("with.%s is %v, want %s", name, t, ir.ShapeString(want.Shape))
		}
		for i, n := range t.Sizes() {
			d := want.Shape[i]
			switch before, ok := sizes[d.Syms]; {
			case n <= 0:
				return nil, fmt.Errorf("with.%s is %v, which is empty", name, t)
			case d.Known() && d.N != n:
				return nil, fmt.Errorf("with.%s is %v, want %s", name, t, ir.ShapeString(want.Shape))
			case !d.Known() && n%d.N != 0:
				return nil, fmt.Errorf("with.%s is %v, want %s, and %d is no multiple of %d: %s", name, t, ir.ShapeString(want.Shape), n, d.N, multiples(n, d.N))
			case !d.Known() && ok && before != n/d.N:
				return nil, fmt.Errorf("with.%s is %v, want %s, and %s is %d in with.%s", name, t, ir.ShapeString(want.Shape), d.Syms, before, from[d.Syms])
			case !d.Known():
				sizes[d.Syms], from[d.Syms] = n/d.N, name
			}
		}
	}
	for _, want := range wants {
		for _, d := range want.Shape {
			if _, ok := sizes[d.Syms]; !ok && !d.Known() {
				sizes[d.Syms] = 1
			}
		}
	}
	return sizes, nil
}
