//go:build linux && (amd64 || arm64)

package cuda

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// looking is a call of attention without a past, as trainings, encoders and networks of pictures have it. What a sequence
// holds depends on its number alone.
type looking struct {
	dtype, of          ir.DType // of query, key and value; and of the numbers in them, which are dtype if it is left out
	attr               op.AttentionAttr
	batch, seq, keys   int
	heads, groups      int
	d, dv              int
	one                bool    // sequence of keys for all
	documents, lengths []int32 // of the first sequence; the others have the same
	from               int     // the first row
}

func (l looking) types() []ir.Type {
	sequences := l.batch
	if l.one {
		sequences = 1
	}
	in := []ir.Type{ir.T(l.dtype, l.batch, l.seq, l.heads, l.d), ir.T(l.dtype, sequences, l.keys, l.groups, l.d), ir.T(l.dtype, sequences, l.keys, l.groups, l.dv), {}, {}, {}, {}}
	if l.documents != nil {
		in[5] = ir.T(ir.I32, l.batch, l.keys)
	}
	if l.lengths != nil {
		in[6] = ir.T(ir.I32, l.batch)
	}
	return in
}

func (l looking) data() [][]float64 {
	data := make([][]float64, 7)
	for i, t := range l.types() {
		switch {
		case t.DType == ir.Invalid:
		case i < 3:
			data[i] = l.values(i, t.Sizes())
		default:
			for range l.batch {
				for _, v := range map[int][]int32{5: l.documents, 6: l.lengths}[i] {
					data[i] = append(data[i], float64(v))
				}
			}
		}
	}
	return data
}

// values are normal numbers, of each position the same whatever others there are.
func (l looking) values(i int, size []int) (all []float64) {
	if l.of == ir.Invalid {
		l.of = l.dtype
	}
	for z := range size[0] {
		for j := range size[1] {
			if i == 0 {
				j += l.from
			}
			x, _ := normals(rand.New(rand.NewPCG(uint64(1000*i+z), uint64(j))), l.of, size[2]*size[3])
			all = append(all, x...)
		}
	}
	return all
}

// run returns the results, and the logarithms of the sums.
func (l looking) run(t *testing.T, b *Backend) [][]float64 {
	t.Helper()
	in, at := l.types(), l.attr
	at.Stats = true
	return compute(t, b, "attention", at, in, []ir.Type{in[0].With(in[0].Shape[0], in[0].Shape[1], in[0].Shape[2], ir.D(l.dv)), ir.T(ir.F32, l.batch, l.seq, l.heads)}, l.data())
}

// ready takes attention by wgmma for good, which TestAttentionWGMMAProves tries.
func ready(b *Backend) *Backend {
	for _, d := range []ir.DType{ir.BF16, ir.F16} {
		for _, width := range asyncWidths {
			b.wgmma.good[fmt.Sprint(ofAttention, d, width)] = true
		}
	}
	return b
}

// byAttention is the kernel of attention that a backend has taken since its functions were cleared.
func byAttention(b *Backend) (names []string) {
	for f := range b.functions {
		if strings.HasPrefix(f, "attention") {
			names = append(names, f)
		}
	}
	return names
}

