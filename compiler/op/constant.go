package op

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
)

// constantType reads a type from attributes.
func constantType(dtype string, shape Dims) (ir.Type, error) {
	t, err := ir.ParseDType(dtype)
	if err != nil {
		return ir.Type{}, err
	}
	dims, err := shape.Slice()
	if err != nil {
		return ir.Type{}, err
	}
	for _, d := range dims {
		if d.N < 0 {
			return ir.Type{}, fmt.Errorf("shape %s has a negative size", ir.ShapeString(dims))
		}
	}
	return ir.Type{DType: t, Shape: dims}, nil
}

// constant is data known to the compiler, little-endian in C order.
func constant() Def {
	return Def{Name: "constant", Doc: "y = data known when the plan is made.", Attr: ConstantAttr{}, NoGrad: true, Cost: free,
		Infer: func(_ []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(ConstantAttr)
			t, err := constantType(at.DType, at.Shape)
			if err != nil {
				return nil, err
			}
			if !t.Known() || t.Bytes() != int64(len(at.Data)) {
				return nil, fmt.Errorf("%v takes %d bytes but data has %d", t, t.Bytes(), len(at.Data))
			}
			return []ir.Type{t}, nil
		},
		Ref: func(_ [][]float64, _ []ir.Type, attr any) [][]float64 {
			at := attr.(ConstantAttr)
			t, _ := constantType(at.DType, at.Shape)
			return [][]float64{numbers(t.DType, []byte(at.Data))}
		},
		Cases: []Case{
			{Attr: ConstantAttr{DType: "i32", Shape: "3", Data: "\x01\x00\x00\x00\xff\xff\xff\xff\x00\x01\x00\x00"}},
			{Name: "f32", Attr: ConstantAttr{DType: "f32", Shape: "1,2", Data: "\x00\x00\x80\x3f\x00\x00\x00\xc0"}},
		},
	}
}

// numbers decodes little-endian elements.
func numbers(t ir.DType, data []byte) []float64 {
	y := make([]float64, len(data)/t.Size())
	for i := range y {
		e := data[i*t.Size():]
		switch t {
		case ir.F64:
			y[i] = math.Float64frombits(binary.LittleEndian.Uint64(e))
		case ir.F32:
			y[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(e)))
		case ir.BF16:
			y[i] = float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(e)) << 16))
		case ir.F16:
			y[i] = binary16(binary.LittleEndian.Uint16(e))
		case ir.I64:
			y[i] = float64(int64(binary.LittleEndian.Uint64(e)))
		case ir.I32:
			y[i] = float64(int32(binary.LittleEndian.Uint32(e)))
		case ir.I8:
			y[i] = float64(int8(e[0]))
		default:
			y[i] = float64(e[0])
		}
	}
	return y
}

// binary16 widens an IEEE 754 half-precision number.
func binary16(h uint16) float64 {
	sign := 1 - 2*float64(h>>15)
	exp, frac := int(h>>10)&31, float64(h&1023)
	switch {
	case exp == 0:
		return sign * math.Ldexp(frac, -24)
	case exp == 31 && frac == 0:
		return math.Inf(int(sign))
	case exp == 31:
		return math.NaN()
	}
	return sign * math.Ldexp(1024+frac, exp-25)
}

func fill() Def {
	return Def{Name: "fill", Title: "Fill", Doc: "y = one value everywhere.", Attr: FillAttr{}, NoGrad: true, Cost: free, Sees: seesAlike,
		Infer: func(_ []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(FillAttr)
			t, err := constantType(at.DType, at.Shape)
			return []ir.Type{t}, err
		},
		Ref: func(_ [][]float64, _ []ir.Type, attr any) [][]float64 {
			at := attr.(FillAttr)
			t, _ := constantType(at.DType, at.Shape)
			return [][]float64{slices.Repeat([]float64{at.Value}, t.Elems())}
		},
		Cases: []Case{
			{Attr: FillAttr{DType: "f32", Shape: "3,17", Value: -0.5}},
			{Name: "scalar", Attr: FillAttr{DType: "f32", Value: 2}},
			{Name: "i32", Attr: FillAttr{DType: "i32", Shape: "5", Value: 7}},
		},
	}
}

func iotaDef() Def {
	return Def{Name: "iota", Title: "Iota", Doc: "y = 0, 1, 2, ... along an axis.", Attr: IotaAttr{}, NoGrad: true, Cost: free,
		Infer: func(_ []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(IotaAttr)
			t, err := constantType(at.DType, at.Shape)
			if err != nil {
				return nil, err
			}
			_, err = axis(at.Axis, t.Rank())
			return []ir.Type{t}, first(err, wantNumber("the result", t))
		},
		Ref: func(_ [][]float64, _ []ir.Type, attr any) [][]float64 {
			at := attr.(IotaAttr)
			t, _ := constantType(at.DType, at.Shape)
			i, _ := axis(at.Axis, t.Rank())
			outer, n, inner := around(t.Sizes(), i)
			var y []float64
			for range outer {
				for j := range n {
					y = append(y, slices.Repeat([]float64{float64(j)}, inner)...)
				}
			}
			return [][]float64{y}
		},
		Cases: []Case{
			{Attr: IotaAttr{DType: "i32", Shape: "17", Axis: -1}},
			{Name: "outer axis", Attr: IotaAttr{DType: "i32", Shape: "3,5", Axis: 0}},
			{Name: "f32", Attr: IotaAttr{DType: "f32", Shape: "2,33", Axis: 1}},
		},
	}
}
