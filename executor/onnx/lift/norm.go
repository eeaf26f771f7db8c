package lift

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

func normRows() map[string]func(c *call) []*value {
	return map[string]func(c *call) []*value{
		"BatchNormalization": batchNorm, "LayerNormalization": layerNorm, "InstanceNormalization": single(instanceNorm),
		"GroupNormalization": single(groupNorm), "RMSNormalization": single(rmsNorm), "LpNormalization": single(lpNorm), "LRN": single(localNorm),
	}
}

// perChannel views a vector of channels beside x [batch, channels, ...].
func (c *call) perChannel(v, x *value) *value {
	c.rank(v, "scale or bias", 1)
	shape := []ir.Dim{v.typ.Shape[0]}
	for range max(0, x.typ.Rank()-2) {
		shape = append(shape, ir.D(1))
	}
	return c.reshape(v, shape...)
}

func batchNorm(c *call) []*value {
	c.only(1)
	x := c.in(0)
	if c.int("training_mode", 0) != 0 {
		fail("is in training mode")
	}
	weights := []*value{c.in(1), c.in(2), c.in(3), c.in(4)}
	eps := c.float("epsilon", 1e-5)
	for _, w := range weights {
		if !c.constantFloats(w) { // by its formula
			y := c.div(c.sub(x, c.perChannel(weights[2], x)), c.op("sqrt", nil, c.add(c.perChannel(weights[3], x), scalar(ir.F32, eps))))
			return []*value{c.add(c.mul(y, c.perChannel(weights[0], x)), c.perChannel(weights[1], x))}
		}
	}
	names := []string{"weight", "bias", "running_mean", "running_var"}
	return []*value{c.params("batch_norm", op.BatchNormAttr{Eps: eps, Affine: true}, c.prefix(names, weights...), names, []*value{x}, weights...)}
}

// flatTail makes one axis of those from a on.
func (c *call) flatTail(x *value, a int) *value {
	return c.reshape(x, append(append([]ir.Dim{}, x.typ.Shape[:a]...), product(x.typ.Shape[a:]))...)
}

func layerNorm(c *call) []*value {
	c.only(1)
	x, w, bias := c.in(0), c.in(1), c.given(2)
	a := c.axis(x, "axis", -1)
	eps := c.float("epsilon", 1e-5)
	y := c.flatTail(x, a)
	n := y.typ.Shape[a]
	flat := func(v *value) *value {
		if v == nil || v.typ.Len() != n {
			return v
		}
		return c.reshape(v, n)
	}
	w, bias = flat(w), flat(bias)
	if c.constantFloats(w) && c.constantFloats(bias) && w.typ.Rank() == 1 && bias.typ.Rank() == 1 && w.typ.Shape[0] == n && bias.typ.Shape[0] == n {
		names := []string{"weight", "bias"}
		y = c.params("layer_norm", op.LayerNormAttr{Eps: eps, Affine: true}, c.prefix(names, w, bias), names, []*value{y}, w, bias)
		return []*value{c.reshape(y, x.typ.Shape...)}
	}
	y = c.mul(c.op("layer_norm", op.LayerNormAttr{Eps: eps}, y), w)
	if bias != nil {
		y = c.add(y, bias)
	}
	return []*value{c.reshape(y, x.typ.Shape...)}
}

func rmsNorm(c *call) *value {
	x, w := c.in(0), c.in(1)
	a := c.axis(x, "axis", -1)
	eps := c.float("epsilon", 1e-5)
	y := c.flatTail(x, a)
	if n := y.typ.Shape[a]; c.constantFloats(w) && w.typ.Len() == n {
		names := []string{"weight"}
		y = c.params("rms_norm", op.RMSNormAttr{Eps: eps}, c.prefix(names, w), names, []*value{y}, c.reshape(w, n))
		return c.reshape(y, x.typ.Shape...)
	}
	square := c.op("reduce_mean", op.ReduceAttr{Axes: op.MakeInts(-1), Keep: true}, c.mul(y, y))
	y = c.mul(y, c.op("rsqrt", nil, c.add(square, like(y, eps))))
	return c.mul(c.reshape(y, x.typ.Shape...), w)
}

func instanceNorm(c *call) *value {
	x, w, bias := c.in(0), c.in(1), c.in(2)
	eps := c.float("epsilon", 1e-5)
	names := []string{"weight", "bias"}
	if c.constantFloats(w) && c.constantFloats(bias) {
		return c.params("instance_norm", op.InstanceNormAttr{Eps: eps, Affine: true}, c.prefix(names, w, bias), names, []*value{x}, w, bias)
	}
	y := c.op("instance_norm", op.InstanceNormAttr{Eps: eps}, x)
	return c.add(c.mul(y, c.perChannel(w, x)), c.perChannel(bias, x))
}

// groupNorm has a scale for each channel, before opset 21 for each group.
func groupNorm(c *call) *value {
	x, w, bias := c.in(0), c.in(1), c.in(2)
	groups, eps := c.int("num_groups", 0), c.float("epsilon", 1e-5)
	names := []string{"weight", "bias"}
	if x.typ.Rank() < 2 {
		fail("its input is %v", x.typ)
	}
	perChannel := w.typ.Len() == x.typ.Shape[1]
	if perChannel && c.constantFloats(w) && c.constantFloats(bias) {
		return c.params("group_norm", op.GroupNormAttr{Groups: groups, Eps: eps, Affine: true}, c.prefix(names, w, bias), names, []*value{x}, w, bias)
	}
	y := c.op("group_norm", op.GroupNormAttr{Groups: groups, Eps: eps}, x)
	if !perChannel {
		share, ok := x.typ.Shape[1].Div(ir.D(groups))
		if !ok {
			fail("its %d groups do not divide %v channels", groups, x.typ.Shape[1])
		}
		spread := func(v *value) *value {
			return c.reshape(c.broadcast(c.reshape(v, ir.D(groups), ir.D(1)), ir.D(groups), share), x.typ.Shape[1])
		}
		w, bias = spread(w), spread(bias)
	}
	return c.add(c.mul(y, c.perChannel(w, x)), c.perChannel(bias, x))
}

func lpNorm(c *call) *value {
	x := c.in(0)
	at := op.ReduceAttr{Axes: op.MakeInts(c.axis(x, "axis", -1)), Keep: true}
	if c.int("p", 2) == 1 {
		return c.div(x, c.op("reduce_sum", at, c.op("abs", nil, x)))
	}
	return c.div(x, c.op("sqrt", nil, c.op("reduce_sum", at, c.mul(x, x))))
}

// localNorm divides by the squares of neighbouring channels.
func localNorm(c *call) *value {
	x := c.in(0)
	size, alpha, beta, bias := c.int("size", 0), c.float("alpha", 0.0001), c.float("beta", 0.75), c.float("bias", 1)
	c.rank(x, "input", 4)
	if size < 1 || size > maxSteps || !x.typ.Shape[1].Known() {
		fail("is over %d of %v", size, x.typ)
	}
	channels := x.typ.Shape[1].N
	before, after := make([]int, 4), make([]int, 4)
	before[1], after[1] = (size-1)/2, size/2
	square := c.op("pad", op.PadAttr{Before: op.MakeInts(before...), After: op.MakeInts(after...)}, c.mul(x, x))
	sum := c.cutAxis(square, 1, 0, channels)
	for i := 1; i < size; i++ {
		sum = c.add(sum, c.cutAxis(square, 1, i, i+channels))
	}
	base := c.add(c.mul(sum, like(x, short(alpha/float64(size)))), like(x, bias))
	return c.div(x, c.op("pow", nil, base, like(x, beta)))
}
