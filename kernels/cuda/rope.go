package cuda

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// frequencies is the most that a table has: it is a part of the kernel's parameter.
const frequencies = 256

// ropeTable computes cosine and sine of position * frequency, in float64.
//
//	positions [batch, seq]   cos, sin f32 [batch, seq, dim/2]
func ropeTable(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	type params struct {
		cos, sin, position driver.Pointer
		n                  uint64
		scale              float64
		code, count        uint32
		frequency          [frequencies]float64
	}
	a, ok := attr.(op.RopeAttr)
	ok = ok && a.Dim/2 <= frequencies && len(in) == 1 && len(out) == 2 && isIndex(in[0]) && out[0].DType == ir.F32
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		at, err := b.pointers(args.Out[0], args.Out[1], args.In[0])
		if err != nil || args.Out[0].Len() == 0 {
			return nothing, err
		}
		freq, scale := a.Frequencies()
		p := &params{cos: at[0], sin: at[1], position: at[2], n: uint64(args.In[0].Len()), scale: scale, code: codes[args.In[0].DType], count: uint32(len(freq))}
		copy(p.frequency[:], freq)
		return launch(b, "rope", "rope_table", overElements(args.Out[0].Len()), p)
	}}, ok
}

// rotate turns pairs (x1, x2) to (x1 cos - x2 sin, x2 cos + x1 sin), which are
// halves of the first Dim elements, or neighbours there.
//
//	x, y [batch, seq, heads, d]   cos, sin [batch, seq, dim/2]
func rotate(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	type params struct {
		y, x, cos, sin                              driver.Pointer
		n                                           uint64
		heads, d, dim, interleaved, code, tableCode uint32
	}
	a, ok := attr.(op.RotateAttr)
	ok = ok && !a.Apart && len(in) == 3 && len(in[0].Shape) == 4 && in[0].DType == out[0].DType && in[1].DType == in[2].DType
	for _, t := range in {
		ok = ok && stored(t.DType)
	}
	return kernel{inPlace: func(i int) bool { return i == 0 }, bind: func(args kernels.Args) (kernels.Step, error) {
		at, err := b.pointers(args.Out[0], args.In[0], args.In[1], args.In[2])
		if err != nil || args.Out[0].Len() == 0 {
			return nothing, err
		}
		shape := args.In[0].Shape
		p := &params{at[0], at[1], at[2], at[3], uint64(args.In[0].Len()), uint32(shape[2]), uint32(shape[3]), uint32(a.Dim), 0, codes[args.In[0].DType], codes[args.In[1].DType]}
		if a.Interleaved {
			p.interleaved = 1
		}
		return launch(b, "rope", "rotate", overElements(args.Out[0].Len()), p)
	}}, ok
}
