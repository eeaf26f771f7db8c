package main

import (
	"math"
	"path/filepath"
	"testing"

	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
)

// TestForward holds what pipelines/forward.cue writes, in every form of --out,
// against the values of transformers.
func TestForward(t *testing.T) {
	t.Parallel()
	const dir = "../../testdata/golden/arch/qwen2_bf16"
	reference := filepath.Join(dir, "expected.safetensors")
	want := tensortest.Read(t, reference)
	for _, out := range []string{"folder", "all.npz", "all.safetensors"} {
		out = filepath.Join(t.TempDir(), out)
		code, stdout, errs := pipeCommand("run", "../../pipelines/forward.cue", "--quiet", "--set", "model="+dir, "--set", "ids="+reference,
			"--set", `take=["model.layers.1", "model.embed_tokens"]`, "--out", out)
		if code != 0 || stdout != "" || errs != "" {
			t.Fatalf("exit code %d: %s%s", code, stdout, errs)
		}
		got := map[string]tensorfile.Tensor{}
		if filepath.Ext(out) == "" {
			for _, name := range []string{"logits", "model.layers.1", "model.embed_tokens"} {
				for _, x := range tensortest.Read(t, filepath.Join(out, name+".npy")) {
					got[name] = x
				}
			}
		} else {
			got = tensortest.Read(t, out)
		}
		for name, reference := range map[string]string{"logits": "logits", "model.layers.1": "hidden.1", "model.embed_tokens": "embedding"} {
			have, w := got[name].Float64s(), want[reference].Float64s()
			if len(have) < len(w) || len(w) == 0 {
				t.Fatalf("%s: %s has %d elements, want %d", out, name, len(have), len(w))
			}
			for i := range w {
				if d := math.Abs(have[i] - w[i]); !(d <= 1e-4*math.Max(1, math.Abs(w[i]))) {
					t.Fatalf("%s: %s[%d] is %v, want %v", out, name, i, have[i], w[i])
				}
			}
		}
	}
}
