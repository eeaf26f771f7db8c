package cpu

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
	"pipe.dev/kernels/quant"
)

// readsBlocks reports whether an op has kernels that read weights, or a cache,
// in blocks.
func readsBlocks(name string) bool {
	return slices.Contains([]string{"linear", "gated_linear", "expert_linear", "embedding", "attention", "cache_append"}, name)
}

// blocksLayout is productLayout for weights in blocks.
func blocksLayout(name string, attr any, i int, weight ir.Type) ir.Layout {
	if !packs(weight.DType) {
		return ""
	}
	if experts, is := attr.(op.ExpertLinearAttr); is && weight.DType != ir.NF4 && i == 2 && len(weight.Shape) == 3 && !experts.Transpose {
		return BN32
	}
	if len(weight.Shape) != 2 {
		return ""
	}
	a, _ := attr.(op.LinearAttr)
	if name == "linear" && i == 1 && !a.Transpose || name == "gated_linear" && (i == 1 || i == 2) {
		return BN32
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

// blockRow writes row from of a packed table to y. Its values are those that
// package quant decodes, bit for bit.
func (b *Backend) blockRow(local []float32, p packing, y []float32, table []byte, from int) {
	kind, offset, j := p.Kind(), float32(int(1)<<p.Shift), from%asm.Panel
	panel := table[from/asm.Panel*p.panelBytes(len(y)):]
	if kind.Least() {
		offset = 0
	}
	size, halves := kind.Unpacked(), kind.Halves()
	blocks := vecOf(local[atPanel:atRest]).bytes(0, p.per*size)
	number := func(block []byte, i int) float32 {
		return math.Float32frombits(binary.LittleEndian.Uint32(block[4*(i*asm.Panel+j):]))
	}
	for s := range len(y) / p.format.Block {
		b.asm.Unpack[p.coding](1, p.per, &panel[s*p.superBytes()], &blocks[0])
		for n := range p.per {
			block, to := blocks[n*size:(n+1)*size], y[s*p.format.Block+n*asm.Block:][:asm.Block]
			codes := block[size-asm.Block*asm.Panel:]
			for k := range to {
				h := k / 16 * (halves - 1)
				to[k] = float32(number(block, h) * (float32(codes[k/4*4*asm.Panel+4*j+k%4]) - offset))
				if kind.Least() {
					to[k] += number(block, halves+h)
				}
			}
		}
	}
}

// blockProduct computes y = f(x w) for weights in blocks. The rows of x are
// quantised first, in blocks of 32 as asm.Quantise says; so y differs from the
// product with x as it is by at most the sum over blocks of max|x| / 254 *
// sum|w|, besides the rounding of float32.
//
// Every element of y is one chain over the blocks, so neither tiles nor threads
// change a bit, nor the other rows.
type blockProduct struct {
	product          // n, k, w, act and y are those of it
	bias      vec    // [n], or none
	packing          // of both weights
	quantised []byte // rows of x
	blocks    int    // of a row of x
	rows      int    // that share a pass over a panel
	supers    int    // super-blocks that are unpacked at a time
}

// quantisedBytes is the memory of m rows of k values in blocks.
func quantisedBytes(m, k int) int64 { return int64(m) * int64(k/asm.Block) * asm.BlockX }

func (r rowProduct) bindBlocks(a kernels.Args) (kernels.Step, error) {
	vs, err := r.b.views(append(a.In, a.Out...)...)
	if err != nil {
		return nil, err
	}
	m, k := rows(a.In[0].Shape)
	p := &blockProduct{product: product{b: r.b, batch: 1, m: m, n: r.out, k: k, act: inPlace(r.act), y: vs[len(a.In)]}, blocks: k / asm.Block}
	p.packing, _ = packingOf(a.In[1].DType)
	for i := 1; i <= r.weights; i++ {
		w := a.In[i]
		if err := p.reads(w); err != nil {
			return nil, err
		}
		if err := checkWeight("weight", w, r.out, k); err != nil {
			return nil, err
		}
		p.w = append(p.w, weight{vec: vs[i], packed: w.Layout != ""})
	}
	if k%p.format.Block != 0 {
		return nil, fmt.Errorf("rows of %d are no whole number of blocks of %d", k, p.format.Block)
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
		if want := int(quantisedBytes(m, k)); room.n < want {
			return nil, fmt.Errorf("cpu: scratch of %d bytes, want %d", room.n, want)
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
	f := p.b.asm.Quantise[p.Kind()]
	return p.b.step(parts(n, perPart), func(worker, id int) {
		lo, hi := span(id, n, perPart)
		if lo < hi {
			from := x.tile(p.b.local[worker], lo*asm.Block, (hi-lo)*asm.Block)
			f(hi-lo, &from[0], &p.quantised[lo*asm.BlockX], p.Shift)
		}
	})
}

// unpacked is the bytes of a panel that are unpacked at a time: they stay in the
// first-level cache while tiles pass over them.
const unpacked = 28 << 10

// multiply returns the step that computes y.
func (p *blockProduct) multiply() kernels.Step {
	// A block of x stays in the second-level cache beside a panel, and there
	// are parts enough for every thread.
	panels := parts(p.n, asm.Panel)
	p.bound()
	for p.rows > 8*len(p.b.asm.Blocks[0]) && panels*parts(p.m, p.rows) < 6*p.b.Threads() {
		p.rows /= 2
	}
	// Nanoseconds to read a panel, and to multiply it.
	panel := p.panelBytes(p.k)/40 + p.k*p.rows*asm.Panel/100
	if p.m <= fewRows && !slices.ContainsFunc(p.w, func(w weight) bool { return !p.byRow(w) }) {
		if p.coding.InRows() {
			return p.byStreams()
		}
		from := guided(panels, max(1, rowPart/max(1, p.panelBytes(p.k))), p.b.Threads())
		return p.b.step(len(from)-1, func(worker, id int) {
			for panel := from[id]; panel < from[id+1]; panel++ {
				for row := range p.m {
					p.row(p.b.local[worker], p.w, row, panel)
				}
			}
		})
	}
	from := guided(panels, max(1, panelsPart/max(panel, 1)), p.b.Threads())
	groups := len(from) - 1
	return p.b.step(groups*parts(p.m, p.rows), func(worker, id int) {
		row0, group := id/groups*p.rows, id%groups
		for panel := from[group]; panel < from[group+1]; panel++ {
			p.tiles(p.b.local[worker], p.w, row0, min(p.rows, p.m-row0), panel, from[group+1])
		}
	})
}

// bound settles how many rows share a pass over a panel, at most, and how much of
// it is unpacked at a time.
func (p *blockProduct) bound() {
	cache, first := secondCache/2, unpacked
	if p.tiled(p.m) {
		cache, first = secondCache, unpackedTiled
	}
	p.rows = max(1, min(p.m, maxBlock, cache/max(1, p.blocks*asm.BlockX)))
	p.rows = parts(p.m, parts(p.m, p.rows)) // none of them much less
	p.supers = max(1, first/(p.per*p.Kind().Unpacked()))
}

// fewRows is how many rows are multiplied one by one: unpacking a panel takes longer
// than going through it so often.
const fewRows = 3

// rowPart is how many bytes of weights a part of one row's product has at most.
// Processors take a while to fetch ahead at full speed, and nothing asks for the first rows of a part.
const rowPart = 1280 << 10

// panelsPart is the nanoseconds of a part of several rows' product, at most: nothing asks for the
// rows of its first panel.
const panelsPart = 100_000

// guided returns where each of some parts of n units begins, and n: parts of at
// most size, smaller ones at the end, so that no thread waits long for the last.
func guided(n, size, threads int) []int {
	from := []int{0}
	for lo := 0; lo < n; {
		lo += max(1, min(size, (n-lo)/(2*threads)))
		from = append(from, lo)
	}
	return from
}

// row computes a packed panel of one row.
func (p *blockProduct) row(local []float32, weights []weight, row, panel int) {
	j := panel * asm.Panel
	width := min(p.n-j, asm.Panel)
	direct := p.intoY() && width == asm.Panel
	bias, x := p.biasOf(p.bias, local, j, asm.Panel), unsafe.SliceData(p.quantised[row*p.blocks*asm.BlockX:])
	for i, w := range weights {
		y := local[atSum+i*(atSum2-atSum):]
		if direct {
			y = p.y.f32()[row*p.n+j:]
		}
		at := unsafe.SliceData(w.bytes8()[panel*p.panelBytes(p.k):])
		p.b.asm.Row[p.coding](p.k/p.format.Block, p.per, x, at, &y[0], bias)
	}
	p.finish(local, row*p.n+j, width, 0, direct)
}

// tiles computes a panel for m rows from row0 on. The panels after it, before end, follow.
func (p *blockProduct) tiles(local []float32, weights []weight, row0, m, panel, end int) {
	j := panel * asm.Panel
	width := min(p.n-j, asm.Panel)
	direct := p.intoY() && width == asm.Panel
	bias := p.biasOf(p.bias, local, j, asm.Panel)
	supers := p.k / p.format.Block
	for i, w := range weights {
		y, ldy := local[atSum+i*(atSum2-atSum):], asm.Panel
		if direct {
			y, ldy = p.y.f32()[row0*p.n+j:], p.n
		}
		for lo := 0; lo == 0 || lo < supers; lo += p.supers {
			hi, last := min(lo+p.supers, supers), bias
			if hi < supers {
				last = nil
			}
			from, next := p.unpack(local, w, panel, lo, hi), p.following(weights, i, panel, hi, end)
			if p.tiled(m) {
				p.sign(from, (hi-lo)*p.per)
				p.multiplyGroups(local, from, next, row0, m, lo*p.per, (hi-lo)*p.per, y, ldy, last)
				continue
			}
			p.multiplyTiles(from, next, row0, m, lo*p.per, (hi-lo)*p.per, y, ldy, last)
		}
	}
	for r := range m {
		p.finish(local, (row0+r)*p.n+j, width, r*asm.Panel, direct)
	}
}

// multiplyTiles multiplies n blocks, from block lo on, of m rows, and meanwhile
// fetches next.
func (p *blockProduct) multiplyTiles(w *byte, next upcoming, row0, m, lo, n int, y []float32, ldy int, bias *float32) {
	var x *byte
	tiles := p.b.asm.Blocks[p.Kind()]
	ldx, load := p.blocks*asm.BlockX, min(lo, 1)
	count := parts(m, len(tiles)-1)
	for t := range count {
		next.ask(p.b.asm.Prefetch, t, count)
		r, end := t*m/count, (t+1)*m/count
		if n > 0 {
			x = &p.quantised[(row0+r)*ldx+lo*asm.BlockX]
		}
		tiles[end-r](n, x, ldx, w, &y[r*ldy], ldy, bias, load)
	}
}
