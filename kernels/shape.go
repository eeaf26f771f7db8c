package kernels

// Axis turns an axis that may count from the end into an index; the compiler has
// checked its range.
func Axis(a, rank int) int {
	if a < 0 {
		return a + rank
	}
	return a
}

// Around splits a shape at an axis: elements before, along and after it.
func Around(shape []int, a int) (outer, n, inner int) {
	a = Axis(a, len(shape))
	outer, inner = 1, 1
	for _, d := range shape[:a] {
		outer *= d
	}
	for _, d := range shape[a+1:] {
		inner *= d
	}
	return outer, shape[a], inner
}
