package op

import (
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
)

// actFunctions lists the activation functions; ActAttr's tag says the same.
func actFunctions() []string {
	return []string{"silu", "gelu", "gelu_tanh", "quick_gelu", "relu", "leaky_relu", "sigmoid", "tanh", "softplus", "mish", "elu", "relu2"}
}

// DefaultAct returns fn with the parameters that documents have by default.
func DefaultAct(fn string) ActAttr { return ActAttr{Fn: fn, Slope: 0.01, Alpha: 1} }

func wantAct(fn string) error {
	if fn != "" && !slices.Contains(actFunctions(), fn) {
		return fmt.Errorf("no activation function is called %q; there are %v", fn, actFunctions())
	}
	return nil
}

func act() Def {
	d := Def{Name: "act", Title: "Act", Doc: "y = fn(x), an activation function.", Attr: ActAttr{}, Rows: true, Sees: seesAlike,
		Ports: []Port{{Name: "x", Doc: "the operand"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			fn := attr.(ActAttr).Fn
			if fn == "" {
				return nil, fmt.Errorf("fn is empty; there are %v", actFunctions())
			}
			if err := first(wantAct(fn), wantFloat("x", in[0])); err != nil {
				return nil, err
			}
			return in[:1:1], nil
		},
		Lower: inWide(func(b *Builder, n *ir.Node, x ir.Value) ir.Value { return b.activation(n.Attr.(ActAttr), x) }),
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			return b.Apply("act_grad", n.Attr, n.In[0], dy[0])
		},
		Cost: func(in, out []ir.Type, attr any) int64 { return 8 * int64(in[0].Elems()) },
	}
	for _, fn := range actFunctions() {
		at := DefaultAct(fn)
		at.Slope, at.Alpha = 0.1, 1.5
		low, high := -6., 6.
		d.Cases = append(d.Cases,
			Case{Name: fn, In: f32s([]int{3, 33}), Attr: at, Low: low, High: high, Tol: 4e-6},
			Case{Name: fn + " far", In: f32s([]int{17}), Attr: at, Low: -90, High: -80, Tol: 4e-6},
			Case{Name: fn + " large", In: f32s([]int{512, 2048}), Attr: at, Low: low, High: high, Large: true})
		if fn == "gelu" || fn == "silu" {
			d.Cases = append(d.Cases, Case{Name: fn + " large 64 MiB", In: f32s([]int{8192, 2048}), Attr: at, Low: low, High: high, Large: true})
		}
	}
	return d
}

// actGrad: x and dy alike -> dx as they. It computes the activation again, so
// that training keeps nothing of it but x.
func actGrad() Def {
	d := Def{Name: "act_grad", Doc: "dx = fn'(x) dy, the gradient of act.", Attr: ActAttr{}, Rows: true,
		Ports: []Port{{Name: "x", Doc: "what the activation is of"}, {Name: "dy", Doc: "the gradient of y"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) { return in[:1:1], wantGate(in, attr) },
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			return b.Inlined(n.In, func(b *Builder, in []ir.Value) []ir.Value {
				y := b.activation(n.Attr.(ActAttr), b.wide(in[0]))
				return b.Grad(y, b.Cast(in[1], y.Type().DType), in[0])
			})
		},
		Cost:  func(in, out []ir.Type, attr any) int64 { return 12 * int64(in[0].Elems()) },
		Cases: gateCases(2),
	}
	at := DefaultAct("gelu")
	d.Cases = append(d.Cases, Case{Name: "gelu large", In: f32s([]int{512, 2048}, []int{512, 2048}), Attr: at, Low: -6, High: 6, Large: true})
	return d
}

// activation writes fn(x). Kinks take the slope of their left side, as in
// PyTorch.
//
// Sources: silu, gelu arXiv:1606.08415; mish arXiv:1908.08681; elu
// arXiv:1511.07289; relu2 arXiv:2109.08668.
func (b *Builder) activation(at ActAttr, x ir.Value) ir.Value {
	c := func(v float64) ir.Value { return b.Scalar(v, x) }
	below := func() ir.Value { return b.Le(x, c(0)) }
	switch at.Fn {
	case "silu":
		return b.Mul(x, b.Sigmoid(x))
	case "gelu": // x Φ(x)
		return b.Mul(b.Mul(c(0.5), x), b.Add(c(1), b.Erf(b.Mul(c(math.Sqrt2/2), x))))
	case "gelu_tanh":
		cube := b.Mul(c(0.044715), b.Mul(x, b.Mul(x, x)))
		t := b.Tanh(b.Mul(c(math.Sqrt(2/math.Pi)), b.Add(x, cube)))
		return b.Mul(b.Mul(c(0.5), x), b.Add(c(1), t))
	case "quick_gelu":
		return b.Mul(x, b.Sigmoid(b.Mul(c(1.702), x)))
	case "relu":
		return b.Select(below(), c(0), x)
	case "relu2":
		r := b.Select(below(), c(0), x)
		return b.Mul(r, r)
	case "leaky_relu":
		return b.Select(below(), b.Mul(c(at.Slope), x), x)
	case "sigmoid":
		return b.Sigmoid(x)
	case "tanh":
		return b.Tanh(x)
	case "softplus":
		return b.softplus(x)
	case "mish":
		return b.Mul(x, b.Tanh(b.softplus(x)))
	case "elu": // the exponential sees no positive x, so that it stays finite
		left := b.Select(below(), x, c(0))
		return b.Select(below(), b.Mul(c(at.Alpha), b.Sub(b.Exp(left), c(1))), x)
	}
	b.Fail(wantAct(at.Fn))
	return x
}

// softplus writes ln(1 + exp(x)) as max(x, 0) + ln(1 + exp(-|x|)).
func (b *Builder) softplus(x ir.Value) ir.Value {
	return b.Add(b.Max(x, b.Scalar(0, x)), b.Log(b.Add(b.Scalar(1, x), b.Exp(b.Neg(b.Abs(x))))))
}
