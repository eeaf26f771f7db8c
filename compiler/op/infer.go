package op

import (
	"fmt"
	"reflect"
	"slices"

	"pipe.dev/compiler/ir"
)

// checked wraps the shape rule of d with what holds of every op: the right
// attribute struct, every input that may not be left out, and weights of the
// shape that Params gives.
func checked(d Def) func(in []ir.Type, attr any) ([]ir.Type, error) {
	infer := d.Infer
	return func(in []ir.Type, attr any) ([]ir.Type, error) {
		if reflect.TypeOf(attr) != reflect.TypeOf(d.Attr) {
			return nil, fmt.Errorf("attribute is %T, want %T", attr, d.Attr)
		}
		if d.Params == nil {
			if err := checkPorts(d.Ports, in); err != nil {
				return nil, err
			}
			return infer(in, attr)
		}
		if len(in) < len(d.Ports) {
			return nil, fmt.Errorf("%d inputs, want at least %d", len(in), len(d.Ports))
		}
		ports, weights := in[:len(d.Ports)], in[len(d.Ports):]
		if err := checkPorts(d.Ports, ports); err != nil {
			return nil, err
		}
		params, err := d.Params(ports, attr)
		if err != nil {
			return nil, err
		}
		var x ir.Type
		if len(ports) > 0 {
			x = ports[0]
		}
		if err := checkWeights(params, weights, x); err != nil {
			return nil, err
		}
		return infer(in, attr)
	}
}

func checkPorts(ports []Port, in []ir.Type) error {
	variadic := len(ports) > 0 && ports[len(ports)-1].Variadic
	if len(in) < len(ports) || len(in) > len(ports) && !variadic {
		return fmt.Errorf("%d inputs, want %d", len(in), len(ports))
	}
	for i, t := range in {
		p := ports[min(i, len(ports)-1)]
		if t.DType == ir.Invalid && !p.Optional {
			return fmt.Errorf("input %s is missing", p.Name)
		}
		for _, d := range t.Shape {
			if d.N < 0 {
				return fmt.Errorf("input %s has a negative size: %v", p.Name, t)
			}
		}
	}
	return nil
}

func checkWeights(params []Param, weights []ir.Type, x ir.Type) error {
	if len(weights) != len(params) {
		return fmt.Errorf("%d weights, want %d", len(weights), len(params))
	}
	for i, p := range params {
		w := weights[i]
		if blocks := p.Blocks && w.DType.Blocked() && w.Blocks(w.DType); !blocks && !w.DType.Float() {
			return fmt.Errorf("%s is %v; want floating-point numbers", p.Name, w)
		}
		if slices.Equal(w.Shape, p.Shape) {
			continue
		}
		if k, one := differ(w.Shape, p.Shape); one && x.Rank() > 0 && p.Shape[k] == x.Shape[x.Rank()-1] {
			return fmt.Errorf("last axis is %v but %s wants %v", p.Shape[k], p.Name, w.Shape[k])
		}
		return fmt.Errorf("%s is %s, want %s", p.Name, ir.ShapeString(w.Shape), ir.ShapeString(p.Shape))
	}
	return nil
}

// differ finds the only axis in which two shapes of one rank differ.
func differ(a, b []ir.Dim) (axis int, one bool) {
	if len(a) != len(b) {
		return 0, false
	}
	for i := range a {
		if a[i] != b[i] {
			if one {
				return 0, false
			}
			axis, one = i, true
		}
	}
	return axis, one
}

// broadcast gives the shape that all shapes repeat to, by the rules of NumPy:
// aligned at the last axis, sizes equal or 1 or missing.
func broadcast(shapes ...[]ir.Dim) ([]ir.Dim, error) {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	out := make([]ir.Dim, rank)
	for i := range out {
		out[i] = ir.D(1)
		for _, s := range shapes {
			k := i - rank + len(s)
			if k < 0 || s[k] == ir.D(1) || s[k] == out[i] {
				continue
			}
			if out[i] != ir.D(1) {
				return nil, fmt.Errorf("%s: sizes %v and %v do not match, counting axes from the last", shapesString(shapes), out[i], s[k])
			}
			out[i] = s[k]
		}
	}
	return out, nil
}

func shapesString(shapes [][]ir.Dim) string {
	var s string
	for i, sh := range shapes {
		if i > 0 {
			s += " and "
		}
		s += ir.ShapeString(sh)
	}
	return s
}

// repeats reports whether from can be repeated to the shape to.
func repeats(from, to []ir.Dim) bool {
	out, err := broadcast(from, to)
	return err == nil && slices.Equal(out, to)
}

// alike checks that all types have one dtype.
func alike(in ...ir.Type) error {
	for _, t := range in[1:] {
		if t.DType != in[0].DType {
			return fmt.Errorf("element types %v and %v differ; cast one", in[0].DType, t.DType)
		}
	}
	return nil
}

func wantFloat(name string, t ir.Type) error {
	if !t.DType.Float() {
		return fmt.Errorf("%s is %v; want floating-point numbers", name, t)
	}
	return nil
}

func wantNumber(name string, t ir.Type) error {
	if !t.DType.Float() && !t.DType.Int() {
		return fmt.Errorf("%s is %v; want numbers", name, t)
	}
	return nil
}

func wantBool(name string, t ir.Type) error {
	if t.DType != ir.Bool {
		return fmt.Errorf("%s is %v; want bool, as comparisons give", name, t)
	}
	return nil
}

func wantIndex(name string, t ir.Type) error {
	if t.DType != ir.I32 && t.DType != ir.I64 {
		return fmt.Errorf("%s is %v; want i32 or i64", name, t)
	}
	return nil
}

func wantRank(name string, t ir.Type, layout string, rank int) error {
	if t.Rank() != rank {
		return fmt.Errorf("%s is %v; want %d axes %s", name, t, rank, layout)
	}
	return nil
}

func wantAtLeast(name string, t ir.Type, layout string, rank int) error {
	if t.Rank() < rank {
		return fmt.Errorf("%s is %v; want at least %d axes %s", name, t, rank, layout)
	}
	return nil
}

// wantKnown fails for a named size where a number is needed.
func wantKnown(name string, t ir.Type, axis int) error {
	if axis < 0 || axis >= t.Rank() {
		return fmt.Errorf("%s is %v, which has no axis %d", name, t, axis) // where the rank was not told to be wrong before
	}
	if !t.Shape[axis].Known() {
		return fmt.Errorf("axis %d of %s is %v; want a known number", axis, name, t.Shape[axis])
	}
	return nil
}

// lastDim returns the size of the last axis.
func lastDim(t ir.Type) ir.Dim { return t.Shape[t.Rank()-1] }

// replaced returns shape with axis i set to d.
func replaced(shape []ir.Dim, i int, d ir.Dim) []ir.Dim {
	out := slices.Clone(shape)
	out[i] = d
	return out
}

// sameAs is the shape rule of ops that keep the type of their only input.
func sameAs(want func(string, ir.Type) error) func([]ir.Type, any) ([]ir.Type, error) {
	return func(in []ir.Type, _ any) ([]ir.Type, error) {
		if err := want("x", in[0]); err != nil {
			return nil, err
		}
		return in[:1:1], nil
	}
}

// first returns the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
