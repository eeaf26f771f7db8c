package op

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// GatedHalvesAttr describes a gated linear layer whose two weights are one, made by fusion.
type GatedHalvesAttr struct {
	OutFeatures int
	Act         string
	Bias        bool
	GateFirst   bool // the gate is the first half of the rows, not the second
	TF32        bool // see AllowTF32
}

// gatedHalves: x [..., in], weight [2 out, in], bias [2 out] -> [..., out].
// Source: arXiv:2002.05202.
func gatedHalves() Def {
	f := func(out int, bias bool, x ...int) []ir.Type {
		in := f32s(x, []int{2 * out, x[len(x)-1]})
		if bias {
			in = append(in, ir.T(ir.F32, 2*out))
		}
		return in
	}
	return Def{Name: "gated_halves", Doc: "y = act(g) * u, with g and u the halves of x Wᵀ + b.", Attr: GatedHalvesAttr{}, Rows: true,
		Ports: []Port{{Name: "x", Doc: "[..., in]"}},
		Params: func(in []ir.Type, attr any) ([]Param, error) {
			at := attr.(GatedHalvesAttr)
			n, err := features(in[0])
			if err != nil {
				return nil, err
			}
			ps := []Param{{Name: "weight", Shape: []ir.Dim{ir.D(2 * at.OutFeatures), n}, Init: "uniform"}}
			if at.Bias {
				ps = append(ps, Param{Name: "bias", Shape: []ir.Dim{ir.D(2 * at.OutFeatures)}, Init: "zeros"})
			}
			return ps, nil
		},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(GatedHalvesAttr)
			if err := first(wantOut(at.OutFeatures), wantAct(at.Act)); err != nil {
				return nil, err
			}
			if at.Act == "" {
				return nil, fmt.Errorf("act is empty; there are %v", actFunctions())
			}
			x := in[0]
			return []ir.Type{x.With(replaced(x.Shape, x.Rank()-1, ir.D(at.OutFeatures))...)}, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at := n.Attr.(GatedHalvesAttr)
			both := b.one("linear", LinearAttr{OutFeatures: 2 * at.OutFeatures, Bias: at.Bias, TF32: at.TF32}, n.In...)
			half := func(first bool) ir.Value {
				s := SliceAttr{Axis: -1, Stop: at.OutFeatures, Step: 1}
				if !first {
					s.Start, s.Stop = at.OutFeatures, 2*at.OutFeatures
				}
				return b.one("slice", s, both)
			}
			return []ir.Value{b.Mul(b.Act(at.Act, half(at.GateFirst)), half(!at.GateFirst))}
		},
		Cost: func(in, out []ir.Type, attr any) int64 {
			return 4 * int64(out[0].Elems()) * int64(lastDim(in[0]).N)
		},
		Cases: []Case{
			{In: f(32, true, 5, 16), Attr: GatedHalvesAttr{OutFeatures: 32, Act: "gelu", Bias: true}, Low: -1, High: 1, Tol: 1e-5},
			{Name: "gate first", In: f(33, true, 2, 3, 7), Attr: GatedHalvesAttr{OutFeatures: 33, Act: "silu", Bias: true, GateFirst: true}, Low: -1, High: 1, Tol: 1e-5},
			{Name: "single row", In: f(64, false, 1, 65), Attr: GatedHalvesAttr{OutFeatures: 64, Act: "gelu_tanh"}, Low: -1, High: 1, Tol: 1e-5},
			{Name: "tf32", In: f(34, true, 40, 33), Attr: GatedHalvesAttr{OutFeatures: 34, Act: "gelu", Bias: true, TF32: true}, Low: -1, High: 1, Tol: 4 * tf32Tol(33)},
			{Name: "large", In: f(1280, true, 1024, 320), Attr: GatedHalvesAttr{OutFeatures: 1280, Act: "gelu", Bias: true}, Low: -1, High: 1, Tol: 1e-4, Large: true},
		},
	}
}
