package cases

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"

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

// Sample draws the inputs of a case, the same ones each time: their bytes, and
// the values that these hold. An input that is left out is nil. Beside weights in
// blocks, what multiplies them is held exactly by 8 bits: see eighths.
func Sample(name string, c op.Case, in []ir.Type) (values [][]float64, data [][]byte) {
	h := fnv.New64a()
	fmt.Fprint(h, name, "/", c.Name)
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	values, data = make([][]float64, len(in)), make([][]byte, len(in))
	blocks := slices.ContainsFunc(in, func(t ir.Type) bool { return t.DType.Blocked() })
	for i, t := range in {
		if t.DType == ir.Invalid {
			continue
		}
		low, high := Bounds(c, i)
		x := make([]float64, t.Elems())
		number := t.DType.Float() || t.DType.Blocked()
		for k := range x {
			if number {
				x[k] = low + r.Float64()*(high-low)
			} else {
				x[k] = low + float64(r.Int64N(int64(high-low)+1))
			}
		}
		if i == 0 && blocks && t.DType.Float() {
			eighths(x)
		}
		data[i] = Encode(t.DType, x)
		values[i] = Decode(t.DType, data[i])
	}
	return values, data
}

// eighths rounds x, within ±1, to multiples of 1/128 and makes 127/128 the
// greatest of each 32, so that a backend that quantises activations to 8 bits
// rounds nothing away, and is held to the tolerance of any other.
func eighths(x []float64) {
	for k, v := range x {
		if x[k] = math.Max(-127, math.Min(127, math.Round(v*128))) / 128; k%32 == 0 {
			x[k] = math.Copysign(127./128, v)
		}
	}
}
