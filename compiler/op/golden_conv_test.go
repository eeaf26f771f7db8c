package op

import (
	"strings"

	"pipe.dev/compiler/ir"
)

// ints reads an attribute that PyTorch takes as one number or several.
func (f fixture) ints(name string) Ints {
	switch v := f.attr[name].(type) {
	case float64:
		return MakeInts(int(v))
	case []any:
		var out []int
		for _, e := range v {
			out = append(out, int(e.(float64)))
		}
		return MakeInts(out...)
	}
	return ""
}

// convFormula builds a convolution of a fixture.
func convFormula(name string) formula {
	op, _, _ := strings.Cut(strings.Replace(name, "conv_t", "convT", 1), "_")
	op = strings.Replace(op, "convT", "conv_t", 1)
	return func(b *Builder, f fixture, x []ir.Value) []ir.Value {
		w := f.types["x1"].Sizes()
		at := ConvLayerAttr{OutChannels: w[0], Kernel: MakeInts(w[2:]...), Stride: f.ints("stride"), Padding: f.ints("padding"),
			Same: f.attr["padding"] == "same", Dilation: f.ints("dilation"), Groups: int(f.num("groups", 1)), Bias: len(x) > 2}
		if sides := f.ints("padding_sides"); sides != "" {
			at.Padding = sides
		}
		if !strings.Contains(op, "transpose") {
			return b.Apply(op, at, x...)
		}
		return b.Apply(op, ConvTransposeLayerAttr{OutChannels: w[1] * at.Groups, Kernel: at.Kernel, Stride: at.Stride, Padding: at.Padding,
			OutputPadding: f.ints("output_padding"), Dilation: at.Dilation, Groups: at.Groups, Bias: at.Bias}, x...)
	}
}
