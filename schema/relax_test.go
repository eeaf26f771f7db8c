package schema

import (
	"runtime/debug"
	"testing"
)

// TestRelax: the collector's setting is what it was, when the last of several loads ends.
func TestRelax(t *testing.T) {
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	now := func() int { p := debug.SetGCPercent(50); debug.SetGCPercent(p); return p }
	first, second := relax(), relax()
	first()
	if p := now(); p != 300 {
		t.Errorf("while one goes on it is %d", p)
	}
	second()
	if p := now(); p != 77 {
		t.Errorf("in the end it is %d, want 77", p)
	}
}

// TestIgnores: a star of a pattern stands for slashes, too, which names in ONNX files hold.
func TestIgnores(t *testing.T) {
	m := &Model{Ignore: []string{"If_*", "*.inv_freq"}}
	for name, want := range map[string]bool{"If_0.then/stft/padding": true, "a/b.inv_freq": true, "then.If_0": false, "weight": false} {
		if m.Ignores(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}