// Attention by wgmma is that of the same numbers in f32, but for roundings to 16 bits.
func TestAttentionWGMMA(t *testing.T) {
	for eager := range 2 { // copies and products come as late as can be, or as early, and threads in either order
		t.Run(fmt.Sprintf("eager %d", eager), func(t *testing.T) {
			t.Parallel()
			b, f32 := ready(openAs(t, fmt.Sprintf("capability=90,eager=%d,backward=%d", eager, eager))), open(t)
			for name, l := range map[string]looking{
				"causal":               {dtype: ir.BF16, attr: op.AttentionAttr{Causal: true}, batch: 1, seq: 300, keys: 300, heads: 1, groups: 1, d: 64, dv: 64},
				"everything":           {dtype: ir.F16, batch: 2, seq: 90, keys: 520, heads: 2, groups: 1, d: 128, dv: 128},
				"window, groups":       {dtype: ir.BF16, attr: op.AttentionAttr{Causal: true, Window: 90, Scale: 0.3}, batch: 1, seq: 220, keys: 220, heads: 2, groups: 1, d: 72, dv: 128},
				"documents":            {dtype: ir.F16, attr: op.AttentionAttr{Causal: true}, batch: 1, seq: 400, keys: 400, heads: 1, groups: 1, d: 40, dv: 56, documents: slices.Concat(slices.Repeat([]int32{1}, 100), slices.Repeat([]int32{2}, 270), slices.Repeat([]int32{3}, 30))},
				"lengths":              {dtype: ir.BF16, batch: 2, seq: 140, keys: 140, heads: 1, groups: 1, d: 96, dv: 80, lengths: []int32{77}},
				"nothing is seen":      {dtype: ir.BF16, batch: 1, seq: 5, keys: 9, heads: 1, groups: 1, d: 64, dv: 64, lengths: []int32{0}},
				"a row, one for all":   {dtype: ir.F16, batch: 3, seq: 1, keys: 200, heads: 2, groups: 2, d: 64, dv: 64, one: true},
				"rows beyond the keys": {dtype: ir.BF16, attr: op.AttentionAttr{Causal: true, Window: 20}, batch: 1, seq: 170, keys: 30, heads: 1, groups: 1, d: 64, dv: 64},
			} {
				clear(b.functions)
				got := l.run(t, b)
				if taken, want := byAttention(b), fmt.Sprintf("attention_wgmma_%v_%d", l.dtype, panelOf(max(l.d, l.dv), asyncWidths...)); !slices.Equal(taken, []string{want}) {
					t.Errorf("%s: by %q, want %q", name, taken, want)
				}
				wide := l
				wide.dtype, wide.of = ir.F32, l.dtype
				want := wide.run(t, f32)
				for i, tolerance := range []float64{map[ir.DType]float64{ir.BF16: 1. / 128, ir.F16: 1. / 1024}[l.dtype], 1e-5} {
					for k, v := range got[i] {
						if !(math.Abs(v-want[i][k]) <= tolerance*max(1, math.Abs(want[i][k]))) {
							t.Fatalf("%s: element %d of result %d is %v, in f32 %v", name, k, i, v, want[i][k])
						}
					}
				}
			}
		})
	}
}

// A row has the same bits alone and in company: with other sequences, in a longer text whose end it does not see, behind other
// documents, and wherever it lies in a block.
func TestAttentionWGMMAAlone(t *testing.T) {
	b := ready(openAs(t, "capability=90"))
	same := func(name string, got, want []float64) {
		t.Helper()
		if !sameBits(got, want) {
			t.Errorf("%s: other bits", name)
		}
	}
	causal := looking{dtype: ir.BF16, attr: op.AttentionAttr{Causal: true}, batch: 1, seq: 150, keys: 150, heads: 2, groups: 1, d: 64, dv: 64}
	alone, line := causal.run(t, b), 2*64
	more := causal
	more.batch, more.seq, more.keys = 2, 290, 290
	for i, got := range more.run(t, b) {
		same("a longer text", got[:len(alone[i])], alone[i])
	}
	all := looking{dtype: ir.F16, batch: 1, seq: 140, keys: 140, heads: 1, groups: 1, d: 128, dv: 128}
	alone = all.run(t, b)
	padded := all
	padded.batch, padded.seq, padded.keys, padded.lengths = 2, 300, 300, []int32{140}
	for i, got := range padded.run(t, b) {
		same("padded", got[:len(alone[i])], alone[i])
	}
	part := all
	part.from, part.seq = 67, 9
	for i, got := range part.run(t, b) {
		n := len(alone[i]) / all.seq
		same("rows in other places", got, alone[i][67*n:][:len(got)])
	}
	behind := causal
	behind.seq, behind.keys, behind.documents = 256+40, 256+40, slices.Concat(slices.Repeat([]int32{1}, 256), slices.Repeat([]int32{2}, 40))
	whole := behind.run(t, b)[0][256*line:]
	behind.documents = slices.Concat(slices.Repeat([]int32{3}, 250), slices.Repeat([]int32{1}, 6), slices.Repeat([]int32{2}, 40))
	same("behind another document", behind.run(t, b)[0][256*line:], whole)
}

