package npy

import (
	"encoding/binary"
	"slices"

	"pipe.dev/compiler/ir"
)

// Element is how a file stores one number, and what is made of it.
type Element struct {
	Raw    string   // the type as safetensors spells it
	Size   int      // bytes in the file
	Big    bool     // big-endian in the file
	Signed bool     // for widening
	To     ir.DType // in memory: 16 bits, and 32 without a sign, are widened
}

// Convert turns stored elements into those of e.To, little-endian. It may
// change data and return it.
func (e Element) Convert(data []byte) []byte {
	data = e.Little(data)
	switch {
	case e.To == ir.Bool: // any byte but 0 is true
		for i, b := range data {
			if b != 0 {
				data[i] = 1
			}
		}
	case e.Size == 2 && e.To == ir.I32:
		out := make([]byte, 0, 2*len(data))
		for i := 0; i < len(data); i += 2 {
			v := binary.LittleEndian.Uint16(data[i:])
			wide := uint32(v)
			if e.Signed {
				wide = uint32(int32(int16(v)))
			}
			out = binary.LittleEndian.AppendUint32(out, wide)
		}
		return out
	case e.Size == 4 && e.To == ir.I64:
		out := make([]byte, 0, 2*len(data))
		for i := 0; i < len(data); i += 4 {
			out = binary.LittleEndian.AppendUint64(out, uint64(binary.LittleEndian.Uint32(data[i:])))
		}
		return out
	}
	return data
}

// Little turns stored elements into little-endian ones of the same type. It may
// change data and return it.
func (e Element) Little(data []byte) []byte {
	if e.Big {
		for i := 0; i+e.Size <= len(data); i += e.Size {
			slices.Reverse(data[i : i+e.Size])
		}
	}
	return data
}

// COrder returns the elements of size bytes, stored in Fortran order (the
// first axis varies fastest), in C order.
func COrder(data []byte, shape []int, size int) []byte {
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
