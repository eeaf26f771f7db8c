package checkpoint

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
)

// written makes a checkpoint of f32 tensors of shape [2] with these names.
func written(t *testing.T, names ...string) *Checkpoint {
	t.Helper()
	var ts []Data
	for _, n := range names {
		ts = append(ts, Data{n, ir.T(ir.F32, 2), make([]byte, 8)})
	}
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := Write(path, ts, nil); err != nil {
		t.Fatal(err)
	}
	return open(t, path)
}

func wants(names ...string) []Want {
	var ws []Want
	for _, n := range names {
		ws = append(ws, Want{Name: n, Shape: []int{2}})
	}
	return ws
}

// TestName checks that names are found with a prefix, without it, and as they are.
func TestName(t *testing.T) {
	c := written(t, "model.a", "b", "model.b")
	for path, want := range map[string]string{"a": "model.a", "model.a": "model.a", "b": "b", "model.b": "model.b", "model.c": "model.c"} {
		if got := c.Name(path, []string{"other.", "model."}); got != want {
			t.Errorf("%s is called %s, want %s", path, got, want)
		}
	}
	if got := written(t, "b").Name("model.b", []string{"model."}); got != "b" {
		t.Errorf("model.b is called %s, want b", got)
	}
}

func TestProveAccepts(t *testing.T) {
	c := open(t, "testdata/all.safetensors")
	var ws []Want
	for _, d := range c.Tensors() {
		if d.DType != ir.Invalid {
			ws = append(ws, Want{Name: d.Name, Shape: d.Shape, DTypes: []ir.DType{ir.F32, d.DType}})
		}
	}
	ws = append(ws, ws[0]) // two may want the same
	ignore := func(name string) bool { d, _ := c.Lookup(name); return d.DType == ir.Invalid }
	if err := c.Prove(ws, ignore); err != nil {
		t.Error(err)
	}
	if err := c.Prove(ws, nil); err == nil || len(err.(*MismatchError).Mismatches) != 6 {
		t.Errorf("%v, want six extra tensors", err)
	}
}

func TestProveSingleLines(t *testing.T) {
	const file = "testdata/all.safetensors"
	c := open(t, file)
	all := func(string) bool { return true }
	for _, w := range []struct {
		want Want
		kind Kind
		fact string
	}{
		{Want{Name: "f32", Shape: []int{3, 2}, Pos: "m.cue:4:2"}, WrongShape,
			`tensor "f32" has shape [2 3], want [3 2] (wanted by m.cue:4:2)`},
		{Want{Name: "f32", Shape: []int{2, 3}, DTypes: []ir.DType{ir.BF16, ir.F16}}, WrongDType,
			`tensor "f32" has dtype f32, want bf16 or f16`},
		{Want{Name: "f8_e4m3", Shape: []int{2, 3}, DTypes: []ir.DType{ir.F32}}, WrongDType,
			`tensor "f8_e4m3" has dtype "F8_E4M3", which cannot be computed with; want f32`},
		{Want{Name: "i16", Shape: []int{3, 2}}, WrongDType,
			`tensor "i16" has dtype "I16", which cannot be computed with; want f64, f32, bf16, f16, i64, i32, i8, u8 or bool`},
		{Want{Name: "scalr", Shape: []int{}, Pos: "m.cue:9:1"}, Missing,
			`no tensor "scalr" of shape [] (wanted by m.cue:9:1); did you mean "scalar"?`},
	} {
		err := c.Prove([]Want{w.want}, all)
		checkError(t, err, file, w.fact)
		var m *MismatchError
		if !errors.As(err, &m) || len(m.Mismatches) != 1 || m.Mismatches[0].Kind != w.kind || m.Mismatches[0].Pos != w.want.Pos {
			t.Errorf("%#v, want one %s mismatch", err, w.kind)
		}
		if err.Error() != file+": "+w.fact {
			t.Errorf("%q, want %q", err, w.fact)
		}
	}
}

// checkError of a shard's tensor names the shard.
func TestProveNamesShard(t *testing.T) {
	c := open(t, "testdata/sharded")
	err := c.Prove([]Want{{Name: "model.norm.weight", Shape: []int{3}}}, func(string) bool { return true })
	checkError(t, err, "testdata/sharded", `tensor "model.norm.weight" in model-00002-of-00002.safetensors has shape [2], want [3]`)
}

