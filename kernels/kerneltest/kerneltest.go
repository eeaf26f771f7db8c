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

	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cases"
)

// Run checks be: kernels of primitives against Ref, those of fused ops against the
// interpreted lowering, in each layout of the weights. A primitive without a
// kernel is an error, unless it is a view; a fused op without one is run as its
// lowering. Outputs hold NaN before a run, memory around them is watched, a
// second run must give the same bits, and claims to work in place are tried.
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
				for _, v := range cases.Variants(d, c) {
					t.Run(cases.Label(c.Name)+v.Name, func(t *testing.T) { report(t, checkValue(be, table, &d, c, v)) })
				}
			}
		})
	}
}

// Gradients compares the graph that Builder.Grad makes for each case of table
// with central differences, both interpreted in float64: no backend has a part in it.
func Gradients(t *testing.T, table *op.Table) {
	for _, d := range table.Defs() {
		t.Run(d.Name, func(t *testing.T) {
			for _, c := range d.Cases {
				if !c.Large {
					t.Run(cases.Label(c.Name), func(t *testing.T) { report(t, checkGrad(table, &d, c)) })
				}
			}
		})
	}
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
