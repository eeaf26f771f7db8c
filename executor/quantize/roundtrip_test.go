package quantize

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/convert"
	"pipe.dev/executor/model"
	"pipe.dev/executor/tensorfile"
)

// inGGUF are reference models of every architecture that GGUF files hold.
var inGGUF = []string{"arch/llama_f16", "arch/llama31", "arch/mistral", "arch/qwen2_bf16", "arch/mixtral", "arch/qwen3", "arch/qwen2_moe", "arch/qwen3_moe",
	"arch/gemma", "arch/gemma2", "arch/gemma3", "arch/phi3", "arch/phi3_long", "arch/phi3_short", "arch/gpt2", "encoder/bert"}

// matrixType is the type of a folder's matrices.
func matrixType(t *testing.T, folder string) string {
	t.Helper()
	m, err := model.OpenSource(folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return m.Tensors()[0].DType.String()
}

// A folder that becomes a GGUF file and a folder again has the same tensors, and
// a config of the same model.
func TestRoundTrip(t *testing.T) {
	for _, name := range inGGUF {
		t.Run(name, func(t *testing.T) {
			folder := golden + name
			kind := matrixType(t, folder)
			_, file := written(t, folder, Options{Type: kind})
			m, err := model.Folder(file, func(err error) { t.Log(err) })
			if err != nil {
				t.Fatal(err)
			}
			o := convert.Options{In: file, Out: filepath.Join(t.TempDir(), "back"), Model: m}
			if o.DType, err = ir.ParseDType(kind); err != nil {
				t.Fatal(err)
			}
			if _, err := convert.Run(context.Background(), o); err != nil {
				t.Fatal(err)
			}
			sameModel(t, folder, o.Out)
		})
	}
}

// sameModel compares the tensors of two folders, but for those that are ignored.
func sameModel(t *testing.T, a, b string) {
	t.Helper()
	want, err := model.OpenSource(a, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	have, err := model.OpenSource(b, nil)
	if err != nil {
		text, _ := os.ReadFile(filepath.Join(b, "config.json"))
		t.Fatalf("%v: %s", err, text)
	}
	defer have.Close()
	n := 0
	for _, x := range want.Tensors() {
		if want.Arch.Ignores(x.Name) {
			continue
		}
		n++
		y, ok := have.Lookup(have.Name(x.Name))
		d1, err1 := want.View(x.Name)
		d2, err2 := have.View(y.Name)
		same := bytes.Equal(d1, d2) || shifted(want.Arch.Arch, x, d1, d2)
		if !ok || err1 != nil || err2 != nil || x.Raw != y.Raw || !slices.Equal(x.Shape, y.Shape) || !same {
			t.Errorf("%s: %s%v, want %s%v (%v, %v)", x.Name, y.Raw, y.Shape, x.Raw, x.Shape, err1, err2)
		}
	}
	if len(have.Tensors()) != n {
		t.Errorf("%d tensors, want %d", len(have.Tensors()), n)
	}
	if have.Arch.Arch != want.Arch.Arch || have.Arch.Context != want.Arch.Context {
		t.Errorf("is a %s of %d positions, want %s of %d", have.Arch.Arch, have.Arch.Context, want.Arch.Arch, want.Arch.Context)
	}
}

// shifted reports whether norms are those to which files add 1: f32 ones lose what
// the sum has no digits for.
func shifted(arch string, t checkpoint.Tensor, a, b []byte) bool {
	if arch != "gemma" || t.DType != ir.F32 || len(t.Shape) != 1 || len(a) != len(b) {
		return false
	}
	x, y := tensorfile.Tensor{Type: t.Type(), Data: a}.Float32s(), tensorfile.Tensor{Type: t.Type(), Data: b}.Float32s()
	for i := range x {
		if x[i]+1 != y[i]+1 {
			return false
		}
	}
	return true
}
