package cpu

import (
	"encoding/binary"
	"fmt"
	"slices"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
	"pipe.dev/kernels/half"
	"pipe.dev/kernels/quant"
)

// Q8N32 is the layout of weights [out, in] of type q8_0 in panels of 32 output
// columns: panel p holds, for each block of 32 inputs, what asm.Blocks reads.
// It takes the bytes of the row-major form, but for columns that fill the last
// panel.
const Q8N32 ir.Layout = "q8n32"

// readsBlocks reports whether an op has kernels that read weights in blocks.
func readsBlocks(name string) bool {
	return slices.Contains([]string{"linear", "gated_linear", "embedding"}, name)
}

// blocksLayout is productLayout for weights in blocks.
func blocksLayout(name string, attr any, i int, weight ir.Type) ir.Layout {
	if weight.DType != ir.Q8_0 || len(weight.Shape) != 2 {
		return ""
	}
	a, _ := attr.(op.LinearAttr)
	if name == "linear" && i == 1 && !a.Transpose || name == "gated_linear" && (i == 1 || i == 2) {
		return Q8N32
	}
	return ""
}

// decoder returns what reads len(dst) weights of type d, from weight from on.
func decoder(d ir.DType) (func(dst []float32, blocks []byte, from int), error) {
	f, err := quant.Lookup(d.String())
	if err != nil {
		return nil, err
	}
	return func(dst []float32, blocks []byte, from int) {
		at := blocks[from/f.Block*f.Bytes:]
		if err := f.Decode(dst, at[:len(dst)/f.Block*f.Bytes]); err != nil {
			panic(err) // rows are whole blocks
		}
	}, nil
}

// packBlocks writes blocks lo to hi of panel p of a weight whose out rows, of
// n blocks, lie one after another in src. Columns that are missing are zero.
func packBlocks(dst, src []byte, out, n, p, lo, hi int) {
	const bytes = 2 + asm.Block
	columns := min(asm.Panel, out-p*asm.Panel)
	if columns < asm.Panel {
		clear(dst[:(hi-lo)*asm.BlockPanel])
	}
	for j := range columns {
		row := src[(p*asm.Panel+j)*n*bytes:]
		for b := lo; b < hi; b++ {
			from, to := row[b*bytes:(b+1)*bytes], dst[(b-lo)*asm.BlockPanel:(b-lo+1)*asm.BlockPanel]
			copy(to[2*j:2*j+2], from)
			for k := 0; k < asm.Block; k += 4 {
				// Adding 128 to each byte is to flip its sign.
				v := binary.LittleEndian.Uint32(from[2+k:]) ^ 0x80808080
				binary.LittleEndian.PutUint32(to[2*asm.Panel+k*asm.Panel+4*j:], v)
			}
		}
	}
}

// blockRow writes row from of a table of q8_0 to y.
func blockRow(y []float32, table []byte, from int, packed bool) {
	const bytes = 2 + asm.Block
	n := len(y) / asm.Block
	for b := range n {
		to := y[b*asm.Block : (b+1)*asm.Block]
		if !packed {
			block := table[(from*n+b)*bytes:]
			d := half.F16ToF32(binary.LittleEndian.Uint16(block))
			for k := range to {
				to[k] = float32(int8(block[2+k])) * d
			}
			continue
		}
		j := from % asm.Panel
		block := table[(from/asm.Panel*n+b)*asm.BlockPanel:]
		d := half.F16ToF32(binary.LittleEndian.Uint16(block[2*j:]))
		for k := range to {
			to[k] = float32(int8(block[2*asm.Panel+k/4*4*asm.Panel+4*j+k%4]^0x80)) * d
		}
	}
}

// blockProduct computes y = f(x w) for weights in blocks. The rows of x are
// quantised first, in blocks of 32 as asm.QuantiseRow says; so y differs from
// the product with x as it is by at most the sum over blocks of
// max|x| / 254 * sum|w|, besides the rounding of float32.
//
// Every element of y is one chain over the blocks, so neither tiles nor threads
// change a bit, nor the other rows.
type blockProduct struct {
	product          // n, k, w, bias, act and y are those of it
	quantised []byte // rows of x
	blocks    int    // of a row
	rows      int    // that share a pass over a panel
}

