package op

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// features gives the size of the last axis of x, which a weight needs as a number.
func features(x ir.Type) (ir.Dim, error) {
	if err := first(wantFloat("x", x), wantAtLeast("x", x, "[..., in]", 1), wantKnown("x", x, x.Rank()-1)); err != nil {
		return ir.Dim{}, err
	}
	return lastDim(x), nil
}

// linear: x [..., in], weight [out, in], bias [out] -> [..., out].
func linear() Def {
	return Def{Name: "linear", Title: "Linear", Doc: "y = x Wᵀ + b.", Attr: LinearAttr{}, Rows: true,
		Ports: []Port{{Name: "x", Doc: "[..., in]"}},
		Params: func(in []ir.Type, attr any) ([]Param, error) {
			at := attr.(LinearAttr)
			n, err := features(in[0])
			if err != nil {
				return nil, err
			}
			out := ir.D(at.OutFeatures)
			shape := []ir.Dim{out, n}
			if at.Transpose {
				shape = []ir.Dim{n, out}
			}
			ps := []Param{{Name: "weight", Shape: shape, Init: "uniform", Blocks: !at.Transpose}}
			if at.Bias {
				ps = append(ps, Param{Name: "bias", Shape: []ir.Dim{out}, Init: "zeros"})
			}
			return ps, nil
		},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(LinearAttr)
			if err := first(wantOut(at.OutFeatures), wantAct(at.Act)); err != nil {
				return nil, err
			}
			x := in[0]
			return []ir.Type{x.With(replaced(x.Shape, x.Rank()-1, ir.D(at.OutFeatures))...)}, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at := n.Attr.(LinearAttr)
			y := b.product(n.In[0], n.In[1], MatMulAttr{TransB: !at.Transpose, TF32: at.TF32})
			if at.Bias {
				y = b.Add(y, b.Cast(n.In[2], y.Type().DType))
			}
			if at.Act != "" {
				y = b.Act(at.Act, y)
			}
			return []ir.Value{y}
		},
		Cost: func(in, out []ir.Type, attr any) int64 {
			return 2 * int64(out[0].Elems()) * int64(lastDim(in[0]).N)
		},
		Cases: linearCases(),
	}
}

func wantOut(n int) error {
	if n <= 0 {
		return fmt.Errorf("out_features is %d; want at least 1", n)
	}
	return nil
}

// product multiplies the rows of x by a weight, as one matrix product, so
// that the gradient of the weight is one too.
func (b *Builder) product(x, w ir.Value, at MatMulAttr) ir.Value {
	if b.err != nil {
		return x
	}
	t := x.Type()
	w = b.Cast(w, t.DType)
	_, out := lastTwo(w.Type(), at.TransB)
	if t.Rank() == 2 {
		return b.one("matmul", at, x, w)
	}
	rows := t.With(t.Shape[:t.Rank()-1]...).Len()
	y := b.one("matmul", at, b.Reshape(x, rows, lastDim(t)), w)
	return b.Reshape(y, replaced(t.Shape, t.Rank()-1, out)...)
}

