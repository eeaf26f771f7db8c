package cpu

import (
	"fmt"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// normGrad computes the gradients of norms over the last axis. With z the
// normalised row, g = dy w and r what a row is multiplied by,
//
//	dx = r (g - mean(g) - z mean(g z))   dweight = sum(dy z)   dbias = sum(dy)
//
// where mean(g) stands only if the rows are centred. A part adds its rows to
// sums of its own, in float64, which are then added in the order of parts; the
// shape alone says what a part is.
type normGrad struct {
	norm
	dy, dx     vec
	dw, db     vec       // may be left out
	sums       []float64 // [parts, 1 or 2, dim]: dweight, dbias
	n, perPart int       // rows
}

// mostNormParts is the most parts that have sums of their own.
const mostNormParts = 32

// rmsNormGrad: see normGrad.
//
//	x, dy, dx [rows, dim]   w, dweight [dim]
func rmsNormGrad(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.RMSNormAttr)
	s := normGrad{norm: norm{b: b, eps: a.Eps, plusOne: a.PlusOne}}
	return s.kernel(in, out, ok && len(in) == 3 && len(out) == 2)
}

// layerNormGrad: see normGrad.
//
//	x, dy, dx [rows, dim]   w, dweight, dbias [dim], or none of them
func layerNormGrad(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.LayerNormAttr)
	want := 1
	if a.Affine {
		want = 3
	}
	return normGrad{norm: norm{b: b, eps: a.Eps, center: true}}.kernel(in, out, ok && len(in) == 3 && len(out) == want)
}

func (s normGrad) kernel(in, out []ir.Type, ok bool) (kernels.Kernel, bool) {
	for _, t := range in {
		ok = ok && (stored(t.DType) || t.DType == ir.Invalid)
	}
	return kernel{
		bind:    s.bind,
		inPlace: func(i int) bool { return i == 0 || i == 2 },
		scratch: func(_ any, in, out []ir.Type) int64 {
			n, dim := rows(in[0].Sizes())
			perPart := normRows(n, dim)
			return 8 * int64(parts(n, perPart)*(len(out)-1)*dim)
		},
	}, ok
}

// normRows is how many rows a part has.
func normRows(n, dim int) int {
	return max(1, grain/max(dim, 1), (n+mostNormParts-1)/mostNormParts)
}

func (s normGrad) bind(a kernels.Args) (kernels.Step, error) {
	vs, err := s.b.views(append(a.In, a.Out...)...)
	if err != nil {
		return nil, err
	}
	s.n, s.dim = rows(a.In[0].Shape)
	s.perPart = normRows(s.n, s.dim)
	s.x, s.w, s.dy, s.dx = vs[0], vs[1], vs[2], vs[3]
	if s.w.there() && s.w.n != s.dim {
		return nil, fmt.Errorf("a weight of %d elements, want %d", s.w.n, s.dim)
	}
	if len(a.Out) > 1 {
		s.dw = vs[4]
	}
	if len(a.Out) > 2 {
		s.db = vs[5]
	}
	if s.dim == 0 {
		return s.b.step(0, nil), nil
	}
	count, each := parts(s.n, s.perPart), (len(a.Out)-1)*s.dim
	space, err := s.b.scratch(a, 2*count*each)
	if err != nil {
		return nil, err
	}
	if each > 0 {
		at := unsafe.Pointer(&space[0])
		if uintptr(at)%8 != 0 {
			return nil, fmt.Errorf("scratch at address ...%x, which is not aligned to 8 bytes", uintptr(at)&0xff)
		}
		s.sums = unsafe.Slice((*float64)(at), count*each)
	}
	run := s.b.step(count, func(worker, id int) {
		lo, hi := span(id, s.n, s.perPart)
		sums := s.sums[id*each:][:each]
		clear(sums)
		for r := lo; r < hi; r++ {
			s.row(s.b.local[worker], r*s.dim, sums)
		}
	})
	if each == 0 {
		return run, nil
	}
	return sequence(run, s.b.step(parts(each, across), func(worker, id int) {
		lo, hi := span(id, each, across)
		s.join(s.b.local[worker], lo, hi, each)
	})), nil
}

// row computes dx of the row that begins at element at, and adds to the sums.
func (s *normGrad) row(local []float32, at int, sums []float64) {
	f := &s.b.asm.Vector
	c := rowTile{s: s, local: local, at: at, moments: s.moments(local[:tile], at)}
	var mean, dot float64
	t := local[6*tile : 7*tile]
	for i := 0; i < s.dim; i += tile {
		c.read(i)
		if s.center {
			mean += f.Sum(c.g)
		}
		f.Mul(t[:len(c.g)], c.g, c.z)
		dot += f.Sum(t[:len(c.g)])
	}
	mean, dot = mean/float64(s.dim), dot/float64(s.dim)
	high := float32(mean)
	low := float32(mean - float64(high))
	for i := 0; i < s.dim; i += tile {
		if s.dim > tile {
			c.read(i)
		}
		n := len(c.g)
		if s.dw.there() {
			f.Mul(t[:n], c.dy, c.z)
			f.SumInto(sums[i:i+n], t[:n])
		}
		if s.db.there() {
			f.SumInto(sums[s.dim+i:][:n], c.dy)
		}
		f.MulS(t[:n], c.z, float32(dot))
		f.Sub(t[:n], c.g, t[:n])
		dx := s.dx.room(local[7*tile:8*tile], at+i, n)
		if s.center {
			f.Center(dx, t, high, low, c.scale)
		} else {
			f.MulS(dx, t, c.scale)
		}
		s.dx.done(dx, at+i)
	}
}

// rowTile is a tile of a row: dy, g and z.
type rowTile struct {
	s     *normGrad
	local []float32
	at    int // of the row
	moments
	dy, g, z []float32
}

// read computes the tile from column i on.
func (c *rowTile) read(i int) {
	s, f, local, n := c.s, &c.s.b.asm.Vector, c.local, min(tile, c.s.dim-i)
	x := s.x.tile(local[:tile], c.at+i, n)
	c.dy = s.dy.tile(local[tile:2*tile], c.at+i, n)
	c.z = local[2*tile : 2*tile+n]
	if s.center {
		f.Center(c.z, x, c.high, c.low, c.scale)
	} else {
		f.MulS(c.z, x, c.scale)
	}
	c.g = c.dy
	if s.w.there() {
		c.g = local[3*tile : 3*tile+n]
		f.Mul(c.g, c.dy, s.weight(local[4*tile:5*tile], i, n))
	}
}

// join adds up the sums of all parts, for columns lo to hi-1 of dweight and
// dbias in a row.
func (s *normGrad) join(local []float32, lo, hi, each int) {
	out := local[:hi-lo]
	for k := range out {
		var sum float64
		for p := lo + k; p < len(s.sums); p += each {
			sum += s.sums[p]
		}
		out[k] = float32(sum)
	}
	if w := min(max(s.dim-lo, 0), hi-lo); w > 0 {
		s.dw.store(lo, out[:w])
	}
	if from := max(s.dim-lo, 0); from < hi-lo {
		s.db.store(lo+from-s.dim, out[from:])
	}
}
