package stage

import (
	"context"
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/tensorfile"
)

// JoinAttr describes how two tensors become one.
type JoinAttr struct {
	Axis int  `cue:"axis: int | *-1" doc:"along which they stand one after the other; negative counts from the end"`
	Fill bool `cue:"fill: bool | *false" doc:"where their other sizes differ, zeros stand behind the values of the smaller"`
}

func join() *Def {
	return &Def{
		Name: "join", Title: "Join", Result: Tensor,
		Doc: "puts tensors of f32 one after the other, along an axis; their other sizes are equal.",
		Ports: []Port{
			{Name: "x", Doc: "the first one", Kinds: []Kind{Tensor}},
			{Name: "y", Doc: "the second one", Kinds: []Kind{Tensor}},
		},
		Attr: JoinAttr{},
		Prepare: func(c *Call) error {
			j, err := newJoin(c)
			c.kept = j
			return err
		},
		Promise: func(c *Call) Value {
			if j, ok := c.kept.(*joining); ok && j != nil {
				return tensorfile.Tensor{Name: c.ID, Type: ir.T(ir.F32, j.shape...)}
			}
			return nil
		},
		Run: func(_ context.Context, c *Call) (Value, error) {
			j, err := newJoin(c)
			if err != nil || j == nil {
				return nil, err
			}
			return tensorfile.FromFloat32s(c.ID, j.values(), j.shape...), nil
		},
	}
}

// joining is what becomes of two tensors.
type joining struct {
	parts  [2]tensorfile.Tensor
	runs   [2]int // values of each that stay together
	shape  []int
	before int // sizes before the axis
	after  int // sizes behind it
}

// newJoin is nil where sizes are not known yet.
func newJoin(c *Call) (*joining, error) {
	x, okX := c.In["x"].(tensorfile.Tensor)
	y, okY := c.In["y"].(tensorfile.Tensor)
	if !okX || !okY {
		return nil, nil
	}
	a := c.Attr.(JoinAttr)
	s, t := x.Type.Sizes(), y.Type.Sizes()
	axis := a.Axis
	if axis < 0 {
		axis += len(s)
	}
	if axis < 0 || axis >= len(s) || len(s) != len(t) {
		return nil, fmt.Errorf("x is %v and y %v, and the axis %d", x.Type, y.Type, a.Axis)
	}
	if a.Fill {
		x, y = filled(x, y, axis), filled(y, x, axis)
		s, t = x.Type.Sizes(), y.Type.Sizes()
	}
	j := &joining{parts: [2]tensorfile.Tensor{x, y}, before: size(s[:axis]), after: size(s[axis+1:])}
	for i := range s {
		if i != axis && s[i] != t[i] {
			return nil, fmt.Errorf("x is %v and y %v; want equal sizes but along axis %d", x.Type, y.Type, axis)
		}
	}
	j.runs = [2]int{s[axis] * j.after, t[axis] * j.after}
	s[axis] += t[axis]
	j.shape = s
	return j, nil
}

// filled is x with zeros behind its values, so that its sizes are at least those of y but along an axis.
func filled(x, y tensorfile.Tensor, axis int) tensorfile.Tensor {
	s, wide := x.Type.Sizes(), x.Type.Sizes()
	for i, n := range y.Type.Sizes() {
		if i != axis {
			wide[i] = max(wide[i], n)
		}
	}
	if slices.Equal(s, wide) {
		return x
	}
	if x.Data == nil {
		return tensorfile.Tensor{Name: x.Name, Type: ir.T(ir.F32, wide...)}
	}
	out, v := make([]float32, size(wide)), x.Float32s()
	row := s[len(s)-1]
	for from := 0; from < len(v); from += row {
		at, rest := 0, from/row
		for i, step := len(s)-2, wide[len(s)-1]; i >= 0; i-- {
			at += rest % s[i] * step
			rest, step = rest/s[i], step*wide[i]
		}
		copy(out[at:], v[from:from+row])
	}
	return tensorfile.FromFloat32s(x.Name, out, wide...)
}

func (j *joining) values() []float32 {
	out := make([]float32, size(j.shape))
	row := len(out) / j.before
	for k, part := range j.parts {
		v, at := part.Float32s(), k*j.runs[0]
		for i := range j.before {
			copy(out[i*row+at:], v[i*j.runs[k]:(i+1)*j.runs[k]])
		}
	}
	return out
}
