package cuda

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// Sizes of source/attention_tensor.cu and attention_split.cu.
const (
	tensorHead    = 256 // elements of a head at most
	tensorThreads = 128
	splitRows     = 16      // that a warp takes
	splitMost     = 64      // rows of a group, where there are few others
	splitBelow    = 64      // groups of all sequences: tiles of their rows would leave a device half idle
	tensorStatic  = 6 << 10 // bytes of shared memory beside those that are asked for, at most
)

// pitch is pitch_of of source/attention_tensor.h: the bytes from line to line of width
// elements in shared memory.
func pitch(width int) int { return 64*parts(width, 32) + 16 }

// onTensorCores reports whether these are operands for tensor cores: lines of whole 16
// bytes, of one type of 16 bits, in heads that fit.
func onTensorCores(in ...ir.Type) bool {
	for _, t := range in {
		width := t.Shape[len(t.Shape)-1]
		if t.DType != in[0].DType || t.DType != ir.BF16 && t.DType != ir.F16 || !width.Known() || width.N == 0 || width.N%8 != 0 || width.N > tensorHead {
			return false
		}
	}
	return true
}

// tensorForm is how rows of attention are spread over tensor cores: 4 warps of 16 or
// 32 rows, or few rows by tiles of keys. Both give the same bits.
type tensorForm struct {
	kernel, file string
	rows, room   int // of a block, and its bytes of shared memory
	quads        uint32
	split        divided
}

// newTensorForm is for query [batch, seq, heads, d], key and value [batch, keys, groups,
// dv]; false if tensor cores can't take these, or the device has no room. Queries in f32
// over keys of 16 bits are planes of as many bits.
func (b *Backend) newTensorForm(in []ir.Type) (f tensorForm, ok bool) {
	q, v := in[0].Sizes(), in[2].Sizes()
	d, dv := q[3], v[3]
	name, planes, most := in[1].DType.String(), 1, 256
	f = tensorForm{file: "attention_tensor", rows: 128, quads: 2}
	if in[0].DType == ir.F32 {
		name, planes, most = "wide_"+name, map[ir.DType]int{ir.BF16: 3, ir.F16: 2}[in[1].DType], 128
		f.file, f.rows, f.quads = "attention_wide", 64, 1
	} else if in[0].DType != in[1].DType {
		return f, false
	}
	if !onTensorCores(in[1:3]...) || max(d, dv) > most {
		return f, false
	}
	if max(d, dv) > 128 {
		f.rows = 64
	}
	room := func(rows int) int { return (planes*rows+attentionTile)*pitch(d) + attentionTile*pitch(dv) }
	f.kernel, f.room = fmt.Sprintf("attention_%s_%d", name, panelOf(max(d, dv), 64, 128, 256)), room(f.rows)
	if f.room+tensorStatic > b.device.Info.SharedMemory {
		return f, false
	}
	rows, tiles := q[1]*q[2]/max(1, v[2]), parts(v[1], attentionTile)
	if tiles > 1 && (rows <= splitRows || rows <= splitMost && q[0]*v[2] <= splitBelow) {
		f.split = divided{kernel: fmt.Sprintf("attention_split_%s_%d", name, panelOf(dv, 128, 256)), join: "attention_split_join", file: "attention_split",
			rows: splitRows, threads: 32, room: room(splitRows), tiles: tiles}
		if planes > 1 {
			f.split.join, f.split.file = "attention_split_wide_join", f.file
		}
	}
	return f, true
}

// bindTensor binds attention on tensor cores; false if these can't take it.
func (b *Backend) bindTensor(p *attentionParams, args kernels.Args) (kernels.Step, bool, error) {
	var in []ir.Type
	for _, x := range args.In[:3] {
		in = append(in, ir.T(x.DType, x.Shape...))
	}
	f, ok := b.newTensorForm(in)
	if !ok || p.q.quads < f.quads || min(p.k.quads, p.v.quads) < 2 || p.y%8 != 0 {
		return nil, false, nil
	}
	if step, err := b.asyncAttention(p, in[0].DType); step != nil || err != nil {
		return step, true, err
	}
	if f.split.tiles > 0 {
		step, err := b.bindSplit(f.split, p, args.Scratch)
		return step, true, err
	}
	step, err := b.attendTiles(f, p)
	return step, true, err
}

// attendTiles returns the step by tiles of many rows.
func (b *Backend) attendTiles(f tensorForm, p *attentionParams) (kernels.Step, error) {
	blocks := int(p.batch*p.groups) * parts(int(p.seq*p.share), f.rows)
	return launchRoom(b, f.file, f.kernel, grid{driver.Dim{X: blocks, Y: 1, Z: 1}, tensorThreads}, f.room, p)
}
