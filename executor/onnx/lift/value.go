package lift

import (
	"encoding/binary"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/onnx"
	"pipe.dev/kernels/half"
)

// value is what a name of the file stands for. It is known, a constant of the
// file, or a value of the graph; it may be several of these.
type value struct {
	typ   ir.Type
	label string    // in the file
	nums  []float64 // its elements, if they are known
	// dims are elements that are products of named sizes; elements that are not,
	// are zero here. nil means that there are none.
	dims []ir.Dim
	src  *source
	node ir.Value
}

// source is a constant of the file.
type source struct {
	tensor *onnx.Tensor
	name   string // in its graph
	perm   []int  // axis i is axis perm[i] of the tensor; nil if they lie as they are
}

// known reports whether elements are known, and reads those of a small constant
// of the file.
func (l *lifter) known(v *value) bool {
	if v.nums == nil && v.src != nil && v.typ.Elems() <= maxLoad {
		l.load(v)
	}
	return v.nums != nil
}

// numeric reports whether all elements are known numbers.
func (l *lifter) numeric(v *value) bool { return l.known(v) && v.dims == nil }

// runtime is the element type that a type of a file becomes.
func runtime(raw string) (ir.DType, bool) {
	switch raw {
	case "F64", "F32", "F16", "BF16":
		return ir.F32, true
	case "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8":
		return ir.I32, true
	case "BOOL":
		return ir.Bool, true
	}
	return ir.Invalid, false
}

// constant is a tensor of the file.
func (l *lifter) constant(t *onnx.Tensor, name string) *value {
	d, ok := runtime(t.DType)
	if !ok {
		fail("tensor %s is of the type %s, which is not computed with", onnx.Show(t.Name), t.DType)
	}
	v := &value{typ: ir.Type{DType: d}, label: name, src: &source{tensor: t, name: name}}
	for _, n := range t.Shape {
		v.typ.Shape = append(v.typ.Shape, ir.D(n))
	}
	l.sized(v.typ)
	if v.typ.Rank() == 0 {
		l.load(v)
		v.src = nil
	}
	return v
}

// sized refuses values of more elements than can be.
func (l *lifter) sized(t ir.Type) {
	n := 1.0
	for _, d := range t.Shape {
		if d.N < 0 {
			fail("%v has a negative size", t)
		}
		n *= float64(d.N)
	}
	if n > maxElems {
		fail("%v has %.3g elements", t, n)
	}
}

// read reads the bytes of a constant.
func (l *lifter) read(t *onnx.Tensor) []byte {
	data, err := l.Values(t)
	if err != nil {
		fail("%w", err)
	}
	if int64(len(data)) != t.Bytes {
		fail("tensor %s has %d bytes, want %d", onnx.Show(t.Name), len(data), t.Bytes)
	}
	return data
}

// load reads the elements of a constant.
func (l *lifter) load(v *value) {
	nums := numbers(v.src.tensor.DType, l.read(v.src.tensor))
	if v.src.perm != nil {
		nums = transposed(nums, v.src.tensor.Shape, v.src.perm)
	}
	v.nums = nums
}

// transposed gives elements another order of axes.
func transposed(x []float64, shape, perm []int) []float64 {
	out := make([]float64, 0, len(x))
	walk(shape, perm, func(i int) { out = append(out, x[i]) })
	return out
}

// walk goes over the elements of a tensor in the order that they have once axis
// i is axis perm[i].
func walk(shape, perm []int, each func(i int)) {
	strides := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i] = n
		n *= shape[i]
	}
	index, at := make([]int, len(perm)), 0
	for range n {
		each(at)
		for i := len(perm) - 1; i >= 0; i-- {
			index[i]++
			at += strides[perm[i]]
			if index[i] < shape[perm[i]] {
				break
			}
			at -= index[i] * strides[perm[i]]
			index[i] = 0
		}
	}
}

// widths are the bytes of the elements that numbers reads.
var widths = map[string]int{"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1}

// numbers decodes elements. Whole numbers beyond 32 bits become the greatest or
// least of 32 bits, which is what they stand for in shapes and indices.
func numbers(raw string, data []byte) []float64 {
	w := widths[raw]
	out := make([]float64, len(data)/w)
	for i := range out {
		b := data[i*w:]
		switch raw {
		case "F64":
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(b))
		case "F32":
			out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
		case "F16":
			out[i] = float64(half.F16ToF32(binary.LittleEndian.Uint16(b)))
		case "BF16":
			out[i] = float64(half.BF16ToF32(binary.LittleEndian.Uint16(b)))
		case "I64":
			out[i] = clamped(float64(int64(binary.LittleEndian.Uint64(b))))
		case "I32":
			out[i] = float64(int32(binary.LittleEndian.Uint32(b)))
		case "I16":
			out[i] = float64(int16(binary.LittleEndian.Uint16(b)))
		case "I8":
			out[i] = float64(int8(b[0]))
		case "U64":
			out[i] = clamped(float64(binary.LittleEndian.Uint64(b)))
		case "U32":
			out[i] = clamped(float64(binary.LittleEndian.Uint32(b)))
		case "U16":
			out[i] = float64(binary.LittleEndian.Uint16(b))
		case "U8":
			out[i] = float64(b[0])
		case "BOOL":
			out[i] = truth(b[0] != 0)
		}
	}
	return out
}

func clamped(f float64) float64 { return max(math.MinInt32, min(math.MaxInt32, f)) }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// numbersOf is a known value of numbers.
func numbersOf(d ir.DType, shape []int, nums ...float64) *value {
	if nums == nil {
		nums = []float64{}
	}
	return &value{typ: ir.T(d, shape...), nums: nums}
}

func scalar(d ir.DType, x float64) *value { return numbersOf(d, nil, x) }

func vector(d ir.DType, nums ...float64) *value { return numbersOf(d, []int{len(nums)}, nums...) }

// shapeOf is the shape of v as a known value.
func shapeOf(shape []ir.Dim) *value {
	v := vector(ir.I32, make([]float64, len(shape))...)
	for i, d := range shape {
		if d.Known() {
			v.nums[i] = float64(d.N)
			continue
		}
		if v.dims == nil {
			v.dims = make([]ir.Dim, len(shape))
		}
		v.dims[i] = d
	}
	return v
}

// dim is element i of a known value as a size, a whole number or a product of
// named sizes; -1 may stand for what is left.
func (v *value) dim(i int) ir.Dim {
	if v.dims != nil && v.dims[i] != (ir.Dim{}) {
		return v.dims[i]
	}
	if n := v.nums[i]; n != math.Trunc(n) || math.Abs(n) > math.MaxInt32 {
		fail("%v is no size", n)
	}
	return ir.D(int(v.nums[i]))
}
