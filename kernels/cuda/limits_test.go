//go:build linux && (amd64 || arm64)

package cuda

import (
	"context"
	"errors"
	"testing"
	"time"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels/cuda/driver"
)

// Where products go by wgmma, it is what tensor cores are measured by.
func TestLimitsWGMMA(t *testing.T) {
	b := openAs(t, "capability=90")
	b.wgmma.good["bf16kk"] = true
	p := &limitParams{n: 1}
	buf, err := b.Alloc(4)
	if err != nil {
		t.Fatal(err)
	}
	defer buf.Free()
	p.to = buf.(*buffer).at
	if seconds, err := b.quickest(t.Context(), limitWGMMA, grid{driver.Dim{X: 1, Y: 1, Z: 1}, limitThreads}, p); err != nil || seconds <= 0 {
		t.Error(seconds, err)
	}
	if l, err := b.Limits(t.Context()); err != nil || l.HalfFLOPs <= 0 || b.functions["limit_half"] != nil {
		t.Errorf("bf16 on tensor cores: %v operations/s, not by wgmma (%v)", l.HalfFLOPs, err)
	}
}

// The device is measured, and steps on it, without waits between them; an
// interruption ends it.
func TestLimits(t *testing.T) {
	b := open(t)
	l, err := b.Limits(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]float64{"f32": l.FLOPs, "bf16": l.HalfFLOPs, "read": l.Read, "copy": l.Copy, "triad": l.Triad, "launch": l.Launch} {
		if !(v > 0) {
			t.Errorf("%s: %v", name, v)
		}
	}
	c := blasCase{op: "linear", attr: op.LinearAttr{OutFeatures: 8}, t: ir.F32, in: [][]int{{2, 8}, {8, 8}}, out: []int{2, 8}}
	step, _ := c.bind(t, b)
	took, err := b.Took(t.Context(), step, time.Millisecond)
	if err != nil || len(took) < limitRuns || !(least(took) > 0) || least(took) > 1 {
		t.Error(took, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Limits(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
