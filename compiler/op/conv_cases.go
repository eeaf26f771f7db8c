package op

import (
	"pipe.dev/compiler/ir"
)

// convDefs lists convolutions: the primitives, and the layers of documents.
func convDefs() []Def {
	out := []Def{conv(), convTranspose(), convWeightGrad()}
	for n := 1; n <= 3; n++ {
		out = append(out, convLayer(n))
	}
	for n := 1; n <= 3; n++ {
		out = append(out, convTransposeLayer(n))
	}
	return out
}

// geometry is one sampled use of a convolution.
type geometry struct {
	name  string
	x, w  []int // x [batch, in, spatial...], w [out, in/groups, kernel...]
	at    ConvAttr
	large bool
}

// geometries cover what differs: axes, strides that leave a rest, dilation,
// groups, sides that differ, kernels that are larger than x.
func geometries() []geometry {
	return []geometry{
		{"", []int{1, 2, 7}, []int{3, 2, 3}, ConvAttr{"1", "0", "0", "1", 1, "", "", false, false}, false},
		{"padded", []int{2, 3, 9}, []int{5, 3, 3}, ConvAttr{"1", "1", "1", "1", 1, "", "", false, false}, false},
		{"dilated", []int{1, 2, 19}, []int{3, 2, 5}, ConvAttr{"1", "6", "6", "3", 1, "", "", false, false}, false},
		{"causal", []int{2, 2, 11}, []int{3, 2, 3}, ConvAttr{"1", "4", "0", "2", 1, "", "", false, false}, false},
		{"stride with rest", []int{2, 3, 12}, []int{4, 3, 4}, ConvAttr{"3", "1", "2", "1", 1, "", "", false, false}, false},
		{"stride and dilation", []int{1, 2, 23}, []int{3, 2, 4}, ConvAttr{"4", "3", "1", "2", 1, "", "", false, false}, false},
		{"stride beyond kernel", []int{1, 2, 13}, []int{3, 2, 2}, ConvAttr{"5", "0", "0", "1", 1, "", "", false, false}, false},
		{"grouped", []int{2, 6, 10}, []int{9, 2, 3}, ConvAttr{"1", "1", "1", "1", 3, "", "", false, false}, false},
		{"depthwise", []int{2, 5, 37}, []int{5, 1, 3}, ConvAttr{"1", "1", "1", "1", 5, "", "", false, false}, false},
		{"depthwise stride", []int{1, 3, 20}, []int{6, 1, 5}, ConvAttr{"2", "2", "1", "2", 3, "", "", false, false}, false},
		{"kernel larger than x", []int{1, 2, 3}, []int{2, 2, 7}, ConvAttr{"1", "4", "3", "1", 1, "", "", false, false}, false},
		{"1x1", []int{2, 5, 7, 6}, []int{7, 5, 1, 1}, ConvAttr{"1,1", "0,0", "0,0", "1,1", 1, "", "", false, false}, false},
		{"1x1 stride", []int{1, 3, 7, 6}, []int{4, 3, 1, 1}, ConvAttr{"2,2", "0,0", "0,0", "1,1", 1, "", "", false, false}, false},
		{"two axes", []int{2, 3, 6, 9}, []int{5, 3, 3, 3}, ConvAttr{"1,1", "1,1", "1,1", "1,1", 1, "", "", false, false}, false},
		{"two axes strided", []int{1, 3, 9, 10}, []int{4, 3, 3, 5}, ConvAttr{"2,3", "1,0", "0,4", "1,1", 1, "", "", false, false}, false},
		{"two axes dilated", []int{1, 2, 9, 8}, []int{3, 2, 3, 2}, ConvAttr{"1,2", "2,1", "2,3", "2,3", 1, "", "", false, false}, false},
		{"two axes depthwise", []int{1, 4, 8, 9}, []int{4, 1, 3, 3}, ConvAttr{"1,2", "1,1", "1,1", "1,1", 4, "", "", false, false}, false},
		{"two axes grouped", []int{2, 4, 5, 7}, []int{6, 2, 3, 3}, ConvAttr{"1,1", "1,1", "1,1", "1,1", 2, "", "", false, false}, false},
		{"three axes", []int{1, 2, 4, 5, 6}, []int{3, 2, 3, 2, 3}, ConvAttr{"1,2,1", "1,0,1", "1,1,0", "1,1,2", 1, "", "", false, false}, false},
		{"many channels", []int{1, 70, 35}, []int{37, 70, 9}, ConvAttr{"1", "4", "4", "1", 1, "", "", false, false}, false},
		{"tf32", []int{2, 9, 35}, []int{10, 9, 5}, ConvAttr{"2", "2", "1", "1", 1, "", "", false, true}, false},
		{"picture", []int{1, 320, 64, 64}, []int{320, 320, 3, 3}, ConvAttr{"1,1", "1,1", "1,1", "1,1", 1, "", "", false, false}, true},
		{"picture depthwise", []int{1, 256, 64, 64}, []int{256, 1, 3, 3}, ConvAttr{"1,1", "1,1", "1,1", "1,1", 256, "", "", false, false}, true},
		{"mobile depthwise", []int{1, 96, 112, 112}, []int{96, 1, 3, 3}, ConvAttr{"1,1", "1,1", "1,1", "1,1", 96, "", "", false, false}, true},
		{"line depthwise", []int{1, 256, 8192}, []int{256, 1, 7}, ConvAttr{"1", "3", "3", "1", 256, "", "", false, false}, true},
		{"picture 1x1", []int{1, 320, 64, 64}, []int{320, 320, 1, 1}, ConvAttr{"1,1", "0,0", "0,0", "1,1", 1, "", "", false, false}, true},
		{"vocoder", []int{1, 512, 256}, []int{512, 512, 7}, ConvAttr{"1", "3", "3", "1", 1, "", "", false, false}, true},
		{"vocoder dilated by 3", []int{1, 256, 2048}, []int{256, 256, 7}, ConvAttr{"1", "9", "9", "3", 1, "", "", false, false}, true},
		{"vocoder dilated by 5", []int{1, 64, 16384}, []int{64, 64, 7}, ConvAttr{"1", "15", "15", "5", 1, "", "", false, false}, true},
		{"vocoder upsampling", []int{1, 256, 2048}, []int{512, 256, 16}, ConvAttr{"8", "4", "4", "1", 1, "", "", false, false}, true},
	}
}

