package op

import (
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
)

// typ reads a type as it is printed: "f32[batch,seq,64]"; "" is none.
func typ(t *testing.T, s string) ir.Type {
	t.Helper()
	if s == "" {
		return ir.Type{}
	}
	name, rest, _ := strings.Cut(s, "[")
	d, err := ir.ParseDType(name)
	if err != nil {
		t.Fatal(err)
	}
	shape, err := Dims(strings.TrimSuffix(rest, "]")).Slice()
	if err != nil {
		t.Fatal(err)
	}
	return ir.Type{DType: d, Shape: shape}
}

type inference struct {
	op   string
	attr any
	in   []string
	want string // types of the outputs, or the error
}

func infer(t *testing.T, table *Table, c inference) string {
	t.Helper()
	d, ok := table.Lookup(c.op)
	if !ok {
		t.Fatalf("no op %s", c.op)
	}
	in := make([]ir.Type, len(c.in))
	for i, s := range c.in {
		in[i] = typ(t, s)
	}
	out, err := d.Infer(in, c.attr)
	if err != nil {
		return err.Error()
	}
	var s []string
	for _, o := range out {
		s = append(s, o.String())
	}
	return strings.Join(s, " ")
}

// Shapes with named sizes.
func TestInfer(t *testing.T) {
	table := newTable(t)
	for _, c := range []inference{
		{"add", nil, []string{"f32[batch,seq,64]", "f32[64]"}, "f32[batch,seq,64]"},
		{"mul", nil, []string{"f32[batch,1,64]", "f32[seq,1]"}, "f32[batch,seq,64]"},
		{"le", nil, []string{"i32[t]", "i32[batch,1,1,seq,1]"}, "bool[batch,1,1,seq,t]"},
		{"select", nil, []string{"bool[seq,t]", "f32[batch,8,seq,t]", "f32[]"}, "f32[batch,8,seq,t]"},
		{"matmul", MatMulAttr{}, []string{"f32[batch,8,seq,64]", "f32[batch,8,64,t]"}, "f32[batch,8,seq,t]"},
		{"matmul", MatMulAttr{TransB: true}, []string{"f32[batch,8,seq,64]", "f32[t,64]"}, "f32[batch,8,seq,t]"},
		{"linear", LinearAttr{OutFeatures: 96, Bias: true}, []string{"f32[batch,seq,64]", "bf16[96,64]", "f32[96]"}, "f32[batch,seq,96]"},
		{"linear", LinearAttr{OutFeatures: 96, Transpose: true}, []string{"f32[batch,seq,64]", "f32[64,96]"}, "f32[batch,seq,96]"},
		{"gated_linear", GatedLinearAttr{OutFeatures: 96, Act: "silu"}, []string{"bf16[seq,64]", "f16[96,64]", "f16[96,64]"}, "bf16[seq,96]"},
		{"embedding", EmbeddingAttr{512, 64}, []string{"i32[batch,seq]", "f16[512,64]"}, "f32[batch,seq,64]"},
		{"reshape", ReshapeAttr{"batch,seq,8,8"}, []string{"f32[batch,seq,64]"}, "f32[batch,seq,8,8]"},
		{"reshape", ReshapeAttr{"-1,64"}, []string{"f32[batch,seq,64]"}, "f32[batch*seq,64]"},
		{"reshape", ReshapeAttr{"batch,-1"}, []string{"f32[batch,seq,64]"}, "f32[batch,64*seq]"},
		{"transpose", TransposeAttr{"0,2,1,3"}, []string{"f32[batch,seq,8,64]"}, "f32[batch,8,seq,64]"},
		{"heads", HeadsAttr{8}, []string{"f32[batch,seq,512]"}, "f32[batch,seq,8,64]"},
		{"merge_heads", nil, []string{"f32[batch,seq,8,64]"}, "f32[batch,seq,512]"},
		{"concat", AxisAttr{1}, []string{"f32[batch,seq,8]", "f32[batch,2*seq,8]"}, "f32[batch,3*seq,8]"},
		{"concat", AxisAttr{1}, []string{"f32[batch,height*width,8]", "f32[batch,tokens,8]"}, "f32[batch,(height*width+tokens),8]"},
		{"split", SplitAttr{-1, "16,48"}, []string{"f32[batch,64]"}, "f32[batch,16] f32[batch,48]"},
		{"pad", PadAttr{"0,1", "0,2", 0}, []string{"f32[batch,5]"}, "f32[batch,8]"},
		{"slice", SliceAttr{Axis: -1, Start: 1, Stop: 8, Step: 3}, []string{"f32[batch,9]"}, "f32[batch,3]"},
		{"gather", AxisAttr{1}, []string{"f32[3,vocab,8]", "i64[batch,seq]"}, "f32[3,batch,seq,8]"},
		{"scatter_add", ScatterAttr{1, 9}, []string{"f32[3,batch,seq,8]", "i32[batch,seq]"}, "f32[3,9,8]"},
		{"pick", nil, []string{"f32[batch,seq,64]", "i32[batch]"}, "f32[batch,1,64]"},
		{"one_hot", OneHotAttr{9}, []string{"i32[batch]"}, "f32[batch,9]"},
		{"reduce_sum", ReduceAttr{}, []string{"f32[batch,seq]"}, "f32[]"},
		{"reduce_mean", ReduceAttr{Axes: "-1", Keep: true}, []string{"f32[batch,seq]"}, "f32[batch,1]"},
		{"reduce_max", ReduceAttr{Axes: "0,-1"}, []string{"f32[batch,seq,3]"}, "f32[seq]"},
		{"argmax", AxisAttr{-1}, []string{"f32[batch,512]"}, "i32[batch]"},
		{"topk", TopKAttr{5}, []string{"f32[batch,512]"}, "f32[batch,5] i32[batch,5]"},
		{"rms_norm", RMSNormAttr{}, []string{"f32[batch,seq,64]", "bf16[64]"}, "f32[batch,seq,64]"},
		{"conv1d", ConvLayerAttr{OutChannels: 8, Kernel: "5", Dilation: "3", Same: true, Groups: 2}, []string{"f32[batch,4,frames]", "bf16[8,2,5]"}, "f32[batch,8,frames]"},
		{"conv1d", ConvLayerAttr{OutChannels: 8, Kernel: "4", Stride: "2", Padding: "1", Groups: 1}, []string{"f32[batch,4,6*frames]", "f32[8,4,4]"}, "f32[batch,8,3*frames]"},
		{"conv1d", ConvLayerAttr{OutChannels: 8, Kernel: "6", Stride: "2", Groups: 1}, []string{"f32[batch,4,2*(3*frames+2)]", "f32[8,4,6]"}, "f32[batch,8,3*frames]"}, // zeros or mirrors stand in front
		{"conv2d", ConvLayerAttr{OutChannels: 8, Kernel: "3", Stride: "2", Padding: "0,1,1,1", Groups: 1}, []string{"f32[batch,4,9,8]", "f32[8,4,3,3]"}, "f32[batch,8,4,4]"},
		{"conv_transpose1d", ConvTransposeLayerAttr{OutChannels: 6, Kernel: "16", Stride: "8", Padding: "4", Groups: 2}, []string{"f32[batch,4,frames]", "f32[4,3,16]"}, "f32[batch,6,8*frames]"},
		{"layer_norm", LayerNormAttr{}, []string{"f32[batch,seq,64]"}, "f32[batch,seq,64]"},
		{"positions", nil, []string{"i32[batch,seq]", "i32[batch]"}, "i32[batch,seq]"},
		{"rope_table", RopeAttr{Dim: 64, Theta: 1e4}, []string{"i32[batch,seq]"}, "f32[batch,seq,32] f32[batch,seq,32]"},
		{"rope", RopeAttr{Dim: 64, Theta: 1e4}, []string{"f32[batch,seq,8,64]", "i32[batch,seq]"}, "f32[batch,seq,8,64]"},
		{"attention", AttentionAttr{Causal: true}, []string{"f32[batch,seq,8,64]", "f16[batch,ctx,2,64]", "f16[batch,ctx,2,32]", "f32[seq,ctx]", "i32[batch]", "i32[batch,ctx]", "i32[batch]"}, "f32[batch,seq,8,32]"},
		{"cache_append", nil, []string{"bf16[batch,ctx,2,64]", "f32[batch,seq,2,64]", "i32[batch]"}, "bf16[batch,ctx,2,64]"},
		{"elementwise", ElementwiseAttr{Expr: "x0 x1 mul x2 add"}, []string{"f32[batch,seq,64]", "f32[64]", "f32[1]"}, "f32[batch,seq,64]"},
		{"iota", IotaAttr{DType: "i32", Shape: "batch,seq", Axis: -1}, nil, "i32[batch,seq]"},
	} {
		if got := infer(t, table, c); got != c.want {
			t.Errorf("%s%v of %v is %s, want %s", c.op, c.attr, c.in, got, c.want)
		}
	}
}