func linearCases() []Case {
	f := func(shapes ...[]int) []ir.Type {
		var in []ir.Type
		for _, s := range shapes {
			in = append(in, ir.T(ir.F32, s...))
		}
		return in
	}
	return []Case{
		{In: f([]int{2, 3}, []int{4, 3}), Attr: LinearAttr{OutFeatures: 4}, Low: -1, High: 1},
		{Name: "bias", In: f([]int{2, 3, 33}, []int{17, 33}, []int{17}), Attr: LinearAttr{OutFeatures: 17, Bias: true}, Low: -1, High: 1, Tol: 1e-5},
		{Name: "transpose", In: f([]int{2, 3, 7}, []int{7, 5}, []int{5}), Attr: LinearAttr{OutFeatures: 5, Bias: true, Transpose: true}, Low: -1, High: 1, Tol: 1e-5},
		{Name: "silu", In: f([]int{3, 16}, []int{17, 16}, []int{17}), Attr: LinearAttr{OutFeatures: 17, Bias: true, Act: "silu"}, Low: -1, High: 1, Tol: 1e-5},
		{Name: "gelu", In: f([]int{3, 16}, []int{17, 16}), Attr: LinearAttr{OutFeatures: 17, Act: "gelu"}, Low: -1, High: 1, Tol: 1e-5},
		{Name: "vector", In: f([]int{7}, []int{5, 7}), Attr: LinearAttr{OutFeatures: 5}, Low: -1, High: 1, Tol: 1e-5},
		{Name: "single row", In: f([]int{1, 1, 65}, []int{66, 65}), Attr: LinearAttr{OutFeatures: 66}, Low: -1, High: 1, Tol: 1e-5},
		{Name: "many rows", In: f([]int{37, 48}, []int{40, 48}), Attr: LinearAttr{OutFeatures: 40}, Low: -1, High: 1, Tol: 1e-5},
		{Name: "one feature", In: f([]int{3, 1}, []int{1, 1}), Attr: LinearAttr{OutFeatures: 1}, Low: -1, High: 1},
		{Name: "blocks", In: f([]int{5, 512}, []int{40, 512}, []int{40}), Attr: LinearAttr{OutFeatures: 40, Bias: true, Act: "silu"}, Low: -1, High: 1, Tol: 1e-5},
		{Name: "row of blocks", In: f([]int{1, 1, 768}, []int{33, 768}), Attr: LinearAttr{OutFeatures: 33}, Low: -1, High: 1, Tol: 1e-5},
		{Name: "many rows of blocks", In: f([]int{37, 256}, []int{32, 256}), Attr: LinearAttr{OutFeatures: 32}, Low: -1, High: 1, Tol: 1e-5},
		{Name: "tf32", In: f([]int{2, 19, 35}, []int{70, 35}, []int{70}), Attr: LinearAttr{OutFeatures: 70, Bias: true, Act: "silu", TF32: true}, Low: -1, High: 1, Tol: tf32Tol(35)},
		{Name: "tf32 transpose", In: f([]int{1, 35}, []int{35, 17}), Attr: LinearAttr{OutFeatures: 17, Transpose: true, TF32: true}, Low: -1, High: 1, Tol: tf32Tol(35)},
		{Name: "large", In: f([]int{256, 1024}, []int{1024, 1024}), Attr: LinearAttr{OutFeatures: 1024}, Low: -1, High: 1, Tol: 1e-4, Large: true},
		{Name: "large 2048", In: f([]int{2048, 2048}, []int{2048, 2048}), Attr: LinearAttr{OutFeatures: 2048}, Low: -1, High: 1, Tol: 1e-4, Large: true},
		{Name: "large 16 rows", In: f([]int{16, 2048}, []int{2048, 2048}), Attr: LinearAttr{OutFeatures: 2048}, Low: -1, High: 1, Tol: 1e-4, Large: true},
		{Name: "large row", In: f([]int{1, 2048}, []int{2048, 2048}), Attr: LinearAttr{OutFeatures: 2048}, Low: -1, High: 1, Tol: 1e-4, Large: true},
		{Name: "quantised row", In: f([]int{1, 4096}, []int{4096, 4096}), Attr: LinearAttr{OutFeatures: 4096}, Low: -1, High: 1, Large: true, Quantised: true},
		{Name: "quantised long row", In: f([]int{1, 4096}, []int{32768, 4096}), Attr: LinearAttr{OutFeatures: 32768}, Low: -1, High: 1, Large: true, Quantised: true},
		{Name: "quantised 128 rows", In: f([]int{128, 4096}, []int{4096, 4096}), Attr: LinearAttr{OutFeatures: 4096}, Low: -1, High: 1, Large: true, Quantised: true},
		{Name: "quantised 512 rows", In: f([]int{512, 4096}, []int{4096, 4096}), Attr: LinearAttr{OutFeatures: 4096}, Low: -1, High: 1, Large: true, Quantised: true},
	}
}

