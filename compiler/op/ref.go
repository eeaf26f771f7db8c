package op

import "pipe.dev/compiler/ir"

// Helpers of the reference loops: plain index arithmetic on known sizes.

// sizesOf returns a shape in numbers.
func sizesOf(shape []ir.Dim) []int { return ir.Type{Shape: shape}.Sizes() }

func product(sizes []int) int {
	n := 1
	for _, s := range sizes {
		n *= s
	}
	return n
}

// strides returns the distance of neighbours along each axis, in C order.
func strides(sizes []int) []int {
	out := make([]int, len(sizes))
	n := 1
	for i := len(sizes) - 1; i >= 0; i-- {
		out[i] = n
		n *= sizes[i]
	}
	return out
}

// walk returns, for every index of a tensor of the given sizes in C order,
// the offset that the strides give.
func walk(sizes, strides []int) []int {
	out := make([]int, 0, product(sizes))
	var visit func(axis, at int)
	visit = func(axis, at int) {
		if axis == len(sizes) {
			out = append(out, at)
			return
		}
		for i := range sizes[axis] {
			visit(axis+1, at+i*strides[axis])
		}
	}
	visit(0, 0)
	return out
}

// spread returns, for every element of a tensor of sizes to, which element of
// one of sizes from it repeats.
func spread(from, to []int) []int {
	st := make([]int, len(to))
	own := strides(from)
	for i := range from {
		if from[i] != 1 {
			st[len(to)-len(from)+i] = own[i]
		}
	}
	return walk(to, st)
}

// around splits sizes at an axis: elements before, along and after it.
func around(sizes []int, axis int) (outer, n, inner int) {
	return product(sizes[:axis]), sizes[axis], product(sizes[axis+1:])
}

// each applies f to the i-th elements of all inputs, repeated to one shape.
func each(f func(x []float64) float64) func([][]float64, []ir.Type, any) [][]float64 {
	return func(in [][]float64, types []ir.Type, _ any) [][]float64 {
		shapes := make([][]ir.Dim, len(types))
		for i, t := range types {
			shapes[i] = t.Shape
		}
		shape, _ := broadcast(shapes...) // Infer has checked it
		to := sizesOf(shape)
		from := make([][]int, len(in))
		for i, t := range types {
			from[i] = spread(t.Sizes(), to)
		}
		y := make([]float64, product(to))
		x := make([]float64, len(in))
		for i := range y {
			for k := range in {
				x[k] = in[k][from[k][i]]
			}
			y[i] = f(x)
		}
		return [][]float64{y}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
