package op

import "pipe.dev/compiler/ir"

// detach is the identity, through which no gradient flows.
func detach() Def {
	return Def{Name: "detach", Title: "Detach", Doc: "y = x, a constant to gradients.", NoGrad: true, View: true, Rows: true, Sees: seesAlike,
		Ports: []Port{{Name: "x", Doc: "the operand"}},
		Infer: sameAs(wantFloat),
		Ref:   each(func(x []float64) float64 { return x[0] }),
		Cost:  func(in, out []ir.Type, attr any) int64 { return 0 },
		Cases: []Case{{In: f32s([]int{3, 17}), Low: -2, High: 2}},
	}
}
