package convert

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/half"
	"pipe.dev/kernels/quant"
)

// piece is how many elements are converted at a time; a multiple of every block.
const piece = 1 << 16

// Values writes values of one type as another, in pieces: rounded to nearest
// even. Blocks become what they stand for.
func Values(w io.Writer, from, to ir.DType, data []byte) error {
	if from == to {
		_, err := w.Write(data)
		return err
	}
	return convertPieces(make([]float64, piece), make([]byte, 0, 8*piece), from, to, data, func(b []byte) error {
		_, err := w.Write(b)
		return err
	})
}

// convertPieces gives the values of data, of one type, as another to put.
// values and out are room for a piece.
func convertPieces(values []float64, out []byte, from, to ir.DType, data []byte, put func([]byte) error) error {
	read, block, size, err := reader(from)
	if err != nil {
		return err
	}
	step := piece / block * size
	for len(data) > 0 {
		n := min(len(data), step)
		count := n / size * block
		if err := read(values[:count], data[:n]); err != nil {
			return err
		}
		if err := put(appendFloats(out[:0], to, values[:count])); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// copy writes the bytes of one tensor, converted.
func (j *job) copy(name string, w io.Writer) error {
	i := j.byName[name]
	data, err := j.in.View(i.from.Name)
	if err != nil {
		return err
	}
	if size := i.stored(); size < i.from.Bytes {
		data = data[int64(i.part)*size:][:size]
	} else {
		defer j.in.Release(i.from.Name)
	}
	from, to := i.from.DType, i.to.DType
	if i.from.Raw == i.to.Raw && from == to {
		const bytes = 1 << 20
		for len(data) > 0 {
			n := min(len(data), bytes)
			if err := j.put(w, data[:n]); err != nil {
				return err
			}
			data = data[n:]
		}
		return nil
	}
	if j.values == nil {
		j.values, j.out = make([]float64, piece), make([]byte, 0, 8*piece)
	}
	return convertPieces(j.values, j.out, from, to, data, func(b []byte) error { return j.put(w, b) })
}

// put writes a piece and says how far the job is.
func (j *job) put(w io.Writer, data []byte) error {
	if err := j.ctx.Err(); err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	if j.done += int64(len(data)); j.Progress != nil {
		j.Progress(j.done, j.total)
	}
	return nil
}

// reader gives what reads values of a type, the elements of its blocks and
// their bytes.
func reader(d ir.DType) (read func(dst []float64, src []byte) error, block, size int, err error) {
	if d.Blocked() {
		f, err := quant.Lookup(d.String())
		if err != nil {
			return nil, 0, 0, err
		}
		narrow := make([]float32, piece)
		return func(dst []float64, src []byte) error {
			if err := f.Decode(narrow[:len(dst)], src); err != nil {
				return err
			}
			for i, x := range narrow[:len(dst)] {
				dst[i] = float64(x)
			}
			return nil
		}, f.Block, f.Bytes, nil
	}
	one := map[ir.DType]func(b []byte) float64{
		ir.F64:  func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) },
		ir.F32:  func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) },
		ir.BF16: func(b []byte) float64 { return float64(half.BF16ToF32(binary.LittleEndian.Uint16(b))) },
		ir.F16:  func(b []byte) float64 { return float64(half.F16ToF32(binary.LittleEndian.Uint16(b))) },
	}[d]
	if one == nil {
		return nil, 0, 0, fmt.Errorf("values of %v cannot be converted", d)
	}
	size = d.Size()
	return func(dst []float64, src []byte) error {
		for i := range dst {
			dst[i] = one(src[i*size:])
		}
		return nil
	}, 1, size, nil
}

// appendFloats rounds values to nearest even. f64 goes to 16 bits through f32,
// as in PyTorch.
func appendFloats(out []byte, to ir.DType, values []float64) []byte {
	switch to {
	case ir.F64:
		for _, x := range values {
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(x))
		}
	case ir.F32:
		for _, x := range values {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(x)))
		}
	case ir.BF16:
		for _, x := range values {
			out = binary.LittleEndian.AppendUint16(out, half.F32ToBF16(float32(x)))
		}
	case ir.F16:
		for _, x := range values {
			out = binary.LittleEndian.AppendUint16(out, half.F32ToF16(float32(x)))
		}
	}
	return out
}
