package ir

import (
	"slices"
	"strings"
	"testing"
)

func TestDim(t *testing.T) {
	batch, seq := Sym("batch"), Sym("seq")
	for _, c := range []struct{ got, want string }{
		{D(4).Mul(seq).Mul(batch).Mul(D(2)).String(), "8*batch*seq"},
		{seq.Mul(D(0)).String(), "0"},
		{batch.Mul(seq).Bind(map[string]int{"seq": 3}).String(), "3*batch"},
		{batch.Mul(seq).Bind(map[string]int{"seq": 3, "batch": 2}).String(), "6"},
		{T(BF16, 2, 3).With(batch, D(3)).String(), "bf16[batch,3]"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
	if q, ok := D(6).Mul(batch).Mul(seq).Div(D(3).Mul(batch)); !ok || q.String() != "2*seq" {
		t.Errorf("6*batch*seq / 3*batch = %v, %v", q, ok)
	}
	for _, by := range []Dim{D(4), Sym("ctx"), D(0)} {
		if q, ok := D(6).Mul(batch).Div(by); ok {
			t.Errorf("6*batch / %v = %v, want no result", by, q)
		}
	}
}

func TestParseDim(t *testing.T) {
	for _, s := range []string{"12", "batch", "4*batch*seq"} {
		if d, err := ParseDim(s); err != nil || d.String() != s {
			t.Errorf("ParseDim(%q) = %v, %v", s, d, err)
		}
	}
	for _, s := range []string{"", "-3", "Batch", "4*", "a+b"} {
		if d, err := ParseDim(s); err == nil {
			t.Errorf("ParseDim(%q) = %v, want an error", s, d)
		}
	}
}

func TestDTypes(t *testing.T) {
	for _, d := range DTypes() {
		if got, err := ParseDType(d.String()); err != nil || got != d {
			t.Errorf("ParseDType(%q) = %v, %v", d.String(), got, err)
		}
		if d.Size() == 0 || d.Float() && d.Int() {
			t.Errorf("%v: size %d, float %v, int %v", d, d.Size(), d.Float(), d.Int())
		}
	}
	if _, err := ParseDType("f99"); err == nil {
		t.Error("f99 is a dtype")
	}
}

// small is a graph of x + w, with w becoming the sum.
func small() (*Graph, *Node, *State) {
	g := &Graph{}
	x := g.AddInput("x", T(F32, 2), Pos{Path: "x"})
	w := g.AddState(State{Path: "w"}, T(F32, 2))
	n := &Node{Op: "add", In: []Value{x, w.Read}, Types: []Type{T(F32, 2)}, Attr: struct{ Axis int }{1}, Pos: Pos{Path: "sum"}}
	y := g.Add(n)[0]
	w.Next = y
	g.Outputs = []Output{{"y", y}}
	return g, n, w
}

func TestPrint(t *testing.T) {
	g, _, _ := small()
	want := `%0 = input{name=x} f32[2]  # x
%1 = state{path=w} f32[2]
%2 = add{axis=1}(%0, %1) f32[2]  # sum
next weight w = %2
output y = %2
`
	if got := g.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestVerify(t *testing.T) {
	g, _, _ := small()
	if err := g.Verify(); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(*Graph, *Node, *State){
		"does not come before": func(g *Graph, n *Node, _ *State) { n.In[0] = Value{Node: n} },
		"has number 7":         func(g *Graph, n *Node, _ *State) { n.ID = 7 },
		"has no dtype":         func(g *Graph, n *Node, _ *State) { n.Types[0].DType = Invalid },
		"has no output":        func(g *Graph, n *Node, _ *State) { n.Types = nil },
		"is not a value":       func(g *Graph, n *Node, _ *State) { g.Outputs[0].Value.Out = 3 },
		"and becomes":          func(g *Graph, n *Node, _ *State) { n.Types = []Type{T(F32, 3)} },
		"is not read":          func(g *Graph, n *Node, s *State) { s.Path = "other" },
		"two states":           func(g *Graph, n *Node, s *State) { g.States = append(g.States, s) },
		"two inputs":           func(g *Graph, n *Node, s *State) { g.Inputs = append(g.Inputs, g.Inputs[0]) },
	} {
		g, n, s := small()
		damage(g, n, s)
		if err := g.Verify(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want an error saying %q, have %v", name, err)
		}
	}
}

// Types in blocks have the bytes of whole blocks, and no place among the types
// whose elements stand alone.
func TestBlocked(t *testing.T) {
	for _, d := range Blocked() {
		elems, bytes := d.Block()
		if got := T(d, 3, 2*elems).Bytes(); !d.Blocked() || got != int64(6*bytes) || d.Size() != 0 {
			t.Errorf("%v: %d bytes, size %d", d, got, d.Size())
		}
		if !T(F32, 3, 2*elems).Blocks(d) || T(F32, 3, elems+1).Blocks(d) || T(F32, 3).With(D(elems), Sym("n")).Blocks(d) || T(F32).Blocks(d) {
			t.Errorf("%v: which rows are whole blocks is not told right", d)
		}
		if got, err := ParseBlocked(d.String()); err != nil || got != d {
			t.Errorf("%v is read as %v, %v", d, got, err)
		}
		if _, err := ParseDType(d.String()); err == nil || slices.Contains(DTypes(), d) {
			t.Errorf("%v is among the types whose elements stand alone", d)
		}
	}
	if elems, bytes := F32.Block(); elems != 1 || bytes != 4 || F32.Blocked() {
		t.Errorf("f32 has blocks of %d elements, %d bytes", elems, bytes)
	}
	if _, err := ParseBlocked("f32"); err == nil || err.Error() != `unknown type of quantised weights "f32"` {
		t.Errorf("f32 is read as a type in blocks: %v", err)
	}
}

// TestSums adds sizes up: like ones become one, whatever the order.
func TestSums(t *testing.T) {
	dim := func(s string) Dim {
		d, err := ParseDim(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	sizes := map[string]int{"a": 3, "b": 5, "c": 7}
	for _, c := range []struct {
		x, y, want string
		value      int
	}{
		{"a", "b", "(a+b)", 8},
		{"b", "a", "(a+b)", 8},
		{"2*a", "a", "3*a", 9},
		{"2*a", "4*b", "2*(a+2*b)", 26},
		{"a*b", "1", "(a*b+1)", 16},
		{"(a+b)", "b", "(a+2*b)", 13},
		{"(a+1)", "(a+b)", "(2*a+b+1)", 12},
		{"a*(b+1)", "c", "((b+1)*a+c)", 25},
		{"2", "3", "5", 5},
		{"6*(b+a)", "0", "6*(a+b)", 48},
	} {
		got := dim(c.x).Add(dim(c.y))
		if got.String() != c.want || dim(c.want) != got || got.Bind(sizes) != D(c.value) {
			t.Errorf("%s + %s = %v, which is %v; want %s, %d", c.x, c.y, got, got.Bind(sizes), c.want, c.value)
		}
	}
	if got := dim("batch*(a+b)").Bind(map[string]int{"a": 2}); got.String() != "(b+2)*batch" {
		t.Errorf("partly bound: %v", got)
	}
	named := map[string]Dim{"a": dim("2*(c+1)"), "b": dim("2*d"), "c": dim("a")}
	for in, want := range map[string]string{"3*batch*(a+b)": "6*(c+d+1)*batch", "a*b": "4*(c+1)*d", "(a*e+1)": "(2*(c+1)*e+1)", "(c+e)": "(a+e)", "c": "a", "7": "7"} {
		if got := dim(in).Replace(named); got != dim(want) {
			t.Errorf("%s with named sizes: %v, want %s", in, got, want)
		}
	}
	if q, ok := dim("4*batch*(a+b)").Div(dim("2*(b+a)")); !ok || q.String() != "2*batch" {
		t.Errorf("divided: %v, %v", q, ok)
	}
	if names := dim("2*(b+a*c)*b").Names(); len(names) != 4 {
		t.Errorf("names: %v", names)
	}
	for _, bad := range []string{"", "a**b", "(a", "a+b", "(a+)b", "(a+B)"} {
		if d, err := ParseDim(bad); err == nil {
			t.Errorf("%q is read as %v", bad, d)
		}
	}
}
