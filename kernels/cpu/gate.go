package cpu

import (
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu/asm"
)

// gatedAct computes y = act(gate) * up, all alike.
func gatedAct(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ActAttr)
	f, known := b.actOf(a)
	ok = ok && known && a.Fn != "" && len(in) == 2 && stored(in[0].DType)
	return kernel{inPlace: func(i int) bool { return i < 2 }, bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(args.In[0], args.In[1], args.Out[0])
		if err != nil {
			return nil, err
		}
		gate, up, y := vs[0], vs[1], b.resultOf(vs[2], vs[:2]...)
		return y.tiled(func(local []float32, i, n int) {
			buf := local[:n]
			f(buf, gate.tile(buf, i, n))
			to := y.room(local[tile:], i, n)
			b.asm.Mul(to, buf, up.tile(local[2*tile:], i, n))
			y.done(to, i)
		}), nil
	}}, ok
}

// gatedActGrad computes dgate = act'(gate) up dy and dup = act(gate) dy, all
// alike.
func gatedActGrad(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ActAttr)
	f := b.slopeOf(a)
	ok = ok && f != nil && len(in) == 3 && len(out) == 2 && stored(in[0].DType)
	return kernel{inPlace: func(i int) bool { return true }, bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(append(args.In, args.Out...)...)
		if err != nil {
			return nil, err
		}
		gate, up, dy, dgate, dup := vs[0], vs[1], vs[2], vs[3], vs[4]
		return b.tiled(gate.n, func(local []float32, i, n int) {
			y, d, t := local[:n], local[tile:tile+n], local[2*tile:2*tile+n]
			f(y, d, t, gate.tile(local[3*tile:], i, n))
			g := dy.tile(local[4*tile:], i, n)
			b.asm.Mul(y, y, g)
			b.asm.Mul(t, g, up.tile(local[5*tile:], i, n))
			to := dgate.room(local[6*tile:], i, n)
			b.asm.Mul(to, d, t)
			dgate.done(to, i)
			dup.store(i, y)
		}), nil
	}}, ok
}

// actGrad computes dx = act'(x) dy, all alike.
func actGrad(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.ActAttr)
	f := b.slopeOf(a)
	ok = ok && f != nil && len(in) == 2 && stored(in[0].DType)
	return kernel{inPlace: func(i int) bool { return true }, bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(args.In[0], args.In[1], args.Out[0])
		if err != nil {
			return nil, err
		}
		x, dy, dx := vs[0], vs[1], b.resultOf(vs[2], vs[:2]...)
		return dx.tiled(func(local []float32, i, n int) {
			d := local[tile : tile+n]
			f(local[:n], d, local[2*tile:2*tile+n], x.tile(local[3*tile:], i, n))
			to := dx.room(local[5*tile:], i, n)
			b.asm.Mul(to, d, dy.tile(local[4*tile:], i, n))
			dx.done(to, i)
		}), nil
	}}, ok
}

// slope computes y = f(x) and d = f'(x); t is free, and none overlap.
type slope func(y, d, t, x []float32)

// slopeOf returns the slope of an activation function, or nil if there is none
// of that name.
func (b *Backend) slopeOf(a op.ActAttr) slope {
	f := &b.asm.Vector
	switch a.Fn {
	case "silu":
		return func(y, d, t, x []float32) { // s + y (1 - s)
			f.Sigmoid(d, x)
			f.Mul(y, x, d)
			f.Mul(t, y, d)
			f.Sub(t, y, t)
			f.Add(d, d, t)
		}
	case "quick_gelu":
		return func(y, d, t, x []float32) { // s + z s (1 - s), z = 1.702 x
			f.MulS(t, x, 1.702)
			f.Sigmoid(d, t)
			f.Mul(t, t, d)
			f.SSub(y, d, 1)
			f.Mul(t, t, y)
			f.Mul(y, x, d)
			f.Add(d, d, t)
		}
	case "gelu_tanh":
		return func(y, d, t, x []float32) { geluTanhSlope(f, y, d, t, x) }
	case "gelu":
		return func(y, d, t, x []float32) { // P(X <= x) + x exp(-x²/2) / sqrt(2 pi)
			f.MulS(d, x, math.Sqrt2/2)
			f.Erf(d, d)
			f.MulS(d, d, 0.5)
			f.AddS(d, d, 0.5)
			f.Mul(t, x, x)
			f.MulS(t, t, -0.5)
			f.Exp(t, t)
			f.Mul(t, t, x)
			f.MulS(t, t, float32(1/math.Sqrt(2*math.Pi)))
			f.Mul(y, x, d)
			f.Add(d, d, t)
		}
	}
	return steepness(f, a)
}

