package op

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
)

// ExpertLinearAttr describes the products of vectors with the weights of the
// experts that were chosen for them.
type ExpertLinearAttr struct {
	OutFeatures int  `cue:"out_features!: int & >0" doc:"size of the last axis of the result"`
	Experts     int  `cue:"experts!: int & >0" doc:"number of experts"`
	Transpose   bool // the weight of an expert is [in, out]; set by gradients
	TF32        bool // see AllowTF32
}

// expertLinear: x [..., in] or [..., k, in], chosen i32 [..., k], weight
// [experts, out, in] -> [..., k, out]. Only the chosen products are computed,
// and none depends on what else there is.
//
// Source: arXiv:1701.06538.
func expertLinear() Def {
	return Def{Name: "expert_linear", Title: "ExpertLinear", Doc: "y[.., j, :] = W[chosen[.., j]] x: each vector times the weights of the experts chosen for it.",
		Attr: ExpertLinearAttr{},
		Ports: []Port{{Name: "x", Doc: "[..., in], or [..., k, in]: one vector for each choice"},
			{Name: "chosen", Doc: "i32 [..., k], from 0: the experts of a vector; -1 is none, whose result is 0"}},
		Params: func(in []ir.Type, attr any) ([]Param, error) {
			at := attr.(ExpertLinearAttr)
			n, err := features(in[0])
			if err != nil {
				return nil, err
			}
			return []Param{{Name: "weight", Shape: at.shape(n), Init: "uniform", Blocks: !at.Transpose}}, nil
		},
		Infer: expertInfer,
		Lower: lowerExpertLinear,
		Grad:  gradExpertLinear,
		Cost: func(in, out []ir.Type, attr any) int64 {
			return 2 * int64(out[0].Elems()) * int64(lastDim(in[0]).N)
		},
		Cases: expertCases(),
	}
}

// shape is that of the weight, of vectors of n elements.
func (a ExpertLinearAttr) shape(n ir.Dim) []ir.Dim {
	if a.Transpose {
		return []ir.Dim{ir.D(a.Experts), n, ir.D(a.OutFeatures)}
	}
	return []ir.Dim{ir.D(a.Experts), ir.D(a.OutFeatures), n}
}

// Read is how many bytes of a weight of the given size are read for some choices,
// at most: those of as many experts as there are choices.
func (a ExpertLinearAttr) Read(weight, choices int64) int64 {
	return weight / int64(a.Experts) * min(int64(a.Experts), choices)
}

func expertInfer(in []ir.Type, attr any) ([]ir.Type, error) {
	at, x, idx := attr.(ExpertLinearAttr), in[0], in[1]
	if err := first(wantOut(at.OutFeatures), wantFloat("x", x), wantIndex("chosen", idx), wantAtLeast("chosen", idx, "[..., k]", 1),
		wantAtLeast("x", x, "[..., in]", 1), wantKnown("x", x, x.Rank()-1)); err != nil {
		return nil, err
	}
	lead := x.Shape[:x.Rank()-1]
	if !slices.Equal(lead, idx.Shape) && !slices.Equal(lead, idx.Shape[:idx.Rank()-1]) {
		return nil, fmt.Errorf("x is %s but chosen is %s; want [..., in] or [..., k, in], and [..., k]", ir.ShapeString(x.Shape), ir.ShapeString(idx.Shape))
	}
	return []ir.Type{x.With(append(slices.Clone(idx.Shape), ir.D(at.OutFeatures))...)}, nil
}

// lowerExpertLinear computes the products with all experts and takes the
// chosen ones.
func lowerExpertLinear(b *Builder, n *ir.Node) []ir.Value {
	at := n.Attr.(ExpertLinearAttr)
	x, idx, w := n.In[0], n.In[1], n.In[2]
	t := x.Type()
	w = b.Cast(w, t.DType)
	if at.Transpose {
		w = b.Transpose(w, 0, 2, 1)
	}
	all := b.product(x, b.Reshape(w, ir.D(at.Experts*at.OutFeatures), lastDim(t)), MatMulAttr{TransB: true, TF32: at.TF32})
	shape := append(slices.Clone(t.Shape[:t.Rank()-1]), ir.D(at.Experts), ir.D(at.OutFeatures))
	chosen := b.Cast(b.OneHot(idx, at.Experts), t.DType) // [..., k, experts]
	if t.Rank() > idx.Type().Rank() {                    // one vector for each choice
		chosen = b.Reshape(chosen, append(slices.Clone(idx.Type().Shape), ir.D(1), ir.D(at.Experts))...)
	}
	y := b.MatMul(chosen, b.Reshape(all, shape...), false, false)
	return []ir.Value{b.Reshape(y, n.Types[0].Shape...)}
}

