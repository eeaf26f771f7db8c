package cases

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// Bounds of input i of a case.
func Bounds(c op.Case, i int) (low, high float64) {
	if b, ok := c.Bounds[i]; ok {
		return b[0], b[1]
	}
	return c.Low, c.High
}

// Sample draws the inputs of a case, the same ones each time, exactly as the
// element types hold them. An input that is left out is nil.
func Sample(name string, c op.Case, in []ir.Type) [][]float64 {
	h := fnv.New64a()
	fmt.Fprint(h, name, "/", c.Name)
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	out := make([][]float64, len(in))
	for i, t := range in {
		if t.DType == ir.Invalid {
			continue
		}
		low, high := Bounds(c, i)
		x := make([]float64, t.Elems())
		for k := range x {
			if t.DType.Float() {
				x[k] = low + r.Float64()*(high-low)
			} else {
				x[k] = low + float64(r.Int64N(int64(high-low)+1))
			}
		}
		out[i] = Decode(t.DType, Encode(t.DType, x))
	}
	return out
}