// steepness is slopeOf for functions with simple slopes. Kinks take the slope of
// their left side.
func steepness(f *asm.Vector, a op.ActAttr) slope {
	sides := func(d, x []float32, left float32) { // left up to zero, 1 above it
		f.MaxS(d, x, 0)
		f.Sign(d, d)
		f.MulS(d, d, 2)
		f.AddS(d, d, -1)
		f.LeakyS(d, d, -left)
	}
	switch a.Fn {
	case "relu":
		return func(y, d, _, x []float32) {
			f.MaxS(y, x, 0)
			f.Sign(d, y)
		}
	case "relu2":
		return func(y, d, _, x []float32) {
			f.MaxS(d, x, 0)
			f.Mul(y, d, d)
			f.MulS(d, d, 2)
		}
	case "leaky_relu":
		return func(y, d, _, x []float32) {
			f.LeakyS(y, x, float32(a.Slope))
			sides(d, x, float32(a.Slope))
		}
	case "elu": // alpha eˣ
		return func(y, d, t, x []float32) {
			f.Elu(y, x, float32(a.Alpha))
			sides(d, x, float32(a.Alpha))
			f.MinS(t, x, 0)
			f.Exp(t, t)
			f.Mul(d, d, t)
		}
	case "sigmoid": // y (1 - y)
		return func(y, d, t, x []float32) {
			f.Sigmoid(y, x)
			f.SSub(t, y, 1)
			f.Mul(d, y, t)
		}
	case "tanh": // 1 - y²
		return func(y, d, _, x []float32) {
			f.Tanh(y, x)
			f.Mul(d, y, y)
			f.SSub(d, d, 1)
		}
	case "softplus":
		return func(y, d, _, x []float32) {
			f.Softplus(y, x)
			f.Sigmoid(d, x)
		}
	case "mish": // z + x (1 - z²) sigmoid(x), z = tanh(softplus(x))
		return func(y, d, t, x []float32) {
			f.Softplus(t, x)
			f.Tanh(t, t)
			f.Mul(y, t, t)
			f.SSub(y, y, 1)
			f.Sigmoid(d, x)
			f.Mul(d, d, y)
			f.Mul(d, d, x)
			f.Add(d, d, t)
			f.Mul(y, x, t)
		}
	}
	return nil
}

// geluTanhSlope: with z = 2 c (x + a x³) and p = sigmoid(z), y = x p and
// d = p (1 + x z' (1 - p)), z' = 2 c (1 + 3 a x²).
func geluTanhSlope(f *asm.Vector, y, d, t, x []float32) {
	const a = 0.044715
	c := 2 * math.Sqrt(2/math.Pi)
	f.Mul(t, x, x)
	f.MulS(d, t, float32(a*c))
	f.AddS(d, d, float32(c))
	f.Mul(d, d, x)
	f.Sigmoid(d, d)
	f.MulS(t, t, float32(3*a*c))
	f.AddS(t, t, float32(c))
	f.Mul(t, t, x)
	f.SSub(y, d, 1)
	f.Mul(t, t, y)
	f.AddS(t, t, 1)
	f.Mul(y, x, d)
	f.Mul(d, d, t)
}
