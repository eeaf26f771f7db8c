package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
)

// A model that is written as ONNX and made a document of again gives the logits
// that it gave, for batches and lengths other than the file was tried with, and
// those of transformers.
func TestONNXRoundTrip(t *testing.T) {
	t.Parallel()
	const golden = "../../testdata/golden/"
	for _, folder := range []string{"arch/llama", "arch/gpt2", "arch/phi3_long", "arch/mixtral", "encoder/bert", "seq2seq/t5"} {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			dir := t.TempDir()
			succeeds := func(args ...string) {
				t.Helper()
				if code, _, errs := pipeCommand(args...); code != 0 || errs != "" {
					t.Fatalf("%v: exit code %d: %s", args, code, errs)
				}
			}
			forward := func(ids string, args ...string) tensorfile.Tensor {
				t.Helper()
				out := filepath.Join(dir, "out.safetensors")
				succeeds(append(args, "--quiet", "--set", "ids="+ids, "--out", out)...)
				got := tensortest.Read(t, out)["logits"]
				if err := os.Remove(out); err != nil {
					t.Fatal(err)
				}
				return got
			}
			model, graph, again := golden+folder, filepath.Join(dir, "m.onnx"), filepath.Join(dir, "again")
			succeeds("convert", "--quiet", model, graph)
			succeeds("convert", "--quiet", graph, again)
			document := filepath.Join(again, "model.cue")

			whole := filepath.Join(model, "expected.safetensors")
			want := tensortest.Read(t, whole)
			reference, ok := want["logits"]
			if !ok {
				reference = want["hidden"]
			}
			if _, ok := want["decoder_ids"]; ok { // pipelines/forward.cue has no such input
				nearly(t, "transformers", forward(whole, "run", document, "--set", "lengths="+whole, "--set", "decoder_ids="+whole), reference, 1e-5)
				return
			}
			nearly(t, "transformers", forward(whole, "run", document), reference, 1e-5)

			few := filepath.Join(dir, "few.npy")
			if err := tensorfile.Write(few, []tensorfile.Tensor{tensorfile.FromInt32s("ids", []int32{5, 9, 2, 11, 7}, 1, 5)}); err != nil {
				t.Fatal(err)
			}
			for _, ids := range []string{whole, few} {
				nearly(t, filepath.Base(ids), forward(ids, "run", document), forward(ids, "run", "../../pipelines/forward.cue", "--set", "model="+model), 1e-5)
			}
		})
	}
}

// nearly compares tensors; bound is relative to the greatest value, or to 1.
func nearly(t *testing.T, what string, got, want tensorfile.Tensor, bound float64) {
	t.Helper()
	have, w := got.Float64s(), want.Float64s()
	if !slices.Equal(got.Type.Shape, want.Type.Shape) || len(w) == 0 {
		t.Fatalf("%s: shape %v, want %v", what, got.Type.Shape, want.Type.Shape)
	}
	most, off := 1.0, 0.0
	for i := range w {
		most = math.Max(most, math.Abs(w[i]))
		if d := math.Abs(have[i] - w[i]); !(d <= off) {
			off = d
		}
	}
	if !(off <= bound*most) {
		t.Errorf("%s: differ by %.3g of values up to %.3g, want at most %.0e of that", what, off, most, bound)
	}
	t.Logf("%s: %.2g", what, off/most)
}
