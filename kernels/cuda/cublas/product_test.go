//go:build linux && (amd64 || arm64)

package cublas

import (
	"errors"
	"flag"
	"testing"
)

var path = flag.String("cublaslt", "", "a libcublasLt of NVIDIA's")

// NVIDIA's own library takes the descriptors, without a device: the numbers and sizes
// of attributes are those that it knows. It is tested where the library is found, or
// named by -cublaslt; the package nvidia-cublas has it.
func TestDescriptors(t *testing.T) {
	lib, err := load(*path)
	if errors.Is(err, ErrNotFound) && *path == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	h := &Handle{lib: lib}
	t.Log(lib.path, h.Version())
	for _, p := range []Product{
		{M: 128, N: 256, K: 512, Batch: 1, Type: BF16, Out: BF16, A: Matrix{1 << 20, 512, 1, 0}, B: Matrix{2 << 20, 1, 512, 0}, Y: 3 << 20, Bias: 4 << 20},
		{M: 128, N: 256, K: 512, Batch: 3, Type: F32, Out: F32, A: Matrix{1 << 20, 1, 128, 0}, B: Matrix{2 << 20, 256, 1, 512 * 256}, Y: 3 << 20},
		{M: 128, N: 256, K: 512, Batch: 1, Type: F32, Out: F32, TF32: true, A: Matrix{1 << 20, 512, 1, 0}, B: Matrix{2 << 20, 1, 512, 0}, Y: 3 << 20},
		{M: 128, N: 256, K: 512, Batch: 1, Type: F16, Out: F32, A: Matrix{1 << 20, 512, 1, 0}, B: Matrix{2 << 20, 1, 512, 0}, Y: 3 << 20},
	} {
		x := &Bound{h: h, made: descriptors{lib: lib}}
		if err := x.layouts(p); err != nil {
			t.Error(err)
		}
		if err := x.prefer(p); err != nil {
			t.Error(err)
		}
		if err := set(lib, symDescSet, x.made.desc, descEpilogue, int64(epilogueBias)); err == nil {
			t.Error("an attribute of another size is taken")
		}
		x.made.free()
	}
}
