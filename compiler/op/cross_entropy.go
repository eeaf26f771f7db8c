package op

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
)

// crossEntropy: y [..., classes], targets [...] -> f32 [...], in nats.
//
// With z = ln(sum(exp(y))), the loss of a row is
//
//	(1 - smoothing) (z - y[target]) + smoothing (z - mean(y)) + z_loss z²
//
// Sources: label smoothing arXiv:1512.00567, z_loss arXiv:2204.02311.
func crossEntropy() Def {
	return Def{Name: "cross_entropy", Doc: "y = the negative log-probability of targets by the rows of logits; 0 for rows that are ignored.",
		Attr:  CrossEntropyAttr{},
		Ports: []Port{{Name: "logits", Doc: "[..., classes]"}, targetsPort()},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			if err := first(wantFloat("logits", in[0]), wantAtLeast("logits", in[0], "[..., classes]", 1), wantKnown("logits", in[0], in[0].Rank()-1)); err != nil {
				return nil, err
			}
			t := in[0].With(in[0].Shape[:in[0].Rank()-1]...)
			if t.DType != ir.F64 {
				t.DType = ir.F32
			}
			return []ir.Type{t}, wantTargets(in[1], t.Shape)
		},
		Lower: lowerCrossEntropy,
		Cost:  func(in, _ []ir.Type, _ any) int64 { return 5 * int64(in[0].Elems()) },
		Cases: crossEntropyCases(),
	}
}

func targetsPort() Port { return Port{Name: "targets", Doc: "i32 [...], the class of each row"} }

func wantTargets(t ir.Type, shape []ir.Dim) error {
	if err := wantIndex("targets", t); err != nil {
		return err
	}
	if !slices.Equal(t.Shape, shape) {
		return fmt.Errorf("targets are %s, want %s", ir.ShapeString(t.Shape), ir.ShapeString(shape))
	}
	return nil
}

func lowerCrossEntropy(b *Builder, n *ir.Node) []ir.Value {
	at, y, t := n.Attr.(CrossEntropyAttr), b.wide(n.In[0]), n.In[1]
	shape := y.Type().Shape
	ignored := b.Fill(float64(at.IgnoreIndex), t.Type().DType)
	valid := b.Ne(t, ignored)
	t = b.Select(valid, t, b.Fill(0, t.Type().DType))
	z := b.LogSumExp(y, false, -1)
	chosen := b.TakeAlong(y, b.Reshape(t, replaced(shape, len(shape)-1, ir.D(1))...), -1)
	loss := b.Sub(z, b.Reshape(chosen, t.Type().Shape...))
	if at.Smoothing > 0 { // the mean of -log-probabilities is z - mean(y)
		even := b.Sub(z, b.Mean(y, false, -1))
		loss = b.Add(b.Mul(loss, b.Scalar(1-at.Smoothing, y)), b.Mul(even, b.Scalar(at.Smoothing, y)))
	}
	if at.ZLoss > 0 {
		loss = b.Add(loss, b.Mul(b.Mul(z, z), b.Scalar(at.ZLoss, y)))
	}
	return []ir.Value{b.Select(valid, loss, b.Scalar(0, loss))}
}

// linearCrossEntropy: x [..., dim], weight [classes, dim], targets [...] -> f32
// [...]: a device need not hold the logits of all rows at a time.
func linearCrossEntropy() Def {
	return Def{Name: "linear_cross_entropy", Doc: "y = cross_entropy(x Wᵀ, targets).", Attr: CrossEntropyAttr{},
		Ports: linearCrossEntropyPorts(),
		Infer: linearCrossEntropyInfer,
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			return b.Apply("cross_entropy", n.Attr.(CrossEntropyAttr).ofLogits(), b.product(n.In[0], n.In[1], n.Attr.(CrossEntropyAttr).product()), n.In[2])
		},
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			out := b.Apply("linear_cross_entropy_grad", n.Attr, n.In[0], n.In[1], n.In[2], dy[0])
			return []ir.Value{out[1], out[2], {}}
		},
		Cost:  func(in, _ []ir.Type, attr any) int64 { return 2 * linearCrossEntropyCost(in, attr) },
		Cases: linearCrossEntropyCases(),
	}
}

// linearCrossEntropyGrad gives the loss, too: who needs both computes logits
// once.
func linearCrossEntropyGrad() Def {
	d := Def{Name: "linear_cross_entropy_grad", Doc: "loss = linear_cross_entropy(x, W, targets), and dx, dweight = its gradients, given that of the loss.",
		Attr: CrossEntropyAttr{}, Outputs: []string{"loss", "dx", "dweight"},
		Ports: append(linearCrossEntropyPorts(), Port{Name: "dy", Doc: "f32 [...], the gradient of the loss"}),
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			out, err := linearCrossEntropyInfer(in, attr)
			if err == nil && !in[3].Equal(out[0]) {
				err = fmt.Errorf("dy is %v, want %v", in[3], out[0])
			}
			if attr.(CrossEntropyAttr).Frozen {
				return append(out, in[0]), err
			}
			return append(out, in[0], in[1]), err
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at := n.Attr.(CrossEntropyAttr)
			of := at
			of.Frozen = false
			return b.Inlined(n.In, func(b *Builder, in []ir.Value) []ir.Value {
				logits := b.product(in[0], in[1], at.product())
				loss := lowerCrossEntropy(b, &ir.Node{Attr: of, In: []ir.Value{logits, in[2]}})
				wanted := in[:2]
				if at.Frozen {
					wanted = in[:1]
				}
				return append(loss, b.Grad(loss[0], in[3], wanted...)...)
			})
		},
		Cost: func(in, out []ir.Type, attr any) int64 { return int64(2*len(out)) * linearCrossEntropyCost(in, attr) },
	}
	for _, c := range linearCrossEntropyCases() {
		c.In = append(c.In, c.In[2].As(ir.F32))
		c.Tol *= 4
		d.Cases = append(d.Cases, c)
		at := c.Attr.(CrossEntropyAttr)
		at.Frozen = true
		c.Name, c.Attr = c.Name+" frozen", at
		if !c.Large {
			d.Cases = append(d.Cases, c)
		}
	}
	return d
}

