package cuda

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// function is what source/elementwise.cu computes by a number: whether it also
// does so of whole numbers.
type function struct {
	code  uint32
	whole bool
}

var floats = map[string]function{
	"neg": {0, true}, "abs": {1, true}, "sign": {2, true}, "exp": {3, false}, "log": {4, false}, "sqrt": {5, false}, "rsqrt": {6, false},
	"sin": {7, false}, "cos": {8, false}, "tanh": {9, false}, "sigmoid": {10, false}, "erf": {11, false}, "floor": {12, false},
	"add": {13, true}, "sub": {14, true}, "mul": {15, true}, "div": {16, false}, "pow": {17, false}, "max": {18, true}, "min": {19, true},
}

// comparison is one of two that source/elementwise.cu knows, with the operands
// in turn or not.
type comparison struct {
	code    uint32
	swapped bool
}

var compares = map[string]comparison{"eq": {20, false}, "ne": {21, false}, "lt": {22, false}, "le": {23, false}, "gt": {22, true}, "ge": {23, true}}

var logic = map[string]uint32{"not": 24, "and": 25, "or": 26}

// elementwiseParams is Elementwise of source/elementwise.cu.
type elementwiseParams struct {
	y, a, b        driver.Pointer
	function, code uint32
	walk           walk[strides2]
}

// elementwiseOp makes the kernel of a function of one or two operands.
func elementwiseOp(name string) maker {
	f := floats[name]
	return func(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
		t := out[0].DType
		ok := stored(t) || f.whole && (t == ir.I32 || t == ir.I64)
		for _, x := range in {
			ok = ok && x.DType == t
		}
		k := b.elementwise(f.code, false, in, out)
		if !stored(t) {
			return k, ok
		}
		expr := map[int]string{1: "x0 ", 2: "x0 x1 "}[len(in)] + name
		return kernel{inPlace: k.inPlace, bind: func(args kernels.Args) (kernels.Step, error) {
			if inChain(args) {
				return b.bindChain(expr, args)
			}
			return k.bind(args)
		}}, ok
	}
}

// compareOp makes the kernel of a comparison, which gives bool.
func compareOp(name string) maker {
	f := compares[name]
	return func(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
		t := in[0].DType
		ok := in[1].DType == t && (stored(t) || t == ir.I32 || t == ir.I64 || t == ir.U8 || t == ir.Bool)
		return b.elementwise(f.code, f.swapped, in, out), ok
	}
}

func logicOp(name string) maker {
	return func(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
		ok := out[0].DType == ir.Bool
		for _, x := range in {
			ok = ok && x.DType == ir.Bool
		}
		return b.elementwise(logic[name], false, in, out), ok
	}
}

// elementwise is the kernel of a function by its code, however operands repeat.
func (b *Backend) elementwise(code uint32, swapped bool, in, out []ir.Type) kernel {
	return kernel{inPlace: sameType(in, out), bind: func(args kernels.Args) (kernels.Step, error) {
		x, y := args.In[0], kernels.Tensor{Shape: []int{}}
		if len(args.In) > 1 {
			y = args.In[1]
		}
		if swapped {
			x, y = y, x
		}
		at, err := b.pointers(args.Out[0], x, y)
		if err != nil {
			return nil, err
		}
		shape := args.Out[0].Shape
		p := &elementwiseParams{y: at[0], a: at[1], b: at[2], function: code, code: codes[x.DType]}
		if p.walk, err = walk2(shape, repeatStrides(x.Shape, shape), repeatStrides(y.Shape, shape)); err != nil || p.walk.n == 0 {
			return nothing, err
		}
		return launch(b, "elementwise", "elementwise", overElements(int(p.walk.n)), p)
	}}
}

// castOp converts between any two element types.
func castOp(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
	type params struct {
		y, x     driver.Pointer
		n        uint64
		from, to uint32
		truth    uint32
	}
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		at, err := b.pointers(args.Out[0], args.In[0])
		if err != nil || args.Out[0].Len() == 0 {
			return nothing, err
		}
		p := &params{y: at[0], x: at[1], n: uint64(args.Out[0].Len()), from: codes[args.In[0].DType], to: codes[args.Out[0].DType]}
		if args.Out[0].DType == ir.Bool {
			p.truth = 1
		}
		return launch(b, "elementwise", "cast", overElements(int(p.n)), p)
	}}, len(in) == 1
}

// selectOp is y = a where cond holds, else b; all repeat to one shape.
func selectOp(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
	type params struct {
		y, condition, a, b driver.Pointer
		bytes              uint32
		walk               walk[strides3]
	}
	ok := len(in) == 3 && in[0].DType == ir.Bool && in[1].DType == in[2].DType && in[1].DType == out[0].DType
	return kernel{inPlace: sameType(in, out), bind: func(args kernels.Args) (kernels.Step, error) {
		at, err := b.pointers(args.Out[0], args.In[0], args.In[1], args.In[2])
		if err != nil {
			return nil, err
		}
		p := &params{y: at[0], condition: at[1], a: at[2], b: at[3], bytes: uint32(args.Out[0].DType.Size())}
		to := args.Out[0].Shape
		p.walk, err = walk3(to, repeatStrides(args.In[0].Shape, to), repeatStrides(args.In[1].Shape, to), repeatStrides(args.In[2].Shape, to))
		if err != nil || p.walk.n == 0 {
			return nothing, err
		}
		return launch(b, "elementwise", "select", overElements(int(p.walk.n)), p)
	}}, ok
}

// iotaOp counts along an axis.
func iotaOp(b *Backend, attr any, _, out []ir.Type) (kernels.Kernel, bool) {
	type params struct {
		y           driver.Pointer
		n           uint64
		size, inner uint64
		code        uint32
	}
	a, ok := attr.(op.IotaAttr)
	t := out[0].DType
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		y, err := b.pointer(args.Out[0])
		if err != nil || args.Out[0].Len() == 0 {
			return nothing, err
		}
		_, n, inner := kernels.Around(args.Out[0].Shape, a.Axis)
		p := &params{y: y, n: uint64(args.Out[0].Len()), size: uint64(n), inner: uint64(inner), code: codes[t]}
		return launch(b, "elementwise", "iota", overElements(int(p.n)), p)
	}}, ok && (stored(t) || t.Int())
}
