//go:build linux && (amd64 || arm64)

package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels/cuda/emulator"
)

// What a sequence gets has the same bits alone and in company, and whatever room
// there is for keys: in tiles, and in parts of keys.
func TestAttentionAlone(t *testing.T) {
	b := open(t)
	for _, dt := range []ir.DType{ir.F32, ir.BF16} {
		for name, seq := range map[string]int{"few": 1, "tiles": 9} {
			a := attending{dtype: dt, attr: op.AttentionAttr{Causal: true}, heads: 6, groups: 2, d: 12, seq: seq, room: 290, past: []int32{280}}
			if dt == ir.BF16 {
				a.d = 24
			}
			alone := a.run(t, b)
			a.room, a.past = 530, []int32{280, 510, 3}
			if got := a.run(t, b)[:len(alone)]; !sameBits(got, alone) {
				t.Errorf("%v %s: %v\nin company, with more room for keys: %v", dt, name, alone[:8], got[:8])
			}
		}
	}
}

// A row has the same bits in tiles of many rows and in divided keys: so those of a text at
// once are those of its parts, and of token after token.
func TestAttentionParts(t *testing.T) {
	library := libcuda(t)
	before, err := emulator.Count(library, "conflicts")
	if err != nil {
		t.Fatal(err)
	}
	b := open(t)
	for _, c := range []struct {
		name       string
		query, key ir.DType
		attr       op.AttentionAttr
		d          int
	}{
		{"bf16", ir.BF16, ir.BF16, op.AttentionAttr{Causal: true}, 24},
		{"f16", ir.F16, ir.F16, op.AttentionAttr{Causal: true, Window: 70, ALiBi: 8}, 40},
		{"wide", ir.BF16, ir.BF16, op.AttentionAttr{Causal: true, Softcap: 2, Scale: 0.5}, 136},
		{"f32", ir.F32, ir.F32, op.AttentionAttr{Causal: true, Window: 90}, 17},
		{"f32 and f16", ir.F32, ir.F16, op.AttentionAttr{Causal: true, ALiBi: 8, Softcap: 2}, 40},
		{"f32 and f16 by FMA", ir.F32, ir.F16, op.AttentionAttr{Causal: true, ALiBi: 8, Softcap: 2}, 20},
		{"f32 and bf16", ir.F32, ir.BF16, op.AttentionAttr{Causal: true, Window: 100}, 72},
		{"f32 and bf16, wide", ir.F32, ir.BF16, op.AttentionAttr{Causal: true}, 132},
	} {
		a := attending{dtype: c.query, cache: c.key, attr: c.attr, heads: 6, groups: 2, d: c.d, seq: 26, room: 200, past: []int32{120}}
		whole := a.run(t, b)
		line := len(whole) / a.seq
		if b.divides(a.types()) {
			t.Fatal("all at once are not in tiles")
		}
		for from := 0; from < a.seq; {
			part := a
			part.from, part.seq, part.past = from, min(1+2*from, 10, a.seq-from), []int32{120 + int32(from)}
			if !b.divides(part.types()) {
				t.Fatal("the keys of a part are not divided")
			}
			got, want := part.run(t, b), whole[from*line:][:part.seq*line]
			if !sameBits(got, want) {
				t.Errorf("%s: positions from %d on, %d: %v\nwith the others: %v", c.name, from, part.seq, got[:16], want[:16])
			}
			from += part.seq
		}
	}
	if after, err := emulator.Count(library, "conflicts"); err != nil || after != before {
		t.Errorf("%d matrices have rows in the same banks (%v)", after-before, err)
	}
}

// Tiles of keys without a document of the rows are left out, which changes nothing: a
// document that begins with a tile gets what it gets alone.
func TestAttentionDocuments(t *testing.T) {
	b := open(t)
	a := attending{dtype: ir.BF16, attr: op.AttentionAttr{Causal: true}, heads: 1, groups: 1, d: 16, seq: 200, room: 200, past: []int32{0}}
	for j := range int32(200) {
		a.documents = append(a.documents, 1+j/128)
	}
	whole := append(a.gradients(t, b), a.run(t, b))
	a.documents, a.seq, a.room, a.from = a.documents[128:], 72, 72, 128
	library := libcuda(t)
	defer emulator.Set(library, "eager=0")
	for eager := range 2 { // copies come when they are waited for, and at once
		if err := emulator.Set(library, fmt.Sprintf("eager=%d", eager)); err != nil {
			t.Fatal(err)
		}
		for i, got := range append(a.gradients(t, b), a.run(t, b)) {
			if want := whole[i][16*128:]; !sameBits(got, want) {
				t.Errorf("%d: alone %v\nbehind another %v", i, got[:16], want[:16])
			}
		}
	}
}

