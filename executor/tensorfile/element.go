package tensorfile

import (
	"encoding/binary"
	"slices"

	"pipe.dev/compiler/ir"
)

// element is how a file stores one number, and what is made of it.
type element struct {
	size   int      // bytes in the file
	big    bool     // big-endian in the file
	signed bool     // for widening
	to     ir.DType // in memory
}

// convert turns stored elements into those of e.to, little-endian. It may
// change data and return it.
func (e element) convert(data []byte) []byte {
	if e.big {
		for i := 0; i+e.size <= len(data); i += e.size {
			slices.Reverse(data[i : i+e.size])
		}
	}
	switch {
	case e.to == ir.Bool: // any byte but 0 is true
		for i, b := range data {
			if b != 0 {
				data[i] = 1
			}
		}
	case e.size == 2 && e.to == ir.I32:
		out := make([]byte, 0, 2*len(data))
		for i := 0; i < len(data); i += 2 {
			v := binary.LittleEndian.Uint16(data[i:])
			wide := uint32(v)
			if e.signed {
				wide = uint32(int32(int16(v)))
			}
			out = binary.LittleEndian.AppendUint32(out, wide)
		}
		return out
	case e.size == 4 && e.to == ir.I64:
		out := make([]byte, 0, 2*len(data))
		for i := 0; i < len(data); i += 4 {
			out = binary.LittleEndian.AppendUint64(out, uint64(binary.LittleEndian.Uint32(data[i:])))
		}
		return out
	}
	return data
}

// cOrder returns the elements of size bytes, stored in Fortran order (the
// first axis varies fastest), in C order.
func cOrder(data []byte, shape []int, size int) []byte {
	if len(shape) < 2 || len(data) == 0 {
		return data
	}
	stride := make([]int, len(shape)) // of each axis in data, in bytes
	step := size
	for i, n := range shape {
		stride[i] = step
		step *= n
	}
	out := make([]byte, 0, len(data))
	at := make([]int, len(shape)) // the index of the next element
	from := 0
	for len(out) < len(data) {
		out = append(out, data[from:from+size]...)
		for i := len(shape) - 1; i >= 0; i-- {
			at[i]++
			from += stride[i]
			if at[i] < shape[i] {
				break
			}
			from -= at[i] * stride[i]
			at[i] = 0
		}
	}
	return out
}
