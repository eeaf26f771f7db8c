package train_test

import (
	"fmt"
	"math"
	"testing"

	"pipe.dev/compiler/ir"
)

// State in 8 bits takes a byte a number and four a block, and that of small
// weights stays in f32.
func TestEightBitState(t *testing.T) {
	table := newOptimizers(t)
	for _, c := range []struct {
		name string
		w    ir.Type
		want int64
	}{
		{"adamw", ir.T(ir.F32, 128, 64), 2 * 4 * 8192},
		{"adamw8", ir.T(ir.F32, 128, 64), 2 * (8192 + 4*32)},
		{"adamw8", ir.T(ir.BF16, 128, 64), 2 * (8192 + 4*32)},
		{"adamw8", ir.T(ir.F32, 3, 1367), 2 * (17*256 + 4*17)}, // 4101 numbers in 17 blocks
		{"adamw8", ir.T(ir.F32, 4095), 2 * 4 * 4095},
		{"lion8", ir.T(ir.F32, 128, 64), 8192 + 4*32},
	} {
		o, _ := table.Lookup(c.name)
		var bytes int64
		for _, s := range o.Slots(attributes(t, &o.Def, nil), c.w) {
			bytes += s.Type.Bytes()
		}
		if bytes != c.want {
			t.Errorf("%s keeps %d bytes for %v, want %d", c.name, bytes, c.w, c.want)
		}
	}
}

// By kernels, in f32, twenty steps with state in 8 bits end near those with
// full state. Element 0 is left out: its gradients are 10000 times smaller than
// those of its block, which is where 8 bits end. The others are off by at most
// 0.5% of the sum of rates, which is about how far they go: by rounding, and
// with Lion by a sign that differs here and there.
func TestEightBitInF32(t *testing.T) {
	table := newOptimizers(t)
	each(t, "optimizers8", 4, func(t *testing.T, f fixture) {
		o, _ := table.Lookup(f.Name)
		a := attributes(t, &o.Def, f.Attr)
		for k := range weightsIn(t, f) {
			name := fmt.Sprintf("w.%d", k)
			w := f.types[name]
			r := newRun(t, o, a, w, true)
			d := newDevice(t, r.b)
			in, n := r.start(f.values[name]), w.Elems()
			for i, lr := range f.values["lr"] {
				in["g"], in["lr"], in["t"] = f.values[fmt.Sprintf("g.%d", k)][i*n:(i+1)*n], []float64{lr}, []float64{float64(i + 1)}
				for name, v := range d.eval(t, in) {
					in[name] = v
				}
			}
			full := f.values[name+".full"]
			full = full[len(full)-n:]
			var off, way float64
			for i := 1; i < n; i++ {
				off += math.Abs(in["w"][i]-full[i]) / float64(n-1)
			}
			for _, lr := range f.values["lr"] {
				way += lr
			}
			t.Logf("%s is off by %.5f of the sum of rates", name, off/way)
			if !(off <= 0.005*way) {
				t.Errorf("%s is off by %v on average; the rates add up to %v", name, off, way)
			}
		}
	})
}
