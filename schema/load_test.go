package schema

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"cuelang.org/go/cue/format"

	pipe "pipe.dev"
)

// chat is a pipeline with an input of every type.
const chat = `package x

import "pipe.dev/schema/pipeline"

// chat is a test.
chat: pipeline.#Pipeline & {
	name: "chat"
	inputs: {
		// the model's
		// folder
		model: type: "model"
		prompt: {type: "text", value: "Once"}
		n: {type: "int", value: int & >0 | *128}
		t: {type: "float", value: number & >=0 | *0.5}
		special: {type: "bool", value: true}
		stop: {type: "list", value: [...string] | *[]}
		extra: {type: "tensor", optional: true}
	}
	models: llm: {from: inputs.model.value, context: 64, cache: "bf16"}
	nodes: {
		// out of order: what it reads comes later
		text: pipeline.#Detokenize & {x: reply.out, model: models.llm.out, special: inputs.special.value}
		tokens: pipeline.#Tokenize & {x: inputs.prompt.out, model: models.llm.out}
		reply: pipeline.#Generate & {
			x: tokens.out, model: models.llm.out
			max_tokens: inputs.n.value, temperature: inputs.t.value
			stop: inputs.stop.value
		}
	}
	outputs: text: {from: nodes.text.out, type: "text"}
}
`

func loadText(t *testing.T, text string, set ...string) *Document {
	t.Helper()
	d, err := Load("x.cue", Options{Source: map[string][]byte{"x.cue": []byte(text)}, Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// input is the value of an input as JSON.
func input(t *testing.T, d *Document, name string) string {
	t.Helper()
	i := slices.IndexFunc(d.Pipeline.Inputs, func(in Input) bool { return in.Name == name })
	if i < 0 {
		t.Fatalf("no input %s", name)
	}
	data, err := json.Marshal(d.Pipeline.Inputs[i].Value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestLoadPipeline(t *testing.T) {
	d := loadText(t, chat, "model=some/folder")
	p := d.Pipeline
	if d.Name != "chat" || p == nil || p.Name != "chat" || d.Recipe != nil || len(d.Models) > 0 {
		t.Fatalf("%+v", d)
	}
	if in := p.Inputs[0]; in.Doc != "the model's folder" || in.Type != "model" || in.Pos.String() != "x.cue:11:3: inputs.model" {
		t.Errorf("%+v", in)
	}
	if in := p.Inputs[6]; in.Name != "extra" || in.Value != nil {
		t.Errorf("%+v", in)
	}
	if m := p.Models[0]; m.Name != "llm" || m.From != "some/folder" || m.Context != 64 || m.Cache != "bf16" || m.Pos.Line != 19 {
		t.Errorf("%+v", m)
	}
	var ids []string
	for _, s := range p.Stages {
		ids = append(ids, s.ID+"="+s.Stage)
	}
	if want := []string{"text=detokenize", "tokens=tokenize", "reply=generate"}; !slices.Equal(ids, want) {
		t.Errorf("stages %q, want %q", ids, want)
	}
	reply := p.Stages[2]
	want := map[string]any{"x": "tokens", "model": "models.llm", "max_tokens": json.Number("128"), "temperature": json.Number("0.5"),
		"top_k": json.Number("0"), "top_p": json.Number("1"), "min_p": json.Number("0"), "repetition_penalty": json.Number("1"),
		"seed": json.Number("0"), "stop": []any{}, "batch": json.Number("8"), "num_beams": json.Number("1"), "length_penalty": json.Number("1"), "early_stopping": "no", "ignore_eos": false, "special": false}
	if !reflect.DeepEqual(reply.Fields, want) {
		t.Errorf("%v, want %v", reply.Fields, want)
	}
	if reply.Pos.Line != 24 || reply.At["max_tokens"].String() != "x.cue:26:4: nodes.reply" {
		t.Errorf("%v %v", reply.Pos, reply.At)
	}
	if out := p.Outputs[0]; out.Name != "text" || out.From != "text" || out.Type != "text" || out.Pos.Line != 30 {
		t.Errorf("%+v", out)
	}
}

// A file as such can't be read: one line that names it.
func TestLoadFileErrors(t *testing.T) {
	dir := t.TempDir()
	latin := filepath.Join(dir, "latin.cue")
	if err := os.WriteFile(latin, []byte("package x\n\n// caf\xe9\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing.cue")
	for file, want := range map[string]string{
		dir:     dir + ": is a folder, want a file",
		latin:   latin + ":3:7: byte 0xe9 is not UTF-8 text",
		missing: missing + ": no such file or directory",
	} {
		if _, err := Load(file, Options{}); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := Load(missing, Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is no fs.ErrNotExist", err)
	}
}

// The CUE files of the module are formatted as cue fmt does.
func TestFormat(t *testing.T) {
	err := fs.WalkDir(pipe.CUE, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".cue" {
			return err
		}
		text, err := pipe.CUE.ReadFile(path)
		if err != nil {
			return err
		}
		formatted, err := format.Source(text)
		if err != nil {
			return err
		}
		if string(formatted) != string(text) {
			t.Errorf("%s: cue fmt would change it", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"adam", "adamw", "lion", "max_tokens", "temperature", "#Linear", "#Lin"}
	for word, want := range map[string]string{
		"adamm": "adamw", "loin": "lion", "maxtokens": "max_tokens", "temprature": "temperature", "#Liner": "#Linear",
		"Adam": "adam", "xyz": "", "": "", "sgd": "", "adam": "adamw", "tokens_max": "",
	} {
		if want != "" {
			want = "did you mean " + want + "?"
		}
		if have := Suggest(word, known); have != want {
			t.Errorf("Suggest(%q) is %q, want %q", word, have, want)
		}
	}
}

func BenchmarkLoadPipeline(b *testing.B) {
	for b.Loop() {
		if _, err := Load("../pipelines/complete.cue", Options{Set: []string{"model=m"}}); err != nil {
			b.Fatal(err)
		}
	}
}
