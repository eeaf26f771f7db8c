//go:build linux && (amd64 || arm64)

package cuda

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cases"
	"pipe.dev/kernels/cuda/driver"
	"pipe.dev/kernels/cuda/emulator"
)

// openAs opens an emulator of its own with such settings, or the device if it has wgmma.
func openAs(t *testing.T, settings string) *Backend {
	t.Helper()
	path := ""
	if !*device {
		path = emulator.Own(t, ".", settings)
	}
	b, err := New(Options{Library: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	if *device && b.device.Capability() != wgmmaCapability {
		t.Skip("a device without wgmma")
	}
	return b
}

// async computes the product by a form of wgmma, to a place that is no multiple of 16 bytes if it is odd.
func (c *tensorCase) async(t *testing.T, b *Backend, f asyncForm, rows, odd int) []byte {
	t.Helper()
	y := put(t, b, ir.F32, "", bytes.Repeat([]byte{0xff}, 4*(rows*c.n+odd)), rows*c.n+odd)
	at, err := b.pointers(y, c.xBuffer, c.wBuffer)
	if err != nil {
		t.Fatal(err)
	}
	p := &matmulParams{y: at[0] + driver.Pointer(4*odd), a: at[1], b: at[2], m: uint64(rows), n: uint64(c.n), k: uint64(c.k), batch: walk[strides2]{n: 1}, aCode: codes[c.x], bCode: codes[c.w]}
	p.aRow, p.aColumn, p.bRow, p.bColumn = int64(c.k), 1, 1, int64(c.k)
	if !c.xAlong {
		p.aRow, p.aColumn = 1, int64(c.m)
	}
	if !c.wAlong {
		p.bRow, p.bColumn = int64(c.n), 1
	}
	step, err := b.async(&asyncParams{matmulParams: *p}, c.x.String(), p.asyncLies(), f)
	if err == nil {
		err = step(t.Context())
	}
	out := make([]byte, 4*rows*c.n)
	if err == nil {
		err = y.Buffer.Read(int64(4*odd), out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A product by wgmma has the same bits in both forms, and a row the same whatever the number
// of rows; they are those of a sum in f32, and in the emulator, which adds in one
// order everywhere, those of mma.
func TestWGMMAFormsAlike(t *testing.T) {
	for eager := range 2 { // copies and products come as late as can be, or as early, and threads in either order
		t.Run(fmt.Sprintf("eager %d", eager), func(t *testing.T) {
			t.Parallel()
			b := openAs(t, fmt.Sprintf("capability=90,eager=%d,backward=%d", eager, eager))
			for _, c := range []tensorCase{
				{x: ir.BF16, w: ir.BF16, xAlong: true, wAlong: true, m: 131, n: 67, k: 1048},
				{x: ir.BF16, w: ir.BF16, xAlong: true, m: 35, n: 200, k: 80},
				{x: ir.BF16, w: ir.BF16, m: 136, n: 208, k: 83},
				{x: ir.F16, w: ir.F16, xAlong: true, wAlong: true, m: 9, n: 17, k: 40},
				{x: ir.F16, w: ir.F16, xAlong: true, m: 70, n: 72, k: 520},
				{x: ir.F16, w: ir.F16, m: 72, n: 40, k: 37},
			} {
				name := fmt.Sprintf("%v, along %v %v, %d x %d x %d", c.x, c.xAlong, c.wAlong, c.m, c.n, c.k)
				c := newTensorCase(t, b, c)
				all := c.async(t, b, asyncForms.large, c.m, 0)
				if err := c.far(all); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if small := c.async(t, b, asyncForms.small, c.m, 1); !bytes.Equal(small, all) {
					t.Errorf("%s: small tiles give other bits", name)
				}
				if one := c.async(t, b, asyncForms.small, 1, 0); !bytes.Equal(one, all[:len(one)]) {
					t.Errorf("%s: a row alone has other bits", name)
				}
				if mma := c.run(t, b, forms.tile, c.m); !*device && !bytes.Equal(mma, all) {
					t.Errorf("%s: mma gives other bits", name)
				}
			}
		})
	}
}

// What becomes of sums, a bias, an activation and the rounding to bf16, is what becomes of those of mma.
func TestWGMMAEnds(t *testing.T) {
	b, r := openAs(t, "capability=90"), rand.New(rand.NewPCG(11, 12))
	const m, n, k = 70, 200, 64
	tensor := func(shape ...int) kernels.Tensor {
		data := make([]byte, 0, 2*prod(shape))
		for range prod(shape) { // whole numbers, whose sums are exact
			data = append(data, cases.Encode(ir.BF16, []float64{float64(r.IntN(9) - 4)})...)
		}
		return put(t, b, ir.BF16, "", data, shape...)
	}
	y := put(t, b, ir.BF16, "", nil, m, n)
	at, err := b.pointers(y, tensor(m, k), tensor(n, k), tensor(n))
	if err != nil {
		t.Fatal(err)
	}
	bf := codes[ir.BF16]
	p := matmulParams{y: at[0], a: at[1], b: at[2], bias: at[3], m: m, n: n, k: k, aRow: k, aColumn: 1, bRow: 1, bColumn: k, batch: walk[strides2]{n: 1},
		aCode: bf, bCode: bf, yCode: bf, biasCode: bf, activation: activations["silu"]}
	var out [3][]byte
	for i, bind := range []func() (kernels.Step, error){
		func() (kernels.Step, error) { return b.onTensorCores(&p, "bf16", forms.tile) },
		func() (kernels.Step, error) {
			return b.async(&asyncParams{matmulParams: p}, "bf16", "kk", asyncForms.large)
		},
		func() (kernels.Step, error) {
			return b.async(&asyncParams{matmulParams: p}, "bf16", "kk", asyncForms.small)
		},
	} {
		step, err := bind()
		if err == nil {
			err = step(t.Context())
		}
		out[i] = make([]byte, 2*m*n)
		if err == nil {
			err = y.Buffer.Read(0, out[i])
		}
		if err != nil || !bytes.Equal(out[i], out[0]) {
			t.Errorf("form %d: other bits (%v)", i, err)
		}
	}
}

// narrowOp runs an op on tensors of bf16, and returns what it gives, bf16 too: inputs are of such shapes, the
// second of i32 below 3 if it is expert_linear's.
func narrowOp(t *testing.T, b *Backend, name string, attr any, shapes [][]int, shape ...int) []byte {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 8))
	var in []kernels.Tensor
	var types []ir.Type
	for i, shape := range shapes {
		d, data := ir.BF16, []byte{}
		if i == 1 && name == "expert_linear" {
			d = ir.I32
			for range prod(shape) {
				data = append(data, byte(r.IntN(3)), 0, 0, 0)
			}
		} else {
			_, data = normals(r, d, prod(shape))
		}
		in, types = append(in, put(t, b, d, "", data, shape...)), append(types, ir.T(d, shape...))
	}
	out := []ir.Type{ir.T(ir.BF16, shape...)}
	kernel, ok := b.Kernel(name, attr, types, out)
	if !ok {
		t.Fatal("no kernel")
	}
	args := kernels.Args{Attr: attr, In: in, Out: []kernels.Tensor{put(t, b, ir.BF16, "", nil, shape...)}}
	if n := kernel.Scratch(attr, types, out); n > 0 {
		args.Scratch = put(t, b, ir.U8, "", nil, int(n))
	}
	step, err := kernel.Bind(args)
	if err == nil {
		err = step(context.Background())
	}
	raw := make([]byte, 2*prod(shape))
	if err == nil {
		err = args.Out[0].Buffer.Read(0, raw)
	}
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// linearOf runs a linear layer, as trainings have it.
func linearOf(t *testing.T, b *Backend, m, n, k int) []byte {
	t.Helper()
	return narrowOp(t, b, "matmul", op.MatMulAttr{TransB: true}, [][]int{{m, k}, {n, k}}, m, n)
}

// Ops whose products go by wgmma have the bits of mma in the emulator, in whatever way operands lie.
func TestWGMMAOps(t *testing.T) {
	if *device {
		t.Skip("two devices")
	}
	old, b := openAs(t, "capability=80"), openAs(t, "capability=90")
	for _, lies := range []string{"kk", "kn", "mn"} { // TestWGMMAProves tries them
		b.wgmma.good["bf16"+lies] = true
	}
	for name, c := range map[string]struct {
		op     string
		attr   any
		in     [][]int
		out    []int
		kernel string
	}{
		"weights across":         {"matmul", op.MatMulAttr{}, [][]int{{6, 256}, {256, 256}}, []int{6, 256}, "kn_64"},
		"a pipeline's layer":     {"linear", op.LinearAttr{OutFeatures: 256}, [][]int{{70, 256}, {256, 256}}, []int{70, 256}, ""},
		"gradient of weights":    {"matmul", op.MatMulAttr{TransA: true}, [][]int{{256, 72}, {256, 264}}, []int{72, 264}, "mn_128"},
		"batch, one for all":     {"matmul", op.MatMulAttr{TransB: true}, [][]int{{3, 5, 256}, {1, 256, 256}}, []int{3, 5, 256}, "kk_64"},
		"batch":                  {"matmul", op.MatMulAttr{}, [][]int{{2, 66, 256}, {2, 256, 256}}, []int{2, 66, 256}, "kn_128"},
		"experts, few rows":      {"expert_linear", op.ExpertLinearAttr{Experts: 3, OutFeatures: 256}, [][]int{{4, 256}, {4, 1}, {3, 256, 256}}, []int{4, 1, 256}, ""},
		"experts, rows together": {"expert_linear", op.ExpertLinearAttr{Experts: 3, OutFeatures: 256}, [][]int{{40, 256}, {40, 1}, {3, 256, 256}}, []int{40, 1, 256}, ""},
		"both across":            {"matmul", op.MatMulAttr{TransA: true, TransB: true}, [][]int{{256, 8}, {256, 256}}, []int{8, 256}, ""},
		"few columns":            {"matmul", op.MatMulAttr{}, [][]int{{8, 256}, {256, 248}}, []int{8, 248}, ""},
		"few terms":              {"matmul", op.MatMulAttr{}, [][]int{{8, 248}, {248, 256}}, []int{8, 256}, ""},
	} {
		clear(b.functions)
		got := narrowOp(t, b, c.op, c.attr, c.in, c.out...)
		if !bytes.Equal(got, narrowOp(t, old, c.op, c.attr, c.in, c.out...)) {
			t.Errorf("%s: other bits", name)
		}
		for f := range b.functions {
			if lies, ok := strings.CutPrefix(f, "product_wgmma_bf16_"); ok != (c.kernel != "") && strings.HasPrefix(f, "product_") || ok && lies != c.kernel {
				t.Errorf("%s: went by %s, want %q", name, f, c.kernel)
			}
		}
	}
}

// Large products of 16 bits go by wgmma on a device of capability 9.0 where it proves itself, and by
// mma otherwise, which is told; in the emulator the bits are the same.
func TestWGMMAProves(t *testing.T) {
	if *device {
		t.Skip("an emulator's faults")
	}
	const m, n, k = 9, 264, 256
	want := linearOf(t, openAs(t, "capability=80"), m, n, k)
	d := doubts{"bf16kk", "product_wgmma_bf16_kk_64", "differ from those by mma.sync", "have other bits in tiles of other sizes", 4}
	d.try(t, func(t *testing.T, b *Backend, _, _ bool) {
		got := linearOf(t, b, m, n, k)
		if !bytes.Equal(got, want) {
			t.Error("other bits")
		}
		if again := linearOf(t, b, m, n, k); !bytes.Equal(again, got) {
			t.Error("other bits at the second time")
		}
	})
}

// TestWGMMATaken says how products and attention of 16 bits go here: on a device that has wgmma, by it.
func TestWGMMATaken(t *testing.T) {
	b := open(t)
	var said strings.Builder
	b.wgmma.warn = &said
	linearOf(t, b, 9, 264, 256)
	looking{dtype: ir.BF16, batch: 1, seq: 9, keys: 9, heads: 1, groups: 1, d: 128, dv: 128}.run(t, b)
	how := func(name string) string {
		if b.wgmma.good[name] {
			return "wgmma"
		}
		return "mma.sync"
	}
	products, attention := how("bf16kk"), how(fmt.Sprint(ofAttention, ir.BF16, 128))
	t.Logf("products of 16 bits go by %s, attention by %s, on %s, capability %d.%d %s", products, attention, b.device.Name, b.device.Major, b.device.Minor, strings.TrimSpace(said.String()))
	if want := b.device.Capability() == wgmmaCapability; want != (products == "wgmma") || want != (attention == "wgmma") {
		t.Errorf("wgmma is taken for products: %v, attention: %v, want %v", products == "wgmma", attention == "wgmma", want)
	}
}

// What lies otherwise than kernels of wgmma read it, or is small, goes by mma, whatever the rows.
func TestWGMMALies(t *testing.T) {
	good := matmulParams{aRow: 512, aColumn: 1, bRow: 1, bColumn: 512, a: 256, b: 512, batch: walk[strides2]{n: 2, rank: 1, stride: strides2{{64}, {8}}}}
	for want, change := range map[string]func(p *matmulParams){
		"kk": func(p *matmulParams) {},
		"kn": func(p *matmulParams) { p.bRow, p.bColumn = 264, 1 },
		"mn": func(p *matmulParams) { p.aRow, p.aColumn, p.bRow, p.bColumn = 1, 8, 264, 1 },
		" 1": func(p *matmulParams) { p.aRow, p.aColumn = 1, 8 },
		" 2": func(p *matmulParams) { p.aRow = 513 },
		" 3": func(p *matmulParams) { p.a = 264 },
		" 4": func(p *matmulParams) { p.b = 8 },
		" 5": func(p *matmulParams) { p.batch.stride[1][0] = 4 },
		" 6": func(p *matmulParams) { p.expertApart = 4 },
		" 7": func(p *matmulParams) { p.bRow = 2 },
	} {
		p := good
		change(&p)
		if got := p.asyncLies(); got != strings.TrimLeft(want, " 1234567") {
			t.Errorf("%s: lies %q", want, got)
		}
	}
}
