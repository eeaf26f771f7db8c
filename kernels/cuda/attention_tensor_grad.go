package cuda

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// tensorGradParams is TensorGrad of source/attention_tensor_grad.h.
type tensorGradParams struct {
	attend
	dy                               operand
	lse, delta, dquery, dkey, dvalue driver.Pointer
	places                           uint32
}

const (
	tensorGradHead  = 128     // the most elements of a head whose gradients four warps hold
	tensorGradPlane = 8 << 10 // bytes of weights of a tile, of which eight warps have three
	tensorGradOwn   = 4 << 10 // bytes of shared memory beside those that are asked for, at most
)

// gradForm is how gradients of attention are spread over tensor cores.
type gradForm struct {
	file, prefix, suffix string
	threads, room        int
	places               uint32
}

// newGradForm is for heads of d and dv elements; false if the device has no room.
func (b *Backend) newGradForm(dtype ir.DType, d, dv int) (gradForm, bool) {
	tile := attentionTile * (pitch(d) + pitch(dv))
	f := gradForm{"attention_tensor_grad", "attention_by_", fmt.Sprintf("_%v_%d", dtype, panelOf(max(d, dv), 64, 128)), tensorThreads, 3 * tile, 2}
	if max(d, dv) > tensorGradHead {
		f = gradForm{"attention_large_grad", "attention_large_by_", fmt.Sprintf("_%v", dtype), 256, 3*tile + 3*tensorGradPlane, 2}
		if f.room+tensorGradOwn > b.device.Info.SharedMemory {
			f.room, f.places = f.room-tile, 1
		}
	}
	return f, f.room+tensorGradOwn <= b.device.Info.SharedMemory
}

// bindTensorGrad binds the gradients of attention on tensor cores, when delta is there;
// false if these can't take them.
func (b *Backend) bindTensorGrad(a *attentionGradParams, args kernels.Args) ([]kernels.Step, bool, error) {
	var types []ir.Type
	for _, x := range append(args.In[:3:3], args.In[9]) {
		types = append(types, ir.T(x.DType, x.Shape...))
	}
	f, ok := b.newGradForm(types[0].DType, int(a.k.width), int(a.v.width))
	if !ok || !onTensorCores(types...) || min(a.q.quads, a.k.quads, a.v.quads, a.dy.quads) < 2 {
		return nil, false, nil
	}
	out, err := b.pointers(args.Out...)
	if err != nil || out[0]%4 != 0 || out[1]%4 != 0 || out[2]%4 != 0 {
		return nil, false, err
	}
	p := &tensorGradParams{attend: a.attend, dy: a.dy, lse: a.lse, delta: a.delta, dquery: out[0], dkey: out[1], dvalue: out[2], places: f.places}
	var steps []kernels.Step
	for _, g := range []struct {
		by    string
		lines int
	}{{"keys", int(p.keys)}, {"rows", int(p.seq * p.share)}} {
		blocks := int(p.batch*p.groups) * parts(g.lines, attentionTile)
		if blocks == 0 {
			continue
		}
		step, err := launchRoom(b, f.file, f.prefix+g.by+f.suffix, grid{driver.Dim{X: blocks, Y: 1, Z: 1}, f.threads}, f.room, p)
		if err != nil {
			return nil, false, err
		}
		steps = append(steps, step)
	}
	return steps, true, nil
}