func (r rowProduct) bindBlocks(a kernels.Args) (kernels.Step, error) {
	vs, err := r.b.views(append(a.In, a.Out...)...)
	if err != nil {
		return nil, err
	}
	m, k := rows(a.In[0].Shape)
	p := &blockProduct{product: product{b: r.b, batch: 1, m: m, n: r.out, k: k, act: inPlace(r.act), y: vs[len(a.In)]}, blocks: k / asm.Block}
	for i := 1; i <= r.weights; i++ {
		w := a.In[i]
		if w.Layout != "" && w.Layout != Q8N32 {
			return nil, fmt.Errorf("weight is in layout %q, want %q or row-major", w.Layout, Q8N32)
		}
		if err := checkWeight("weight", w, r.out, k); err != nil {
			return nil, err
		}
		p.w = append(p.w, weight{vec: vs[i], packed: w.Layout != ""})
	}
	if k%asm.Block != 0 {
		return nil, fmt.Errorf("rows of %d are no whole number of blocks of %d", k, asm.Block)
	}
	if r.bias {
		if err := checkWeight("bias", a.In[2], r.out); err != nil {
			return nil, err
		}
		p.bias = vs[2]
	}
	if p.y.n != m*r.out {
		return nil, fmt.Errorf("result has %d elements, want %d x %d", p.y.n, m, r.out)
	}
	if m*r.out == 0 {
		return r.b.step(0, nil), nil
	}
	if k > 0 {
		room, err := r.b.view(a.Scratch)
		if err != nil {
			return nil, err
		}
		if room.n < m*p.blocks*asm.BlockX {
			return nil, fmt.Errorf("cpu: scratch of %d bytes, want %d", room.n, m*p.blocks*asm.BlockX)
		}
		p.quantised = room.bytes8()
	}
	return sequence(p.quantise(vs[0]), p.multiply()), nil
}

// bytes8 is the memory of v, of a type whose elements are bytes or blocks.
func (v vec) bytes8() []byte { return unsafe.Slice((*byte)(v.p), v.n) }

// quantise returns the step that writes the blocks of x.
func (p *blockProduct) quantise(x vec) kernels.Step {
	const perPart = 64 // blocks
	n := p.m * p.blocks
	return p.b.step(parts(n, perPart), func(worker, id int) {
		lo, hi := span(id, n, perPart)
		if lo < hi {
			from := x.tile(p.b.local[worker], lo*asm.Block, (hi-lo)*asm.Block)
			asm.QuantiseRow(p.quantised[lo*asm.BlockX:hi*asm.BlockX], from)
		}
	})
}

// multiply returns the step that computes y.
func (p *blockProduct) multiply() kernels.Step {
	// A block of x stays in the second-level cache beside a panel, and there
	// are parts enough for every thread.
	panels := parts(p.n, asm.Panel)
	p.rows = max(1, min(p.m, maxBlock, secondCache/2/max(1, p.blocks*asm.BlockX)))
	for p.rows > 8*len(p.b.asm.Blocks) && panels*parts(p.m, p.rows) < 6*p.b.Threads() {
		p.rows /= 2
	}
	// Nanoseconds to read a panel, and to multiply it.
	panel := p.blocks*asm.BlockPanel/40 + p.k*p.rows*asm.Panel/100
	group := min(panels, max(1, shortPart/max(panel, 1)))
	groups := parts(panels, group)
	return p.b.step(groups*parts(p.m, p.rows), func(worker, id int) {
		lo, hi := span(id%groups, panels, group)
		for ; lo < hi; lo++ {
			p.panel(p.b.local[worker], id/groups*p.rows, lo)
		}
	})
}

// chunk is the number of blocks that are packed at a time, of weights that do
// not come in panels.
const chunk = 4 * (atRest - atPanel) / asm.BlockPanel

// panel computes a panel for the rows from row0 on.
func (p *blockProduct) panel(local []float32, row0, panel int) {
	m, j := min(p.rows, p.m-row0), panel*asm.Panel
	width := min(p.n-j, asm.Panel)
	direct := p.intoY() && width == asm.Panel
	bias := p.biasOf(local, j, asm.Panel)
	for i, w := range p.w {
		y, ldy := local[atSum+i*(atSum2-atSum):], asm.Panel
		if direct {
			y, ldy = p.y.f32()[row0*p.n+j:], p.n
		}
		step := max(1, p.blocks)
		if !w.packed {
			step = min(step, chunk)
		}
		for lo := 0; lo == 0 || lo < p.blocks; lo += step {
			hi, last := min(lo+step, p.blocks), bias
			if hi < p.blocks {
				last = nil
			}
			p.tiles(p.weights(local, w, panel, lo, hi), row0, m, lo, hi-lo, y, ldy, last)
		}
	}
	for r := range m {
		p.finish(local, (row0+r)*p.n+j, width, r*asm.Panel, direct)
	}
}

// weights is where blocks lo to hi of a panel lie.
func (p *blockProduct) weights(local []float32, w weight, panel, lo, hi int) *byte {
	if lo == hi {
		return nil
	}
	if w.packed {
		return &w.bytes8()[(panel*p.blocks+lo)*asm.BlockPanel]
	}
	to := vecOf(local[atPanel:atRest]).bytes(0, atRest-atPanel)
	packBlocks(to, w.bytes8(), p.n, p.blocks, panel, lo, hi)
	return &to[0]
}

// tiles multiplies n blocks, from block lo on, of m rows.
func (p *blockProduct) tiles(w *byte, row0, m, lo, n int, y []float32, ldy int, bias *float32) {
	var x *byte
	ldx, load := p.blocks*asm.BlockX, min(lo, 1)
	for r := 0; r < m; {
		height := min(m-r, len(p.b.asm.Blocks)-1)
		if n > 0 {
			x = &p.quantised[(row0+r)*ldx+lo*asm.BlockX]
		}
		p.b.asm.Blocks[height](n, x, ldx, w, &y[r*ldy], ldy, bias, load)
		r += height
	}
}
