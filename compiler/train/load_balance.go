package train

import (
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// LoadBalanceAttr describes what keeps a router from preferring some experts.
type LoadBalanceAttr struct {
	K      int    `cue:"k: int & >0 | *2" doc:"experts of each token"`
	Scores string `cue:"scores: \"sigmoid\" | *\"softmax\"" doc:"how logits become scores; sigmoids are divided by their sum"`
	Over   string `cue:"over: \"sequence\" | *\"batch\"" doc:"what f and P are taken over: all tokens of the batch, or those of each sequence, whose losses have a mean then"`
	Layers string `cue:"layers: \"each\" | *\"together\"" doc:"whether f and P are those of all layers together, or each layer has a loss, of which the mean is taken"`
}

// routed is the input that says which tokens count: [batch, seq].
func routed() Input {
	return Input{Name: "weights", Doc: "how much each token counts; all count 1 without", DType: ir.F32, Layout: "[batch, seq]", Optional: true,
		Shape: func(y []ir.Dim) ([]ir.Dim, error) {
			if len(y) < 3 {
				return nil, fmt.Errorf("it has %d axes", len(y))
			}
			return y[:2], nil
		}}
}

// loadBalance: y [batch, seq, experts], or [batch, seq, layers, experts] of
// several layers.
func loadBalance() *Objective {
	taken, kept := likeOutput("taken", "1 for the experts that a token goes through, else 0; without, the k of the greatest scores", "[batch, seq, experts]"),
		likeOutput("kept", "taken, without what exceeds the capacity of an expert", "[batch, seq, experts]")
	taken.Optional, kept.Optional = true, true
	return &Objective{
		Def: Def{Name: "load_balance", Title: "LoadBalance", Attr: LoadBalanceAttr{},
			Doc:    "experts times the sum over experts of f P, where f is the share of tokens that go through an expert and P its mean score; k where experts are used alike.",
			Source: "arXiv:2101.03961, as transformers' load_balancing_loss_func; over sequences arXiv:2405.04434, whose loss is this one divided by k; sigmoids arXiv:2412.19437"},
		Output: "[batch, seq, experts], or [batch, seq, layers, experts]",
		Inputs: []Input{taken, kept, routed()},
		Measures: []Measure{
			{Name: "load", Doc: "the share of the tokens' choices that each expert gets, as load/0, load/1, ...", sum: func(b *op.Builder, l Loss) ir.Value {
				r := newRouter(b, l)
				return b.Div(r.over(r.taken, r.all(-1)), b.Scalar(float64(r.k), l.Y))
			}},
			{Name: "max_load", Doc: "the load of the most used expert of any layer, times the number of experts; 1 where all are used alike", sum: func(b *op.Builder, l Loss) ir.Value {
				r := newRouter(b, l)
				load := r.over(r.taken, []int{0, 1})
				return b.ReduceMax(b.Mul(load, b.Scalar(float64(r.experts)/float64(r.k), l.Y)), false, r.allOf(load)...)
			}},
			{Name: "dropped", Doc: "the share of the tokens' choices that exceed an expert's capacity; wants the input kept", sum: func(b *op.Builder, l Loss) ir.Value {
				r, kept := newRouter(b, l), l.In["kept"]
				if !kept.Valid() {
					b.Fail(&op.Error{Pos: b.Pos, Op: "load_balance", Err: fmt.Errorf("the measure dropped wants the input kept")})
					return l.Y
				}
				lost := b.Sum(b.Sub(r.taken, kept), true, -1)
				return b.Div(r.over(lost, r.allOf(lost)), b.Scalar(float64(r.k), l.Y))
			}},
		},
		loss: func(b *op.Builder, l Loss) (ir.Value, ir.Value) {
			r := newRouter(b, l)
			return r.loss(l.Attr.(LoadBalanceAttr)), b.Scalar(1, l.Y)
		},
	}
}

// router is what a loss knows of the scores of experts.
type router struct {
	*op.Builder
	y, taken, weights ir.Value // weights [batch, seq, 1, ...]; none if all count 1
	experts, k        int
}

func newRouter(b *op.Builder, l Loss) *router {
	at, _ := l.Attr.(LoadBalanceAttr)
	r := &router{Builder: b, y: l.Y, experts: lastKnown(b, "load_balance", l.Y), k: max(1, at.K)}
	if w, ok := l.In["weights"]; ok && w.Valid() {
		shape := append([]ir.Dim{}, w.Type().Shape...)
		for range l.Y.Type().Shape[2:] {
			shape = append(shape, ir.D(1))
		}
		r.weights = b.Reshape(w, shape...)
	}
	if at.K > r.experts && b.Err() == nil {
		b.Fail(&op.Error{Pos: b.Pos, Op: "load_balance", Err: fmt.Errorf("k is %d, and there are %d experts", at.K, r.experts)})
	}
	if b.Err() != nil {
		return r
	}
	if t, ok := l.In["taken"]; ok && t.Valid() {
		r.taken = b.Detach(t)
	} else if at.K > 0 {
		top := b.Apply("topk", op.TopKAttr{K: at.K}, b.Detach(l.Y))
		r.taken = b.Sum(b.Cast(b.OneHot(top[len(top)-1], r.experts), l.Y.Type().DType), false, -2)
	}
	return r
}

// all lists the axes of y but the last n.
func (r *router) all(last int) []int {
	var axes []int
	for i := range r.y.Type().Rank() + last {
		axes = append(axes, i)
	}
	return axes
}

// allOf lists the axes of v.
func (r *router) allOf(v ir.Value) []int {
	var axes []int
	for i := range v.Type().Rank() {
		axes = append(axes, i)
	}
	return axes
}

// over is the mean of x over axes, the second among them, where tokens count
// what their weights say.
func (r *router) over(x ir.Value, axes []int) ir.Value {
	if !r.weights.Valid() {
		return r.Mean(x, false, axes...)
	}
	total := r.Sum(r.weights, true, axes...) // of the axes that weights have, as those of layers have size 1
	size := r.Scalar(1, x)
	for _, a := range axes {
		if a >= 2 && a < x.Type().Rank() {
			size = r.Mul(size, r.Count(x, x.Type().Shape[a]))
		}
	}
	share := r.Div(r.weights, r.Max(r.Mul(total, size), r.Scalar(1e-9, x)))
	return r.Sum(r.Mul(x, share), false, axes...)
}

// scores are the shares of the experts, whose sum is 1.
func (r *router) scores(how string) ir.Value {
	if how == "softmax" {
		return r.Softmax(r.y, -1)
	}
	s := r.Sigmoid(r.y)
	return r.Div(s, r.Sum(s, true, -1))
}

// loss is a scalar.
func (r *router) loss(at LoadBalanceAttr) ir.Value {
	if r.Err() != nil {
		return r.y
	}
	var axes []int
	for _, a := range r.all(-1) {
		if a == 0 && at.Over == "sequence" || a >= 2 && at.Layers == "each" {
			continue
		}
		axes = append(axes, a)
	}
	f, p := r.over(r.taken, axes), r.over(r.scores(at.Scores), axes)
	each := r.Mul(r.Sum(r.Mul(f, p), false, -1), r.Scalar(float64(r.experts), r.y))
	if each.Type().Rank() == 0 {
		return each
	}
	return r.Mean(each, false, r.allOf(each)...)
}

// routerZ keeps the logits of routers small.
func routerZ() *Objective {
	return &Objective{
		Def: Def{Name: "router_z", Title: "RouterZ",
			Doc:    "the mean over tokens, and layers, of z², where z = ln(sum of exp(y)).",
			Source: "arXiv:2202.08906, equation 5"},
		Output: "[batch, seq, experts], or [batch, seq, layers, experts]",
		Inputs: []Input{routed()},
		loss: func(b *op.Builder, l Loss) (ir.Value, ir.Value) {
			z := b.LogSumExp(l.Y, true, -1)
			z = b.Mul(z, z)
			one, layers := b.Count(z, z.Type().Shape[:2]...), b.Count(z, z.Type().Shape[2:]...)
			if w := l.In["weights"]; w.Valid() {
				z, one = b.Mul(z, newRouter(b, l).weights), b.Sum(w, false)
			}
			return b.Div(b.Sum(z, false), layers), one
		},
	}
}
