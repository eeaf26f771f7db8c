package executor

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"pipe.dev/executor/model"
	"pipe.dev/executor/stage"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cpu"
	"pipe.dev/schema"
)

// heldMost is a backend that remembers the most that was allocated at once.
type heldMost struct {
	*cpu.Backend
	most int64
}

func (b *heldMost) Alloc(n int64) (kernels.Buffer, error) {
	buffer, err := b.Backend.Alloc(n)
	b.most = max(b.most, b.Allocated())
	return buffer, err
}

// twoModels has one model read what another made.
const twoModels = `package p
import "pipe.dev/schema/pipeline"
part: pipeline.#Pipeline & {
	name: "part"
	inputs: "autoencoder_kl.latents_in": {type: "tensor", value: "` + tileValues + `"}
	models: {
		decoder: from: "../testdata/golden/pictures/autoencoder_kl/model"
		encoder: from: "../testdata/golden/pictures/autoencoder_tiny/model"
	}
	nodes: {
		image: pipeline.#Run & {model: models.decoder.out, with: latents_in: inputs["autoencoder_kl.latents_in"].out, outputs: ["image"]}
		back: pipeline.#Run & {model: models.encoder.out, with: sample: nodes.image.out, outputs: ["latents"]}
	}
	outputs: latents: {from: nodes.back.out, type: "tensors"}
}
`

// TestMemory: a pipeline of two models holds what its plan says, moment after moment; with less memory
// one model is held at a time, then rows of the batch are computed one by one, and the bits stay;
// with too little nothing is read, and the least that works is said.
func TestMemory(t *testing.T) {
	o := options(t)
	be := &heldMost{Backend: o.Backend.(*cpu.Backend)}
	o.Backend = be
	doc := load(t, twoModels)
	prepared := func(limit int64) (*Pipeline, error) {
		t.Helper()
		p, err := Prepare(doc.Pipeline, o)
		if err != nil {
			t.Fatal(err)
		}
		return p, p.Fit(limit)
	}
	ran := func(p *Pipeline) []byte {
		t.Helper()
		defer p.Close()
		var got []byte
		be.most = 0
		err := p.Run(context.Background(), func(_ schema.Output, v stage.Value) error {
			got = v.([]tensorfile.Tensor)[0].Data
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := be.Allocated(); n != 0 {
			t.Errorf("%d bytes of models are held after their last use", n)
		}
		var planned int64
		for _, m := range p.Memory() {
			planned = max(planned, m.Weights+m.Cache+m.Work)
		}
		t.Logf("planned %d, models among it %d, these held %d: %v", p.PeakBytes(), planned, be.most, p.Chosen())
		if be.most > planned || be.most < planned*9/10 {
			t.Errorf("models held %d bytes, planned %d", be.most, planned)
		}
		return got
	}

	p, err := prepared(1 << 40)
	if err != nil || len(p.Chosen()) != 0 {
		t.Fatal(err, p.Chosen())
	}
	whole := p.PeakBytes()
	var sum, top int64
	for _, m := range p.Models() {
		sum += m.PeakBytes()
	}
	for _, m := range p.Memory() {
		top = max(top, m.Bytes())
	}
	if whole != top || whole >= sum {
		t.Errorf("the peak is %d, the moments' is %d, and the models' together %d", whole, top, sum)
	}
	t.Log("\n" + MemoryText(p.Memory(), model.Size))
	want := ran(p)

	for limit, choices := whole-1, 1; choices <= 2; choices++ {
		p, err := prepared(limit)
		if err != nil || len(p.Chosen()) < choices || p.PeakBytes() > limit {
			t.Fatalf("%v; %d bytes of %d, chosen %v", err, p.PeakBytes(), limit, p.Chosen())
		}
		limit = p.PeakBytes() - 1
		if got := ran(p); !bytes.Equal(got, want) {
			t.Errorf("%v gives other bits", p.Chosen())
		}
	}

	be.most = 0
	p, err = prepared(1000)
	p.Close()
	var fit *model.FitError
	if !errors.As(err, &fit) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "--mem "+model.Size(fit.Need)+" is the least that works") {
		t.Fatalf("the error is %v", err)
	}
	if be.most != 0 {
		t.Errorf("%d bytes were allocated for what does not fit", be.most)
	}
	if p, err = prepared(fit.Need); err != nil {
		t.Errorf("the least does not work: %v", err)
	}
	if got := ran(p); !bytes.Equal(got, want) {
		t.Errorf("%v gives other bits", p.Chosen())
	}
}
