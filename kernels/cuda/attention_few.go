package cuda

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// splitParams is Split of source/attention_join.h.
type splitParams struct {
	attend
	y, lse, parts driver.Pointer
	count, chunks uint32
}

// divided is how attention of few rows is spread: a block takes a tile of keys for some
// rows of a group. The tiles are put together to the bits that a row gets among many.
type divided struct {
	kernel, join, file string
	rows               int // of a block
	threads, room      int // of a block, and its bytes of shared memory
	tiles              int // of keys; 0 if these are not divided
}

const (
	fewOfGroup  = 32 // of a group: so many keep memory busier than the arithmetic
	fewHead     = 256
	splitBlocks = 4096
)

// newFew spreads attention by FMA of query [batch, seq, heads, d] over value [batch,
// keys, groups, dv]; false if there are many rows, or heads are large.
func newFew(q, v []int) (s divided, ok bool) {
	d, dv, tiles := q[3], v[3], parts(v[1], attentionTile)
	if v[2] == 0 || tiles < 2 || max(d, dv) > fewHead || q[1]*q[2]/v[2] > fewOfGroup {
		return s, false
	}
	r := panelOf(q[1]*q[2]/v[2], 1, 2, 4, 8)
	room := 16*r*parts(d, 4) + 4*r*attentionTile + 16*attentionTile*(parts(max(d, dv), 4)|1)
	return divided{kernel: fmt.Sprint("attention_few_", r), join: "attention_few_join", file: "attention_few", rows: r, threads: 128, room: room, tiles: tiles}, true
}

// scratch is the bytes of what the tiles give.
func (s divided) scratch(q, v []ir.Dim) int64 {
	return 4 * int64(q[0].N*q[1].N*q[2].N) * int64(s.tiles) * int64(v[3].N+2)
}

// bindSplit binds attention of few rows; parts is what its tiles give.
func (b *Backend) bindSplit(s divided, a *attentionParams, scratch kernels.Tensor) (kernels.Step, error) {
	at, err := b.pointer(scratch)
	if err != nil {
		return nil, err
	}
	p := &splitParams{attend: a.attend, y: a.y, lse: a.lse, parts: at, count: uint32(s.tiles), chunks: uint32(parts(int(a.seq*a.share), s.rows))}
	blocks := min(int(p.batch*p.groups*p.chunks)*s.tiles, splitBlocks)
	step, err := launchRoom(b, s.file, s.kernel, grid{driver.Dim{X: blocks, Y: 1, Z: 1}, s.threads}, s.room, p)
	if err != nil {
		return nil, err
	}
	lines := int(p.batch * p.seq * p.heads)
	join, err := launch(b, s.file, s.join, grid{driver.Dim{X: min(lines, mostBlocks), Y: 1, Z: 1}, 128}, p)
	return sequence([]kernels.Step{step, join}), err
}
