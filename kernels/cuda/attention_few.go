package cuda

import (
	"fmt"

	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// fewParams is Few of source/attention_few.cu.
type fewParams struct {
	attend
	y, lse, sums  driver.Pointer
	count, chunks uint32
	lanes         uint32
	_             uint32
}

// few is how attention of few rows is spread.
type few struct {
	rows, chunks int // of a group that a block takes, and into how many of these it is cut
	lanes        int // of a warp that read a key
	parts        int // of the keys
}

const (
	fewPart    = 256 // keys of a part, in source/attention_few.cu
	fewQueries = 4
	fewOfGroup = 32 // of a group: so many keep memory busier than the arithmetic
	fewHead    = 256
)

// newFew spreads attention of query [batch, seq, heads, d] over value [batch, keys,
// groups, dv]; false if there are many rows, or heads are large.
func newFew(q, v []int) (f few, ok bool) {
	keys, widest := v[1], max(q[3], v[3])
	if q[1] > fewQueries || v[2] == 0 || q[1]*q[2]/v[2] > fewOfGroup || widest > fewHead || keys == 0 {
		return f, false
	}
	rows := q[1] * q[2] / v[2]
	f = few{rows: panelOf(rows, 1, 2, 4, 8), lanes: 1, parts: parts(keys, fewPart)}
	f.chunks = parts(rows, f.rows)
	for f.lanes*8 < widest {
		f.lanes *= 2
	}
	return f, true
}

// bindFew binds attention of few rows; sums is what its parts give.
func (b *Backend) bindFew(f few, a *attentionParams, sums kernels.Tensor) (kernels.Step, error) {
	at, err := b.pointer(sums)
	if err != nil {
		return nil, err
	}
	p := &fewParams{attend: a.attend, y: a.y, lse: a.lse, sums: at, count: uint32(f.parts), chunks: uint32(f.chunks), lanes: uint32(f.lanes)}
	blocks := int(p.batch*p.groups) * f.chunks * f.parts
	step, err := launch(b, "attention_few", fmt.Sprint("attention_few_", f.rows), grid{driver.Dim{X: blocks, Y: 1, Z: 1}, 128}, p)
	if err != nil || f.parts == 1 {
		return step, err
	}
	lines := int(p.batch * p.seq * p.heads)
	join, err := launch(b, "attention_few", "attention_join", grid{driver.Dim{X: min(lines, 1<<20), Y: 1, Z: 1}, 64}, p)
	return sequence([]kernels.Step{step, join}), err
}
