package cuda

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// expertLinearGrad is dw[e] = the sum of dy xᵀ over the rows of expert e, in their
// order: on tensor cores where x and dy are of one type of 16 bits, or may be rounded to tf32, in tiles of as many rows and
// columns as large products have.
//
//	x [..., in] or [..., k, in]   chosen [..., k]   dy [..., k, out] or [..., out]   dw f32 [experts, out, in]
func expertLinearGrad(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ExpertGradAttr)
	ok = ok && len(in) == 3 && stored(in[0].DType) && isIndex(in[1]) && stored(in[2].DType) && out[0].DType == ir.F32
	return kernel{
		bind:    func(args kernels.Args) (kernels.Step, error) { return b.expertGrad(a, args) },
		scratch: func(_ any, in, _ []ir.Type) int64 { return expertLists(a.Experts, int(in[1].Elems())) },
	}, ok
}

// expertLists are the bytes of where the rows of each expert begin, and of the rows.
func expertLists(experts, m int) int64 { return 4 * int64(experts+1+m) }

// gradFamily names the kernels on tensor cores: "" where there are none.
func gradFamily(a op.ExpertGradAttr, x, dy ir.DType) string {
	switch {
	case x != dy || x == ir.F32 && !a.TF32:
		return ""
	case x == ir.F32:
		return "tf32"
	}
	return x.String()
}

func (b *Backend) expertGrad(a op.ExpertGradAttr, args kernels.Args) (kernels.Step, error) {
	type order struct {
		starts, rows, chosen, bad driver.Pointer
		m, experts                uint64
		code                      uint32
	}
	type grad struct {
		y, dy, x, starts, rows            driver.Pointer
		experts, out, in, dyShare, xShare uint64
		dyCode, xCode                     uint32
	}
	experts, x, chosen, dy, y := a.Experts, args.In[0], args.In[1], args.In[2], args.Out[0]
	if y.Len() == 0 {
		return nothing, nil
	}
	m, rows, columns := chosen.Len(), y.Shape[1], y.Shape[2]
	if want := expertLists(experts, m); int64(args.Scratch.Len()) < want {
		return nil, fmt.Errorf("cuda: scratch of %d bytes, want %d", args.Scratch.Len(), want)
	}
	at, err := b.pointers(y, dy, x, chosen, args.Scratch)
	if err != nil {
		return nil, err
	}
	bad, err := b.slot()
	if err != nil {
		return nil, err
	}
	o := &order{at[4], at[4] + driver.Pointer(4*(experts+1)), at[3], bad.at, uint64(m), uint64(experts), codes[chosen.DType]}
	g := &grad{y: at[0], dy: at[1], x: at[2], starts: o.starts, rows: o.rows, experts: o.experts, out: uint64(rows), in: uint64(columns),
		dyShare: uint64(m / max(1, dy.Len()/rows)), xShare: uint64(m / max(1, x.Len()/columns)), dyCode: codes[dy.DType], xCode: codes[x.DType]}
	steps, err := appended(nil, []func() (kernels.Step, error){
		func() (kernels.Step, error) {
			return launch(b, "experts", "order_rows", grid{driver.Dim{X: experts + 1, Y: 1, Z: 1}, 256}, o)
		},
		func() (kernels.Step, error) {
			side, name, file, room := 64, "expert_grad", "experts", 0
			if family := gradFamily(a, x.DType, dy.DType); family != "" {
				side, name, file, room = largeTile, name+"_"+family, "expert_grad_tensor", forms.largeTile.room(family)
			}
			blocks := driver.Dim{X: parts(rows, side) * parts(columns, side), Y: min(experts, 65535), Z: 1}
			return launchRoom(b, file, name, grid{blocks, 256}, room, g)
		},
	})
	if err != nil {
		return nil, err
	}
	return b.checked(sequence(steps), bad, chosen, at[3], experts), nil
}
