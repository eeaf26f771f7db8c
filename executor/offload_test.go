package executor

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"pipe.dev/compiler"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/model"
	"pipe.dev/executor/stage"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/kernels/cpu"
	"pipe.dev/schema"
)

// oneModel calls a language model, whose layers may stay on the host.
const oneModel = `package p
import "pipe.dev/schema/pipeline"
part: pipeline.#Pipeline & {
	name: "part"
	inputs: ids: {type: "tensor", value: "../testdata/golden/arch/llama/expected.safetensors"}
	models: llm: {from: "../testdata/golden/arch/llama", offload: "auto"}
	nodes: run: pipeline.#Run & {model: models.llm.out, with: ids: inputs.ids.out}
	outputs: logits: {from: nodes.run.out, type: "tensors"}
}
`

// besideHost are options where layers may be left on a host of portable kernels.
func besideHost(t *testing.T) Options {
	t.Helper()
	o := options(t)
	host, err := cpu.New(cpu.Options{Threads: 1, Tier: "generic"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	device := o.Backend
	o.Host = host
	o.Compile = func(m *schema.Model, e plan.Entry, w model.Weights) (model.Program, error) {
		c := compiler.Options{Entry: e, Target: device, Weight: w.DType, Blocks: w.Blocks, Layout: w.Layout}
		if e.Side == plan.Front {
			c.Target = host
		}
		return compiler.Compile(m, table, c)
	}
	return o
}

// TestOffload: where a model does not fit, as few layers as are needed stay on the host, and
// that becomes part of the document; logits are the same but for rounding. What the host lacks
// is told, too.
func TestOffload(t *testing.T) {
	o := besideHost(t)
	fitted := func(text string, limit, memory int64) (*Pipeline, error) {
		t.Helper()
		o.HostMemory = memory
		p, err := Prepare(load(t, text).Pipeline, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return p, p.Fit(limit)
	}
	ran := func(p *Pipeline) []float64 {
		t.Helper()
		var got []float64
		if err := p.Run(context.Background(), func(_ schema.Output, v stage.Value) error {
			got = v.([]tensorfile.Tensor)[0].Float64s()
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	whole, err := fitted(oneModel, 1<<40, 0)
	if err != nil || len(whole.Chosen()) != 0 {
		t.Fatal(err, whole.Chosen())
	}
	limit := whole.PeakBytes() * 3 / 4
	cut, err := fitted(oneModel, limit, 1<<40)
	if err != nil || cut.PeakBytes() > limit || len(cut.Settings()) != 1 || cut.Settings()[0] != "models.llm.offload=1" {
		t.Fatalf("%v; %d bytes of %d, %v", err, cut.PeakBytes(), limit, cut.Chosen())
	}
	// The document with what was chosen in it.
	again, err := fitted(strings.Replace(oneModel, `"auto"`, "1", 1), limit, 1<<40)
	if err != nil || len(again.Chosen()) != 0 || again.PeakBytes() > limit {
		t.Fatalf("%v; %d bytes, %v", err, again.PeakBytes(), again.Chosen())
	}
	want := ran(whole)
	for i, x := range ran(again) {
		if math.Abs(x-want[i]) > 1e-4 {
			t.Fatalf("logit %d is %v, want %v", i, x, want[i])
		}
	}
	_, err = fitted(oneModel, limit, 1000)
	var fit *model.FitError
	if !errors.As(err, &fit) || !fit.Host || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "of the host's memory (what stays there ") {
		t.Errorf("too little on the host: %v", err)
	}
	if _, err = fitted(oneModel, 1000, 1<<40); !errors.As(err, &fit) || fit.Host {
		t.Errorf("too little on the device: %v", err)
	}
}

// TestOffloadEmbed: vectors of texts of several lengths, which go through an encoder in batches, are those of
// sentence-transformers, however many of its layers stay on the host.
func TestOffloadEmbed(t *testing.T) {
	want, texts := goldenVectors(t, "encoder.safetensors")
	for _, layers := range []string{"0", "1", "2"} {
		got, _, err := embeddingBy(t, besideHost(t), goldenEmbed+"encoder", texts, "models.encoder.offload="+layers, "nodes.vectors.positions=20")
		if err != nil {
			t.Fatal(err)
		}
		if d := away(t, got, want["folder"]); !(d < 1e-5) {
			t.Errorf("%s layers on the host: vectors differ by %.2g", layers, d)
		}
	}
}
