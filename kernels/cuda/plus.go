package cuda

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
)

// plus says whether a kernel is that of an op which adds its first input to the first
// result of the op before: then the inputs of that op come behind.
type plus bool

// args are those of the op before, and what the result is added to: nothing, if it is
// not.
func (p plus) args(a kernels.Args) (kernels.Args, kernels.Tensor) {
	if !p {
		return a, kernels.Tensor{}
	}
	z := a.In[0]
	a.In = a.In[1:]
	return a, z
}

// types are those of the inputs of the op before, and whether what they are added to
// is of the type of the result.
func (p plus) types(in, out []ir.Type) ([]ir.Type, bool) {
	if !p {
		return in, true
	}
	return in[1:], in[0].DType == out[0].DType
}

// inPlace says that the result may lie over what it is added to, or over inputs of the op
// before, by their numbers there.
func (p plus) inPlace(before func(i int) bool) func(i int) bool {
	if !p {
		return before
	}
	return func(i int) bool { return i == 0 || before != nil && before(i-1) }
}
