package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/learn"
	"pipe.dev/kernels/cpu"
	"pipe.dev/schema"
)

// openBeside prepares a training on a device beside whose host, a processor of portable kernels, memory bytes are left; 0 is
// any number.
func openBeside(t *testing.T, file, runs string, memory int64, set ...string) (r *learn.Run, e *engine) {
	t.Helper()
	doc, err := schema.Load(file, schema.Options{Set: set})
	if err != nil {
		t.Fatal(err)
	}
	e, err = (&engineFlags{device: "cpu", threads: 1}).open(&cobra.Command{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.close() })
	if e.host, err = cpu.New(cpu.Options{Threads: 2, Tier: "generic"}); err != nil {
		t.Fatal(err)
	}
	e.memory = memory
	if r, err = learn.Prepare(doc, e.trainOptions(newConsole(strings.NewReader(""), io.Discard, io.Discard), runs, nil)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, e
}

// openApart opens one with updates on the host.
func openApart(t *testing.T, file, runs string, set ...string) (r *learn.Run, device, host *cpu.Backend) {
	t.Helper()
	r, e := openBeside(t, file, runs, 0, append(set, "train.offload=optimizer")...)
	if err := r.Fit(e.limit); err != nil {
		t.Fatal(err)
	}
	return r, e.backend.(*cpu.Backend), e.host.(*cpu.Backend)
}

// apartRun trains so until a step; 0 is to the end. It says where the run is.
func apartRun(t *testing.T, file, runs string, until int, set ...string) (folder string) {
	t.Helper()
	r, device, host := openApart(t, file, runs, set...)
	if d := r.Recipe.Precision; d == ir.BF16 || d == ir.F16 {
		narrowCopies(t, r, d)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	err := r.Execute(ctx, learn.Hear{Begin: func(f string, _ learn.Event) { folder = f }, Saved: func(string) {}, Step: func(ev learn.Event) {
		if d, h := device.Allocated(), host.Allocated(); d != r.PeakBytes() || h != r.HostBytes() || h == 0 {
			t.Errorf("%d and %d bytes are allocated, %d and %d were said", d, h, r.PeakBytes(), r.HostBytes())
		}
		if ev.Step == until {
			cancel()
		}
	}})
	if err != nil && !(until > 0 && errors.Is(err, context.Canceled)) {
		t.Fatal(err)
	}
	return folder
}

// narrowCopies: matrices, and their averages, lie on the device in the type that the model computes in, but for the
// one that the loss has a gradient of, and in f32 on the host.
func narrowCopies(t *testing.T, r *learn.Run, d ir.DType) {
	t.Helper()
	found := 0
	for _, p := range r.Plans() {
		for _, s := range p.States {
			want := d
			if p.Name == "update" || s.Path == "model.embed_tokens.weight" {
				want = ir.F32
			}
			if s.Type.Rank() < 2 || s.Kind == ir.Gradient {
				continue
			}
			if found++; s.Type.DType != want {
				t.Errorf("%s: %s is %v, want %v", p.Name, s.Path, s.Type, want)
			}
		}
	}
	if found < 10 {
		t.Errorf("%d states of matrices are found", found)
	}
}

// sameRows compares the metrics of two runs but for what memory and time they took. An evaluation may read weights that
// were rounded on their way.
func sameRows(t *testing.T, got, want string, narrow bool) {
	t.Helper()
	a, b := rowsOf(t, got), rowsOf(t, want)
	if len(a) != len(b) || len(b) == 0 {
		t.Fatalf("%d rows, want %d", len(a), len(b))
	}
	for i, row := range b {
		for name, x := range row {
			if narrow && name == "eval_loss" && math.Abs(a[i][name]-x) < 1e-2*x {
				continue
			}
			if name != "memory" && a[i][name] != x && !math.IsNaN(x) {
				t.Errorf("row %d: %s is %v, want %v", i, name, a[i][name], x)
			}
		}
	}
}

// expertsRecipe trains experts whose biases follow their load.
const expertsRecipe = `package x

import "pipe.dev/schema/train"

r: train.#Recipe & {
	name: "experts"
	model: config: {
		model_type: "deepseek_v3", vocab_size: 96, hidden_size: 16, intermediate_size: 24, num_hidden_layers: 2, num_attention_heads: 2
		q_lora_rank: 8, kv_lora_rank: 8, qk_nope_head_dim: 8, qk_rope_head_dim: 4, v_head_dim: 8
		first_k_dense_replace: 1, n_routed_experts: 4, num_experts_per_tok: 2, moe_intermediate_size: 8
	}
	data: {train: [{files: ["../../LICENSE"], kind: "text"}], tokenizer: "characters"}
	batch: {batch: 2, seq: 8}
	balance: {bias: "*.e_score_correction_bias", taken: "*.choice.taken"}
	train: {steps: 4, accumulate: 2}
}
`

// written is a file of a text.
func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "recipe.cue")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestOptimizerApart: where the optimizer stays on the host, a training has the bits of one that is all on a
// processor: of micro-batches or not, in narrow types, with averages that evaluations read, a loss scale, several losses with
// optimizers of their own, adapters, statistics of the data and biases of experts; a run that was interrupted goes on to the same bits, and both sides hold what was said.
func TestOptimizerApart(t *testing.T) {
	small := []string{"steps: 60", "steps: 6", "log_every: 5", "log_every: 1", "every: 30, batches: 4", "every: 2, batches: 2", "num_hidden_layers:       2", "num_hidden_layers: 1"}
	with := func(change ...string) string { return tinyRecipe(t, append(change, small...)...) }
	for name, c := range map[string]struct {
		file string
		set  []string
	}{
		"plain": {with(), nil},
		"bf16":  {with("eval: {", "precision: \"bf16\"\n\teval: {"), nil},
		"f16": {with("clip_norm: 1", "accumulate: 2, clip_norm: 1",
			"eval: {", "precision: \"f16\", loss_scale: {init: 1e8, interval: 2}, ema: decay: 0.9\n\teval: {"), nil},
		"adapter": {with("model: config: {", "model: adapter: {rank: 2, alpha: 4, dropout: 0.2, dora: true}\n\tmodel: config: {",
			"optimizer: {name: \"adamw\"", "optimizer: {name: \"adafactor\""), nil},
		"two": {"../../recipes/gan.cue", []string{"train.steps=5", "train.log_every=1", "batch.batch=8", "data.train=[{files: [\"../../recipes/data/ring.csv\"], format: \"columns\", columns: points: [\"x\", \"y\"]}]"}},
		"statistics": {written(t, normRecipe), []string{"train.steps=6", "train.log_every=1", "eval.every=2", "save.every=0", "norms=[{pattern: \"y.weight\", norm: \"spectral\"}]",
			"data.train=[{files: [\"../../recipes/data/ring.csv\"], format: \"columns\", columns: points: [\"x\", \"y\"], validation: 0.1}]"}},
		"experts": {written(t, expertsRecipe), []string{"train.steps=4", "train.log_every=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var flags []string
			for _, s := range c.set {
				flags = append(flags, "--set", s)
			}
			whole := train(t, c.file, t.TempDir(), flags...).Run
			runs := t.TempDir()
			got := apartRun(t, c.file, runs, 2, c.set...)
			if _, err := os.Stat(filepath.Join(got, "model")); !os.IsNotExist(err) {
				t.Fatal("the run was not interrupted", err)
			}
			got = apartRun(t, c.file, runs, 0, c.set...)
			sameRows(t, got, whole, strings.Contains(name, "16"))
			if !bytes.Equal(weightsOf(t, got), weightsOf(t, whole)) {
				t.Error("the model has other weights")
			}
		})
	}
}

// TestForecastApart: what is predicted of a step is its device's part, its host's, and what crosses.
func TestForecastApart(t *testing.T) {
	t.Parallel()
	r, device, host := openApart(t, tinyRecipe(t), t.TempDir())
	f, err := r.Forecast(t.Context(), 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	found := map[string]bool{}
	for _, o := range f.Ops {
		sum += o.Seconds
		found[o.Name] = o.Seconds > 0
	}
	if math.Abs(sum/f.Step-1) > 1e-9 || !found["copies between host and device"] || !found["fill"] || device.Allocated()+host.Allocated() > 0 {
		t.Errorf("ops take %v of %v seconds: %v; %d and %d bytes are held", sum, f.Step, found, device.Allocated(), host.Allocated())
	}
	toHost, toDevice := r.CrossingBytes()
	var weights int64
	for _, p := range r.Plans() {
		for _, s := range p.States {
			if p.Name == "update" && s.Kind == ir.Weight {
				weights += s.Bytes
			}
		}
	}
	if toDevice != weights || toHost != weights+4 { // and the count of tokens
		t.Errorf("%d and %d bytes cross, weights have %d", toHost, toDevice, weights)
	}
}

// TestApartLimits: what would fit is told where a training does not: with its optimizer on the host, or with layers computed
// anew as well; and where the host has too little for that.
func TestApartLimits(t *testing.T) {
	t.Parallel()
	file := tinyRecipe(t, "batch: 4, seq: 24", "batch: 1, seq: 24", "hidden_size:             32", "hidden_size: 64")
	open := func(offload string, memory int64, set ...string) *learn.Run {
		t.Helper()
		r, _ := openBeside(t, file, t.TempDir(), memory, append(set, "train.offload="+offload)...)
		return r
	}
	apart := open("optimizer", 1<<30)
	least, block := apart.PeakBytes(), open("optimizer", 1<<30, "train.remat=block").PeakBytes()
	if anew := open("none", 1<<30, "train.remat=block").PeakBytes(); anew <= least || block >= least {
		t.Fatalf("%d bytes with layers computed anew, %d with an optimizer on the host, %d with both", anew, least, block)
	}
	for limit, want := range map[int64]string{
		least: "it would fit with an optimizer on the host (--set train.offload=optimizer); ",
		block: "(--set train.offload=optimizer --set train.remat=auto); ",
		1000:  "a smaller batch with accumulate would need less; ",
	} {
		if err := open("none", 1<<30).Fit(limit); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("with %d bytes: %v, want %q", limit, err, want)
		}
	}
	if err := open("none", 1000).Fit(least); err == nil || strings.Contains(err.Error(), "train.offload") {
		t.Errorf("with little on the host: %v", err)
	}
	if err := apart.Fit(least); err != nil {
		t.Error(err)
	}
	if err := open("optimizer", 1000).Fit(least); err == nil || !strings.Contains(err.Error(), " of the host's memory (what stays there ") {
		t.Errorf("with little on the host: %v", err)
	}
}