// gradExpertLinear: dx is the product with the same experts' weights
// transposed, summed over choices; dweight a sum over the vectors of an expert.
func gradExpertLinear(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
	at := n.Attr.(ExpertLinearAttr)
	x, idx, w := n.In[0], n.In[1], n.In[2]
	if w.Type().DType.Blocked() {
		w = b.Cast(w, x.Type().DType)
	}
	back := ExpertLinearAttr{OutFeatures: lastDim(x.Type()).N, Experts: at.Experts, Transpose: !at.Transpose, TF32: at.TF32}
	dx := b.Apply("expert_linear", back, dy[0], idx, w)[0]
	if x.Type().Rank() == idx.Type().Rank() {
		dx = b.Sum(dx, false, -2)
	}
	from, to := x, dy[0]
	if at.Transpose {
		from, to = dy[0], x
	}
	dw := b.Apply("expert_linear_grad", ExpertGradAttr{Experts: at.Experts, TF32: at.TF32}, from, idx, to)[0]
	return []ir.Value{dx, {}, b.Cast(dw, w.Type().DType)}
}

// ExpertGradAttr is the number of experts.
type ExpertGradAttr struct {
	Experts int
	TF32    bool // see AllowTF32
}

// expertLinearGrad: x [..., in] or [..., k, in], chosen [..., k], dy likewise
// [..., k, out] or [..., out] -> f32 [experts, out, in].
func expertLinearGrad() Def {
	c := func(name string, x, dy []int, idx ...int) Case {
		return Case{Name: name, In: []ir.Type{ir.T(ir.F32, x...), ir.T(ir.I32, idx...), ir.T(ir.F32, dy...)}, Attr: ExpertGradAttr{Experts: 4},
			Low: -1, High: 1, Bounds: map[int][2]float64{1: {0, 3}}, Tol: 1e-5}
	}
	none := c("none among them", []int{7, 3, 5}, []int{7, 3, 6}, 7, 3)
	none.Bounds = map[int][2]float64{1: {-1, 3}}
	rounded := c("tf32", []int{40, 35}, []int{40, 2, 33}, 40, 2)
	rounded.Attr, rounded.Tol = ExpertGradAttr{Experts: 4, TF32: true}, tf32Tol(40)
	large := c("large", []int{512, 512}, []int{512, 2, 1024}, 512, 2)
	large.Large = true
	return Def{Name: "expert_linear_grad", Doc: "dw[e] = the sum of dy xᵀ over the vectors of expert e.", Attr: ExpertGradAttr{},
		Ports: []Port{{Name: "x", Doc: "[..., in], or [..., k, in]"}, {Name: "chosen", Doc: "i32 [..., k]"}, {Name: "dy", Doc: "[..., k, out], or [..., out]"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			for i, name := range map[int]string{0: "x", 2: "dy"} {
				if err := first(wantFloat(name, in[i]), wantIndex("chosen", in[1]), wantAtLeast("chosen", in[1], "[..., k]", 1),
					wantAtLeast(name, in[i], "[..., n]", 1), wantKnown(name, in[i], in[i].Rank()-1)); err != nil {
					return nil, err
				}
				lead, idx := in[i].Shape[:in[i].Rank()-1], in[1].Shape
				if !slices.Equal(lead, idx) && !slices.Equal(lead, idx[:len(idx)-1]) {
					return nil, fmt.Errorf("%s is %s but chosen is %s", name, ir.ShapeString(in[i].Shape), ir.ShapeString(idx))
				}
			}
			return []ir.Type{{DType: ir.F32, Shape: []ir.Dim{ir.D(attr.(ExpertGradAttr).Experts), lastDim(in[2]), lastDim(in[0])}}}, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			experts := n.Attr.(ExpertGradAttr).Experts
			idx := n.In[1].Type().Shape
			pairs := n.In[1].Type().Len()
			rows := func(v ir.Value) ir.Value { // [pairs, features]
				v = b.Cast(v, ir.F32)
				last := lastDim(v.Type())
				if v.Type().Rank() == len(idx) {
					v = b.Reshape(v, append(slices.Clone(idx[:len(idx)-1]), ir.D(1), last)...)
				}
				return b.Reshape(b.Broadcast(v, append(slices.Clone(idx), last)...), pairs, last)
			}
			x, dy := rows(n.In[0]), rows(n.In[2])
			chosen := b.Reshape(b.OneHot(n.In[1], experts), pairs, ir.D(experts), ir.D(1))
			spread := b.Mul(chosen, b.Reshape(dy, pairs, ir.D(1), lastDim(dy.Type())))
			all := b.MatMul(b.Reshape(spread, pairs, ir.D(experts*lastDim(dy.Type()).N)), x, true, false)
			return []ir.Value{b.Reshape(all, n.Types[0].Shape...)}
		},
		Cost: func(in, out []ir.Type, attr any) int64 {
			return 2 * int64(in[1].Elems()) * int64(lastDim(in[0]).N) * int64(lastDim(in[2]).N)
		},
		Cases: []Case{c("", []int{5, 3}, []int{5, 2, 6}, 5, 2), c("own vectors", []int{2, 3, 2, 33}, []int{2, 3, 2, 17}, 2, 3, 2),
			c("shared result", []int{3, 2, 35}, []int{3, 5}, 3, 2), c("panels", []int{9, 64}, []int{9, 1, 40}, 9, 1), none, rounded, large},
	}
}

func expertCases() []Case {
	c := func(name string, at ExpertLinearAttr, x []int, idx ...int) Case {
		w := ir.T(ir.F32, at.Experts, at.OutFeatures, x[len(x)-1])
		if at.Transpose {
			w = ir.T(ir.F32, at.Experts, x[len(x)-1], at.OutFeatures)
		}
		return Case{Name: name, In: []ir.Type{ir.T(ir.F32, x...), ir.T(ir.I32, idx...), w}, Attr: at, Low: -1, High: 1,
			Bounds: map[int][2]float64{1: {0, float64(at.Experts - 1)}}, Tol: 1e-5}
	}
	none := c("none among them", ExpertLinearAttr{OutFeatures: 33, Experts: 3}, []int{2, 9, 3, 17}, 2, 9, 3)
	none.Bounds = map[int][2]float64{1: {-1, 2}}
	large := c("large", ExpertLinearAttr{OutFeatures: 1024, Experts: 8}, []int{256, 512}, 256, 2)
	large.Large = true
	row := c("large row", ExpertLinearAttr{OutFeatures: 2048, Experts: 8}, []int{1, 1024}, 1, 2)
	row.Large = true
	// Experts of a small Mixtral, a token and a prompt.
	quantisedRow := c("quantised row", ExpertLinearAttr{OutFeatures: 3584, Experts: 8}, []int{1, 1, 1024}, 1, 1, 2)
	quantisedRows := c("quantised 128 rows", ExpertLinearAttr{OutFeatures: 3584, Experts: 8}, []int{1, 128, 1024}, 1, 128, 2)
	for _, q := range []*Case{&quantisedRow, &quantisedRows} {
		q.Large, q.Quantised = true, true
	}
	rounded := c("tf32", ExpertLinearAttr{OutFeatures: 33, Experts: 3, TF32: true}, []int{2, 20, 35}, 2, 20, 1)
	rounded.Tol = tf32Tol(35)
	return []Case{
		c("", ExpertLinearAttr{OutFeatures: 5, Experts: 3}, []int{4, 3}, 4, 2),
		c("own vectors", ExpertLinearAttr{OutFeatures: 17, Experts: 4}, []int{2, 3, 2, 33}, 2, 3, 2),
		c("panels", ExpertLinearAttr{OutFeatures: 40, Experts: 2}, []int{2, 19, 35}, 2, 19, 1),
		c("transposed", ExpertLinearAttr{OutFeatures: 45, Experts: 3, Transpose: true}, []int{2, 9, 2, 7}, 2, 9, 2),
		c("one row", ExpertLinearAttr{OutFeatures: 66, Experts: 5}, []int{1, 1, 65}, 1, 1, 3),
		c("blocks", ExpertLinearAttr{OutFeatures: 40, Experts: 3}, []int{2, 9, 512}, 2, 9, 2),
		c("row of blocks", ExpertLinearAttr{OutFeatures: 33, Experts: 5}, []int{1, 1, 768}, 1, 1, 2),
		c("own vectors in blocks", ExpertLinearAttr{OutFeatures: 64, Experts: 2}, []int{1, 5, 2, 256}, 1, 5, 2),
		rounded, none, large, row, quantisedRow, quantisedRows,
	}
}
