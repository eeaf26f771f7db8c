package cuda

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// blockEmbedding takes rows of a table in blocks.
//
//	x ids [...]   weight [vocab, dim]   y f32 [..., dim]
func blockEmbedding(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	type params struct {
		w             blocks
		y, index, bad driver.Pointer
		m, n, units   uint64
		code          uint32
	}
	_, ok := attr.(op.EmbeddingAttr)
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		ids, table, y := args.In[0], args.In[1], args.Out[0]
		at, err := b.pointers(y, ids)
		if err != nil || y.Len() == 0 {
			return nothing, err
		}
		bad, err := b.slot()
		if err != nil {
			return nil, err
		}
		p := &params{y: at[0], index: at[1], bad: bad.at, m: uint64(ids.Len()), n: uint64(table.Shape[0]), units: uint64(table.Shape[1] / unit), code: codes[ids.DType]}
		if p.w, err = b.blocksOf(table); err != nil {
			return nil, err
		}
		run, err := launch(b, "blocks", "block_rows", overElements(y.Len()/8), p)
		if err != nil {
			return nil, err
		}
		return b.checked(run, bad, ids, at[1], table.Shape[0]), nil
	}}, ok && isIndex(in[0]) && in[1].DType.Blocked() && out[0].DType == ir.F32
}