// eachGeometry makes a case of every geometry; in gives the inputs and the attribute.
func eachGeometry(in func(g geometry, y []int) ([]ir.Type, ConvAttr)) []Case {
	var out []Case
	for _, g := range geometries() {
		t, err := convInfer(f32s(g.x, g.w), g.at)
		if err != nil {
			continue // TestCases reports it
		}
		c := Case{Name: g.name, Low: -1, High: 1, Tol: 1e-5, Large: g.large}
		if g.at.TF32 { // whichever way, a sum is of fewer
			c.Tol = tf32Tol(product(g.w))
		}
		ins, at := in(g, t[0].Sizes())
		c.In, c.Attr = ins, at
		out = append(out, c)
	}
	return out
}

func convCases() []Case {
	return eachGeometry(func(g geometry, _ []int) ([]ir.Type, ConvAttr) { return f32s(g.x, g.w), g.at })
}

func convTransposeCases() []Case {
	return eachGeometry(func(g geometry, y []int) ([]ir.Type, ConvAttr) {
		g.at.Size = MakeDims(ir.T(ir.F32, g.x[2:]...).Shape...)
		return f32s(y, g.w), g.at
	})
}

func convWeightGradCases() []Case {
	cases := eachGeometry(func(g geometry, y []int) ([]ir.Type, ConvAttr) {
		g.at.Kernel = MakeInts(g.w[2:]...)
		return f32s(g.x, y), g.at
	})
	wide := cases[1]
	at := wide.Attr.(ConvAttr)
	at.Wide = true
	wide.Name, wide.Attr = "wide", at
	return append(cases, wide)
}

