package op

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/internal/philox"
)

// DropoutAttr says how much is left out, and which random numbers decide.
type DropoutAttr struct {
	Rate float64 `cue:"rate: number & >=0 & <1 | *0.1" doc:"share of the elements that become 0"`
	Seed uint64  // set by training, of its seed and the place of the op
}

// Threshold is the least random word of an element that stays.
func (a DropoutAttr) Threshold() uint32 { return uint32(a.Rate * (1 << 32)) }

// dropout: x any shape, counter a scalar. Element i, in C order, stays if word
// i of the stream that seed and counter name is at least rate 2³².
// Source: arXiv:1207.0580, as torch.nn.Dropout scales it.
func dropout() Def {
	at := DropoutAttr{Rate: 0.25, Seed: 7}
	c := func(name string, sizes ...int) Case {
		return Case{Name: name, In: []ir.Type{ir.T(ir.F32, sizes...), ir.T(ir.I32)}, Attr: at, Low: -2, High: 2, Bounds: map[int][2]float64{1: {0, 99}}}
	}
	plain := Case{Name: "no counter", In: []ir.Type{ir.T(ir.F32, 3, 17), {}}, Attr: at, Low: -2, High: 2}
	none := c("rate 0", 5, 7)
	none.Attr = DropoutAttr{}
	wide := c("i64", 3, 5)
	wide.In[1] = ir.T(ir.I64)
	large := c("large", 512, 2048)
	large.Large = true
	return Def{Name: "dropout", Title: "Dropout", Doc: "y = 0 at a random share rate of the elements, else x / (1 - rate), while a model is trained; else y = x.",
		Attr: DropoutAttr{},
		Ports: []Port{{Name: "x", Doc: "the operand"},
			{Name: "counter", Doc: "i32, how many batches came before; training gives it to ops that leave it out", Optional: true}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			if r := attr.(DropoutAttr).Rate; r < 0 || r >= 1 {
				return nil, fmt.Errorf("rate is %v; want at least 0 and less than 1", r)
			}
			if err := wantFloat("x", in[0]); err != nil || in[1].DType == ir.Invalid {
				return in[:1:1], err
			}
			return in[:1:1], first(wantIndex("counter", in[1]), wantRank("counter", in[1], "", 0))
		},
		Ref: func(in [][]float64, _ []ir.Type, attr any) [][]float64 {
			at := attr.(DropoutAttr)
			y := make([]float64, len(in[0]))
			for i, x := range in[0] {
				switch {
				case in[1] == nil:
					y[i] = x
				case philox.Words(at.Seed, uint32(int64(in[1][0])), uint64(i/4))[i%4] >= at.Threshold():
					y[i] = x / (1 - at.Rate)
				}
			}
			return [][]float64{y}
		},
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			return []ir.Value{b.one("dropout", n.Attr, dy[0], n.In[1]), {}}
		},
		Cost:  func(in, out []ir.Type, _ any) int64 { return 20 * int64(out[0].Elems()) },
		Cases: []Case{c("", 3, 17), c("one element", 1), c("blocks", 5, 1025), c("empty", 0, 3), plain, none, wide, large},
	}
}
