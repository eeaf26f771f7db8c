//go:build linux && (amd64 || arm64)

package cuda

import (
	"encoding/binary"
	"errors"
	"flag"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/emulator"
	"pipe.dev/kernels/kerneltest"
)

func init() {
	flag.IntVar(&mostBlocks, "most", mostBlocks, "blocks of a kernel: of few, each walks on")
}

var device = flag.Bool("device", false, "the tests of kernels run on the driver that the machine has, and not in the emulator")

// libcuda is the driver that tests run on: the emulator, or "" for the machine's.
func libcuda(t *testing.T) string {
	t.Helper()
	if *device {
		return ""
	}
	return emulator.Library(t, ".")
}

func open(t *testing.T) *Backend {
	t.Helper()
	b, err := New(Options{Library: libcuda(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// The whole test of the kernels, emulated.
func TestKernels(t *testing.T) {
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	b := open(t)
	var lacks []string
	for _, d := range table.Defs() {
		if _, ok := b.table[d.Name]; !ok && d.Lower == nil && !d.View {
			lacks = append(lacks, d.Name)
		}
	}
	if len(lacks) > 0 {
		t.Errorf("ops that have no kernel and no lowering: %q", lacks)
	}
	kerneltest.Run(t, b)
}

// A place that is out of range is told, with what was read there, and the device
// goes on.
func TestIndexOutOfRange(t *testing.T) {
	b := open(t)
	in, out := []ir.Type{ir.T(ir.F32, 4, 2), ir.T(ir.I64, 3)}, []ir.Type{ir.T(ir.F32, 3, 2)}
	k, ok := b.Kernel("gather", op.AxisAttr{}, in, out)
	if !ok {
		t.Fatal("no kernel")
	}
	tensor := func(ty ir.Type) kernels.Tensor {
		buf, err := b.Alloc(ty.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { buf.Free() })
		return kernels.Tensor{Buffer: buf, DType: ty.DType, Shape: ty.Sizes()}
	}
	x, ids, y := tensor(in[0]), tensor(in[1]), tensor(out[0])
	step, err := k.Bind(kernels.Args{Attr: op.AxisAttr{}, In: []kernels.Tensor{x, ids}, Out: []kernels.Tensor{y}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ids []int64
		bad *kernels.IndexError
	}{{[]int64{1, -3, 7}, &kernels.IndexError{At: 1, Index: -3, Limit: 4}}, {[]int64{3, 0, 1}, nil}} {
		data, err := binary.Append(nil, binary.LittleEndian, c.ids)
		if err != nil {
			t.Fatal(err)
		}
		if err := ids.Buffer.Write(0, data); err != nil {
			t.Fatal(err)
		}
		err = step(t.Context())
		var bad *kernels.IndexError
		if errors.As(err, &bad) != (c.bad != nil) || bad != nil && *bad != *c.bad {
			t.Errorf("%v: %v", c.ids, err)
		}
	}
}
