package cpu

import (
	"context"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// linearCrossEntropy computes the loss of rows x, and perhaps gradients, with
// logits l = x Wᵀ of only some rows at a time: they become their gradients dl
// where they lie, and
//
//	dx = dl W     dweight += dlᵀ x
//
// Sums over rows go on from one chunk of rows to the next, in order.
//
//	x, dx [rows, dim]   weight, dweight [classes, dim], or [dim, classes]   targets [rows]   dy, loss f32 [rows]
type linearCrossEntropy struct {
	b                  *Backend
	at                 op.CrossEntropyAttr
	x, w, dy, loss     vec
	dx, dw             vec
	targets            *indices
	rows, dim, classes int
	logits             []float32 // [chunk, classes]
	sums               vec       // dweight in f32
	chunks             []*lossChunk
}

// chunkFloats is about how many logits are there at a time.
const chunkFloats = 1 << 21

// chunkOf is how many rows are taken at a time: enough for products to be worth
// reading the weight for.
func chunkOf(rows, classes int) int { return min(rows, max(64, chunkFloats/max(classes, 1))) }

func linearCrossEntropyOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.CrossEntropyAttr)
	ok = ok && len(in) >= 3 && len(in[0].Shape) > 0 && stored(in[0].DType) && stored(in[1].DType) && isIndex(in[2]) && out[0].DType == ir.F32
	return kernel{
		bind: func(args kernels.Args) (kernels.Step, error) { return bindLinearCrossEntropy(b, a, args) },
		scratch: func(_ any, in, out []ir.Type) int64 {
			s := newLinearCrossEntropy(b, a, in[0].Sizes(), in[1].Sizes(), len(out))
			s.x.dtype, s.w.dtype = in[0].DType, in[1].DType
			return s.scratch()
		},
	}, ok
}

func newLinearCrossEntropy(b *Backend, at op.CrossEntropyAttr, x, w []int, outputs int) *linearCrossEntropy {
	s := &linearCrossEntropy{b: b, at: at}
	s.rows, s.dim = rows(x)
	s.classes = w[0]
	if at.Transpose {
		s.classes = w[1]
	}
	if outputs > 1 {
		s.dx.n = s.rows * s.dim
	}
	if outputs > 2 {
		s.dw.n = s.classes * s.dim
	}
	return s
}

// scratch is the bytes of a chunk's logits, of what products pack, and of sums
// that dweight's type does not hold.
func (s *linearCrossEntropy) scratch() int64 {
	bytes := s.logitBytes() + s.packBytes()
	if s.dw.n > 0 && s.w.dtype != ir.F32 {
		bytes += 4 * int64(s.dw.n)
	}
	return bytes
}

func (s *linearCrossEntropy) logitBytes() int64 {
	return int64(multiple(4*chunkOf(s.rows, s.classes)*s.classes, 64))
}

func (s *linearCrossEntropy) packBytes() int64 {
	most := int64(0)
	for _, p := range s.chunk(0, chunkOf(s.rows, s.classes)).products() {
		most = max(most, productScratch(1, p.m, p.n, p.k, p.x.dtype, p.x.row, p.x.col))
	}
	return int64(multiple(int(most), 64))
}

func bindLinearCrossEntropy(b *Backend, at op.CrossEntropyAttr, a kernels.Args) (kernels.Step, error) {
	vs, err := b.views(append(a.In, a.Out...)...)
	if err != nil {
		return nil, err
	}
	s := newLinearCrossEntropy(b, at, a.In[0].Shape, a.In[1].Shape, len(a.Out))
	s.x, s.w, s.targets = vs[0], vs[1], &indices{vec: vs[2], limit: s.classes}
	out := vs[len(a.In):]
	s.loss = out[0]
	if len(out) > 1 {
		s.dy, s.dx = vs[3], out[1]
	}
	if len(out) > 2 {
		s.dw, s.sums = out[2], out[2]
	}
	room, err := b.scratch(a, int(s.scratch()/4))
	if err != nil {
		return nil, err
	}
	s.logits = room[:s.logitBytes()/4]
	if pack := s.logitBytes() + s.packBytes(); s.dw.there() && s.dw.dtype != ir.F32 {
		s.sums = vecOf(room[pack/4:])
	}
	n := chunkOf(s.rows, s.classes)
	for lo := 0; lo < s.rows; lo += n {
		c := s.chunk(lo, min(n, s.rows-lo))
		if err := c.bind(a); err != nil {
			return nil, err
		}
		s.chunks = append(s.chunks, c)
	}
	return s.run, nil
}

