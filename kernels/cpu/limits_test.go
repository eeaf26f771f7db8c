package cpu

import (
	"context"
	"errors"
	"testing"
)

// Limits are measured with the backend's threads and the machine's best
// instruction set, and leave no memory behind.
func TestLimits(t *testing.T) {
	best, err := findTier("")
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, Options{Threads: 2, Tier: "generic"})
	l, err := b.Limits(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if l.Threads != 2 || l.With != best.name || !(l.FLOPs > 0 && l.Read > 0 && l.Copy > 0 && l.Triad > 0) {
		t.Errorf("%+v", l)
	}
	if best.byteAdds != nil && l.ByteOPs < l.FLOPs {
		t.Errorf("%v multiply-adds of bytes a second, and %v of floats", l.ByteOPs, l.FLOPs)
	}
	if (best.pairAdds != nil) != (l.HalfFLOPs > 0) {
		t.Errorf("%v multiply-adds of bf16 a second", l.HalfFLOPs)
	}
	if n := b.Allocated(); n != 0 {
		t.Errorf("%d bytes are not freed", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Limits(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want an interruption", err)
	}
}
