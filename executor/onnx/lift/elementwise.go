package lift

import (
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/executor/onnx"
)

func errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }

func elementwiseRows() map[string]func(c *call) []*value {
	rows := map[string]func(c *call) []*value{}
	for name, of := range map[string]string{"Abs": "abs", "Exp": "exp", "Log": "log", "Sqrt": "sqrt", "Sin": "sin", "Cos": "cos",
		"Tanh": "tanh", "Sigmoid": "sigmoid", "Erf": "erf", "Sign": "sign", "Neg": "neg", "Not": "not"} {
		rows[name] = single(func(c *call) *value { return c.op(of, nil, c.in(0)) })
	}
	for name, of := range map[string]string{"Add": "add", "Sub": "sub", "Mul": "mul", "Greater": "gt",
		"GreaterOrEqual": "ge", "Less": "lt", "LessOrEqual": "le"} {
		rows[name] = single(func(c *call) *value { return c.op(of, nil, c.in(0), c.in(1)) })
	}
	for name, is := range map[string]float64{"And": 1, "Or": 0} {
		rows[name] = single(func(c *call) *value { return logic(c, is) })
	}
	for name, f := range map[string]func(c *call, x *value) *value{
		"Identity": func(c *call, x *value) *value { return x }, "Floor": whole1("floor"), "Ceil": ceil, "Round": round, "Reciprocal": reciprocal,
		"Relu": act("relu"), "Softplus": act("softplus"), "Mish": act("mish"), "Tan": tan, "IsNaN": isNaN, "IsInf": isInf,
		"LeakyRelu": leakyRelu, "Elu": elu, "Selu": selu, "Celu": celu, "Softsign": softsign, "ThresholdedRelu": thresholdedRelu, "Swish": swish,
		"HardSigmoid": func(c *call, x *value) *value { return hardSigmoid(c, x, c.float("alpha", 0.2), c.float("beta", 0.5)) },
		"HardSwish":   func(c *call, x *value) *value { return c.mul(x, hardSigmoid(c, x, 1.0/6, 0.5)) },
		"Gelu":        gelu, "Shrink": shrink, "Cast": castTo, "Clip": clip, "Sinh": sinh, "Cosh": cosh,
	} {
		rows[name] = single(func(c *call) *value { return f(c, c.in(0)) })
	}
	rows["Dropout"] = func(c *call) []*value { c.only(1); return []*value{c.in(0)} }
	rows["Div"], rows["Pow"], rows["Mod"] = single(divide), single(power), single(modulo)
	rows["Equal"], rows["Xor"], rows["Where"] = single(equal), single(xor), single(where)
	rows["PRelu"], rows["CastLike"] = single(prelu), single(func(c *call) *value { return c.cast(c.in(0), c.in(1).typ.DType) })
	rows["Max"], rows["Min"], rows["Sum"], rows["Mean"] = single(variadic("max")), single(variadic("min")), single(variadic("add")), single(mean)
	return rows
}

// logic is And or Or; one operand that is the constant is, everywhere, changes nothing.
func logic(c *call, is float64) *value {
	a, b := c.in(0), c.in(1)
	for range 2 {
		if c.numeric(a) && !slices.Contains(a.nums, 1-is) && a.typ.Rank() <= b.typ.Rank() && slices.Equal(c.together(a.typ.Shape, b.typ.Shape), b.typ.Shape) {
			return b
		}
		a, b = b, a
	}
	if is == 1 {
		return c.op("and", nil, a, b)
	}
	return c.op("or", nil, a, b)
}

func act(fn string) func(c *call, x *value) *value {
	return func(c *call, x *value) *value {
		if x.typ.DType != ir.F32 { // Relu of whole numbers
			return c.max(x, like(x, 0))
		}
		return c.act(fn, x)
	}
}

// whole1 is an op that leaves whole numbers as they are.
func whole1(name string) func(c *call, x *value) *value {
	return func(c *call, x *value) *value {
		if x.typ.DType != ir.F32 {
			return x
		}
		return c.op(name, nil, x)
	}
}

func ceil(c *call, x *value) *value {
	if x.typ.DType != ir.F32 {
		return x
	}
	return c.op("neg", nil, c.op("floor", nil, c.op("neg", nil, x)))
}