// convLayerCases are few: what differs stands among the cases of conv.
func convLayerCases(n int) []Case {
	c := func(name string, at ConvLayerAttr, shapes ...[]int) Case {
		return Case{Name: name, In: f32s(shapes...), Attr: at, Low: -1, High: 1, Tol: 1e-5}
	}
	switch n {
	case 1:
		return []Case{
			c("", ConvLayerAttr{OutChannels: 3, Kernel: "3", Groups: 1}, []int{1, 2, 7}, []int{3, 2, 3}),
			c("bias", ConvLayerAttr{OutChannels: 5, Kernel: "3", Stride: "2", Padding: "2,1", Groups: 1, Bias: true}, []int{2, 3, 8}, []int{5, 3, 3}, []int{5}),
			c("same", ConvLayerAttr{OutChannels: 4, Kernel: "4", Stride: "3", Same: true, Groups: 2, Bias: true, Act: "silu"}, []int{1, 2, 11}, []int{4, 1, 4}, []int{4}),
			c("depthwise", ConvLayerAttr{OutChannels: 6, Kernel: "5", Dilation: "2", Padding: "4", Groups: 6, Bias: true, Act: "relu"}, []int{2, 6, 33}, []int{6, 1, 5}, []int{6}),
			large(c("vocoder", ConvLayerAttr{OutChannels: 512, Kernel: "7", Padding: "3", Groups: 1, Bias: true}, []int{1, 512, 256}, []int{512, 512, 7}, []int{512})),
			large(c("vocoder dilated by 3", ConvLayerAttr{OutChannels: 256, Kernel: "7", Padding: "9", Dilation: "3", Groups: 1, Bias: true}, []int{1, 256, 2048}, []int{256, 256, 7}, []int{256})),
			large(c("vocoder dilated by 5", ConvLayerAttr{OutChannels: 64, Kernel: "7", Padding: "15", Dilation: "5", Groups: 1, Bias: true}, []int{1, 64, 16384}, []int{64, 64, 7}, []int{64})),
		}
	case 2:
		return []Case{
			c("", ConvLayerAttr{OutChannels: 4, Kernel: "3", Padding: "1", Groups: 1}, []int{1, 3, 5, 6}, []int{4, 3, 3, 3}),
			c("bias", ConvLayerAttr{OutChannels: 4, Kernel: "3,2", Stride: "2", Padding: "0,1,1,0", Groups: 2, Bias: true}, []int{2, 6, 6, 7}, []int{4, 3, 3, 2}, []int{4}),
			c("gelu", ConvLayerAttr{OutChannels: 33, Kernel: "1", Groups: 1, Bias: true, Act: "gelu"}, []int{2, 5, 3, 7}, []int{33, 5, 1, 1}, []int{33}),
			rounded(c("tf32", ConvLayerAttr{OutChannels: 9, Kernel: "3", Padding: "1", Groups: 1, Bias: true, Act: "silu", TF32: true}, []int{2, 5, 4, 7}, []int{9, 5, 3, 3}, []int{9}), 45),
			c("same", ConvLayerAttr{OutChannels: 3, Kernel: "4,3", Dilation: "1,2", Same: true, Groups: 1, Bias: true}, []int{1, 2, 6, 7}, []int{3, 2, 4, 3}, []int{3}),
			loose(c("winograd", ConvLayerAttr{OutChannels: 19, Kernel: "3", Padding: "1", Groups: 1, Bias: true, Act: "silu", Algorithm: Winograd}, []int{2, 35, 13, 22}, []int{19, 35, 3, 3}, []int{19})),
			c("winograd of few", ConvLayerAttr{OutChannels: 3, Kernel: "3", Padding: "0,2,1,0", Groups: 1, Algorithm: Winograd}, []int{1, 2, 4, 6}, []int{3, 2, 3, 3}),
			large(c("picture, winograd", ConvLayerAttr{OutChannels: 320, Kernel: "3", Padding: "1", Groups: 1, Bias: true, Algorithm: Winograd}, []int{1, 320, 64, 64}, []int{320, 320, 3, 3}, []int{320})),
			large(c("picture", ConvLayerAttr{OutChannels: 320, Kernel: "3", Padding: "1", Groups: 1, Bias: true}, []int{1, 320, 64, 64}, []int{320, 320, 3, 3}, []int{320})),
		}
	}
	return []Case{
		c("", ConvLayerAttr{OutChannels: 2, Kernel: "3,2,3", Padding: "1", Groups: 1, Bias: true}, []int{1, 3, 4, 5, 6}, []int{2, 3, 3, 2, 3}, []int{2}),
		c("silu", ConvLayerAttr{OutChannels: 4, Kernel: "2", Stride: "2,1,2", Groups: 2, Bias: true, Act: "silu"}, []int{2, 2, 4, 3, 5}, []int{4, 1, 2, 2, 2}, []int{4}),
	}
}

