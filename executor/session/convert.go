package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/half"
	"pipe.dev/kernels/quant"
)

// convert changes the element type of a tensor, where a plan stores it in
// another than the checkpoint: to f32, bf16 or f16, rounded to nearest even, or to blocks
// of quantised weights.
func convert(from ir.DType, to ir.Type, data []byte) ([]byte, error) {
	if from.Blocked() && to.DType == ir.F32 {
		return decode(from, data)
	}
	read := reader(from)
	if read == nil || to.DType != ir.F32 && !narrow(to.DType) && !to.DType.Blocked() {
		return nil, fmt.Errorf("%v cannot be read as %v", from, to.DType)
	}
	if to.DType.Blocked() {
		return quantise(from.Size(), read, to, data)
	}
	return appendAs(make([]byte, 0, len(data)/from.Size()*to.DType.Size()), to.DType, read, from.Size(), data)
}

// appendAs appends elements of size bytes as f32, bf16 or f16. A number beyond f16 is an error.
func appendAs(out []byte, to ir.DType, read func(b []byte) float32, size int, data []byte) ([]byte, error) {
	for i := 0; len(data) >= size; data, i = data[size:], i+1 {
		switch v := read(data); to {
		case ir.BF16:
			out = binary.LittleEndian.AppendUint16(out, half.F32ToBF16(v))
		case ir.F16:
			if v > maxF16 || v < -maxF16 {
				return nil, fmt.Errorf("element %d is %v, and f16 ends at %v", i, v, maxF16)
			}
			out = binary.LittleEndian.AppendUint16(out, half.F32ToF16(v))
		default:
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
		}
	}
	return out, nil
}

func narrow(d ir.DType) bool { return d == ir.BF16 || d == ir.F16 }

// maxF16 is the greatest number of f16.
const maxF16 = 65504

// decode writes what blocks stand for.
func decode(from ir.DType, data []byte) ([]byte, error) {
	f, err := quant.Lookup(from.String())
	if err != nil {
		return nil, err
	}
	block := make([]float32, f.Block)
	out := make([]byte, 0, len(data)/f.Bytes*f.Block*4)
	for ; len(data) >= f.Bytes; data = data[f.Bytes:] {
		if err := f.Decode(block, data[:f.Bytes]); err != nil {
			return nil, err
		}
		for _, x := range block {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
		}
	}
	return out, nil
}

// reader gives what reads an element as f32; nil for what holds no such.
func reader(d ir.DType) func(b []byte) float32 {
	switch d {
	case ir.F64:
		return func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }
	case ir.F32:
		return func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }
	case ir.BF16:
		return func(b []byte) float32 { return half.BF16ToF32(binary.LittleEndian.Uint16(b)) }
	case ir.F16:
		return func(b []byte) float32 { return half.F16ToF32(binary.LittleEndian.Uint16(b)) }
	}
	return nil
}

// quantise writes blocks of the elements of data, size bytes each. Blocks do
// not depend on one another: each processor takes a run of them.
func quantise(size int, read func(b []byte) float32, to ir.Type, data []byte) ([]byte, error) {
	f, err := quant.Lookup(to.DType.String())
	if err != nil {
		return nil, err
	}
	out := make([]byte, to.Bytes())
	blocks := len(out) / f.Bytes
	if len(data) != blocks*f.Block*size {
		return nil, fmt.Errorf("%d bytes, want %d blocks of %d elements of %d", len(data), blocks, f.Block, size)
	}
	runs := runtime.GOMAXPROCS(0)
	errs := make([]error, runs)
	var wait sync.WaitGroup
	for r := range runs {
		wait.Go(func() {
			x := make([]float32, f.Block)
			for b := r * blocks / runs; b < (r+1)*blocks/runs && errs[r] == nil; b++ {
				for i := range x {
					x[i] = read(data[(b*f.Block+i)*size:])
				}
				if err := f.Encode(out[b*f.Bytes:(b+1)*f.Bytes], x); err != nil {
					errs[r] = fmt.Errorf("block %d: %w", b, err)
				}
			}
		})
	}
	wait.Wait()
	return out, errors.Join(errs...)
}
