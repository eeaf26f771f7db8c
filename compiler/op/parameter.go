package op

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// ParameterAttr is the shape of a weight and the last part of its name.
type ParameterAttr struct {
	Name  string `cue:"name: string | *\"weight\"" doc:"the last part of the weight's name"`
	Shape Ints   `cue:"shape!: [int & >0, ...int & >0]" doc:"its sizes"`
	// Within is how a new weight begins.
	Within float64 `cue:"within: number & >=0 | *0" doc:"a new weight is random within this of 0"`
}

// parameter: weight -> f32, of the same shape.
func parameter() Def {
	return Def{Name: "parameter", Title: "Parameter", Doc: "y = a weight, as a value that other operations read.", Attr: ParameterAttr{},
		Params: func(in []ir.Type, attr any) ([]Param, error) {
			at := attr.(ParameterAttr)
			var shape []ir.Dim
			for _, n := range at.Shape.Slice() {
				if n <= 0 {
					return nil, fmt.Errorf("shape has a size of %d; want at least 1", n)
				}
				shape = append(shape, ir.D(n))
			}
			init := "zeros"
			if at.Within > 0 {
				init = ir.Within(at.Within)
			}
			return []Param{{Name: at.Name, Shape: shape, Init: init}}, nil
		},
		Infer: func(in []ir.Type, _ any) ([]ir.Type, error) {
			if len(in) != 1 {
				return nil, fmt.Errorf("has %d inputs, want its weight", len(in))
			}
			return []ir.Type{in[0].As(ir.F32)}, wantFloat("weight", in[0])
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value { return []ir.Value{b.Cast(n.In[0], ir.F32)} },
		Cost:  free,
		Cases: []Case{{In: []ir.Type{ir.T(ir.F32, 3, 5)}, Attr: ParameterAttr{Name: "weight", Shape: "3,5"}, Low: -1, High: 1}},
	}
}
