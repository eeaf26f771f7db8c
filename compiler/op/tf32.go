package op

import (
	"math"

	"pipe.dev/compiler/ir"
)

// AllowTF32 is the attribute of an op whose products of f32 with f32 may be of numbers
// rounded to tf32: 8 bits of exponent and 10 of fraction, to nearest, so each operand is
// off by 2^-11 of itself at most. Sums stay f32. It is a permission: a device that is no
// faster for it computes in f32, as the CPU does. An op that has no such products, by
// the types of what it is applied to, keeps its attribute.
//
// Gradients, and the simpler ops that an op is made of, have the permission of the op.
func AllowTF32(attr any, in []ir.Type) any {
	if len(in) < 2 || in[0].DType != ir.F32 {
		return attr
	}
	switch a := attr.(type) {
	case MatMulAttr:
		a.TF32 = in[1].DType == ir.F32
		return a
	case LinearAttr:
		a.TF32 = in[1].DType == ir.F32
		return a
	case ConvLayerAttr:
		a.TF32 = in[1].DType == ir.F32
		return a
	case ConvTransposeLayerAttr:
		a.TF32 = in[1].DType == ir.F32
		return a
	case ExpertLinearAttr:
		a.TF32 = len(in) > 2 && in[2].DType == ir.F32
		return a
	}
	return attr
}

// tf32Tol is the tolerance of sums of k products of numbers up to 1 in tf32. A product is
// off by 2^-10 of itself at most, and by 2^-11.3 of it in the root mean square, of which
// a sum of k such, 1/3 each, has 1.3e-4 times the root of k: this is seven times as much.
func tf32Tol(k int) float64 { return math.Sqrt(float64(k)) / 1024 }
