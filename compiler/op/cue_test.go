package op

import (
	"strings"
	"testing"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"

	"pipe.dev/compiler/ir"
)

// fieldsOf lists the fields of a CUE struct as "name", "name!" or "name?".
func fieldsOf(s *ast.StructLit) []string {
	var out []string
	for _, e := range s.Elts {
		f, ok := e.(*ast.Field)
		if !ok {
			continue
		}
		name, _, _ := ast.LabelName(f.Label)
		if f.Constraint.String() != "ILLEGAL" {
			name += f.Constraint.String()
		}
		out = append(out, name)
	}
	return out
}

// The definitions parse, are formatted as cue fmt does, and say what the table says.
func TestCUE(t *testing.T) {
	table := newTable(t)
	text := table.CUE()
	file, err := parser.ParseFile("ops.cue", text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	formatted, err := format.Source(text)
	if err != nil {
		t.Fatal(err)
	}
	if string(formatted) != string(text) {
		t.Error("cue fmt would change the text")
	}
	defs := map[string]*ast.StructLit{}
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.Field)
		if !ok {
			continue
		}
		name, _, _ := ast.LabelName(f.Label)
		value := f.Value
		if a, ok := value.(*ast.Alias); ok {
			value = a.Expr
		}
		defs[name] = value.(*ast.StructLit)
	}
	titles := 0
	for _, d := range table.Defs() {
		if d.Title == "" {
			continue
		}
		titles++
		s, ok := defs["#"+d.Title]
		if !ok {
			t.Errorf("no #%s", d.Title)
			continue
		}
		want := []string{"op"}
		for _, p := range d.Ports {
			mark := "!"
			if p.Optional {
				mark = "?"
			}
			want = append(want, p.Name+mark)
		}
		for _, f := range d.Fields() {
			if strings.HasPrefix(f.CUE, f.Name+"!") {
				want = append(want, f.Name+"!")
			} else {
				want = append(want, f.Name)
			}
		}
		if len(d.Outputs) > 0 {
			want = append(want, "outs")
		}
		if got := fieldsOf(s); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("#%s has fields %v, want %v", d.Title, got, want)
		}
	}
	if len(defs) != titles {
		t.Errorf("%d definitions for %d titles", len(defs), titles)
	}
}

// Two of them in full, as a reader sees them.
func TestCUEText(t *testing.T) {
	text := string(newTable(t).CUE())
	for _, want := range []string{`
// #RMSNorm: y = x / sqrt(mean(x²) + eps) * w.
#RMSNorm: {
	#Op
	#Weights
	op: "rms_norm"
	// [..., dim]
	x!: #Tok
	// added to the mean square
	eps: number & >=0 | *1e-6
	// multiply by 1 + w
	plus_one: bool | *false
}
`, `
#TopK: N={
	#Op
	op: "topk"
	// [..., n], n at least k
	x!: #Tok
	// how many, from the largest down
	k!: int & >0
	// the tokens of all outputs; out is the first
	outs: {
		values:  "\(N.id)#values"
		indices: "\(N.id)#indices"
	}
}
`} {
		if !strings.Contains(text, want) {
			t.Errorf("no%s", want)
		}
	}
}

func TestDocs(t *testing.T) {
	table := newTable(t)
	text := string(table.Docs())
	for _, d := range table.Defs() {
		if !strings.Contains(text, "`"+d.Name+"`") || !strings.Contains(text, d.Doc) {
			t.Errorf("%s is not documented", d.Name)
		}
	}
	for _, want := range []string{
		"| weight `bias` | 1-dimensional; a new one is filled by `zeros` |",
		"| `fn` | the function; `\"silu\" \\| \"gelu\"",
		"| `eps` | added to the mean square; `number & >=0` | `1e-6` |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
}

// A table refuses incomplete and contradictory definitions.
func TestNewTable(t *testing.T) {
	good := neg()
	for name, c := range map[string]struct {
		change func(d *Def)
		want   string
	}{
		"no cases":     {func(d *Def) { d.Cases = nil }, "op neg: need Doc, Infer, Cases"},
		"no reference": {func(d *Def) { d.Ref = nil }, "exactly one of Ref and Lower"},
		"both":         {func(d *Def) { d.Lower = func(*Builder, *ir.Node) []ir.Value { return nil } }, "exactly one of Ref and Lower"},
		"no gradient":  {func(d *Def) { d.Grad = nil }, "needs Grad, or NoGrad"},
		"port name":    {func(d *Def) { d.Ports = []Port{{Name: "out", Doc: "x"}} }, "the name out is taken"},
		"port twice":   {func(d *Def) { d.Ports = append(d.Ports, d.Ports[0]) }, "the name x is taken"},
		"port doc":     {func(d *Def) { d.Ports = []Port{{Name: "x"}} }, "port x has no doc"},
		"attribute":    {func(d *Def) { d.Attr = struct{ A []int }{} }, "are not comparable"},
	} {
		d := good
		c.change(&d)
		if _, err := NewTable(d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q", name, err, c.want)
		}
	}
	if _, err := NewTable(good, good); err == nil || !strings.Contains(err.Error(), "defined twice") {
		t.Errorf("error is %v", err)
	}
}
