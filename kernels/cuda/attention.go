package cuda

import (
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// operand is Operand of source/attention.h.
type operand struct {
	at                 driver.Pointer
	code, width, quads uint32
	_                  uint32
}

// attend is Attend of source/attention.h: what all kernels of attention get.
type attend struct {
	q, k, v                                       operand
	mask, past, segments, lengths                 driver.Pointer
	maskStride                                    [4]int64
	maskCode, pastCode, segmentsCode, lengthsCode uint32
	batch, seq, heads, keys, groups, share        uint32
	oneSequence, causal, window, distances        uint32
	scale, softcap, alibi                         float32
	_                                             uint32
}

// codeQ8 is the type of operands in q8_0, in source/attention.h.
const codeQ8 = 8

// attentionTile is how many rows or keys are a tile, in source/attention.h.
const attentionTile = 64

// operand is a matrix whose rows are the last axis of t.
func (b *Backend) operand(t kernels.Tensor) (operand, error) {
	at, err := b.pointer(t)
	o := operand{at: at, code: codes[t.DType], width: uint32(t.Shape[len(t.Shape)-1])}
	if t.DType == ir.Q8_0 {
		o.code = codeQ8
		return o, err
	}
	if o.width%4 == 0 && int(at)%(4*t.DType.Size()) == 0 {
		o.quads = 1
		if o.width%8 == 0 && int(at)%16 == 0 {
			o.quads = 2
		}
	}
	return o, err
}

// attend reads the inputs that attention and its gradient share.
func (b *Backend) attend(at op.AttentionAttr, in []kernels.Tensor) (*attend, error) {
	q, k := in[0].Shape, in[1].Shape
	p := &attend{batch: uint32(q[0]), seq: uint32(q[1]), heads: uint32(q[2]), keys: uint32(k[1]), groups: uint32(k[2]),
		window: uint32(at.Window), distances: uint32(at.Distances), scale: float32(at.Scale), softcap: float32(at.Softcap), alibi: float32(at.ALiBi)}
	if k[2] == 0 || q[2]%k[2] != 0 {
		return nil, fmt.Errorf("cuda: attention of %d heads, which do not divide into %d groups", q[2], k[2])
	}
	if q[1]*q[2] > math.MaxInt32/2 || k[1] > math.MaxInt32/2 {
		return nil, fmt.Errorf("cuda: attention of %d rows of %d heads and %d keys", q[1], q[2], k[1])
	}
	p.share = p.heads / p.groups
	for i, to := range []*operand{&p.q, &p.k, &p.v} {
		var err error
		if *to, err = b.operand(in[i]); err != nil {
			return nil, err
		}
	}
	more, err := b.pointers(in[3:7]...)
	if err != nil {
		return nil, err
	}
	p.mask, p.past, p.segments, p.lengths = more[0], more[1], more[2], more[3]
	p.maskCode, p.pastCode, p.segmentsCode, p.lengthsCode = codes[in[3].DType], codes[in[4].DType], codes[in[5].DType], codes[in[6].DType]
	p.causal, p.oneSequence = one(at.Causal), one(k[0] == 1)
	if at.Scale == 0 {
		p.scale = float32(1 / math.Sqrt(float64(q[3])))
	}
	if in[3].Buffer != nil {
		scores := []int{q[0], q[2], q[1], k[1]}
		if at.Distances > 0 {
			scores[2], scores[3] = 1, 2*at.Distances+1
		}
		for i, s := range repeatStrides(in[3].Shape, scores) {
			p.maskStride[i] = int64(s)
		}
	}
	return p, nil
}

// inBlocksOf8 reports whether a cache is kept in q8_0.
func inBlocksOf8(t ir.Type) bool { return t.DType == ir.Q8_0 && t.Blocks(t.DType) }

func one(v bool) uint32 {
	if v {
		return 1
	}
	return 0
}

// attends reports whether in begins with the inputs of attention, in types that
// kernels read.
func attends(in []ir.Type) bool {
	for i, t := range in[:7] {
		switch {
		case i < 3 && (!stored(t.DType) && (i == 0 || !inBlocksOf8(t)) || len(t.Shape) != 4), i == 3 && t.DType != ir.Invalid && !stored(t.DType),
			i > 3 && t.DType != ir.Invalid && !isIndex(t):
			return false
		}
	}
	return true
}

// attentionParams is Forward of source/attention.cu.
type attentionParams struct {
	attend
	y, lse driver.Pointer
	panels uint32
	_      uint32
}

// attention is softmax(scale query keyᵀ + mask) value, for grouped heads.
//
//	query [batch, seq, heads, d]   key [batch or 1, keys, groups, d]   value [batch or 1, keys, groups, dv]
//	y [batch, seq, heads, dv]   lse, if asked for, f32 [batch, seq, heads]
func attention(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AttentionAttr)
	ok = ok && len(in) == 7 && attends(in) && out[0].DType == in[0].DType
	return kernel{
		bind: func(args kernels.Args) (kernels.Step, error) { return b.bindAttention(a, args) },
		scratch: func(_ any, in, _ []ir.Type) int64 {
			var n int64
			if s, ok := newFew(in[0].Sizes(), in[2].Sizes()); ok {
				n = s.scratch(in[0].Shape, in[2].Shape)
			}
			if f, ok := b.newTensorForm(in[:3]); ok {
				n = max(n, f.split.scratch(in[0].Shape, in[2].Shape))
			}
			return n
		},
	}, ok
}

func (b *Backend) bindAttention(a op.AttentionAttr, args kernels.Args) (kernels.Step, error) {
	s, err := b.attend(a, args.In)
	if err != nil {
		return nil, err
	}
	at, err := b.pointers(args.Out...)
	if err != nil || args.Out[0].Len() == 0 {
		return nothing, err
	}
	p := &attentionParams{attend: *s, y: at[0]}
	if a.Stats {
		p.lse = at[1]
	}
	if step, ok, err := b.bindTensor(p, args); ok || err != nil {
		return step, err
	}
	if f, ok := newFew(args.In[0].Shape, args.In[2].Shape); ok {
		return b.bindSplit(f, p, args.Scratch)
	}
	width := panelOf(int(p.v.width), 64, 128, 256)
	p.panels = uint32(parts(int(p.v.width), width))
	blocks := int(p.batch*p.groups*p.panels) * parts(int(p.seq*p.share), attentionTile)
	return launch(b, "attention", fmt.Sprint("attention_", width), grid{driver.Dim{X: blocks, Y: 1, Z: 1}, 256}, p)
}

// panelOf is the least of the widths that holds n columns, or else the greatest.
func panelOf(n int, widths ...int) int {
	for _, w := range widths {
		if n <= w {
			return w
		}
	}
	return widths[len(widths)-1]
}
