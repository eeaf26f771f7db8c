package lift

import (
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/executor/onnx"
)

func productRows() map[string]func(c *call) []*value {
	return map[string]func(c *call) []*value{"MatMul": single(matMul), "Gemm": single(gemm), "Einsum": single(einsum)}
}

// matMul is a linear layer where the second operand is a constant matrix, with
// the bias that is added to its only use.
func matMul(c *call) *value {
	a, b := c.in(0), c.in(1)
	ra, rb := a.typ.Rank(), b.typ.Rank()
	if ra == 0 || rb == 0 {
		fail("multiplies %v and %v", a.typ, b.typ)
	}
	if rb == 2 && ra >= 2 && c.constantFloats(b) && !c.known(a) && a.typ.Shape[ra-1] == b.typ.Shape[0] {
		return c.linear(a, b, true, c.biasAfter(b.typ.Shape[1]))
	}
	if ra == 1 {
		a = c.reshape(a, ir.D(1), a.typ.Shape[0])
	}
	if rb == 1 {
		b = c.reshape(b, b.typ.Shape[0], ir.D(1))
	}
	y := c.op("matmul", op.MatMulAttr{}, a, b)
	shape := slices.Clone(y.typ.Shape)
	if rb == 1 {
		shape = shape[:len(shape)-1]
	}
	if ra == 1 {
		k := len(shape) - 1
		if rb > 1 {
			k--
		}
		shape = slices.Delete(shape, k, k+1)
	}
	return c.reshape(y, shape...)
}

// linear multiplies by a constant matrix: [in, out] if wide, else [out, in].
func (c *call) linear(x, w *value, wide bool, bias *value) *value {
	out := w.typ.Shape[0]
	if wide {
		out = w.typ.Shape[1]
	}
	if w.src != nil && slices.Equal(w.src.perm, []int{1, 0}) && w.nums == nil { // as it lies in the file
		w, wide = &value{typ: w.typ.With(w.typ.Shape[1], w.typ.Shape[0]), src: &source{w.src.tensor, w.src.name, nil}}, !wide
	}
	names := []string{"weight", "bias"}
	at := op.LinearAttr{OutFeatures: out.N, Bias: bias != nil, Transpose: wide}
	return c.params("linear", at, c.prefix(names, w, bias), names, []*value{x}, w, bias)
}

// biasAfter finds the constant that is added to the result of the node, where
// nothing else reads that; it takes that node in.
func (c *call) biasAfter(n ir.Dim) *value {
	name := c.n.Out[0]
	add := c.scope.reader[name]
	if c.scope.uses[name] != 1 || add == nil || add.Op != "Add" || len(add.In) != 2 || len(add.Out) != 1 || add.Domain != c.n.Domain || !c.scope.owns(add) {
		return nil
	}
	other := add.In[0]
	if other == name {
		other = add.In[1]
	}
	v := c.scope.constant(c, other)
	if v == nil || !c.constantFloats(v) || v.typ.Rank() < 1 || v.typ.Len() != n || v.typ.Shape[v.typ.Rank()-1] != n {
		return nil
	}
	c.scope.done[add] = true
	c.scope.alias[add.Out[0]] = name
	if add.Name != "" && c.n.Name == "" {
		c.id = identifier(add.Name)
	}
	return c.reshape(v, n)
}

// owns reports whether a node is one of the graph itself, not of a branch.
func (s *scope) owns(n *onnx.Node) bool {
	for i := range s.init.Nodes {
		if &s.init.Nodes[i] == n {
			return true
		}
	}
	return false
}

// constant is the constant that a name is already, or nil.
func (s *scope) constant(c *call, name string) *value {
	if v := s.lookup(name); v != nil {
		if v.src != nil || v.nums != nil && v.dims == nil {
			return v
		}
		return nil
	}
	for at := s; at != nil; at = at.outer {
		if _, ok := at.init.Initializer(name); ok {
			return (&call{c.lifter, at, &onnx.Node{In: []string{name}}}).in(0)
		}
	}
	return nil
}

