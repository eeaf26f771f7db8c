package cuda

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// attentionGradParams is Grad of source/attention_grad.cu.
type attentionGradParams struct {
	attend
	dy                      operand
	y, lse, dlse, delta, to driver.Pointer
	panels, code            uint32
}

// attentionGrad computes the gradients of attention from its results and theirs.
//
//	query, dquery [batch, seq, heads, d]   key, dkey [batch, keys, groups, d]   value, dvalue [batch, keys, groups, dv]
//	y, dy [batch, seq, heads, dv]   lse, dlse f32 [batch, seq, heads]
func attentionGrad(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.AttentionAttr)
	ok = ok && len(in) == 11 && len(out) == 3 && attends(in) && in[0].Shape[0] == in[1].Shape[0] && in[7].DType == in[0].DType && in[9].DType == in[0].DType
	for i := range out {
		ok = ok && out[i].DType == in[i].DType
	}
	return kernel{
		bind: func(args kernels.Args) (kernels.Step, error) { return b.bindAttentionGrad(a, args) },
		scratch: func(_ any, in, _ []ir.Type) int64 {
			return ir.Type{DType: ir.F32, Shape: in[0].Shape[:3]}.Bytes()
		},
	}, ok
}

func (b *Backend) bindAttentionGrad(a op.AttentionAttr, args kernels.Args) (kernels.Step, error) {
	s, err := b.attend(a, args.In)
	if err != nil {
		return nil, err
	}
	p := attentionGradParams{attend: *s}
	at, err := b.pointers(append(args.In[7:11:11], args.Scratch)...)
	if err != nil {
		return nil, err
	}
	p.y, p.lse, p.dlse, p.delta = at[0], at[1], at[3], at[4]
	if p.dy, err = b.operand(args.In[9]); err != nil {
		return nil, err
	}
	rows := int(p.seq * p.share)
	var steps []kernels.Step
	if n := int(p.batch) * int(p.groups) * rows; n > 0 {
		own := p
		delta, err := launch(b, "attention_grad", "attention_delta", overElements(32*n), &own)
		if err != nil {
			return nil, err
		}
		steps = append(steps, delta)
	}
	if more, ok, err := b.bindTensorGrad(&p, args); ok || err != nil {
		return sequence(append(steps, more...)), err
	}
	for i, g := range []struct {
		name  string
		lines int
	}{{"dquery", rows}, {"dkey", int(p.keys)}, {"dvalue", int(p.keys)}} {
		step, err := b.attentionGradient(p, g.name, g.lines, args.Out[i])
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return sequence(steps), nil
}

// attentionGradient computes one of the gradients, of so many lines for each group.
func (b *Backend) attentionGradient(p attentionGradParams, name string, lines int, t kernels.Tensor) (kernels.Step, error) {
	var err error
	if p.to, err = b.pointer(t); err != nil || t.Len() == 0 {
		return nothing, err
	}
	n := t.Shape[3]
	width := panelOf(n, 64, 128)
	p.panels, p.code = uint32(parts(n, width)), codes[t.DType]
	blocks := int(p.batch*p.groups*p.panels) * parts(lines, attentionTile)
	return launch(b, "attention_grad", fmt.Sprintf("attention_%s_%d", name, width), grid{driver.Dim{X: blocks, Y: 1, Z: 1}, 256}, &p)
}