func TestProveListsEverything(t *testing.T) {
	c := written(t, "layers.10.w", "layers.2.w", "odd", "shape", "dtype")
	err := c.Prove([]Want{
		{Name: "layers.2.v", Shape: []int{2}},
		{Name: "shape", Shape: []int{4}, DTypes: []ir.DType{ir.F64}},
		{Name: "dtype", Shape: []int{2}, DTypes: []ir.DType{ir.F64}, Pos: "a.cue:1:1"},
	}, func(name string) bool { return name == "odd" })
	want := c.Path() + `: 6 tensors are not as planned (1 missing, 1 of the wrong shape, 2 of the wrong dtype, 2 extra)
  no tensor "layers.2.v" of shape [2]; did you mean "layers.2.w"?
  tensor "shape" has shape [2], want [4]
  tensor "dtype" has dtype f32, want f64 (wanted by a.cue:1:1)
  tensor "shape" has dtype f32, want f64
  extra tensor "layers.2.w", F32[2], which nothing wants
  extra tensor "layers.10.w", F32[2], which nothing wants`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	var e *Error
	if !errors.As(err, &e) || e.File != c.Path() || strings.Contains(e.Error(), "\n") {
		t.Errorf("as *Error: %v", e)
	}
}

func TestProveListsAtMostTwenty(t *testing.T) {
	c := written(t, "x")
	var ws []Want
	for i := range 30 {
		ws = append(ws, Want{Name: fmt.Sprintf("layers.%d", i), Shape: []int{2}})
	}
	err := c.Prove(ws, nil)
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 22 || lines[21] != "  and 11 more" || !strings.Contains(lines[20], `"layers.19"`) {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
	if n := len(err.(*MismatchError).Mismatches); n != 31 {
		t.Errorf("%d mismatches, want 31", n)
	}
}

func TestProveSeesRenaming(t *testing.T) {
	for name, c := range map[string]struct {
		have, want []string
		hint       string
	}{
		"more before": {[]string{"transformer.h.0.w", "transformer.h.1.w", "transformer.ln"}, []string{"h.0.w", "h.1.w", "ln"},
			`the names of everything missing have "transformer." before them in the file`},
		"lacks prefix": {[]string{"layers.0.w", "layers.1.w", "norm"}, []string{"model.layers.0.w", "model.layers.1.w", "model.norm"},
			`the names of everything missing lack the leading "model." in the file`},
		"other prefix": {[]string{"decoder.layers.0.w", "decoder.layers.1.w"}, []string{"model.layers.0.w", "model.layers.1.w", "head"},
			`the names of 2 of the 3 missing begin with "decoder." instead of "model." in the file`},
		"unrelated": {[]string{"a.weight", "b.bias"}, []string{"x.weight", "y.gain", "z.bias"}, ""},
	} {
		err := written(t, c.have...).Prove(wants(c.want...), nil)
		var m *MismatchError
		if !errors.As(err, &m) || m.Hint != c.hint {
			t.Errorf("%s: %v, want hint %q", name, err, c.hint)
		} else if first, _, _ := strings.Cut(err.Error(), "\n"); !strings.HasSuffix(first, c.hint) {
			t.Errorf("%s: first line %q lacks the hint", name, first)
		}
	}
}

// Proving a large model must cost little, even when nothing fits.
func BenchmarkProveAllMissing(b *testing.B) {
	c := &Checkpoint{path: "w", index: map[string]int{}}
	var ws []Want
	for i := range 2000 {
		name := fmt.Sprintf("transformer.layers.%d.attention.query_projection.weight", i)
		c.index[name] = len(c.tensors)
		c.tensors = append(c.tensors, Tensor{Name: name, Shape: []int{2}, DType: ir.F32})
		ws = append(ws, Want{Name: fmt.Sprintf("model.blocks.%d.self_attn.q_proj.kernel", i), Shape: []int{2}})
	}
	for b.Loop() {
		if c.Prove(ws, nil) == nil {
			b.Fatal("proven")
		}
	}
}
