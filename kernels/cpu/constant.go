package cpu

import (
	"encoding/binary"
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/half"
)

// encodeOne gives the bytes of one element.
func encodeOne(d ir.DType, v float64) ([]byte, error) {
	le := binary.LittleEndian
	switch d {
	case ir.F64:
		return le.AppendUint64(nil, math.Float64bits(v)), nil
	case ir.F32:
		return le.AppendUint32(nil, math.Float32bits(float32(v))), nil
	case ir.BF16:
		return le.AppendUint16(nil, half.F32ToBF16(float32(v))), nil
	case ir.F16:
		return le.AppendUint16(nil, half.F32ToF16(float32(v))), nil
	case ir.I64:
		return le.AppendUint64(nil, uint64(int64(v))), nil
	case ir.I32:
		return le.AppendUint32(nil, uint32(int32(v))), nil
	case ir.I8:
		return []byte{byte(int8(v))}, nil
	case ir.U8:
		return []byte{byte(v)}, nil
	case ir.Bool:
		return []byte{truth(v != 0)}, nil
	}
	return nil, fmt.Errorf("no element type %v", d)
}

// fillStep writes one value everywhere.
func (b *Backend) fillStep(y vec, value []byte) kernels.Step {
	return b.blocks(y.n, func(i, j int) {
		to := y.bytes(i, j)
		for n := copy(to, value); n < len(to); n *= 2 { // what is there, again
			copy(to[n:], to[:n])
		}
	})
}

// constant writes data that the plan holds.
func constant(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ConstantAttr)
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		y, err := b.view(args.Out[0])
		if err != nil {
			return nil, err
		}
		if have := y.n * y.dtype.Size(); have != len(a.Data) {
			return nil, fmt.Errorf("constant of %d bytes for %d", len(a.Data), have)
		}
		return b.blocks(y.n, func(i, j int) { copy(y.bytes(i, j), a.Data[i*y.dtype.Size():]) }), nil
	}}, ok && len(in) == 0
}

// fill writes one value everywhere.
func fill(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.FillAttr)
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		y, err := b.view(args.Out[0])
		if err != nil {
			return nil, err
		}
		value, err := encodeOne(y.dtype, a.Value)
		if err != nil {
			return nil, err
		}
		return b.fillStep(y, value), nil
	}}, ok && len(in) == 0
}

// iota counts 0, 1, 2, ... along an axis.
func iotaOp(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.IotaAttr)
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		y, err := b.view(args.Out[0])
		if err != nil {
			return nil, err
		}
		_, n, inner := kernels.Around(args.Out[0].Shape, a.Axis)
		switch y.dtype {
		case ir.F32:
			return countStep(b, slice[float32](y), n, inner), nil
		case ir.I32:
			return countStep(b, slice[int32](y), n, inner), nil
		}
		return countStep(b, slice[int64](y), n, inner), nil
	}}, ok && len(in) == 0 && (out[0].DType == ir.F32 || out[0].DType == ir.I32 || out[0].DType == ir.I64)
}

func countStep[T number](b *Backend, y []T, n, inner int) kernels.Step {
	return b.blocks(len(y), func(i, j int) {
		for k := i; k < j; k++ {
			y[k] = T(k / inner % n)
		}
	})
}