// gatedLinear: x [..., in], gate and up [out, in] -> [..., out].
// Source: arXiv:2002.05202.
func gatedLinear() Def {
	f := func(out int, x ...int) []ir.Type {
		w := ir.T(ir.F32, out, x[len(x)-1])
		return []ir.Type{ir.T(ir.F32, x...), w, w}
	}
	return Def{Name: "gated_linear", Doc: "y = act(x Gᵀ) * (x Uᵀ).", Attr: GatedLinearAttr{}, Rows: true,
		Ports: []Port{{Name: "x", Doc: "[..., in]"}},
		Params: func(in []ir.Type, attr any) ([]Param, error) {
			n, err := features(in[0])
			if err != nil {
				return nil, err
			}
			shape := []ir.Dim{ir.D(attr.(GatedLinearAttr).OutFeatures), n}
			return []Param{{Name: "gate", Shape: shape, Init: "uniform", Blocks: true}, {Name: "up", Shape: shape, Init: "uniform", Blocks: true}}, nil
		},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(GatedLinearAttr)
			if err := first(wantOut(at.OutFeatures), wantAct(at.Act)); err != nil {
				return nil, err
			}
			x := in[0]
			return []ir.Type{x.With(replaced(x.Shape, x.Rank()-1, ir.D(at.OutFeatures))...)}, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at := n.Attr.(GatedLinearAttr)
			how := MatMulAttr{TransB: true, TF32: at.TF32}
			gate, up := b.product(n.In[0], n.In[1], how), b.product(n.In[0], n.In[2], how)
			if at.Act != "" {
				gate = b.Act(at.Act, gate)
			}
			return []ir.Value{b.Mul(gate, up)}
		},
		Cost: func(in, out []ir.Type, attr any) int64 {
			return 4 * int64(out[0].Elems()) * int64(lastDim(in[0]).N)
		},
		Cases: []Case{
			{In: f(4, 2, 3), Attr: GatedLinearAttr{OutFeatures: 4, Act: "silu"}, Low: -1, High: 1},
			{Name: "odd", In: f(17, 2, 3, 33), Attr: GatedLinearAttr{OutFeatures: 17, Act: "silu"}, Low: -1, High: 1, Tol: 1e-5},
			{Name: "gelu_tanh", In: f(33, 5, 16), Attr: GatedLinearAttr{OutFeatures: 33, Act: "gelu_tanh"}, Low: -1, High: 1, Tol: 1e-5},
			{Name: "single row", In: f(66, 1, 65), Attr: GatedLinearAttr{OutFeatures: 66, Act: "silu"}, Low: -1, High: 1, Tol: 1e-5},
			{Name: "bilinear", In: f(5, 3, 7), Attr: GatedLinearAttr{OutFeatures: 5, Act: ""}, Low: -1, High: 1, Tol: 1e-5},
			{Name: "blocks", In: f(40, 7, 256), Attr: GatedLinearAttr{OutFeatures: 40, Act: "silu"}, Low: -1, High: 1, Tol: 1e-4},
			{Name: "row of blocks", In: f(34, 1, 256), Attr: GatedLinearAttr{OutFeatures: 34, Act: "silu"}, Low: -1, High: 1, Tol: 1e-4},
			{Name: "tf32", In: f(33, 9, 35), Attr: GatedLinearAttr{OutFeatures: 33, Act: "silu", TF32: true}, Low: -1, High: 1, Tol: 4 * tf32Tol(35)},
			{Name: "large", In: f(1024, 128, 512), Attr: GatedLinearAttr{OutFeatures: 1024, Act: "silu"}, Low: -1, High: 1, Tol: 1e-4, Large: true},
		},
	}
}

// embedding: x ids [...], weight [vocab, dim] -> f32 [..., dim].
func embedding() Def {
	f := func(vocab, dim int, x ...int) []ir.Type {
		return []ir.Type{ir.T(ir.I32, x...), ir.T(ir.F32, vocab, dim)}
	}
	return Def{Name: "embedding", Title: "Embedding", Doc: "y = rows x of W.", Attr: EmbeddingAttr{},
		Ports: []Port{{Name: "x", Doc: "ids [...], from 0 to vocab-1"}},
		Params: func(in []ir.Type, attr any) ([]Param, error) {
			at := attr.(EmbeddingAttr)
			if at.Vocab <= 0 || at.Dim <= 0 {
				return nil, fmt.Errorf("vocab %d and dim %d must be at least 1", at.Vocab, at.Dim)
			}
			return []Param{{Name: "weight", Shape: []ir.Dim{ir.D(at.Vocab), ir.D(at.Dim)}, Init: "normal", Blocks: true}}, nil
		},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			if err := wantIndex("x", in[0]); err != nil {
				return nil, err
			}
			shape := append(append([]ir.Dim{}, in[0].Shape...), ir.D(attr.(EmbeddingAttr).Dim))
			return []ir.Type{{DType: ir.F32, Shape: shape}}, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			return []ir.Value{b.Cast(b.Gather(n.In[1], n.In[0], 0), ir.F32)}
		},
		Cost: func(in, out []ir.Type, attr any) int64 { return 0 },
		Cases: []Case{
			{In: f(9, 5, 2, 6), Attr: EmbeddingAttr{9, 5}, Low: -1, High: 1, Bounds: map[int][2]float64{0: {0, 8}}},
			{Name: "odd", In: f(33, 17, 3), Attr: EmbeddingAttr{33, 17}, Low: -1, High: 1, Bounds: map[int][2]float64{0: {0, 32}}},
			{Name: "i64", In: []ir.Type{ir.T(ir.I64, 2, 3), ir.T(ir.F32, 7, 8)}, Attr: EmbeddingAttr{7, 8}, Low: -1, High: 1, Bounds: map[int][2]float64{0: {0, 6}}},
			{Name: "blocks", In: f(40, 256, 5), Attr: EmbeddingAttr{40, 256}, Low: -1, High: 1, Bounds: map[int][2]float64{0: {0, 39}}},
			{Name: "large", In: f(4096, 512, 2048), Attr: EmbeddingAttr{4096, 512}, Low: -1, High: 1, Bounds: map[int][2]float64{0: {0, 4095}}, Large: true},
		},
	}
}
