// Package cases makes what the cases of the op table are run with: element
// types, layouts of weights, sampled inputs.
//
// It runs nothing and judges nothing: kerneltest checks backends by it, and
// bench measures them.
package cases

import (
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// Label names a case.
func Label(name string) string {
	if name == "" {
		return "plain"
	}
	return name
}

// Variant is a case with its inputs at certain element types.
type Variant struct {
	Name string // " bf16", or "" for the case as it is
	In   []ir.Type
}

// Variants lists the element types at which a case is tried: as it is, all
// f32 inputs narrowed but those that stay wide, only the weights narrowed, only the cache narrowed,
// and weights in blocks: all types, or of a large case for these the usual ones.
func Variants(d op.Def, c op.Case) []Variant {
	out := []Variant{{"", c.In}}
	weights := func(i int) bool { return i >= len(d.Ports) }
	cached := func(i int) bool {
		return slices.Contains(d.Cached, i) || i < len(d.Ports) && d.Ports[i].Name == "cache"
	}
	all := func(i int) bool { return !slices.Contains(d.Wide, i) }
	for _, t := range []ir.DType{ir.BF16, ir.F16} {
		for _, which := range []struct {
			name   string
			choose func(int) bool
		}{{"", all}, {" weights", weights}, {" cache", cached}} {
			if which.name == " weights" && d.Params == nil {
				continue
			}
			if in, some := narrowed(c.In, t, which.choose); some {
				if _, err := d.Infer(in, c.Attr); err == nil {
					out = append(out, Variant{" " + t.String() + which.name, in})
				}
			}
		}
	}
	switch {
	case c.Quantised:
		return blocked(d, c, []ir.DType{ir.Q8_0, ir.Q4_0, ir.Q4_K, ir.Q6_K})
	case c.Large:
		return out
	}
	if in, some := narrowed(c.In, ir.Q8_0, cached); some {
		if _, err := d.Infer(in, c.Attr); err == nil {
			out = append(out, Variant{" " + ir.Q8_0.String() + " cache", in})
		}
	}
	return append(out, blocked(d, c, ir.Blocked())...)
}

// blocked lists which types of quantised weights an op reads that the rows of a
// case are whole blocks of.
func blocked(d op.Def, c op.Case, types []ir.DType) (out []Variant) {
	if d.Params == nil {
		return nil
	}
	params, err := d.Params(c.In[:len(d.Ports)], c.Attr)
	if err != nil {
		return nil
	}
	for _, t := range types {
		in, some := slices.Clone(c.In), false
		for k, p := range params {
			if i := len(d.Ports) + k; p.Blocks && in[i].DType == ir.F32 && in[i].Blocks(t) {
				in[i], some = in[i].As(t), true
			}
		}
		if !some {
			continue
		}
		if _, err := d.Infer(in, c.Attr); err == nil {
			out = append(out, Variant{" " + t.String(), in})
		}
	}
	return out
}

func narrowed(in []ir.Type, t ir.DType, choose func(i int) bool) (out []ir.Type, some bool) {
	for i, x := range in {
		if x.DType == ir.F32 && choose(i) {
			x, some = x.As(t), true
		}
		out = append(out, x)
	}
	return out, some
}

// Layouts lists the layouts of the inputs to try: those the backend
// prefers, and row-major where it can read that.
func Layouts(be kernels.Backend, name string, attr any, in []ir.Type) [][]ir.Layout {
	prefers, plain := make([]ir.Layout, len(in)), make([]ir.Layout, len(in))
	for i, t := range in {
		if !t.DType.Float() && !t.DType.Blocked() {
			continue
		}
		prefers[i] = be.Layout(name, attr, i, t)
		if prefers[i] != "" && !be.Accepts(name, attr, i, t, "") {
			plain[i] = prefers[i]
		}
	}
	if slices.Equal(plain, prefers) {
		return [][]ir.Layout{plain}
	}
	return [][]ir.Layout{prefers, plain}
}
