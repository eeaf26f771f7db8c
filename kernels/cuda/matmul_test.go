//go:build linux && (amd64 || arm64)

package cuda

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// A product has the same bits by either tile, and a row the same whatever the
// number of rows.
func TestTilesAlike(t *testing.T) {
	b := open(t)
	const m, n, k = 131, 133, 164
	place := func(count int) (*buffer, []byte) {
		u, err := b.Alloc(int64(4 * count))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { u.Free() })
		data := make([]byte, 0, 4*count)
		for i := range count {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(math.Sin(float64(3*i)))))
		}
		return u.(*buffer), data
	}
	x, xs := place(m * k)
	w, ws := place(n * k)
	for u, data := range map[*buffer][]byte{x: xs, w: ws} {
		if err := u.Write(0, data); err != nil {
			t.Fatal(err)
		}
	}
	params := func(y *buffer, rows int) *matmulParams {
		return &matmulParams{y: y.at, a: x.at, b: w.at, m: uint64(rows), n: n, k: k, aRow: k, aColumn: 1, bRow: 1, bColumn: k, batch: walk[strides2]{n: 1}}
	}
	run := func(name string, rows, size int) []byte {
		y, out := place(rows * n)
		step, err := launch(b, "matmul", name, grid{driver.Dim{X: parts(n, size), Y: parts(rows, size), Z: 1}, 256}, params(y, rows))
		if err != nil {
			t.Fatal(err)
		}
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := y.Read(0, out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	all := run("matmul", m, tile)
	if large := run("matmul_large", m, largeTile); !bytes.Equal(large, all) {
		t.Error("a large tile gives other bits")
	}
	if one := run("matmul", 1, tile); !bytes.Equal(one, all[:4*n]) {
		t.Error("a row alone has other bits")
	}
	for _, rows := range []int{1, 8} {
		y, out := place(rows * n)
		step, err := b.few(params(y, rows))
		if err == nil {
			err = step(t.Context())
		}
		if err == nil {
			err = y.Read(0, out)
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out, all[:4*n*rows]) {
			t.Errorf("%d rows alone have other bits", rows)
		}
	}
}

// A product that is large enough for large tiles has the bits of one fma after the
// other, with bias and activation.
func TestLargeProduct(t *testing.T) {
	b := open(t)
	const m, n, k = 1217, 1161, 3 // 100 tiles, the last ones not full
	values := func(count, step int) []float32 {
		x := make([]float32, count)
		for i := range x {
			x[i] = float32(math.Sin(float64(step * i)))
		}
		return x
	}
	x, w, bias := values(m*k, 3), values(n*k, 5), values(n, 7)
	in := []kernels.Tensor{put(t, b, ir.F32, "", f32Bytes(x), m, k), put(t, b, ir.F32, "", f32Bytes(w), n, k), put(t, b, ir.F32, "", f32Bytes(bias), n)}
	y := product(t, b, "linear", op.LinearAttr{OutFeatures: n, Bias: true, Act: "relu"}, in, m, n)
	for i := range m {
		for j := range n {
			sum := float32(0)
			for l := range k {
				sum = float32(math.FMA(float64(x[i*k+l]), float64(w[j*k+l]), float64(sum)))
			}
			if want := max(0, sum+bias[j]); y[i*n+j] != want {
				t.Fatalf("row %d, column %d is %v, want %v", i, j, y[i*n+j], want)
			}
		}
	}
}
