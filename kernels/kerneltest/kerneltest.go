// Package kerneltest checks and measures a backend against what the op table
// says: every case of every op, at every element type that the backend claims.
//
// The whole test of a backend is kerneltest.Run(t, be). An op has no test of
// its own here or in a backend: its Def's Cases are the tests. Speed is
// reported by Bench and never judged.
package kerneltest

import (
	"errors"
	"fmt"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
)

// Run checks be, and the gradients of the op table on the way.
//
// Values: kernels of primitives against Ref, those of fused ops against the
// interpreted lowering, in each layout of the weights. A primitive without a
// kernel is an error, unless it is a view; a fused op without one is run as its
// lowering. Outputs hold NaN before a run, memory around them is watched, a
// second run must give the same bits, and claims to work in place are tried.
//
// Gradients: see Gradients.
func Run(t *testing.T, be kernels.Backend) {
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("memory", func(t *testing.T) { report(t, checkMemory(be)) })
	for _, d := range table.Defs() {
		t.Run(d.Name, func(t *testing.T) {
			for _, c := range d.Cases {
				if c.Large {
					continue
				}
				for _, v := range variants(d, c) {
					t.Run(label(c.Name)+v.name, func(t *testing.T) { report(t, checkValue(be, table, &d, c, v)) })
				}
			}
		})
	}
	t.Run("gradients", func(t *testing.T) { Gradients(t, table) })
}

// Gradients compares the graph that Builder.Grad makes for each case of table
// with central differences, both interpreted in float64.
func Gradients(t *testing.T, table *op.Table) {
	for _, d := range table.Defs() {
		t.Run(d.Name, func(t *testing.T) {
			for _, c := range d.Cases {
				if !c.Large {
					t.Run(label(c.Name), func(t *testing.T) { report(t, checkGrad(table, &d, c)) })
				}
			}
		})
	}
}

func label(name string) string {
	if name == "" {
		return "plain"
	}
	return name
}

// errSkip says that there is nothing to check.
var errSkip = errors.New("nothing to check")

func report(t *testing.T, err error) {
	t.Helper()
	switch {
	case errors.Is(err, errSkip):
		t.Skip(err)
	case err != nil:
		t.Error(err)
	}
}

// variant is a case with its inputs at certain element types.
type variant struct {
	name string // " bf16", or "" for the case as it is
	in   []ir.Type
}

// variants lists the element types at which a case is tried: as it is, all
// f32 inputs narrowed, only the weights narrowed, only the cache narrowed.
func variants(d op.Def, c op.Case) []variant {
	out := []variant{{"", c.In}}
	weights := func(i int) bool { return i >= len(d.Ports) }
	cached := func(i int) bool {
		for _, k := range d.Cached {
			if i == k {
				return true
			}
		}
		return i < len(d.Ports) && d.Ports[i].Name == "cache"
	}
	all := func(int) bool { return true }
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
					out = append(out, variant{" " + t.String() + which.name, in})
				}
			}
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

// checkMemory checks what a backend says of its buffers.
func checkMemory(be kernels.Backend) error {
	const n = 1000
	buf, err := be.Alloc(n)
	if err != nil {
		return err
	}
	got := make([]byte, n)
	if err := buf.Read(0, got); err != nil {
		return err
	}
	for i, v := range got {
		if v != 0 {
			return fmt.Errorf("byte %d of new memory is %d, want 0", i, v)
		}
	}
	if buf.Size() < n {
		return fmt.Errorf("a buffer of %d bytes says it has %d", n, buf.Size())
	}
	if err := buf.Write(7, []byte("seven")); err != nil {
		return err
	}
	if err := buf.Read(6, got[:7]); err != nil || string(got[:7]) != "\x00seven\x00" {
		return fmt.Errorf("wrote %q at 7, read %q at 6, error %v", "seven", got[:7], err)
	}
	if err := buf.Write(n-2, []byte("over")); err == nil {
		return errors.New("a write beyond the end of a buffer is accepted")
	}
	if err := buf.Read(n-2, got[:4]); err == nil {
		return errors.New("a read beyond the end of a buffer is accepted")
	}
	return buf.Free()
}