func (a CrossEntropyAttr) ofLogits() CrossEntropyAttr {
	a.Transpose, a.Frozen, a.TF32 = false, false, false
	return a
}

// product is that of which the rows are logits.
func (a CrossEntropyAttr) product() MatMulAttr {
	return MatMulAttr{TransB: !a.Transpose, TF32: a.TF32}
}

func linearCrossEntropyPorts() []Port {
	return []Port{{Name: "x", Doc: "[..., dim]"}, {Name: "weight", Doc: "[classes, dim], or [dim, classes]"}, targetsPort()}
}

func linearCrossEntropyInfer(in []ir.Type, attr any) ([]ir.Type, error) {
	x, w := in[0], in[1]
	if err := first(wantFloat("x", x), wantFloat("weight", w), wantAtLeast("x", x, "[..., dim]", 1), wantRank("weight", w, "[classes, dim]", 2),
		wantKnown("weight", w, 0), wantKnown("weight", w, 1)); err != nil {
		return nil, err
	}
	if dim, _ := lastTwo(w, !attr.(CrossEntropyAttr).Transpose); dim != lastDim(x) {
		return nil, fmt.Errorf("weight is %s, which does not multiply rows of %v elements", ir.ShapeString(w.Shape), lastDim(x))
	}
	t := x.With(x.Shape[:x.Rank()-1]...)
	if t.DType != ir.F64 {
		t.DType = ir.F32
	}
	return []ir.Type{t}, wantTargets(in[2], t.Shape)
}

// linearCrossEntropyCost is the multiplications of one product.
func linearCrossEntropyCost(in []ir.Type, attr any) int64 {
	_, classes := lastTwo(in[1], !attr.(CrossEntropyAttr).Transpose)
	return int64(in[0].Elems()) * int64(classes.N)
}

func crossEntropyCases() []Case {
	c := func(name string, at CrossEntropyAttr, low float64, logits ...int) Case {
		classes := logits[len(logits)-1]
		return Case{Name: name, In: []ir.Type{ir.T(ir.F32, logits...), ir.T(ir.I32, logits[:len(logits)-1]...)}, Attr: at,
			Low: -3, High: 3, Bounds: map[int][2]float64{1: {low, float64(classes - 1)}}, Tol: 2e-6}
	}
	return []Case{
		c("", CrossEntropyAttr{IgnoreIndex: -100}, 0, 3, 7),
		c("ignored rows", CrossEntropyAttr{IgnoreIndex: -1}, -1, 2, 9, 3),
		c("smoothing", CrossEntropyAttr{IgnoreIndex: -1, Smoothing: 0.2}, -1, 11, 5),
		c("z_loss", CrossEntropyAttr{IgnoreIndex: -100, ZLoss: 0.1}, 0, 6, 17),
		c("one row", CrossEntropyAttr{IgnoreIndex: 2, Smoothing: 0.1, ZLoss: 0.01}, 0, 4),
	}
}

func linearCrossEntropyCases() []Case {
	c := func(name string, at CrossEntropyAttr, low float64, classes int, x ...int) Case {
		w := ir.T(ir.F32, classes, x[len(x)-1])
		if at.Transpose {
			w = ir.T(ir.F32, x[len(x)-1], classes)
		}
		return Case{Name: name, In: []ir.Type{ir.T(ir.F32, x...), w, ir.T(ir.I32, x[:len(x)-1]...)}, Attr: at,
			Low: -1, High: 1, Bounds: map[int][2]float64{2: {low, float64(classes - 1)}}, Tol: 5e-6}
	}
	cases := []Case{
		c("", CrossEntropyAttr{IgnoreIndex: -100}, 0, 5, 3, 7),
		c("ignored rows", CrossEntropyAttr{IgnoreIndex: -1}, -1, 7, 2, 9, 4),
		c("smoothing", CrossEntropyAttr{IgnoreIndex: -1, Smoothing: 0.2}, -1, 33, 5, 17),
		c("z_loss", CrossEntropyAttr{IgnoreIndex: -100, ZLoss: 0.1}, 0, 17, 6, 8),
		c("transposed", CrossEntropyAttr{IgnoreIndex: 3, Smoothing: 0.1, ZLoss: 0.01, Transpose: true}, 0, 40, 2, 9, 36),
		c("one row", CrossEntropyAttr{IgnoreIndex: -100}, 0, 4, 6),
		c("many rows", CrossEntropyAttr{IgnoreIndex: -1, Smoothing: 0.1}, -1, 34, 150, 5),
		c("large", CrossEntropyAttr{IgnoreIndex: -100}, 0, 8192, 512, 256),
	}
	cases[len(cases)-1].Large = true
	rounded := c("tf32", CrossEntropyAttr{IgnoreIndex: -1, TF32: true}, -1, 34, 40, 17)
	rounded.Tol = tf32Tol(17)
	return append(cases, rounded)
}