// run computes chunk after chunk.
func (s *linearCrossEntropy) run(ctx context.Context) error {
	if len(s.chunks) == 0 && s.dw.there() {
		clear(s.dw.bytes(0, s.dw.n))
	}
	for _, c := range s.chunks {
		if err := c.step(ctx); err != nil {
			return err
		}
	}
	if s.dw.there() && s.dw.dtype != ir.F32 && len(s.chunks) > 0 {
		s.b.pool.Run(parts(s.dw.n, grain), func(_, id int) {
			lo, hi := span(id, s.dw.n, grain)
			s.dw.store(lo, s.sums.f32()[lo:hi])
		})
	}
	return s.targets.err()
}

// lossChunk is some rows of a linearCrossEntropy.
type lossChunk struct {
	*linearCrossEntropy
	lo, n          int
	logits, dx, dw *product
	step           kernels.Step
}

// chunk describes the products of rows lo to lo+n-1.
func (s *linearCrossEntropy) chunk(lo, n int) *lossChunk {
	c := &lossChunk{linearCrossEntropy: s, lo: lo, n: n}
	rows := operand{vec: s.x, row: s.dim, col: 1, first: []int{lo * s.dim}}
	made := vecOf(s.logits)
	made.dtype = ir.F32
	w := weight{vec: s.w, row: 1, col: s.dim, first: []int{0}}
	over := weight{vec: s.w, row: s.dim, col: 1, first: []int{0}}
	if s.at.Transpose {
		w.row, w.col, over.row, over.col = s.classes, 1, 1, s.classes
	}
	c.logits = &product{b: s.b, batch: 1, m: n, n: s.classes, k: s.dim, x: rows, w: []weight{w}, y: made}
	if s.dx.n > 0 {
		c.dx = &product{b: s.b, batch: 1, m: n, n: s.dim, k: s.classes,
			x: operand{vec: made, row: s.classes, col: 1, first: []int{0}}, w: []weight{over}, y: s.dx.from(lo * s.dim)}
	}
	if s.dw.n > 0 && s.at.Transpose {
		c.dw = &product{b: s.b, batch: 1, m: s.dim, n: s.classes, k: n, y: s.sums, add: lo > 0,
			x: operand{vec: s.x, row: 1, col: s.dim, first: rows.first}, w: []weight{{vec: made, row: s.classes, col: 1, first: []int{0}}}}
	} else if s.dw.n > 0 {
		c.dw = &product{b: s.b, batch: 1, m: s.classes, n: s.dim, k: n, y: s.sums, add: lo > 0,
			x: operand{vec: made, row: 1, col: s.classes, first: []int{0}}, w: []weight{{vec: s.x, row: s.dim, col: 1, first: rows.first}}}
	}
	return c
}

func (c *lossChunk) products() []*product {
	out := []*product{c.logits}
	if c.dx != nil {
		out = append(out, c.dx)
	}
	if c.dw != nil {
		out = append(out, c.dw)
	}
	return out
}

func (c *lossChunk) bind(a kernels.Args) error {
	var steps []kernels.Step
	a.Scratch.Offset += c.logitBytes()
	a.Scratch.Shape = []int{int(c.packBytes())}
	perPart := max(1, grain/c.classes)
	for i, p := range c.products() {
		step, err := p.bind(a)
		if err != nil {
			return err
		}
		steps = append(steps, step)
		if i == 0 {
			steps = append(steps, c.b.step(parts(c.n, perPart), func(_, id int) {
				lo, hi := span(id, c.n, perPart)
				for r := lo; r < hi; r++ {
					c.row(c.linearCrossEntropy.logits[r*c.classes:(r+1)*c.classes], c.lo+r)
				}
			}))
		}
	}
	c.step = sequence(steps...)
	return nil
}

// row turns the logits y of a row into its loss, and into their gradient.
func (c *lossChunk) row(y []float32, row int) {
	loss, v := c.loss.f32(), &c.b.asm
	if c.targets.get(row) == c.at.IgnoreIndex {
		loss[row] = 0
		clear(y)
		return
	}
	target, ok := c.targets.at(row)
	if !ok { // the step fails
		clear(y)
		return
	}
	chosen, mean := float64(y[target]), 0.
	if c.at.Smoothing > 0 {
		mean = v.Sum(y) / float64(len(y))
	}
	greatest := v.Greatest(y)
	total := v.SumExp(y, y, greatest)
	z := float64(greatest) + math.Log(total)
	kept := 1 - c.at.Smoothing
	loss[row] = float32(kept*(z-chosen) + c.at.Smoothing*(z-mean) + c.at.ZLoss*z*z)
	if c.dx == nil {
		return
	}
	dy := float64(c.dy.f32()[row])
	v.MulS(y, y, float32(dy*(1+2*c.at.ZLoss*z)/total))
	if c.at.Smoothing > 0 {
		v.SubS(y, y, float32(dy*c.at.Smoothing/float64(len(y))))
	}
	y[target] -= float32(dy * kept)
}
