package op

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// gatedAct: gate and up alike -> y as they. Training writes it, so that neither
// the activation nor anything inside it is kept for the backward pass.
func gatedAct() Def {
	d := Def{Name: "gated_act", Doc: "y = act(gate) * up.", Attr: ActAttr{}, Rows: true, Sees: seesAlike, Ports: gatePorts(),
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) { return in[:1:1], wantGate(in, attr) },
		Lower: inWide(func(b *Builder, n *ir.Node, gate ir.Value) ir.Value {
			return lowerGatedAct(b, n.Attr.(ActAttr), n.In, gate)
		}),
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			return b.Apply("gated_act_grad", n.Attr, n.In[0], n.In[1], dy[0])
		},
		Cost:  func(in, out []ir.Type, attr any) int64 { return 9 * int64(in[0].Elems()) },
		Cases: gateCases(2),
	}
	return d
}

// gatedActGrad: gate, up, dy alike -> dgate, dup as they.
func gatedActGrad() Def {
	return Def{Name: "gated_act_grad", Doc: "dgate, dup = the gradients of gated_act, given that of its result.", Attr: ActAttr{},
		Outputs: []string{"dgate", "dup"}, Ports: append(gatePorts(), Port{Name: "dy", Doc: "the gradient of y"}),
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) { return in[:2:2], wantGate(in, attr) },
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			return b.Inlined(n.In, func(b *Builder, in []ir.Value) []ir.Value {
				y := lowerGatedAct(b, n.Attr.(ActAttr), in, b.wide(in[0]))
				return b.Grad(y, b.Cast(in[2], y.Type().DType), in[:2]...)
			})
		},
		Cost:  func(in, out []ir.Type, attr any) int64 { return 16 * int64(in[0].Elems()) },
		Cases: gateCases(3),
	}
}

func lowerGatedAct(b *Builder, at ActAttr, in []ir.Value, gate ir.Value) ir.Value {
	return b.Mul(b.activation(at, gate), b.Cast(in[1], gate.Type().DType))
}

func gatePorts() []Port {
	return []Port{{Name: "gate", Doc: "what the activation is of"}, {Name: "up", Doc: "as gate"}}
}

func wantGate(in []ir.Type, attr any) error {
	if fn := attr.(ActAttr).Fn; fn == "" {
		return fmt.Errorf("fn is empty; there are %v", actFunctions())
	}
	if err := first(wantAct(attr.(ActAttr).Fn), wantFloat("gate", in[0])); err != nil {
		return err
	}
	for _, t := range in[1:] {
		if !t.Equal(in[0]) {
			return fmt.Errorf("operands are %v and %v; want them alike", in[0], t)
		}
	}
	return nil
}

func gateCases(inputs int) []Case {
	in := func(sizes ...int) []ir.Type {
		var list []ir.Type
		for range inputs {
			list = append(list, ir.T(ir.F32, sizes...))
		}
		return list
	}
	// Factors of at most 1: near -6 the lowered slope of gelu_tanh is off by 17
	// roundings of 1, the factor of 1 - tanh² there.
	unit := map[int][2]float64{1: {-1, 1}, 2: {-1, 1}}
	var cases []Case
	for _, fn := range actFunctions() {
		at := DefaultAct(fn)
		at.Slope, at.Alpha = 0.1, 1.5
		cases = append(cases, Case{Name: fn, In: in(3, 33), Attr: at, Low: -6, High: 6, Bounds: unit, Tol: 4e-6},
			Case{Name: fn + " far", In: in(17), Attr: at, Low: -90, High: -80, Bounds: unit, Tol: 4e-6})
	}
	return append(cases, Case{Name: "long", In: in(2, 1500), Attr: DefaultAct("silu"), Low: -4, High: 4, Tol: 4e-6},
		Case{Name: "large", In: in(512, 2048), Attr: DefaultAct("silu"), Low: -6, High: 6, Large: true})
}