func gemm(c *call) *value {
	a, b, bias := c.in(0), c.in(1), c.given(2)
	c.rank(a, "first input", 2)
	c.rank(b, "second input", 2)
	alpha, beta := c.float("alpha", 1), c.float("beta", 1)
	transA, transB := c.int("transA", 0) != 0, c.int("transB", 0) != 0
	if transA {
		a = c.transpose(a, 1, 0)
	}
	n := b.typ.Shape[1]
	if transB {
		n = b.typ.Shape[0]
	}
	plain := bias == nil || beta == 1 && c.constantFloats(bias) && bias.typ.Rank() > 0 && bias.typ.Len() == n && bias.typ.Shape[bias.typ.Rank()-1] == n
	if alpha == 1 && plain && c.constantFloats(b) && !c.known(a) {
		if bias != nil {
			bias = c.reshape(bias, n)
		}
		return c.linear(a, b, !transB, bias)
	}
	y := c.op("matmul", op.MatMulAttr{TransB: transB}, a, b)
	if alpha != 1 {
		y = c.mul(y, like(y, alpha))
	}
	if bias == nil {
		return y
	}
	if beta != 1 {
		bias = c.mul(bias, like(bias, beta))
	}
	return c.add(y, bias)
}

// einsum of two operands: axes that both have and the result lacks are summed,
// as one product of matrices.
func einsum(c *call) *value {
	equation := strings.ReplaceAll(c.text("equation", ""), " ", "")
	left, out, ok := strings.Cut(equation, "->")
	parts := strings.Split(left, ",")
	if !ok || len(parts) != 2 || len(c.n.In) != 2 || strings.Contains(equation, ".") {
		fail("equation %s is not imported: want that of two operands, with its result", onnx.Show(equation))
	}
	vs := []*value{c.in(0), c.in(1)}
	sizes := map[rune]ir.Dim{}
	for i, p := range parts {
		if len(p) != vs[i].typ.Rank() {
			fail("equation %s does not suit %v", onnx.Show(equation), vs[i].typ)
		}
		for k, r := range p {
			if strings.Count(p, string(r)) > 1 || strings.Count(out, string(r)) > 1 {
				fail("equation %s names an axis twice", onnx.Show(equation))
			}
			sizes[r] = vs[i].typ.Shape[k]
		}
	}
	var batch, rows, cols, sum string
	for _, r := range parts[0] + parts[1] {
		s := string(r)
		inA, inB, inOut := strings.Contains(parts[0], s), strings.Contains(parts[1], s), strings.Contains(out, s)
		to := &sum
		switch {
		case inA && inB && inOut:
			to = &batch
		case inOut && inA:
			to = &rows
		case inOut:
			to = &cols
		case !inA || !inB:
			fail("equation %s sums over an axis of one operand", onnx.Show(equation))
		}
		if !strings.Contains(*to, s) {
			*to += s
		}
	}
	dims := func(letters string) []ir.Dim {
		var ds []ir.Dim
		for _, r := range letters {
			ds = append(ds, sizes[r])
		}
		return ds
	}
	arrange := func(v *value, from, to string) *value {
		var perm []int
		for _, r := range to {
			perm = append(perm, strings.IndexRune(from, r))
		}
		return c.transpose(v, perm...)
	}
	for _, r := range out {
		if !strings.ContainsRune(batch+rows+cols, r) {
			fail("equation %s has an axis that no operand has", onnx.Show(equation))
		}
	}
	a := c.reshape(arrange(vs[0], parts[0], batch+rows+sum), append(dims(batch), product(dims(rows)), product(dims(sum)))...)
	b := c.reshape(arrange(vs[1], parts[1], batch+sum+cols), append(dims(batch), product(dims(sum)), product(dims(cols)))...)
	y := c.reshape(c.op("matmul", op.MatMulAttr{}, a, b), dims(batch+rows+cols)...)
	return arrange(y, batch+rows+cols, out)
}