// round is to the nearest whole number, a half to the even one.
func round(c *call, x *value) *value {
	low := c.op("floor", nil, x)
	rest := c.sub(x, low)
	half := c.mul(low, like(x, 0.5))
	odd := c.mul(c.sub(half, c.op("floor", nil, half)), like(x, 2)) // 1 if low is odd
	up := c.op("or", nil, c.op("gt", nil, rest, like(x, 0.5)),
		c.op("and", nil, c.op("eq", nil, rest, like(x, 0.5)), c.op("eq", nil, odd, like(x, 1))))
	return c.add(low, c.floats(up))
}

func reciprocal(c *call, x *value) *value { return c.div(like(x, 1), x) }

func tan(c *call, x *value) *value { return c.div(c.op("sin", nil, x), c.op("cos", nil, x)) }

func sinh(c *call, x *value) *value {
	return c.mul(like(x, 0.5), c.sub(c.op("exp", nil, x), c.op("exp", nil, c.op("neg", nil, x))))
}

func cosh(c *call, x *value) *value {
	return c.mul(like(x, 0.5), c.add(c.op("exp", nil, x), c.op("exp", nil, c.op("neg", nil, x))))
}

func isNaN(c *call, x *value) *value { return c.op("ne", nil, x, x) }

func isInf(c *call, x *value) *value {
	limit := like(x, math.MaxFloat32)
	up, down := c.int("detect_positive", 1) != 0, c.int("detect_negative", 1) != 0
	switch {
	case up && down:
		return c.op("gt", nil, c.op("abs", nil, x), limit)
	case up:
		return c.op("gt", nil, x, limit)
	case down:
		return c.op("lt", nil, x, like(x, -math.MaxFloat32))
	}
	return c.op("and", nil, c.op("ne", nil, x, x), c.op("eq", nil, x, x))
}

func leakyRelu(c *call, x *value) *value {
	a := op.DefaultAct("leaky_relu")
	a.Slope = c.float("alpha", 0.01)
	return c.op("act", a, x)
}

func elu(c *call, x *value) *value {
	a := op.DefaultAct("elu")
	a.Alpha = c.float("alpha", 1)
	return c.op("act", a, x)
}

// below is alpha*(exp(min(x, 0)) - 1).
func below(c *call, x *value, alpha float64) *value {
	return c.mul(like(x, alpha), c.sub(c.op("exp", nil, c.min(x, like(x, 0))), like(x, 1)))
}

func selu(c *call, x *value) *value {
	alpha, gamma := c.float("alpha", 1.67326319217681884765625), c.float("gamma", 1.05070102214813232421875)
	return c.mul(like(x, gamma), c.add(c.max(x, like(x, 0)), below(c, x, alpha)))
}

func celu(c *call, x *value) *value {
	alpha := c.float("alpha", 1)
	return c.add(c.max(x, like(x, 0)), c.mul(like(x, alpha), below(c, c.div(x, like(x, alpha)), 1)))
}

func softsign(c *call, x *value) *value { return c.div(x, c.add(like(x, 1), c.op("abs", nil, x))) }

func thresholdedRelu(c *call, x *value) *value {
	return c.op("select", nil, c.op("gt", nil, x, like(x, c.float("alpha", 1))), x, like(x, 0))
}

func swish(c *call, x *value) *value {
	if a := c.float("alpha", 1); a != 1 {
		return c.mul(x, c.op("sigmoid", nil, c.mul(x, like(x, a))))
	}
	return c.act("silu", x)
}

func hardSigmoid(c *call, x *value, alpha, beta float64) *value {
	return c.min(like(x, 1), c.max(like(x, 0), c.add(c.mul(x, like(x, alpha)), like(x, beta))))
}

func gelu(c *call, x *value) *value {
	switch how := c.text("approximate", "none"); how {
	case "none":
		return c.act("gelu", x)
	case "tanh":
		return c.act("gelu_tanh", x)
	default:
		fail("approximate is %s", onnx.Show(how))
	}
	return nil
}

func shrink(c *call, x *value) *value {
	bias, lambda := c.float("bias", 0), c.float("lambd", 0.5)
	zero := like(x, 0)
	above := c.op("select", nil, c.op("gt", nil, x, like(x, lambda)), c.sub(x, like(x, bias)), zero)
	return c.op("select", nil, c.op("lt", nil, x, like(x, -lambda)), c.add(x, like(x, bias)), above)
}