// Rows have the same bits however they are spread over blocks.
func TestAttentionWGMMASpread(t *testing.T) {
	b, r := openAs(t, "capability=90"), rand.New(rand.NewPCG(3, 4))
	a := &attentionTrial{trial: trial{b: b, family: "bf16"}, dtype: ir.BF16, width: 64}
	defer a.free()
	normal := func() float32 { return float32(r.NormFloat64()) }
	if err := a.fill(normal, normal, normal); err != nil {
		t.Fatal(err)
	}
	for _, groups := range []uint32{2, 3} {
		var want []byte
		for _, over := range []asyncSpread{{9, 1 << 30}, {9, 1}, {1, 1 << 30}, {2, 60 << 10}, {3, 1}, {2, 1 << 30}} {
			got, why, err := a.attend(1, 0, trialText, func(p *asyncAttentionParams) (kernels.Step, error) {
				p.heads, p.groups, p.seq, p.keys, p.scale = groups, groups, trialText/groups, trialText/groups, 0.1 // two of three groups are 58 KB
				return b.attendAsync(p, a.dtype, a.width, over)
			})
			if err != nil || why != "" {
				t.Fatal(why, err)
			}
			if want == nil {
				want = got
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%d groups, spread %v: other bits", groups, over)
			}
		}
	}
}

// Attention goes by wgmma where there is no past and scores are products times a number, whatever the number of rows.
func TestAttentionWGMMATaken(t *testing.T) {
	b := ready(openAs(t, "capability=90"))
	base := looking{dtype: ir.BF16, batch: 1, seq: 3, keys: 3, heads: 1, groups: 1, d: 64, dv: 64}
	for name, c := range map[string]struct {
		change func(in []ir.Type, at *op.AttentionAttr) []ir.Type
		taken  bool
	}{
		"plain":       {func(in []ir.Type, at *op.AttentionAttr) []ir.Type { return in }, true},
		"a past":      {func(in []ir.Type, at *op.AttentionAttr) []ir.Type { in[4] = ir.T(ir.I32, 1); return in }, false},
		"a mask":      {func(in []ir.Type, at *op.AttentionAttr) []ir.Type { in[3] = ir.T(ir.F32, 3, 3); return in }, false},
		"a soft cap":  {func(in []ir.Type, at *op.AttentionAttr) []ir.Type { at.Softcap = 3; return in }, false},
		"slopes":      {func(in []ir.Type, at *op.AttentionAttr) []ir.Type { at.ALiBi = 8; return in }, false},
		"small heads": {func(in []ir.Type, at *op.AttentionAttr) []ir.Type { return heads(in, 32) }, false},
		"large heads": {func(in []ir.Type, at *op.AttentionAttr) []ir.Type { return heads(in, 136) }, false},
		"f32":         {func(in []ir.Type, at *op.AttentionAttr) []ir.Type { in[0] = in[0].As(ir.F32); return in }, false},
	} {
		clear(b.functions)
		at := base.attr
		in := c.change(base.types(), &at)
		data := make([][]float64, 7)
		for i, t := range in {
			if t.DType != ir.Invalid {
				data[i] = make([]float64, t.Elems())
			}
		}
		compute(t, b, "attention", at, in, []ir.Type{in[0]}, data)
		taken := byAttention(b)
		if got := len(taken) == 1 && strings.HasPrefix(taken[0], "attention_wgmma_bf16"); got != c.taken {
			t.Errorf("%s: by %q", name, taken)
		}
	}
}

// heads makes those of query, key and value have d elements.
func heads(in []ir.Type, d int) []ir.Type {
	for i := range 3 {
		in[i] = in[i].With(in[i].Shape[0], in[i].Shape[1], in[i].Shape[2], ir.D(d))
	}
	return in
}

// Attention goes by wgmma where that proves itself, and by mma otherwise, which is told and recorded.
func TestAttentionWGMMAProves(t *testing.T) {
	if *device {
		t.Skip("an emulator's faults")
	}
	l := looking{dtype: ir.BF16, attr: op.AttentionAttr{Causal: true}, batch: 1, seq: 20, keys: 20, heads: 1, groups: 1, d: 64, dv: 64}
	want := l.run(t, openAs(t, "capability=80"))
	d := doubts{fmt.Sprint(ofAttention, ir.BF16, 64), "attention_wgmma_bf16_64", "differs from that by mma.sync", "has other bits in other company", 5}
	d.try(t, func(t *testing.T, b *Backend, good, told bool) {
		for range 2 {
			for i, got := range l.run(t, b) {
				if !good && !sameBits(got, want[i]) {
					t.Error("other bits than mma.sync's")
				}
			}
		}
		recorded := ""
		if told {
			recorded = "pipe without wgmma"
		}
		if got := b.Facts()["attention"]; got != recorded {
			t.Errorf("recorded is %q, want %q", got, recorded)
		}
	})
}
