package cuda

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// linearLoss computes the loss of rows x, and perhaps gradients, with the logits
// of a chunk of rows at a time: l = x Wᵀ becomes its gradient dl, and
//
//	dx = dl W     dweight += dlᵀ x
//
// Products are those of the op matmul, 2 rows dim classes operations each; a chunk
// is as long as mostLogits allow, and each but the first reads and writes a tensor of the
// weight's size, to which its product is added.
//
//	x, dx [rows, dim]   weight, dweight [classes, dim], or [dim, classes]   targets [rows]   dy, loss f32 [rows]
type linearLoss struct {
	b                  *Backend
	at                 op.CrossEntropyAttr
	rows, dim, classes int
	narrow             bool // dl has the type of x and the weight, else f32

	x, w, targets, dy kernels.Tensor
	loss, dx, dw      kernels.Tensor // dx and dw may be left out

	// scratch, a piece each
	logits, dl  kernels.Tensor // of a chunk; dl are logits unless it is narrow
	sum         kernels.Tensor // f32: dweight of the chunks so far
	room        kernels.Tensor // of products
	wantDX, all bool           // gradients: any, that of the weight
}

// mostLogits is how many are there at a time: 1 GiB of f32.
const mostLogits = 1 << 28

func linearCrossEntropy(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.CrossEntropyAttr)
	ok = ok && len(in) >= 3 && len(in[0].Shape) > 0 && stored(in[0].DType) && stored(in[1].DType) && isIndex(in[2]) && out[0].DType == ir.F32
	made := func(in, out []kernels.Tensor) *linearLoss { return b.linearLoss(a, in, out) }
	return kernel{
		bind: func(args kernels.Args) (kernels.Step, error) { return made(args.In, args.Out).bind(args.Scratch) },
		scratch: func(_ any, in, out []ir.Type) int64 {
			return made(tensorsOf(in), tensorsOf(out)).place(kernels.Tensor{})
		},
	}, ok
}

// tensorsOf are tensors of some types that lie nowhere.
func tensorsOf(types []ir.Type) []kernels.Tensor {
	out := make([]kernels.Tensor, len(types))
	for i, t := range types {
		out[i] = kernels.Tensor{DType: t.DType, Shape: t.Sizes()}
	}
	return out
}

func (b *Backend) linearLoss(at op.CrossEntropyAttr, in, out []kernels.Tensor) *linearLoss {
	s := &linearLoss{b: b, at: at, x: in[0], w: in[1], targets: in[2], loss: out[0], wantDX: len(out) > 1, all: len(out) > 2}
	s.rows, s.dim = rowsOf(s.x.Shape)
	if s.classes = s.w.Shape[0]; at.Transpose {
		s.classes = s.w.Shape[1]
	}
	if s.wantDX {
		s.dy, s.dx = in[3], out[1]
	}
	if s.all {
		s.dw = out[2]
	}
	s.narrow = s.wantDX && s.x.DType == s.w.DType && s.x.DType != ir.F32
	return s
}

// chunk is how many rows are taken at a time.
func (s *linearLoss) chunk() int {
	most := mostLogits
	if s.b.mostLogits > 0 {
		most = s.b.mostLogits
	}
	n := max(1, most/max(s.classes, 1))
	if n > 128 {
		n -= n % 128 // whole tiles of products
	}
	return min(n, s.rows)
}

// place cuts scratch into its pieces, and returns how much of it is needed.
func (s *linearLoss) place(scratch kernels.Tensor) int64 {
	n, used := s.chunk(), int64(0)
	cut := func(t ir.DType, shape ...int) kernels.Tensor {
		piece := kernels.Tensor{Buffer: scratch.Buffer, Offset: scratch.Offset + used, DType: t, Shape: shape}
		used += (ir.T(t, shape...).Bytes() + 255) / 256 * 256
		return piece
	}
	s.logits = cut(ir.F32, n, s.classes)
	if s.dl = s.logits; s.narrow {
		s.dl = cut(s.x.DType, n, s.classes)
	}
	if s.all && n < s.rows {
		if s.sum = s.dw; s.dw.DType != ir.F32 {
			s.sum = cut(ir.F32, s.dw.Shape...)
		}
	}
	most := int64(0)
	for _, p := range s.products(0, n, true) {
		most = max(most, p.scratch(s.b))
	}
	if s.rows > 0 && s.rows%max(n, 1) > 0 {
		for _, p := range s.products(0, s.rows%n, false) {
			most = max(most, p.scratch(s.b))
		}
	}
	s.room = cut(ir.U8, int(most))
	return used
}

// products are those of rows lo to lo+n-1: the first makes logits.
func (s *linearLoss) products(lo, n int, first bool) []call {
	x, logits, dl := sliceRows(s.x, lo, n, s.dim), sliceRows(s.logits, 0, n, s.classes), sliceRows(s.dl, 0, n, s.classes)
	out := []call{{"matmul", op.MatMulAttr{TransB: !s.at.Transpose, TF32: s.at.TF32}, []kernels.Tensor{x, s.w}, logits}}
	if s.wantDX {
		out = append(out, call{"matmul", op.MatMulAttr{TransB: s.at.Transpose, TF32: s.at.TF32}, []kernels.Tensor{dl, s.w}, sliceRows(s.dx, lo, n, s.dim)})
	}
	if !s.all {
		return out
	}
	name, to, in := "matmul", s.dw, []kernels.Tensor{dl, x}
	if s.at.Transpose {
		in = []kernels.Tensor{x, dl}
	}
	if n < s.rows {
		to = s.sum
	}
	if !first { // where it lies
		name, in = name+op.Plus, append([]kernels.Tensor{s.sum}, in...)
	}
	return append(out, call{name, op.MatMulAttr{TransA: true, TF32: s.at.TF32}, in, to})
}

