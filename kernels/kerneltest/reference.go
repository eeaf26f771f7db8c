package kerneltest

import (
	"context"
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cases"
)

// Reference returns a backend whose kernels are the op table's own reference:
// every op at every element type, in float64, row-major. It is the oracle that
// a plan can be run on, and far too slow for anything else.
func Reference() kernels.Backend {
	table, err := op.New()
	if err != nil {
		panic(err) // the op table is broken; its own tests say where
	}
	return reference{table}
}

type reference struct{ table *op.Table }

func (reference) Name() string                                                { return "reference" }
func (reference) Align() int64                                                { return 8 }
func (reference) Alloc(n int64) (kernels.Buffer, error)                       { return &memory{make([]byte, n)}, nil }
func (reference) Map(data []byte) (kernels.Buffer, bool)                      { return &memory{data}, true }
func (reference) Layout(string, any, int, ir.Type) ir.Layout                  { return "" }
func (reference) Accepts(_ string, _ any, _ int, _ ir.Type, l ir.Layout) bool { return l == "" }
func (reference) LayoutBytes(_ ir.Layout, t ir.Type) int64                    { return t.Bytes() }
func (reference) Sync(ctx context.Context) error                              { return ctx.Err() }
func (reference) Close() error                                                { return nil }

func (reference) Pack(l ir.Layout, _ ir.Type, dst kernels.Buffer, offset int64, src []byte) error {
	if l != "" {
		return fmt.Errorf("reference: unknown layout %q", l)
	}
	return dst.Write(offset, src)
}

func (r reference) Kernel(name string, _ any, _, _ []ir.Type) (kernels.Kernel, bool) {
	_, ok := r.table.Lookup(name)
	return refKernel{r.table, name}, ok
}

// refKernel computes one op by op.Table.Reference. Unlike a real kernel it
// allocates while it runs.
type refKernel struct {
	table *op.Table
	name  string
}

func (refKernel) Scratch(any, []ir.Type, []ir.Type) int64 { return 0 }

// InPlace holds for all inputs: outputs are written when all is computed.
func (refKernel) InPlace(int, int) bool { return true }

func (k refKernel) Bind(args kernels.Args) (kernels.Step, error) {
	types := make([]ir.Type, len(args.In))
	for i, t := range args.In {
		if t.Buffer != nil {
			types[i] = ir.T(t.DType, t.Shape...)
		}
	}
	return func(ctx context.Context) error {
		in := make([][]float64, len(args.In))
		for i, t := range args.In {
			if t.Buffer == nil {
				continue
			}
			data := make([]byte, types[i].Bytes())
			if err := t.Buffer.Read(t.Offset, data); err != nil {
				return err
			}
			in[i] = cases.Decode(t.DType, data)
		}
		out, err := k.table.Reference(k.name, args.Attr, in, types)
		if err != nil {
			return err
		}
		for i, t := range args.Out {
			if err := t.Buffer.Write(t.Offset, cases.Encode(t.DType, out[i])); err != nil {
				return err
			}
		}
		return ctx.Err()
	}, nil
}

// memory is a Buffer in the heap.
type memory struct{ data []byte }

func (m *memory) Size() int64 { return int64(len(m.data)) }
func (m *memory) Free() error { m.data = nil; return nil }

func (m *memory) Write(at int64, src []byte) error {
	if at < 0 || at+int64(len(src)) > m.Size() {
		return fmt.Errorf("reference: write of %d bytes at %d in a buffer of %d", len(src), at, m.Size())
	}
	copy(m.data[at:], src)
	return nil
}

func (m *memory) Read(at int64, dst []byte) error {
	if at < 0 || at+int64(len(dst)) > m.Size() {
		return fmt.Errorf("reference: read of %d bytes at %d in a buffer of %d", len(dst), at, m.Size())
	}
	copy(dst, m.data[at:])
	return nil
}
