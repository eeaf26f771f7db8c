package onnx

import (
	"context"
	"errors"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
)

// Target is ONNX as something to compile for: what has no translation is
// lowered, as it is for a device without a kernel. It runs nothing.
type Target struct{}

var _ kernels.Backend = Target{}

var errNoDevice = errors.New("ONNX is no device: nothing runs on it")

// Name says what lacks an operation, in messages.
func (Target) Name() string { return "ONNX" }

// Kernel reports whether an operation has a translation; there is no kernel.
func (Target) Kernel(name string, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	return nil, Supports(name, attr, in, out)
}

// Alloc fails.
func (Target) Alloc(int64) (kernels.Buffer, error) { return nil, errNoDevice }

// Map does nothing.
func (Target) Map([]byte) (kernels.Buffer, bool) { return nil, false }

// Align is 1: bytes lie in a file.
func (Target) Align() int64 { return 1 }

// Layout is row-major.
func (Target) Layout(string, any, int, ir.Type) ir.Layout { return "" }

// Accepts takes row-major weights alone.
func (Target) Accepts(_ string, _ any, _ int, _ ir.Type, l ir.Layout) bool { return l == "" }

// LayoutBytes is the size of a weight.
func (Target) LayoutBytes(_ ir.Layout, weight ir.Type) int64 { return weight.Bytes() }

// Pack fails.
func (Target) Pack(ir.Layout, ir.Type, kernels.Buffer, int64, []byte) error { return errNoDevice }

// Sync does nothing.
func (Target) Sync(context.Context) error { return nil }

// Close does nothing.
func (Target) Close() error { return nil }