// Gradients of large heads on tensor cores are those of the same numbers in f32, by FMA,
// but for roundings to 16 bits, with two places for tiles or one; and no matrix has rows in
// the same banks.
func TestAttentionLargeGrad(t *testing.T) {
	b := open(t)
	defer noConflicts(t)()
	for _, c := range []attending{
		{dtype: ir.BF16, d: 136, attr: op.AttentionAttr{Causal: true}, heads: 2, groups: 1, seq: 37, room: 90, past: []int32{53}},
		{dtype: ir.F16, d: 200, attr: op.AttentionAttr{Causal: true, Window: 50, Softcap: 3}, heads: 1, groups: 1, seq: 100, room: 100, past: []int32{0}},
		{dtype: ir.F16, d: 256, heads: 2, groups: 2, seq: 20, room: 71, past: []int32{51}},
		{dtype: ir.BF16, d: 160, attr: op.AttentionAttr{Causal: true}, heads: 1, groups: 1, seq: 100, room: 100, past: []int32{0}, documents: documents(100, 70)},
	} {
		in, at := c.types(), c.attr
		at.Stats = true
		r, data := rand.New(rand.NewPCG(uint64(c.d), 3)), c.inputs(in)
		for i := range 3 {
			data[i], _ = normals(r, c.dtype, in[i].Elems())
		}
		lse := ir.T(ir.F32, in[0].Sizes()[:3]...)
		y := compute(t, b, "attention", at, in, []ir.Type{in[0], lse}, data)
		dy, _ := normals(r, c.dtype, in[0].Elems())
		data = append(data, y[0], y[1], dy, nil)
		run := func(d ir.DType) [][]float64 {
			all := slices.Clone(append(in[:7:7], in[0], lse, in[0], ir.Type{}))
			for _, i := range []int{0, 1, 2, 7, 9} {
				all[i] = all[i].As(d)
			}
			return compute(t, b, "attention_grad", c.attr, all, all[:3], data)
		}
		rounding, want := map[ir.DType]float64{ir.BF16: 1. / 256, ir.F16: 1. / 2048}[c.dtype], run(ir.F32)
		for i, got := range run(c.dtype) {
			most := 0.
			for _, v := range want[i] {
				most = max(most, math.Abs(v))
			}
			for k, v := range got {
				if !(math.Abs(v-want[i][k]) <= rounding*most) {
					t.Fatalf("d = %d of %v: element %d of gradient %d is %v, in f32 %v (of %v at most)", c.d, c.dtype, k, i, v, want[i][k], most)
				}
			}
		}
	}
}

// documents are two, of which the second begins at from.
func documents(n, from int32) (all []int32) {
	for j := range n {
		all = append(all, 1+min(1, j/from))
	}
	return all
}

// Queries in f32 over keys in f16 may be far beyond what f16 holds.
func TestAttentionUnits(t *testing.T) {
	b := open(t)
	a := attending{dtype: ir.F32, cache: ir.F16, attr: op.AttentionAttr{Causal: true, Scale: 0.25}, heads: 2, groups: 1, d: 24, seq: 1, room: 70, past: []int32{67}}
	want := a.run(t, b)
	for _, by := range []float64{0x1p30, 0x1p-50} {
		a.times, a.attr.Scale = by, 0.25/by
		if got := a.run(t, b); !sameBits(got, want) {
			t.Errorf("queries times %g: %v\nand as they are: %v", by, got[:8], want[:8])
		}
	}
}

// divides says whether attention of these goes by tiles of keys.
func (b *Backend) divides(in []ir.Type) bool {
	if f, ok := b.newTensorForm(in[:3]); ok {
		return f.split.tiles > 0
	}
	_, ok := newFew(in[0].Sizes(), in[2].Sizes())
	return ok
}

// attending is a call of attention with room for so many keys, of which each sequence
// has some before its rows, those from position from on. What a sequence holds depends
// on its number alone.
type attending struct {
	dtype            ir.DType
	cache            ir.DType // of keys and values; dtype if left out
	attr             op.AttentionAttr
	heads, groups, d int
	seq, room, from  int
	past             []int32
	documents        []int32 // of the keys; none if left out
	times            float64 // what queries are multiplied with; 0 for 1
}

func (a attending) types() []ir.Type {
	if a.cache == ir.Invalid {
		a.cache = a.dtype
	}
	keys := ir.T(a.cache, len(a.past), a.room, a.groups, a.d)
	in := []ir.Type{ir.T(a.dtype, len(a.past), a.seq, a.heads, a.d), keys, keys, {}, ir.T(ir.I32, len(a.past)), {}, {}}
	if a.documents != nil {
		in[5] = ir.T(ir.I32, len(a.past), a.room)
	}
	return in
}

func (a attending) run(t *testing.T, b *Backend) []float64 {
	t.Helper()
	in := a.types()
	return compute(t, b, "attention", a.attr, in, in[:1], a.inputs(in))[0]
}

// gradients are those of query, key and value, where the gradient of the result is query.
func (a attending) gradients(t *testing.T, b *Backend) [][]float64 {
	t.Helper()
	in := a.types()
	data, at, lse := a.inputs(in), a.attr, ir.T(ir.F32, in[0].Sizes()[:3]...)
	at.Stats = true
	y := compute(t, b, "attention", at, in, []ir.Type{in[0], lse}, data)
	return compute(t, b, "attention_grad", a.attr, append(in, in[0], lse, in[0], ir.Type{}), in[:3], append(data, y[0], y[1], data[0], nil))
}

func (a attending) inputs(in []ir.Type) [][]float64 {
	data := make([][]float64, len(in))
	for i, ty := range in {
		if ty.DType != ir.Invalid {
			data[i] = a.values(i, ty)
		}
	}
	return data
}

// values are those of input i.
func (a attending) values(i int, ty ir.Type) []float64 {
	var all []float64
	if i > 3 {
		for _, p := range map[int][]int32{4: a.past, 5: a.documents}[i] {
			all = append(all, float64(p))
		}
		return all
	}
	size := ty.Sizes()
	from := 0
	if i == 0 || a.documents != nil {
		from = a.from * size[2] * size[3]
	}
	for z := range size[0] {
		for j := range size[1] * size[2] * size[3] {
			v := math.Sin(float64(1+i) * float64(1000*z+from+j))
			if i == 0 && a.times != 0 {
				v *= a.times
			}
			all = append(all, v)
		}
	}
	return all
}

// sameBits tells 0 from -0.
func sameBits(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) })
}
