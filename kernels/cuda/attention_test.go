//go:build linux && (amd64 || arm64)

package cuda

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// What a sequence gets has the same bits alone and in company, and whatever room
// there is for keys: in tiles, and in parts of keys.
func TestAttentionAlone(t *testing.T) {
	b := open(t)
	for name, seq := range map[string]int{"few": 1, "tiles": 9} {
		alone := attended(t, b, 1, seq, 290, 280)
		company := attended(t, b, 3, seq, 530, 280, 510, 3)
		if got := company[:len(alone)]; !slices.Equal(got, alone) {
			t.Errorf("%s: %x\nin company, with more room for keys: %x", name, alone[:8], got[:8])
		}
	}
}

// attended runs attention of 6 heads in 2 groups of 12 elements, with room for so many keys,
// of which each sequence has some before its rows. What a sequence holds depends on its
// number alone.
func attended(t *testing.T, b *Backend, batch, seq, room int, past ...int32) []byte {
	t.Helper()
	const heads, groups, d = 6, 2, 12
	in := []ir.Type{ir.T(ir.F32, batch, seq, heads, d), ir.T(ir.F32, batch, room, groups, d), ir.T(ir.F32, batch, room, groups, d), {}, ir.T(ir.I32, batch), {}, {}}
	out := []ir.Type{in[0]}
	attr := op.AttentionAttr{Causal: true}
	k, ok := b.Kernel("attention", attr, in, out)
	if !ok {
		t.Fatal("no kernel")
	}
	args := kernels.Args{Attr: attr, Scratch: memory(t, b, ir.T(ir.U8, int(max(1, k.Scratch(attr, in, out)))))}
	for i, ty := range in {
		var x kernels.Tensor
		var data []byte
		if ty.DType != ir.Invalid {
			x = memory(t, b, ty)
		}
		switch size := ty.Sizes(); {
		case ty.DType == ir.I32:
			data, _ = binary.Append(nil, binary.LittleEndian, past)
		case ty.DType == ir.F32:
			each := size[1] * size[2] * size[3]
			for j := range batch * each {
				v := math.Sin(float64(1+i) * float64(1000*(j/each)+j%each))
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(v)))
			}
		}
		if data != nil {
			if err := x.Buffer.Write(0, data); err != nil {
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
