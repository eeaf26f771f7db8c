package model

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// Precisions are what a model can compute in.
var Precisions = []string{"f32", "tf32", "bf16", "f16"}

// ParsePrecision gives the type that a model computes in by its name, "" for f32, and whether products
// of f32 may be of numbers rounded to tf32.
func ParsePrecision(text string) (d ir.DType, tf32 bool, err error) {
	switch text {
	case "", "f32":
		return ir.F32, false, nil
	case "tf32":
		return ir.F32, true, nil
	case "bf16":
		return ir.BF16, false, nil
	case "f16":
		return ir.F16, false, nil
	}
	return ir.Invalid, false, fmt.Errorf("%q is no precision, want one of %q", text, Precisions)
}
