package op

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
)

// Plus is what the name of an op ends with that adds a tensor to the first result
// of the op before it.
const Plus = "_plus"

// plusDefs are the ops whose first result a kernel can add to a tensor while it has
// it: products, convolutions and their adjoints, gradients of norms. The compiler
// makes them of an op and of an addition, where the target has a kernel.
func plusDefs() []Def {
	return []Def{
		plus(matmul(), "odd", "trans_a", "trans_b", "wide", "batch", "grouped heads"),
		plus(linear(), "bias", "transpose", "gelu", "single row", "many rows"),
		plus(conv(), "depthwise", "two axes", "many channels"),
		plus(convTranspose(), "stride with rest", "two axes"),
		plus(convLayer(1), "bias", "depthwise"),
		plus(convLayer(2), "bias", "gelu", "same"),
		plus(rmsNormGrad(), "odd", "heads", "narrow"),
		plus(layerNormGrad(), "odd", "many rows"),
	}
}

// plus is z + d(...), both rounded to their type before they are added. The first
// input is z, of the type of d's first result; those of d follow. Its cases are those
// of d with some names.
func plus(d Def, names ...string) Def {
	p := Def{Name: d.Name + Plus, Doc: fmt.Sprintf("y = z + what %s gives; other results are its own.", d.Name), Attr: d.Attr, Outputs: d.Outputs,
		Ports: append([]Port{{Name: "z", Doc: "as the first result"}}, d.Ports...)}
	if d.Params != nil {
		p.Params = func(in []ir.Type, attr any) ([]Param, error) { return d.Params(in[1:], attr) }
	}
	p.Infer = func(in []ir.Type, attr any) ([]ir.Type, error) {
		out, err := d.Infer(in[1:], attr)
		if err == nil && !in[0].Equal(out[0]) {
			err = fmt.Errorf("z is %v, want %v", in[0], out[0])
		}
		return out, err
	}
	p.Lower = func(b *Builder, n *ir.Node) []ir.Value {
		out := slices.Clone(b.Apply(d.Name, n.Attr, n.In[1:]...))
		out[0] = b.Add(n.In[0], out[0])
		return out
	}
	p.Sees = func(n *ir.Node, input, axis int) (Sight, bool) {
		if input == 0 {
			return seesAlike(n, 0, axis)
		}
		inner := *n
		inner.Op, inner.In = d.Name, n.In[1:]
		return d.sight(&inner, input-1, axis)
	}
	p.Cost = func(in, out []ir.Type, attr any) int64 { return d.Cost(in[1:], out, attr) + int64(out[0].Elems()) }
	for _, i := range d.Wide {
		p.Wide = append(p.Wide, i+1)
	}
	p.Cases = plusCases(d, names)
	return p
}

// plusCases are those of d with some names, and a tensor that the result is added to.
func plusCases(d Def, names []string) []Case {
	var cases []Case
	for _, c := range d.Cases {
		if !slices.Contains(names, c.Name) || c.Large {
			continue
		}
		out, err := d.Infer(c.In, c.Attr)
		if err != nil {
			continue // the case of d reports it
		}
		c.In = append([]ir.Type{out[0]}, c.In...)
		c.Bounds = behind(c.Bounds)
		cases = append(cases, c)
	}
	return cases
}

// behind are bounds of inputs that come one later.
func behind(bounds map[int][2]float64) map[int][2]float64 {
	if bounds == nil {
		return nil
	}
	out := map[int][2]float64{}
	for i, b := range bounds {
		out[i+1] = b
	}
	return out
}