// sliceRows are rows from one on of a tensor, as [n, width].
func sliceRows(t kernels.Tensor, from, n, width int) kernels.Tensor {
	t.Offset += int64(from) * int64(width*t.DType.Size())
	t.Shape = []int{n, width}
	return t
}

func (s *linearLoss) bind(scratch kernels.Tensor) (kernels.Step, error) {
	if need := s.place(scratch); need > int64(scratch.Len()) && need > 0 {
		return nil, fmt.Errorf("cuda: %d bytes of scratch for a loss that needs %d", scratch.Len(), need)
	}
	bad, err := s.b.slot()
	if err != nil {
		return nil, err
	}
	var steps []kernels.Step
	n := s.chunk()
	for lo := 0; lo < s.rows; lo += n {
		more, err := s.bindChunk(lo, min(n, s.rows-lo), bad.at)
		if err != nil {
			return nil, err
		}
		steps = append(steps, more...)
	}
	if s.rows == 0 && s.all {
		if steps, err = s.clear(); err != nil {
			return nil, err
		}
	}
	at, err := s.b.pointer(s.targets)
	return s.b.checked(sequence(steps), bad, s.targets, at, s.classes), err
}

// clear makes dweight 0.
func (s *linearLoss) clear() ([]kernels.Step, error) {
	step, err := (&call{"fill", op.FillAttr{DType: s.dw.DType.String()}, nil, s.dw}).bind(s.b, kernels.Tensor{})
	return []kernels.Step{step}, err
}

// bindChunk binds rows lo to lo+n-1.
func (s *linearLoss) bindChunk(lo, n int, bad driver.Pointer) (steps []kernels.Step, err error) {
	for i, p := range s.products(lo, n, lo == 0) {
		step, err := p.bind(s.b, s.room)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
		if i == 0 {
			if step, err = s.rowStep(lo, n, bad); err != nil {
				return nil, err
			}
			steps = append(steps, step)
		}
	}
	if !s.all || lo == 0 || lo+n < s.rows || s.dw.DType == ir.F32 {
		return steps, nil
	}
	step, err := (&call{"cast", nil, []kernels.Tensor{s.sum}, s.dw}).bind(s.b, kernels.Tensor{})
	return append(steps, step), err
}

// rowStep turns logits of rows lo to lo+n-1 into losses and gradients.
func (s *linearLoss) rowStep(lo, n int, bad driver.Pointer) (kernels.Step, error) {
	type params struct {
		loss, targets, dy       driver.Pointer
		logits, dl, bad         driver.Pointer
		first, rows, classes    uint64
		ignore                  int64
		targetCode, code, quads uint32
		smoothing, zLoss        float32
	}
	at, err := s.b.pointers(s.loss, s.targets, s.dy, s.logits, s.dl)
	if err != nil {
		return nil, err
	}
	p := &params{loss: at[0], targets: at[1], dy: at[2], logits: at[3], dl: at[4], bad: bad, first: uint64(lo), rows: uint64(n), classes: uint64(s.classes),
		ignore: int64(s.at.IgnoreIndex), targetCode: codes[s.targets.DType], code: codes[s.dl.DType], smoothing: float32(s.at.Smoothing), zLoss: float32(s.at.ZLoss)}
	if s.classes%4 == 0 {
		p.quads = 1
	}
	threads := 32
	for threads < 512 && threads*8 < s.classes {
		threads *= 2
	}
	return launch(s.b, "loss", "loss", grid{driver.Dim{X: min(n, mostBlocks), Y: 1, Z: 1}, threads}, p)
}

// call is an op that a kernel is made of.
type call struct {
	op   string
	attr any
	in   []kernels.Tensor
	out  kernels.Tensor
}

func (c *call) kernel(b *Backend) (k kernels.Kernel, in, out []ir.Type, ok bool) {
	for _, t := range c.in {
		in = append(in, ir.T(t.DType, t.Shape...))
	}
	out = []ir.Type{ir.T(c.out.DType, c.out.Shape...)}
	k, ok = b.Kernel(c.op, c.attr, in, out)
	return k, in, out, ok
}

// scratch is the bytes that it needs.
func (c *call) scratch(b *Backend) int64 {
	k, in, out, ok := c.kernel(b)
	if !ok {
		return 0 // bind tells
	}
	return k.Scratch(c.attr, in, out)
}

// bind binds it with room for its scratch.
func (c *call) bind(b *Backend, room kernels.Tensor) (kernels.Step, error) {
	k, in, out, ok := c.kernel(b)
	if !ok {
		return nil, fmt.Errorf("cuda: no kernel of %s for %v", c.op, in)
	}
	if n := k.Scratch(c.attr, in, out); n > 0 {
		room.Shape = []int{int(n)}
	} else {
		room = kernels.Tensor{}
	}
	return k.Bind(kernels.Args{Attr: c.attr, In: c.in, Out: []kernels.Tensor{c.out}, Scratch: room})
}
