package compiler

import (
	"encoding/binary"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels/half"
)

// fold computes ops on constants and removes ops that change nothing.
func fold(c *context, g *ir.Graph) (*ir.Graph, error) {
	return rewrite(c.table, g, func(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		if v := identity(n, in); v.Valid() {
			return []ir.Value{v}
		}
		return c.constant(r, n, in)
	})
}

// settle removes ops that change nothing now that sizes are known.
func settle(c *context, g *ir.Graph) (*ir.Graph, error) {
	if !slices.ContainsFunc(g.Nodes, func(n *ir.Node) bool { return identity(n, n.In).Valid() }) {
		return g, nil
	}
	return rewrite(c.table, g, func(_ *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
		if v := identity(n, in); v.Valid() {
			return []ir.Value{v}
		}
		return nil
	})
}

// identity returns the input that n repeats, if it does.
func identity(n *ir.Node, in []ir.Value) ir.Value {
	if len(in) == 0 || !in[0].Valid() {
		return ir.Value{}
	}
	x := in[0]
	same := x.Type().Equal(n.Types[0])
	switch n.Op {
	case "detach", "cast", "reshape", "broadcast", "heads", "merge_heads":
		if same {
			return x
		}
	case "transpose":
		perm := n.Attr.(op.TransposeAttr).Perm.Slice()
		if inner := x.Node; inner.Op == "transpose" { // the second undoes the first
			before := inner.Attr.(op.TransposeAttr).Perm.Slice()
			composed := make([]int, len(perm))
			for i, p := range perm {
				composed[i] = before[p]
			}
			if ordered(composed) {
				return inner.In[0]
			}
		}
		if ordered(perm) {
			return x
		}
	case "pick": // of a single row
		if same {
			return x
		}
	case "add", "sub":
		if v, ok := scalar(in[1]); ok && v == 0 && same {
			return x
		}
	case "mul", "div", "pow":
		if v, ok := scalar(in[1]); ok && v == 1 && same {
			return x
		}
	}
	return ir.Value{}
}

func ordered(perm []int) bool {
	for i, p := range perm {
		if p != i {
			return false
		}
	}
	return true
}

// foldLimit bounds the elements of a folded constant, so that a plan does not
// carry tables that a kernel computes faster than memory gives them.
const foldLimit = 4096

// constant evaluates n in float64 if all it reads is known now.
func (c *context) constant(r *rewriter, n *ir.Node, in []ir.Value) []ir.Value {
	if len(in) == 0 || len(n.Types) != 1 || !n.Types[0].Known() || n.Types[0].Elems() > foldLimit {
		return nil
	}
	inputs := map[string][]float64{}
	b := op.NewBuilder(c.table)
	var args []ir.Value
	for i, v := range in {
		if !v.Valid() {
			args = append(args, ir.Value{})
			continue
		}
		data, ok := values(v)
		if !ok {
			return nil
		}
		name := string(rune('a' + i%26))
		inputs[name] = data
		args = append(args, b.Graph.AddInput(name, v.Type(), n.Pos))
	}
	out := b.Apply(n.Op, n.Attr, args...)
	if b.Err() != nil || len(in) > 26 {
		return nil
	}
	b.Graph.Outputs = []ir.Output{{Name: "y", Value: out[0]}}
	result, err := op.Eval(c.table, b.Graph, inputs, nil)
	if err != nil {
		return nil
	}
	data, ok := encode(n.Types[0].DType, result["y"])
	if !ok {
		return nil
	}
	attr := op.ConstantAttr{DType: n.Types[0].DType.String(), Shape: op.MakeDims(n.Types[0].Shape...), Data: data}
	return r.Apply("constant", attr)
}

// values returns the elements of a constant or a filled tensor.
func values(v ir.Value) ([]float64, bool) {
	t := v.Type()
	if !t.Known() || t.Elems() > foldLimit {
		return nil, false
	}
	out := make([]float64, t.Elems())
	switch v.Node.Op {
	case "fill":
		for i := range out {
			out[i] = v.Node.Attr.(op.FillAttr).Value
		}
		return out, true
	case "constant":
		return out, decode(t.DType, v.Node.Attr.(op.ConstantAttr).Data, out)
	}
	return nil, false
}

// scalar returns the value of a constant whose elements are all the same.
func scalar(v ir.Value) (float64, bool) {
	if !v.Valid() {
		return 0, false
	}
	if v.Node.Op == "fill" {
		return v.Node.Attr.(op.FillAttr).Value, true
	}
	all, ok := values(v)
	if !ok || len(all) == 0 {
		return 0, false
	}
	for _, x := range all {
		if x != all[0] {
			return 0, false
		}
	}
	return all[0], true
}

// encode writes values as little-endian elements; false for element types
// that constants do not have.
func encode(d ir.DType, values []float64) (string, bool) {
	out := make([]byte, 0, len(values)*d.Size())
	le := binary.LittleEndian
	for _, x := range values {
		switch d {
		case ir.F64:
			out = le.AppendUint64(out, math.Float64bits(x))
		case ir.F32:
			out = le.AppendUint32(out, math.Float32bits(float32(x)))
		case ir.BF16:
			out = le.AppendUint16(out, half.F32ToBF16(float32(x)))
		case ir.F16:
			out = le.AppendUint16(out, half.F32ToF16(float32(x)))
		case ir.I64:
			out = le.AppendUint64(out, uint64(int64(x)))
		case ir.I32:
			out = le.AppendUint32(out, uint32(int32(x)))
		default:
			return "", false
		}
	}
	return string(out), true
}

func decode(d ir.DType, data string, out []float64) bool {
	raw := []byte(data)
	if len(raw) != len(out)*d.Size() {
		return false
	}
	le := binary.LittleEndian
	for i := range out {
		at := raw[i*d.Size():]
		switch d {
		case ir.F64:
			out[i] = math.Float64frombits(le.Uint64(at))
		case ir.F32:
			out[i] = float64(math.Float32frombits(le.Uint32(at)))
		case ir.BF16:
			out[i] = float64(half.BF16ToF32(le.Uint16(at)))
		case ir.F16:
			out[i] = float64(half.F16ToF32(le.Uint16(at)))
		case ir.I64:
			out[i] = float64(int64(le.Uint64(at)))
		case ir.I32:
			out[i] = float64(int32(le.Uint32(at)))
		default:
			return false
		}
	}
	return true
}