func convTransposeLayerCases(n int) []Case {
	c := func(name string, at ConvTransposeLayerAttr, shapes ...[]int) Case {
		return Case{Name: name, In: f32s(shapes...), Attr: at, Low: -1, High: 1, Tol: 1e-5}
	}
	switch n {
	case 1:
		return []Case{
			c("", ConvTransposeLayerAttr{OutChannels: 3, Kernel: "3", Groups: 1}, []int{1, 2, 7}, []int{2, 3, 3}),
			c("upsampling", ConvTransposeLayerAttr{OutChannels: 5, Kernel: "4", Stride: "2", Padding: "1", Groups: 1, Bias: true, Act: "leaky_relu"}, []int{2, 3, 8}, []int{3, 5, 4}, []int{5}),
			c("output padding", ConvTransposeLayerAttr{OutChannels: 4, Kernel: "3", Stride: "3", Padding: "1,0", OutputPadding: "2", Dilation: "2", Groups: 2, Bias: true}, []int{1, 6, 5}, []int{6, 2, 3}, []int{4}),
			large(c("vocoder", ConvTransposeLayerAttr{OutChannels: 256, Kernel: "16", Stride: "8", Padding: "4", Groups: 1, Bias: true}, []int{1, 512, 256}, []int{512, 256, 16}, []int{256})),
		}
	case 2:
		return []Case{
			c("", ConvTransposeLayerAttr{OutChannels: 4, Kernel: "3", Stride: "2", Padding: "1", OutputPadding: "1", Groups: 1, Bias: true}, []int{1, 3, 4, 5}, []int{3, 4, 3, 3}, []int{4}),
			c("grouped", ConvTransposeLayerAttr{OutChannels: 6, Kernel: "2,3", Stride: "1,2", Groups: 3}, []int{2, 3, 4, 3}, []int{3, 2, 2, 3}),
		}
	}
	return []Case{c("", ConvTransposeLayerAttr{OutChannels: 2, Kernel: "2,3,2", Stride: "2,1,2", Groups: 1, Bias: true, Act: "silu"}, []int{1, 3, 2, 3, 4}, []int{3, 2, 2, 3, 2}, []int{2})}
}

// loose allows for the error of Winograd's algorithm, which is relative to the
// sum of |x w|, not to y: within 1e-6 of about 80 here.
func loose(c Case) Case {
	c.Tol = 8e-5
	return c
}

func large(c Case) Case {
	c.Large, c.Tol = true, 1e-4
	return c
}

// rounded has the tolerance of sums of k products in tf32.
func rounded(c Case, k int) Case {
	c.Tol = tf32Tol(k)
	return c
}
