package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
)

// packed sets the weights of compressed-tensors: integers of 4 or 8 bits, the
// first in the low bits of a word, with an offset of half their range, and a
// scale for each group of a row.
func (u *unpacker) packed(t Tensor, base string) error {
	scale, ok := u.find(base + "weight_scale")
	size, also := u.find(base + "weight_shape")
	number, width := numberReader(scale)
	switch {
	case !ok || !also || t.DType != ir.I32 || len(t.Shape) != 2 || number == nil:
		return fmt.Errorf("is packed in a way that is not read (compressed-tensors of 4 or 8 bits are: weight_packed of i32, weight_scale, weight_shape)")
	case size.DType != ir.I64 || size.Bytes != 16:
		return fmt.Errorf("has a weight_shape of %s%v, want i64[2]", size.Raw, size.Shape)
	}
	for _, extra := range []string{"weight_zero_point", "weight_g_idx"} {
		if _, ok := u.find(base + extra); ok {
			return fmt.Errorf("is packed with %s, which is not read", extra)
		}
	}
	data, err := u.raw(size)()
	if err != nil {
		return err
	}
	rows, cols := int64(binary.LittleEndian.Uint64(data)), int64(binary.LittleEndian.Uint64(data[8:]))
	if rows != int64(t.Shape[0]) || cols <= 0 || cols > int64(t.Shape[1])*8 {
		return fmt.Errorf("of shape %v stands for [%d, %d], which does not fit", t.Shape, rows, cols)
	}
	bits := 0
	for _, b := range []int64{4, 8} {
		if (cols*b+31)/32 == int64(t.Shape[1]) {
			bits = int(b)
		}
	}
	if bits == 0 {
		return fmt.Errorf("of shape %v for [%d, %d] is not of 4 or 8 bits", t.Shape, rows, cols)
	}
	high, wide, err := blocksOf(int(rows), int(cols), scale.Shape)
	if err != nil {
		return err
	}
	p := &packing{int(rows), int(cols), t.Shape[1], bits, high, wide, number, width}
	read, readScale := u.raw(t), u.raw(scale)
	u.put(base+"weight", ir.F32, []int{p.rows, p.cols}, t, func() ([]byte, error) {
		data, err := read()
		if err != nil {
			return nil, err
		}
		scales, err := readScale()
		if err != nil {
			return nil, err
		}
		return p.unpack(data, scales), nil
	}, t.Name, scale.Name, size.Name)
	return nil
}

// packing is how integers lie in the words of a matrix.
type packing struct {
	rows, cols, words, bits int
	high, wide              int // of blocks that share a scale
	number                  func(b []byte) float32
	width                   int // bytes of a scale
}

func (p *packing) unpack(data, scales []byte) []byte {
	out := make([]byte, 0, 4*p.rows*p.cols)
	across, each := (p.cols+p.wide-1)/p.wide, 32/p.bits
	for r := range p.rows {
		for c := range p.cols {
			word := binary.LittleEndian.Uint32(data[4*(r*p.words+c/each):])
			q := int(word>>(c%each*p.bits))&(1<<p.bits-1) - 1<<(p.bits-1)
			s := p.number(scales[(r/p.high*across+c/p.wide)*p.width:])
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(q)*s))
		}
	}
	return out
}
