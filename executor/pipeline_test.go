package executor

import (
	"context"
	"strings"
	"testing"

	"pipe.dev/compiler"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/model"
	"pipe.dev/executor/stage"
	"pipe.dev/kernels/cpu"
	"pipe.dev/schema"
)

const golden = "../testdata/golden/text"

func options(t *testing.T) Options {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := be.Allocated(); n != 0 {
			t.Errorf("%d bytes are still allocated", n)
		}
		be.Close()
	})
	ops, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	stages, err := stage.New()
	if err != nil {
		t.Fatal(err)
	}
	return Options{Backend: be, Stages: stages,
		Compile: func(m *schema.Model, e plan.Entry, w model.Weights) (model.Program, error) {
			return compiler.Compile(m, ops, compiler.Options{Entry: e, Target: be, Weight: w.DType, Blocks: w.Blocks, Layout: w.Layout})
		}}
}

// pipeline is a document with the given nodes and outputs, over the golden
// model and an input "prompt".
func pipeline(nodes, outputs string) string {
	return `package x

import "pipe.dev/schema/pipeline"

p: pipeline.#Pipeline & {
	name: "p"
	inputs: {
		prompt: {type: "text", value: "The cat"}
		n: {type: "int", value: 3}
	}
	models: m: from: "` + golden + `"
	nodes: {` + nodes + `}
	outputs: {` + outputs + `}
}
`
}

func load(t *testing.T, text string) *schema.Document {
	t.Helper()
	doc, err := schema.Load("p.cue", schema.Options{Source: map[string][]byte{"p.cue": []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestRunTwice checks that what several read is made once and is whole for
// each, in the order of the outputs.
func TestRunTwice(t *testing.T) {
	doc := load(t, pipeline(`
		ids: pipeline.#Tokenize & {x: inputs.prompt.out, model: models.m.out}
		more: pipeline.#Generate & {x: ids.out, model: models.m.out, max_tokens: 5, temperature: 0, ignore_eos: true}
		text: pipeline.#Detokenize & {x: more.out, model: models.m.out}
		back: pipeline.#Detokenize & {x: ids.out, model: models.m.out}
	`, `
		text: {from: nodes.text.out, type: "text"}
		made: {from: nodes.more.out, type: "ids"}
		prompt: {from: nodes.back.out, type: "text"}
	`))
	p, err := Prepare(doc.Pipeline, options(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	got := map[string]stage.Value{}
	err = p.Run(context.Background(), func(out schema.Output, v stage.Value) error {
		v, err := stage.Collect(v)
		got[out.Name] = v
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if ids := got["made"].([]int32); len(ids) != 5 {
		t.Errorf("made %v, want 5 ids", ids)
	}
	if text := got["text"].(string); text == "" {
		t.Errorf("text is empty; got %v", got)
	}
	if got["prompt"] != "The cat" {
		t.Errorf("the prompt comes back as %q", got["prompt"])
	}
}

// TestKinds checks that a value of the wrong kind is told at the line of the
// stage that reads it, before anything is opened.
func TestKinds(t *testing.T) {
	for name, c := range map[string]struct{ nodes, outputs, want string }{
		"text as ids": {`
		a: pipeline.#Generate & {x: inputs.prompt.out, model: models.m.out}`,
			`y: {from: nodes.a.out, type: "ids"}`, `p.cue:13:`},
		"ids as text": {`
		a: pipeline.#Tokenize & {x: inputs.prompt.out, model: models.m.out}
		b: pipeline.#Tokenize & {x: a.out, model: models.m.out}`,
			`y: {from: nodes.b.out, type: "ids"}`, `p.cue:14:`},
		"text as model": {`
		a: pipeline.#Tokenize & {x: inputs.prompt.out, model: inputs.prompt.out}`,
			`y: {from: nodes.a.out, type: "ids"}`, `p.cue:13:`},
		"number as tensor": {`
		a: pipeline.#Run & {model: models.m.out, with: ids: inputs.n.out}`,
			`y: {from: nodes.a.out, type: "tensors"}`, `p.cue:13:`},
		"output of another kind": {`
		a: pipeline.#Tokenize & {x: inputs.prompt.out, model: models.m.out}`,
			`y: {from: nodes.a.out, type: "text"}`, `p.cue:14:`},
	} {
		t.Run(name, func(t *testing.T) {
			doc, err := schema.Load("p.cue", schema.Options{Source: map[string][]byte{"p.cue": []byte(pipeline(c.nodes, c.outputs))}})
			if err == nil {
				var p *Pipeline
				if p, err = Prepare(doc.Pipeline, options(t)); err == nil {
					p.Close()
				}
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line at %s", err, c.want)
			}
		})
	}
}

// TestRunMistakes checks inputs of models that do not fit, at the stage's line.
func TestRunMistakes(t *testing.T) {
	for want, nodes := range map[string]string{
		"with.idz: the model has no such input; it has ids": `
		tok: pipeline.#Tokenize & {x: inputs.prompt.out, model: models.m.out}
		a: pipeline.#Run & {model: models.m.out, with: {idz: tok.out, ids: tok.out}}`,
		"with.ids is missing": `
		tok: pipeline.#Tokenize & {x: inputs.prompt.out, model: models.m.out}
		a: pipeline.#Run & {model: models.m.out, with: {}}`,
		"did you mean": `
		tok: pipeline.#Tokenize & {x: inputs.prompt.out, model: models.m.out}
		a: pipeline.#Run & {model: models.m.out, with: {ids: tok.out}, take: ["model.layers.0.self_atn"]}`,
	} {
		doc := load(t, pipeline(nodes, `y: {from: nodes.a.out, type: "tensors"}`))
		p, err := Prepare(doc.Pipeline, options(t))
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "p.cue:14:") {
			t.Errorf("got %v, want %q at p.cue:14", err, want)
		}
	}
}
