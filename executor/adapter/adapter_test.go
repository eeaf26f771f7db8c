package adapter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
	"pipe.dev/executor/torch"
)

const golden = "../../testdata/golden/"

// fixtures are adapters that PEFT has made, and their bases.
func fixtures(t *testing.T) map[string]string {
	t.Helper()
	list, err := filepath.Glob(golden + "adapter/*/adapter_config.json")
	if err != nil || len(list) != 4 {
		t.Fatalf("%d adapters, %v", len(list), err)
	}
	out := map[string]string{}
	for _, file := range list {
		var c struct {
			Base string `json:"base_model_name_or_path"`
		}
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &c)
		}
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Dir(file)] = filepath.Join("../..", c.Base)
	}
	return out
}

// TestMerge holds merged weights against those of PEFT.
func TestMerge(t *testing.T) {
	for dir, base := range fixtures(t) {
		for _, to := range []ir.DType{ir.Invalid, ir.F32, ir.BF16} {
			out := filepath.Join(t.TempDir(), "merged")
			rep, err := Merge(t.Context(), Options{Model: base, Adapter: dir, Out: out, DType: to})
			if err != nil {
				t.Fatal(err)
			}
			want := tensortest.Read(t, filepath.Join(dir, "expected.safetensors"))
			before, after := tensortest.Read(t, filepath.Join(base, "model.safetensors")), tensortest.Read(t, filepath.Join(out, "model.safetensors"))
			changed := 0
			for name, x := range before {
				y := after[name]
				kind := x.Type.DType
				if to != ir.Invalid {
					kind = to
				}
				if y.Type.DType != kind {
					t.Fatalf("%s: %s is %v, want %v", dir, name, y.Type, kind)
				}
				w, ok := want["merged."+name]
				if !ok {
					if same := tensorfile.AppendFloats(nil, kind, x.Float64s()...); !bytes.Equal(same, y.Data) {
						t.Errorf("%s: %s is not adapted, and has changed", dir, name)
					}
					continue
				}
				changed++
				values := w.Float64s()
				for i, got := range y.Float64s() {
					if d := math.Abs(got - values[i]); d > halfUnit(values[i], kind)*1.001 {
						t.Fatalf("%s: %s[%d] is %v, want %v", dir, name, i, got, values[i])
					}
				}
			}
			if changed != rep.Layers || changed == 0 || len(after) != len(before) || !(rep.Changed > 0) {
				t.Errorf("%s: %d weights of %d, report %+v", dir, changed, len(after), rep)
			}
			if _, err := os.Stat(filepath.Join(out, "config.json")); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestUndo takes adapters out: with the base exactly, and else as near as the
// report says.
func TestUndo(t *testing.T) {
	for dir, base := range fixtures(t) {
		folder := t.TempDir()
		file := func(name string) string { return filepath.Join(folder, name, "model.safetensors") }
		want := tensortest.Read(t, filepath.Join(base, "model.safetensors"))
		kind := want["model.norm.weight"].Type.DType
		options := func(model, out string) Options {
			return Options{Model: model, Adapter: dir, Out: filepath.Join(folder, out)}
		}
		if _, err := Merge(t.Context(), options(base, "merged")); err != nil {
			t.Fatal(err)
		}
		o := options(filepath.Join(folder, "merged"), "back")
		o.Base = base
		rep, err := Undo(t.Context(), o)
		if err != nil || !rep.Identical {
			t.Fatalf("%s: %+v, %v", dir, rep, err)
		}
		first, err := os.ReadFile(filepath.Join(base, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := os.ReadFile(file("back")); err != nil || !bytes.Equal(again, first) {
			t.Errorf("%s: what comes back is not the base, or %v", dir, err)
		}

		rep, err = Undo(t.Context(), options(filepath.Join(folder, "merged"), "near"))
		if strings.HasSuffix(dir, "dora") {
			if err == nil || !strings.Contains(err.Error(), "without the base they can't be taken out") {
				t.Errorf("DoRA: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		differ, worst := int64(0), 0.0
		for name, x := range tensortest.Read(t, file("near")) {
			was := want[name].Float64s()
			for i, v := range x.Float64s() {
				if v != was[i] {
					differ, worst = differ+1, math.Max(worst, math.Abs(v-was[i]))
				}
			}
		}
		if differ > rep.Unsure || worst > rep.Error || rep.Identical != (rep.Unsure == 0) || worst == 0 || rep.Error > 100*worst {
			t.Errorf("%s: %d elements differ by at most %v, the report says %+v", dir, differ, worst, rep)
		}

		wide := options(base, "wide")
		wide.DType = ir.F32
		if _, err := Merge(t.Context(), wide); err != nil {
			t.Fatal(err)
		}
		narrow := options(filepath.Join(folder, "wide"), "exact")
		narrow.DType = kind
		rep, err = Undo(t.Context(), narrow)
		if err != nil {
			t.Fatal(err)
		}
		if kind == ir.F16 && !rep.Identical {
			t.Errorf("%s: f16 merged in f32: %+v", dir, rep)
		}
		if again, err := os.ReadFile(file("exact")); rep.Identical && (err != nil || !bytes.Equal(again, first)) {
			t.Errorf("%s: said to be identical, and is not; %v", dir, err)
		}
	}
}

// TestNotTheBase names the tensors that show that a model was made otherwise.
func TestNotTheBase(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	_, err := Undo(t.Context(), Options{Model: golden + "arch/llama", Base: golden + "arch/llama", Adapter: golden + "adapter/lora", Out: out})
	if err == nil || strings.Count(err.Error(), "\n") != 3 || !strings.Contains(err.Error(), `tensor "model.layers.0.self_attn.q_proj.weight" is not that of `+golden+"arch/llama with the adapter") {
		t.Errorf("%v", err)
	}
	_, err = Merge(t.Context(), Options{Model: golden + "arch/llama31", Adapter: golden + "adapter/lora", Out: out})
	var e *checkpoint.MismatchError
	if !errors.As(err, &e) || len(e.Mismatches) != 2 || !strings.Contains(err.Error(), "v_proj") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a folder was written all the same")
	}
}

// TestInterrupted leaves nothing behind.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	folder := t.TempDir()
	o := Options{Model: golden + "arch/llama", Adapter: golden + "adapter/lora", Out: filepath.Join(folder, "out"),
		Progress: func(done, total int64) { cancel() }}
	if _, err := Merge(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// TestOpenErrors changes a fixture in one place at a time.
func TestOpenErrors(t *testing.T) {
	config, err := os.ReadFile(golden + "adapter/lora/adapter_config.json")
	if err != nil {
		t.Fatal(err)
	}
	good := tensortest.Read(t, golden+"adapter/lora/adapter_model.safetensors")
	const layer = prefix + "model.layers.0.self_attn.q_proj"
	for _, c := range []struct {
		from, to string // of the configuration
		drop     string // a tensor
		add      string // a tensor of the shape of dropped
		want     string
	}{
		{`"LORA"`, `"IA3"`, "", "", `adapter_config.json: peft_type is "IA3", want LORA`},
		{`"bias": "none"`, `"bias": "all"`, "", "", `bias is "all", want none`},
		{`"modules_to_save": null`, `"modules_to_save": ["lm_head"]`, "", "", `modules_to_save is ["lm_head"]: such adapters are not read`},
		{`"init_lora_weights": true`, `"init_lora_weights": "pissa_niter_4"`, "", "", `init_lora_weights is "pissa_niter_4", which changes the base`},
		{`"r": 4`, `"r": 8`, "", "", `model.layers.0.self_attn.q_proj: lora_A has rank 4, and adapter_config.json says 8`},
		{`"r": 4`, `"r": 0`, "", "", `r is 0, want more than 0`},
		{`"r": 4`, `"r": "4"`, "", "", `cannot unmarshal string`},
		{`"use_dora": false`, `"use_dora": true`, "", "", `use_dora is true, and a lora_magnitude_vector is there: false`},
		{`"rank_pattern": {}`, `"rank_pattern": {"(": 3}`, "", "", `pattern "("`},
		{`{`, `[`, "", "", `is no JSON object`},
		{"", "", layer + train.LowRankB, "", `model.layers.0.self_attn.q_proj lacks lora_A or lora_B`},
		{"", "", layer + train.LowRankB, layer + ".lora_embedding_B", `lora_embedding_B" is none of a low-rank adapter of linear layers`},
		{"", "", layer + train.LowRankA, layer + ".lora_A.bias", `lora_A.bias" is none`},
	} {
		dir := t.TempDir()
		text := strings.Replace(string(config), c.from, c.to, 1)
		if c.from != "" && text == string(config) {
			t.Fatalf("no %s", c.from)
		}
		if err := os.WriteFile(filepath.Join(dir, configName), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		var list []checkpoint.Data
		for name, x := range good {
			if name == c.drop {
				if name = c.add; name == "" {
					continue
				}
			}
			list = append(list, checkpoint.Data{Name: name, Type: x.Type, Bytes: x.Data})
		}
		if err := checkpoint.Write(filepath.Join(dir, weightsName), list, nil); err != nil {
			t.Fatal(err)
		}
		a, err := Open(dir)
		var e *checkpoint.Error
		if err == nil || !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
		if err == nil {
			a.Close()
		}
	}
	for dir, want := range map[string]string{"nosuch": "no such file or folder", golden + "arch/llama": "adapter_config.json: no such file",
		golden + "adapter/lora/adapter_config.json": "is a file; an adapter is a folder"} {
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Adapters from before safetensors have their weights in PyTorch's file.
func TestOldAdapter(t *testing.T) {
	dir := t.TempDir()
	config, err := os.ReadFile(golden + "adapter/lora/adapter_config.json")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, configName), config, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	weights := tensortest.Read(t, golden+"adapter/lora/adapter_model.safetensors")
	var list []torch.Entry
	for name, x := range weights {
		list = append(list, torch.Entry{Name: name, DType: strings.ToUpper(x.Type.DType.String()), Shape: x.Type.Sizes(), Bytes: x.Type.Bytes()})
	}
	err = checkpoint.Replace(filepath.Join(dir, oldName), func(w io.Writer) error {
		return torch.Write(w, list, func(e torch.Entry, w io.Writer) error {
			_, err := w.Write(weights[e.Name].Data)
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	old, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	now, err := Open(golden + "adapter/lora")
	if err != nil {
		t.Fatal(err)
	}
	defer now.Close()
	if len(old.Layers) == 0 || !slices.Equal(old.Layers, now.Layers) {
		t.Errorf("%v, want %v", old.Layers, now.Layers)
	}
}
