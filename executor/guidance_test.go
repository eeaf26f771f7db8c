package executor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"pipe.dev/executor/model"
	"pipe.dev/executor/stage"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/schema"
)

// guided has two samples be guided, with a network beside the model.
const guided = `package p
import "pipe.dev/schema/pipeline"
guided: pipeline.#Pipeline & {
	name: "guided"
	inputs: {
		said: {type: "tensor", value: %[1]q}
		unsaid: {type: "tensor", value: %[1]q}
		shown: {type: "tensor", value: %[1]q}
	}
	models: {
		unet: from: "../testdata/golden/pictures/unet_condition/model"
		control: from: "../testdata/golden/pictures/control/model"
	}
	nodes: made: pipeline.#Denoise & {
		model: models.unet.out
		with: encoder_hidden_states: inputs.said.out
		without: encoder_hidden_states: inputs.unsaid.out
		controls: lines: models.control.out
		shown: inputs.shown.out
		shown_as: "controlnet_cond"
		sampler: "pndm", steps: 4, guidance: 3, shape: [4, 8, 12], count: 2
	}
	outputs: made: {from: nodes.made.out, type: "tensor"}
}
`

// TestGuidance: predictions with and without what guides are rows of one batch, where memory allows it; two
// passes, and samples one by one, give the same bits for less memory.
func TestGuidance(t *testing.T) {
	tensor := func(name string, sizes ...int) tensorfile.Tensor {
		n := 1
		for _, s := range sizes {
			n *= s
		}
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(math.Sin(float64(len(name) * (i + 1))))
		}
		return tensorfile.FromFloat32s(name, v, sizes...)
	}
	file := filepath.Join(t.TempDir(), "in.safetensors")
	if err := tensorfile.Write(file, []tensorfile.Tensor{tensor("said", 2, 5, 12), tensor("unsaid", 1, 5, 12), tensor("shown", 1, 3, 32, 48)}); err != nil {
		t.Fatal(err)
	}
	o, doc := options(t), load(t, fmt.Sprintf(guided, file))
	var want []byte
	works, limit := map[int64]bool{}, int64(1<<40)
	for range 5 {
		p, err := Prepare(doc.Pipeline, o)
		if err != nil {
			t.Fatal(err)
		}
		var fit *model.FitError
		if err := p.Fit(limit); errors.As(err, &fit) {
			p.Close()
			break
		} else if err != nil {
			t.Fatal(err)
		}
		var got []byte
		if err := p.Run(context.Background(), func(_ schema.Output, v stage.Value) error {
			got = v.(tensorfile.Tensor).Data
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		at := most(p.Memory())
		t.Logf("%d bytes, %d of them work and %d own: %v", at.Bytes(), at.Work, at.Own, p.Chosen())
		works[at.Work], limit = true, at.Bytes()-1
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%v gives other bits", p.Chosen())
		}
		p.Close()
	}
	if len(works) != 3 { // four rows at once, two, and one
		t.Errorf("there were %d ways, want 3", len(works))
	}
}
