package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
)

// normed sets a weight that a file holds as directions and lengths, as PyTorch's
// weight_norm leaves it:
//
//	weight = direction * length / |direction|
//
// where a norm is taken over all axes along which length has size 1. Source:
// arXiv:1602.07868, equation 2.
func (u *unpacker) normed(length Tensor, directions, name string) error {
	v, ok := u.find(directions)
	if !ok {
		return nil // lengths of something else
	}
	if len(length.Shape) != len(v.Shape) {
		return fmt.Errorf("of shape %v does not go with %s of shape %v", length.Shape, v.Name, v.Shape)
	}
	for i, n := range length.Shape {
		if n != 1 && n != v.Shape[i] {
			return fmt.Errorf("of shape %v does not go with %s of shape %v", length.Shape, v.Name, v.Shape)
		}
	}
	number, size := numberReader(length)
	other, wide := numberReader(v)
	if number == nil || other == nil {
		return fmt.Errorf("is of dtype %s, and %s of %s: a weight by its length is read of floats", length.Raw, v.Name, v.Raw)
	}
	readLength, read := u.raw(length), u.raw(v)
	u.put(name, ir.F32, v.Shape, v, func() ([]byte, error) {
		lengths, err := readLength()
		if err != nil {
			return nil, err
		}
		data, err := read()
		if err != nil {
			return nil, err
		}
		x := make([]float64, len(data)/wide)
		for i := range x {
			x[i] = float64(other(data[i*wide:]))
		}
		row := rowsOf(v.Shape, length.Shape)
		squares := make([]float64, len(lengths)/size)
		for i, n := range x {
			squares[row(i)] += n * n
		}
		out := make([]byte, 0, 4*len(x))
		for i, n := range x {
			r := row(i)
			w := n * (float64(number(lengths[r*size:])) / math.Sqrt(squares[r]))
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(w)))
		}
		return out, nil
	}, length.Name, v.Name)
	return nil
}

// spectral sets a weight that a file holds beside the vectors u and v of PyTorch's
// spectral_norm, which divides it by its greatest singular value:
//
//	weight = original / (uᵀ W v), W the matrix of original along its first axis
//
// Source: arXiv:1802.05957, algorithm 1.
func (u *unpacker) spectral(w Tensor, leftName, rightName, name string) error {
	left, ok := u.find(leftName)
	right, also := u.find(rightName)
	if !ok || !also || len(w.Shape) < 2 || slices.Contains(w.Shape, 0) {
		return nil
	}
	rows := w.Shape[0]
	cols := 1
	for _, n := range w.Shape[1:] {
		cols *= n
	}
	for _, t := range []Tensor{w, left, right} {
		if t.DType != ir.F32 {
			return fmt.Errorf("belongs to a spectral norm, and %s is of dtype %s: want F32", t.Name, t.Raw)
		}
	}
	if !slices.Equal(left.Shape, []int{rows}) || !slices.Equal(right.Shape, []int{cols}) {
		return fmt.Errorf("of shape %v does not go with %s of shape %v and %s of shape %v", w.Shape, left.Name, left.Shape, right.Name, right.Shape)
	}
	read := []func() ([]byte, error){u.raw(w), u.raw(left), u.raw(right)}
	u.put(name, ir.F32, w.Shape, w, func() ([]byte, error) {
		var x [3][]byte
		for i, f := range read {
			var err error
			if x[i], err = f(); err != nil {
				return nil, err
			}
		}
		at := func(i, k int) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(x[i][4*k:]))) }
		greatest := 0.0
		for r := range rows {
			sum := 0.0
			for c := range cols {
				sum += at(0, r*cols+c) * at(2, c)
			}
			greatest += at(1, r) * sum
		}
		out := make([]byte, 0, 4*rows*cols)
		for i := range rows * cols {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(at(0, i)/greatest)))
		}
		return out, nil
	}, w.Name, left.Name, right.Name)
	return nil
}

// rowsOf gives, for an element of a tensor of the first shape, the index of the
// element of the second one that stands for it; sizes of 1 stand for a whole axis.
func rowsOf(shape, of []int) func(i int) int {
	return func(i int) int {
		at, step := 0, 1
		for axis := len(shape) - 1; axis >= 0; axis-- {
			if of[axis] != 1 {
				at += i % shape[axis] * step
				step *= of[axis]
			}
			i /= shape[axis]
		}
		return at
	}
}
