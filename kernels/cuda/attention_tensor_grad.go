package cuda

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// tensorGradParams is TensorGrad of source/attention_tensor_grad.cu.
type tensorGradParams struct {
	attend
	dy                               operand
	lse, delta, dquery, dkey, dvalue driver.Pointer
}

// tensorGradHead is the most elements of a head whose gradients are in registers.
const tensorGradHead = 128

// bindTensorGrad binds the gradients of attention on tensor cores, when delta is there;
// false if these can't take them.
func (b *Backend) bindTensorGrad(a *attentionGradParams, args kernels.Args) ([]kernels.Step, bool, error) {
	var types []ir.Type
	for _, x := range append(args.In[:3:3], args.In[9]) {
		types = append(types, ir.T(x.DType, x.Shape...))
	}
	d, dv := int(a.k.width), int(a.v.width)
	room := 3 * attentionTile * (pitch(d) + pitch(dv))
	if !onTensorCores(types...) || max(d, dv) > tensorGradHead || room+tensorStatic > b.device.Info.SharedMemory || min(a.q.quads, a.k.quads, a.v.quads, a.dy.quads) < 2 {
		return nil, false, nil
	}
	out, err := b.pointers(args.Out...)
	if err != nil || out[0]%4 != 0 || out[1]%4 != 0 || out[2]%4 != 0 {
		return nil, false, err
	}
	p := &tensorGradParams{attend: a.attend, dy: a.dy, lse: a.lse, delta: a.delta, dquery: out[0], dkey: out[1], dvalue: out[2]}
	var steps []kernels.Step
	for _, g := range []struct {
		by    string
		lines int
	}{{"keys", int(p.keys)}, {"rows", int(p.seq * p.share)}} {
		blocks := int(p.batch*p.groups) * parts(g.lines, attentionTile)
		if blocks == 0 {
			continue
		}
		name := fmt.Sprintf("attention_by_%s_%v_%d", g.by, types[0].DType, panelOf(max(d, dv), 64, 128))
		step, err := launchRoom(b, "attention_tensor_grad", name, grid{driver.Dim{X: blocks, Y: 1, Z: 1}, tensorThreads}, room, p)
		if err != nil {
			return nil, false, err
		}
		steps = append(steps, step)
	}
	return steps, true, nil
}
