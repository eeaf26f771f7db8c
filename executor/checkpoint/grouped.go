package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/quant"
)

// grouped sets the weights of GPTQ or AWQ: qweight, qzeros, scales, and g_idx
// of the former.
func (u *unpacker) grouped(t Tensor, base string) error {
	zeros, ok := u.find(base + "qzeros")
	scales, also := u.find(base + "scales")
	if !ok || !also || t.DType != ir.I32 || zeros.DType != ir.I32 || scales.DType != ir.F16 || len(t.Shape) != 2 || len(zeros.Shape) != 2 || len(scales.Shape) != 2 {
		return fmt.Errorf("is packed in a way that is neither GPTQ's nor AWQ's of 4 bits: want qweight and qzeros of i32 and scales of f16, two axes each")
	}
	g := quant.Grouped{In: t.Shape[0], Out: scales.Shape[1]}
	awq := t.Shape[1]*8 == g.Out
	if !awq {
		g.In *= 8
	}
	if !awq && t.Shape[1] != g.Out || zeros.Shape[1]*8 != g.Out || scales.Shape[0] == 0 || g.In%scales.Shape[0] != 0 || zeros.Shape[0] != scales.Shape[0] {
		return fmt.Errorf("of shape %v with scales %v and zeros %v is not of 4 bits, which alone are read of GPTQ and AWQ", t.Shape, scales.Shape, zeros.Shape)
	}
	g.Group = g.In / scales.Shape[0]
	order, ordered := u.find(base + "g_idx")
	parts := []string{t.Name, zeros.Name, scales.Name}
	if ordered {
		parts = append(parts, order.Name)
		index, err := u.raw(order)()
		if err != nil {
			return err
		}
		if order.DType != ir.I32 || len(index) != 4*g.In {
			return fmt.Errorf("has a g_idx of %s%v, want i32[%d]", order.Raw, order.Shape, g.In)
		}
		g.Index = make([]int32, g.In)
		ordered = false
		for i := range g.Index {
			g.Index[i] = int32(binary.LittleEndian.Uint32(index[4*i:]))
			ordered = ordered || int(g.Index[i]) != i/g.Group
		}
		if !ordered {
			g.Index = nil
		}
	}
	d := ir.F32
	if blocks, err := ir.ParseBlocked(fmt.Sprintf("q4_g%d", g.Group)); err == nil && !ordered {
		d = blocks
	}
	read := [3]func() ([]byte, error){u.raw(t), u.raw(zeros), u.raw(scales)}
	u.put(base+"weight", d, []int{g.Out, g.In}, t, func() ([]byte, error) { return unpackGrouped(g, awq, d, read) }, parts...)
	return nil
}

func unpackGrouped(g quant.Grouped, awq bool, d ir.DType, read [3]func() ([]byte, error)) ([]byte, error) {
	var data [3][]byte
	for i, f := range read {
		var err error
		if data[i], err = f(); err != nil {
			return nil, err
		}
	}
	g.Weights, g.Zeros, g.Scales = words(data[0]), words(data[1]), make([]uint16, len(data[2])/2)
	for i := range g.Scales {
		g.Scales[i] = binary.LittleEndian.Uint16(data[2][2*i:])
	}
	if d.Blocked() {
		out := make([]byte, ir.T(d, g.Out, g.In).Bytes())
		return out, g.Rows(out, awq)
	}
	dense := make([]float32, g.In*g.Out)
	run := g.GPTQ
	if awq {
		run = g.AWQ
	}
	if err := run(dense); err != nil {
		return nil, err
	}
	out := make([]byte, 0, 4*len(dense))
	for _, x := range dense {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out, nil
}

func words(data []byte) []uint32 {
	out := make([]uint32, len(data)/4)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	return out
}
