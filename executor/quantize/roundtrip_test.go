package quantize

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/convert"
	"pipe.dev/executor/model"
)

// inGGUF are reference models of every architecture that GGUF files hold, and
// the type that their matrices have.
var inGGUF = map[string]string{"llama_f16": "f16", "llama31": "f32", "mistral": "f32", "qwen2_bf16": "bf16"}

// A folder that becomes a GGUF file and a folder again has the same tensors, and
// a config of the same model.
func TestRoundTrip(t *testing.T) {
	for name, kind := range inGGUF {
		t.Run(name, func(t *testing.T) {
			folder := golden + "arch/" + name
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
		if !ok || err1 != nil || err2 != nil || x.Raw != y.Raw || !slices.Equal(x.Shape, y.Shape) || !bytes.Equal(d1, d2) {
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
