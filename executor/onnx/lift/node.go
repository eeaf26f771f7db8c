package lift

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// node puts a value into the graph.
func (l *lifter) node(v *value) ir.Value {
	if v.node.Valid() {
		return v.node
	}
	switch {
	case v.dims != nil:
		v.node = l.sizesNode(v)
	case v.nums != nil && l.plain(v):
	default:
		v.node = l.parameter(v)
	}
	l.check()
	return v.node
}

// sizesNode computes elements that are named sizes when the model runs.
func (l *lifter) sizesNode(v *value) ir.Value {
	like := l.fill(1, v.typ.DType)
	var parts []ir.Value
	for i := range v.nums {
		x := like
		if v.dims[i] != (ir.Dim{}) {
			x = l.b.Count(like, v.dims[i])
		} else {
			x = l.fill(v.nums[i], v.typ.DType)
		}
		parts = append(parts, l.b.Reshape(x, ir.D(1)))
	}
	x := parts[0]
	if len(parts) > 1 {
		x = l.b.Concat(0, parts...)
	}
	return l.b.Reshape(x, v.typ.Shape...)
}

func (l *lifter) fill(x float64, d ir.DType, shape ...ir.Dim) ir.Value {
	return l.b.Fill(x, d, shape...)
}

// plain puts a constant into the graph that is one number everywhere, or counts
// along one axis, and reports whether v is such.
func (l *lifter) plain(v *value) bool {
	if len(v.nums) == 0 {
		fail("a value of shape %s has no elements", ir.ShapeString(v.typ.Shape))
	}
	first, same, counts := v.nums[0], true, true
	for i, x := range v.nums {
		same = same && x == first
		counts = counts && x == first+float64(i)
	}
	if math.IsInf(first, 0) || math.Abs(first) > math.MaxFloat32 {
		same = false
	}
	switch {
	case same:
		v.node = l.fill(short(first), v.typ.DType, v.typ.Shape...)
	case counts && v.typ.DType == ir.I32:
		x := l.b.Iota(ir.I32, 0, ir.D(len(v.nums)))
		if first != 0 {
			x = l.b.Add(x, l.fill(first, ir.I32))
		}
		v.node = l.b.Reshape(x, v.typ.Shape...)
		if len(v.typ.Shape) == 1 {
			v.node = x
		}
	default:
		return false
	}
	return true
}

// short is the number of the fewest digits that is x in f32.
func short(x float64) float64 {
	var out float64
	if _, err := fmt.Sscanf(fmt.Sprint(float32(x)), "%g", &out); err != nil {
		return x
	}
	return out
}

// parameter puts a constant into the graph as a weight.
func (l *lifter) parameter(v *value) ir.Value {
	if len(v.nums) == 0 && v.src == nil || v.typ.Known() && v.typ.Elems() == 0 {
		fail("a constant of shape %s has no elements", ir.ShapeString(v.typ.Shape))
	}
	shape := v.typ
	if shape.Rank() == 0 {
		shape = shape.With(ir.D(1))
	}
	prefix, last := l.id+"_constant", "value"
	if v.src != nil && telling(v.src.name) {
		prefix, last = cut(v.src.name)
	}
	path, w := l.weight(prefix, last, v, shape.Shape)
	prefix, last = cut(path)
	id := l.unique(identifier(strings.Trim(prefix+"_"+strings.TrimPrefix(last, "value"), "_")))
	x := l.b.Apply("parameter", op.ParameterAttr{Name: last, Shape: op.MakeInts(shape.Sizes()...)}, w)[0]
	l.check()
	l.names[x.Node] = id
	if v.typ.Rank() == 0 {
		x = l.b.Reshape(x)
	}
	return l.b.Cast(x, v.typ.DType)
}

// cut parts the path of a weight.
func cut(path string) (prefix, last string) {
	i := strings.LastIndexByte(path, '.')
	return path[:max(i, 0)], path[i+1:]
}

// state is a weight of the graph and what it is made of.
type state struct {
	read ir.Value
	from *value
	path string
	own  bool // named after the node that reads it
}

// same reports whether two values are the same constant.
func same(a, b *value) bool {
	return a == b || a.src != nil && b.src != nil && a.src.tensor == b.src.tensor && slices.Equal(a.src.perm, b.src.perm) && slices.Equal(a.typ.Shape, b.typ.Shape)
}

// weight adds a weight to the graph, under a path that is free or has the same
// values, and returns the path.
func (l *lifter) weight(prefix, last string, v *value, shape []ir.Dim) (string, ir.Value) {
	path := strings.TrimPrefix(prefix+"."+last, ".")
	for n := 2; ; n++ {
		s, ok := l.states[path]
		if !ok {
			break
		}
		if same(s.from, v) && slices.Equal(s.read.Type().Shape, shape) {
			return path, s.read
		}
		if path = fmt.Sprintf("%s_%d.%s", prefix, n, last); prefix == "" {
			path = fmt.Sprintf("%s_%d", last, n)
		}
	}
	read := l.b.Graph.AddState(ir.State{Path: path, Kind: ir.Weight}, ir.Type{DType: ir.F32, Shape: shape}).Read
	l.states[path] = &state{read, v, path, strings.HasPrefix(prefix, l.id)}
	return path, read
}
