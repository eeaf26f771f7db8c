//go:build linux && (amd64 || arm64)

package cuda

import (
	"math"
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cases"
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
			if got := a.run(t, b)[:len(alone)]; !slices.Equal(got, alone) {
				t.Errorf("%v %s: %x\nin company, with more room for keys: %x", dt, name, alone[:8], got[:8])
			}
		}
	}
}

// On tensor cores a row has the same bits in tiles of many rows and in divided keys: so
// those of a text at once are those of its parts, and of token after token.
func TestAttentionParts(t *testing.T) {
	library := emulator.Library(t, ".")
	before, err := emulator.Count(library, "conflicts")
	if err != nil {
		t.Fatal(err)
	}
	b := open(t)
	for _, c := range []struct {
		name  string
		dtype ir.DType
		attr  op.AttentionAttr
		d     int
	}{
		{"bf16", ir.BF16, op.AttentionAttr{Causal: true}, 24},
		{"f16", ir.F16, op.AttentionAttr{Causal: true, Window: 70, ALiBi: 8}, 40},
		{"wide", ir.BF16, op.AttentionAttr{Causal: true, Softcap: 2, Scale: 0.5}, 136},
	} {
		a := attending{dtype: c.dtype, attr: c.attr, heads: 6, groups: 2, d: c.d, seq: 26, room: 200, past: []int32{120}}
		whole := a.run(t, b)
		line := len(whole) / a.seq
		if f, ok := b.newTensorForm(a.types()[:3]); !ok || f.tiles > 0 {
			t.Fatal("all at once are not in tiles")
		}
		for from := 0; from < a.seq; {
			part := a
			part.from, part.seq, part.past = from, min(1+2*from, 18, a.seq-from), []int32{120 + int32(from)}
			if f, ok := b.newTensorForm(part.types()[:3]); !ok || f.tiles == 0 {
				t.Fatal("the keys of a part are not divided")
			}
			got, want := part.run(t, b), whole[from*line:][:part.seq*line]
			if !slices.Equal(got, want) {
				t.Errorf("%s: positions from %d on, %d: %x\nwith the others: %x", c.name, from, part.seq, got[:16], want[:16])
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
	whole := a.run(t, b)
	a.documents, a.seq, a.room, a.from = a.documents[128:], 72, 72, 128
	if got, want := a.run(t, b), whole[2*16*128:]; !slices.Equal(got, want) {
		t.Errorf("alone %x\nbehind another %x", got[:16], want[:16])
	}
}

// attending is a call of attention with room for so many keys, of which each sequence
// has some before its rows, those from position from on. What a sequence holds depends
// on its number alone.
type attending struct {
	dtype            ir.DType
	attr             op.AttentionAttr
	heads, groups, d int
	seq, room, from  int
	past             []int32
	documents        []int32 // of the keys; none if left out
}

func (a attending) types() []ir.Type {
	keys := ir.T(a.dtype, len(a.past), a.room, a.groups, a.d)
	in := []ir.Type{ir.T(a.dtype, len(a.past), a.seq, a.heads, a.d), keys, keys, {}, ir.T(ir.I32, len(a.past)), {}, {}}
	if a.documents != nil {
		in[5] = ir.T(ir.I32, len(a.past), a.room)
	}
	return in
}

func (a attending) run(t *testing.T, b *Backend) []byte {
	t.Helper()
	in := a.types()
	out := []ir.Type{in[0]}
	k, ok := b.Kernel("attention", a.attr, in, out)
	if !ok {
		t.Fatal("no kernel")
	}
	args := kernels.Args{Attr: a.attr, Scratch: memory(t, b, ir.T(ir.U8, int(max(1, k.Scratch(a.attr, in, out)))))}
	for i, ty := range in {
		var x kernels.Tensor
		if ty.DType != ir.Invalid {
			x = memory(t, b, ty)
			if err := x.Buffer.Write(0, cases.Encode(ty.DType, a.values(i, ty))); err != nil {
				t.Fatal(err)
			}
		}
		args.In = append(args.In, x)
	}
	y := memory(t, b, out[0])
	args.Out = []kernels.Tensor{y}
	step, err := k.Bind(args)
	if err == nil {
		err = step(t.Context())
	}
	got := make([]byte, y.Buffer.Size())
	if err == nil {
		err = y.Buffer.Read(0, got)
	}
	if err != nil {
		t.Fatal(err)
	}
	return got
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
			all = append(all, math.Sin(float64(1+i)*float64(1000*z+from+j)))
		}
	}
	return all
}

// memory allocates a tensor for the time of a test.
func memory(t *testing.T, b *Backend, ty ir.Type) kernels.Tensor {
	t.Helper()
	buf, err := b.Alloc(ty.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { buf.Free() })
	return kernels.Tensor{Buffer: buf, DType: ty.DType, Shape: ty.Sizes()}
}