// elementTypes are the types that a cast may name, by number.
var elementTypes = map[int]ir.DType{1: ir.F32, 10: ir.F32, 11: ir.F32, 16: ir.F32, 2: ir.I32, 3: ir.I32, 4: ir.I32, 5: ir.I32, 6: ir.I32, 7: ir.I32, 12: ir.I32, 13: ir.I32, 9: ir.Bool}

func (c *call) elementType(name string, fallback int) ir.DType {
	n := c.int(name, fallback)
	d, ok := elementTypes[n]
	if !ok {
		fail("%s is the element type %d, which is not computed with", name, n)
	}
	return d
}

func castTo(c *call, x *value) *value { return c.cast(x, c.elementType("to", 0)) }

func clip(c *call, x *value) *value {
	low, high := c.given(1), c.given(2)
	if c.scope.opset < 11 {
		low, high = like(x, c.float("min", math.Inf(-1))), like(x, c.float("max", math.Inf(1)))
	}
	bounded := func(v *value) bool { return v != nil && !(c.numeric(v) && math.Abs(v.nums[0]) >= math.MaxFloat32) }
	if bounded(low) {
		x = c.max(x, low)
	}
	if bounded(high) {
		x = c.min(x, high)
	}
	return x
}

// divide cuts what is behind the point of whole numbers.
func divide(c *call) *value {
	a, b := c.in(0), c.in(1)
	if a.typ.DType != ir.I32 {
		return c.div(a, b)
	}
	return c.cast(c.div(c.floats(a), c.floats(b)), ir.I32)
}

func power(c *call) *value {
	a, b := c.in(0), c.in(1)
	if c.numeric(b) && len(b.nums) == 1 && a.typ.DType == ir.F32 && b.typ.Rank() <= a.typ.Rank() {
		switch b.nums[0] {
		case 1:
			return a
		case 2:
			return c.mul(a, a)
		case 3:
			return c.mul(c.mul(a, a), a)
		case 0.5:
			return c.op("sqrt", nil, a)
		}
	}
	y := c.op("pow", nil, c.floats(a), c.floats(b))
	return c.cast(y, a.typ.DType)
}

// modulo has the sign of the divisor, or with fmod that of the dividend.
func modulo(c *call) *value {
	a, b := c.in(0), c.in(1)
	x, y := c.floats(a), c.floats(b)
	q := c.div(x, y)
	if c.int("fmod", 0) != 0 {
		q = c.floats(c.cast(q, ir.I32))
	} else {
		q = c.op("floor", nil, q)
	}
	return c.cast(c.sub(x, c.mul(q, y)), a.typ.DType)
}

// plainNumbers is v as numbers, if it is of truth values.
func (c *call) plainNumbers(v *value) *value {
	if v.typ.DType == ir.Bool {
		return c.cast(v, ir.I32)
	}
	return v
}

func equal(c *call) *value { return c.op("eq", nil, c.plainNumbers(c.in(0)), c.plainNumbers(c.in(1))) }

func xor(c *call) *value { return c.op("ne", nil, c.plainNumbers(c.in(0)), c.plainNumbers(c.in(1))) }

func where(c *call) *value {
	cond, a, b := c.in(0), c.in(1), c.in(2)
	if a.typ.DType == ir.Bool {
		return c.cast(c.op("select", nil, cond, c.cast(a, ir.I32), c.cast(b, ir.I32)), ir.Bool)
	}
	return c.op("select", nil, cond, a, b)
}

func prelu(c *call) *value {
	x, slope := c.in(0), c.in(1)
	return c.add(c.max(x, like(x, 0)), c.mul(slope, c.min(x, like(x, 0))))
}

func variadic(name string) func(c *call) *value {
	return func(c *call) *value {
		all := c.all()
		sum := all[0]
		for _, v := range all[1:] {
			sum = c.op(name, nil, sum, v)
		}
		return sum
	}
}

func mean(c *call) *value {
	sum := variadic("add")(c)
	return c.div(sum, like(sum, float64(len(c.n.In))))
}