// Wrong inputs, and what a person reads about them.
func TestInferErrors(t *testing.T) {
	table := newTable(t)
	for _, c := range []inference{
		{"add", nil, []string{"f32[2,3]", "f32[2,4]"}, "[2,3] and [2,4]: sizes 3 and 4 do not match, counting axes from the last"},
		{"add", nil, []string{"f32[seq]", "f32[64]"}, "[seq] and [64]: sizes seq and 64 do not match, counting axes from the last"},
		{"add", nil, []string{"f32[2]", "i32[2]"}, "element types f32 and i32 differ; cast one"},
		{"add", nil, []string{"f32[2]", ""}, "input b is missing"},
		{"add", nil, []string{"f32[2]"}, "1 inputs, want 2"},
		{"add", AxisAttr{}, []string{"f32[2]", "f32[2]"}, "attribute is op.AxisAttr, want <nil>"},
		{"exp", nil, []string{"i32[2]"}, "x is i32[2]; want floating-point numbers"},
		{"neg", nil, []string{"bool[2]"}, "x is bool[2]; want numbers"},
		{"not", nil, []string{"f32[2]"}, "x is f32[2]; want bool, as comparisons give"},
		{"cast", CastAttr{"f33"}, []string{"f32[2]"}, `unknown dtype "f33"`},
		{"matmul", MatMulAttr{}, []string{"f32[2,64]", "f32[48,3]"}, "a has 64 columns but b has 48 rows: [2,64] and [48,3]"},
		{"matmul", MatMulAttr{}, []string{"f32[64]", "f32[64,3]"}, "a is f32[64]; want at least 2 axes [..., m, k]"},
		{"matmul", MatMulAttr{}, []string{"f32[2,3,64]", "f32[4,64,3]"}, "axes before the last two: [2] and [4]: sizes 2 and 4 do not match, counting axes from the last"},
		{"linear", LinearAttr{OutFeatures: 96}, []string{"f32[batch,seq,64]", "f32[96,48]"}, "last axis is 64 but weight wants 48"},
		{"linear", LinearAttr{OutFeatures: 96}, []string{"f32[batch,seq,64]", "f32[95,64]"}, "weight is [95,64], want [96,64]"},
		{"linear", LinearAttr{OutFeatures: 96, Bias: true}, []string{"f32[batch,seq,64]", "f32[96,64]"}, "1 weights, want 2"},
		{"linear", LinearAttr{OutFeatures: 0}, []string{"f32[2,64]", "f32[0,64]"}, "out_features is 0; want at least 1"},
		{"linear", LinearAttr{OutFeatures: 2}, []string{"f32[batch,seq]", "f32[2,64]"}, "axis 1 of x is seq; want a known number"},
		{"linear", LinearAttr{OutFeatures: 2}, []string{"i32[3,64]", "f32[2,64]"}, "x is i32[3,64]; want floating-point numbers"},
		{"embedding", EmbeddingAttr{512, 64}, []string{"f32[batch]", "f32[512,64]"}, "x is f32[batch]; want i32 or i64"},
		{"embedding", EmbeddingAttr{512, 64}, []string{"i32[batch]", "f32[500,64]"}, "weight is [500,64], want [512,64]"},
		{"conv1d", ConvLayerAttr{OutChannels: 8, Kernel: "5", Groups: 1}, []string{"f32[batch,4,frames]", "f32[8,4,5]"},
			"spatial axis 0 is frames, which is not known yet: with stride 1 and a kernel that spans 5, want 4 of padding in all (have 0) and a multiple of the stride"},
		{"conv2d", ConvLayerAttr{OutChannels: 8, Kernel: "5", Padding: "1", Groups: 1}, []string{"f32[2,4,2,9]", "f32[8,4,5,5]"},
			"the kernel spans 5 elements along spatial axis 0, but x has 2 and 2 of padding"},
		{"conv2d", ConvLayerAttr{OutChannels: 8, Kernel: "3", Groups: 3}, []string{"f32[2,4,9,9]", "f32[8,4,3,3]"}, "groups is 3, which does not divide the 4 channels of x"},
		{"conv2d", ConvLayerAttr{OutChannels: 7, Kernel: "3", Groups: 2}, []string{"f32[2,4,9,9]", "f32[7,2,3,3]"}, "groups is 2, which does not divide out_channels 7"},
		{"conv2d", ConvLayerAttr{OutChannels: 8, Kernel: "3,3,3", Groups: 1}, []string{"f32[2,4,9,9]", "f32[8,4,3,3]"}, "kernel has 3 entries for 2 spatial axes; want 1 or 2"},
		{"conv2d", ConvLayerAttr{OutChannels: 8, Kernel: "3", Padding: "1,1,1", Groups: 1}, []string{"f32[2,4,9,9]", "f32[8,4,3,3]"}, "padding has 3 entries for 2 spatial axes; want 1 or 2, or 4"},
		{"conv2d", ConvLayerAttr{OutChannels: 8, Kernel: "3", Same: true, Padding: "1", Groups: 1}, []string{"f32[2,4,9,9]", "f32[8,4,3,3]"}, "padding is 1 beside same, which settles it"},
		{"conv2d", ConvLayerAttr{OutChannels: 8, Kernel: "3", Groups: 1}, []string{"f32[2,4,9]", "f32[8,4,3]"}, "x is f32[2,4,9]; want 4 axes [batch, channels, 2 spatial]"},
		{"conv2d", ConvLayerAttr{OutChannels: 8, Kernel: "3", Groups: 1}, []string{"f32[2,4,9,9]", "f32[8,5,3,3]"}, "weight is [8,5,3,3], want [8,4,3,3]"},
		{"conv_transpose1d", ConvTransposeLayerAttr{OutChannels: 8, Kernel: "4", Stride: "2", OutputPadding: "2", Groups: 1}, []string{"f32[2,4,9]", "f32[4,8,4]"},
			"output_padding is 2 along spatial axis 0; want less than the stride, 2"},
		{"conv_transpose1d", ConvTransposeLayerAttr{OutChannels: 8, Kernel: "4", Stride: "2", Groups: 1}, []string{"f32[2,4,frames]", "f32[4,8,4]"},
			"spatial axis 0 is frames, which is not known yet: want padding that leaves stride times its size, but +2 elements are left"},
		{"conv_transpose1d", ConvTransposeLayerAttr{OutChannels: 8, Kernel: "2", Padding: "3", Groups: 1}, []string{"f32[2,4,3]", "f32[4,8,2]"},
			"nothing is left along spatial axis 0: 4 elements, of which padding cuts 6 off"},
		{"rms_norm", RMSNormAttr{Eps: -1}, []string{"f32[3,64]", "f32[64]"}, "eps is -1; want at least 0"},
		{"rms_norm", RMSNormAttr{}, []string{"f32[3,64]", "f32[48]"}, "last axis is 64 but weight wants 48"},
		{"reshape", ReshapeAttr{"3,4"}, []string{"f32[2,5]"}, "[2,5] has 10 elements but [3,4] has 12"},
		{"reshape", ReshapeAttr{"-1,4"}, []string{"f32[2,5]"}, "10 elements of [2,5] do not divide by 4 of [-1,4]"},
		{"reshape", ReshapeAttr{"-1,-1"}, []string{"f32[2,5]"}, "shape [-1,-1] has two sizes of -1"},
		{"reshape", ReshapeAttr{"batch,x y"}, []string{"f32[2,5]"}, `"x y" is not a dimension: want a number, a name, or their product`},
		{"transpose", TransposeAttr{"0,0"}, []string{"f32[2,5]"}, "perm: axis 0 is named twice"},
		{"transpose", TransposeAttr{"0"}, []string{"f32[2,5]"}, "perm has 1 entries for 2 axes"},
		{"broadcast", BroadcastAttr{"3,5"}, []string{"f32[2,5]"}, "[2,5] does not repeat to [3,5]"},
		{"heads", HeadsAttr{7}, []string{"f32[batch,64]"}, "last axis is 64, which 7 heads do not divide"},
		{"slice", SliceAttr{Axis: 1, Stop: 9, Step: 1}, []string{"f32[2,5]"}, "0:9:1 does not lie in axis 1, which has 5 elements"},
		{"slice", SliceAttr{Axis: 2, Stop: 9, Step: 1}, []string{"f32[2,5]"}, "axis 2 is out of range for 2 axes"},
		{"slice", SliceAttr{Axis: 0, Stop: 1, Step: 1}, []string{"f32[batch,5]"}, "axis 0 of x is batch; want a known number"},
		{"concat", AxisAttr{0}, []string{"f32[2,5]", "f32[2,6]"}, "[2,5] and [2,6] differ in more than axis 0"},
		{"split", SplitAttr{0, "1,2"}, []string{"f32[4,5]"}, "axis 0 has 4 elements but the parts have 3 together"},
		{"pad", PadAttr{"1", "0,0", 0}, []string{"f32[4,5]"}, "before has 1 entries and after 2 for 2 axes"},
		{"gather", AxisAttr{0}, []string{"f32[4,5]", "f32[3]"}, "indices is f32[3]; want i32 or i64"},
		{"take_along", AxisAttr{1}, []string{"f32[4,5]", "i32[3,5]"}, "x is [4,5] and indices is [3,5]; want equal sizes but along axis 1"},
		{"scatter_add", ScatterAttr{0, 9}, []string{"f32[3,5]", "i32[4]"}, "y is [3,5], which does not hold [4] at axis 0"},
		{"pick", nil, []string{"f32[2,5]", "i32[3]"}, "x has 2 sequences but index has 3"},
		{"one_hot", OneHotAttr{}, []string{"i32[2]"}, "classes is 0; want at least 1"},
		{"reduce_sum", ReduceAttr{Axes: "1,-1"}, []string{"f32[2,5]"}, "axis -1 is named twice"},
		{"argmax", AxisAttr{-1}, []string{"f32[2,0]"}, "axis 1 has no elements"},
		{"topk", TopKAttr{6}, []string{"f32[2,5]"}, "k is 6 but the last axis has 5 elements"},
		{"act", ActAttr{Fn: "silo"}, []string{"f32[2]"}, `no activation function is called "silo"; there are [silu gelu gelu_tanh quick_gelu relu leaky_relu sigmoid tanh softplus mish elu relu2]`},
		{"elementwise", ElementwiseAttr{Expr: "x0 x1 add"}, []string{"f32[2]"}, `expression "x0 x1 add": "x1" is neither an op nor one of 1 inputs`},
		{"elementwise", ElementwiseAttr{Expr: "x0 add"}, []string{"f32[2]"}, `expression "x0 add": add has 1 operands, want 2`},
		{"elementwise", ElementwiseAttr{Expr: "x0 x0"}, []string{"f32[2]"}, `expression "x0 x0" leaves 2 values, want 1`},
		{"elementwise", ElementwiseAttr{Expr: "x0 exp"}, []string{"f32[2]", "f32[2]"}, `expression "x0 exp" does not use x1`},
		{"elementwise", ElementwiseAttr{Expr: "x0 x1 add"}, []string{"f32[2,3]", "f32[2,1]"}, "x1 is [2,1], neither [2,3] nor its last axes nor one element"},
		{"positions", nil, []string{"i32[batch,seq]", "i32[3]"}, "past has 3 sequences but there are batch"},
		{"rope", RopeAttr{Dim: 7, Theta: 1e4}, []string{"f32[1,2,3,8]", "i32[1,2]"}, "dim is 7; want an even number"},
		{"rope", RopeAttr{Dim: 16, Theta: 1e4}, []string{"f32[1,2,3,8]", "i32[1,2]"}, "a head has 8 elements but dim is 16"},
		{"rope", RopeAttr{Dim: 8, Theta: 1e4}, []string{"f32[1,2,3,8]", "i32[1,3]"}, "x is [1,2,3,8] but positions is [1,3]"},
		{"rope", RopeAttr{Dim: 8, Theta: 1e4, Scaling: "ntk"}, []string{"f32[1,2,3,8]", "i32[1,2]"}, `scaling "ntk" is not one of default, linear, dynamic, llama3, yarn, longrope`},
		{"attention", AttentionAttr{}, []string{"f32[1,2,7,8]", "f32[1,2,2,8]", "f32[1,2,2,8]", "", "", "", ""}, "7 heads of query do not divide into 2 groups of key"},
		{"attention", AttentionAttr{}, []string{"f32[1,2,4,8]", "f32[1,2,2,6]", "f32[1,2,2,8]", "", "", "", ""}, "a head of query has 8 elements but one of key has 6"},
		{"attention", AttentionAttr{}, []string{"f32[1,2,4,8]", "f32[1,2,2,8]", "f32[1,3,2,8]", "", "", "", ""}, "key is [1,2,2,8] but value is [1,3,2,8]"},
		{"attention", AttentionAttr{Window: 4}, []string{"f32[1,2,4,8]", "f32[1,2,2,8]", "f32[1,2,2,8]", "", "", "", ""}, "window is 4; it wants causal, and at least 0"},
		{"attention", AttentionAttr{}, []string{"f32[1,2,4,8]", "f32[1,2,2,8]", "f32[1,2,2,8]", "f32[3,2]", "", "", ""}, "mask is f32[3,2], which does not repeat to [batch, heads, seq, t] = [1,4,2,2]"},
		{"attention", AttentionAttr{}, []string{"f32[1,2,4,8]", "f32[1,2,2,8]", "f32[1,2,2,8]", "", "", "i32[1,3]", ""}, "segments is [1,3] but key is [1,2,2,8]: want one number for each key"},
		{"attention", AttentionAttr{}, []string{"f32[1,2,4,8]", "f32[1,2,2,8]", "f32[1,2,2,8]", "", "", "f32[1,2]", ""}, "segments is f32[1,2]; want i32 or i64"},
		{"attention", AttentionAttr{}, []string{"f32[1,2,4,8]", "f32[1,2,2,8]", "f32[1,2,2,8]", "", "", "", "i32[2]"}, "lengths has 2 sequences but there are 1"},
		{"attention", AttentionAttr{ALiBi: -1}, []string{"f32[1,2,4,8]", "f32[1,2,2,8]", "f32[1,2,2,8]", "", "", "", ""}, "scale is 0, softcap 0 and alibi -1; want at least 0"},
		{"cache_append", nil, []string{"f32[1,9,2,8]", "f32[1,3,4,8]", "i32[1]"}, "x is [1,3,4,8] but cache is [1,9,2,8]"},
		{"constant", ConstantAttr{DType: "i32", Shape: "2", Data: "1234"}, nil, "i32[2] takes 8 bytes but data has 4"},
		{"fill", FillAttr{DType: "f32", Shape: "-1"}, nil, "shape [-1] has a negative size"},
	} {
		if got := infer(t, table, c); got != c.want {
			t.Errorf("%s%v of %v:\n%s\nwant\n%s", c.op, c.attr, c.in, got, c.want)
		}
	}
}

// TestFewAxes: operands with fewer axes than an op wants are told, whatever the
// op, and are no panic.
func TestFewAxes(t *testing.T) {
	table, err := New()
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, d := range table.Defs() {
		for _, c := range d.Cases {
			for cut := 1; cut < 4; cut++ {
				in := make([]ir.Type, len(c.In))
				for i, x := range c.In {
					in[i] = x
					if n := x.Rank(); n > 0 {
						in[i].Shape = x.Shape[:max(n-cut, 0)]
					}
				}
				func() {
					defer func() {
						if r := recover(); r != nil {
							t.Errorf("%s %s with %d axes less: panic: %v", d.Name, c.Name, cut, r)
						}
					}()
					_, err := d.Infer(in, c.Attr)
					if d.Name == "attention" && err == nil {
						t.Errorf("attention of %v is no error", in)
					}
					tried++
				}()
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d uses were tried", tried)
	}
}
