package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
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
		"seed": json.Number("0"), "stop": []any{}, "ignore_eos": false, "special": false}
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

// A value by --set is read by the type of the input.
func TestSet(t *testing.T) {
	for _, c := range []struct{ set, input, want string }{
		{"prompt=12", "prompt", `"12"`},
		{"prompt=true", "prompt", `"true"`},
		{"prompt=", "prompt", `""`},
		{`prompt="quoted"`, "prompt", `"quoted"`},
		{`prompt="Hi," she said`, "prompt", `"\"Hi,\" she said"`},
		{`prompt=say "no" = "yes"`, "prompt", `"say \"no\" = \"yes\""`},
		{"prompt=two\nlines\tand \\n é 🎉 \x01", "prompt", `"two\nlines\tand \\n é 🎉 \u0001"`},
		{`prompt=\(x)`, "prompt", `"\\(x)"`},
		{`prompt="\(x)"`, "prompt", `"\"\\(x)\""`},
		{"prompt=[1]", "prompt", `"[1]"`},
		{"model=../a b/c", "model", `"../a b/c"`},
		{"model=123", "model", `"123"`},
		{"n=7", "n", "7"},
		{"t=7", "t", "7"},
		{"t=1e-3", "t", "0.001"},
		{"special=false", "special", "false"},
		{`stop=["a", "\n"]`, "stop", `["a","\n"]`},
		{"stop=[]", "stop", "[]"},
		{"extra=x.npy", "extra", `"x.npy"`},
		{"chat.inputs.n.value=3", "n", "3"},
		{"inputs.n.value=3", "n", "3"},
	} {
		d := loadText(t, chat, "model=m", c.set)
		if have := input(t, d, c.input); have != c.want {
			t.Errorf("--set %s gives %s, want %s", c.set, have, c.want)
		}
	}
}

// Bounds and types that an input declares stay when its value is set; the
// value itself is replaced.
func TestSetBounds(t *testing.T) {
	const text = `package x

import "pipe.dev/schema/pipeline"

x: pipeline.#Pipeline & {
	name: "x"
	inputs: {
		a: {type: "float", value: 0.5 & >=0 & <=2}
		b: {type: "int", value: >=1 & 3}
		c: {type: "int", value: -1}
		d: {type: "int", value: int}
		e: {type: "int", value: (>0 & <9 | *4)}
		f: {type: "list", value: [...int]}
		g: {type: "text", value: "a" | *"b"}
		h: {type: "bool", value: !true}
	}
	outputs: {}
}
`
	for _, c := range []struct{ set, input, want string }{
		{"a=1.5", "a", "1.5"}, {"a=3", "a", "--set a: want <=2, have 3"}, {"a=-1", "a", "--set a: want >=0, have -1"},
		{"b=2", "b", "2"}, {"b=0", "b", "--set b: want >=1, have 0"},
		{"c=4", "c", "4"}, {"c=+4", "c", "4"}, {"d=7", "d", "7"},
		{"e=8", "e", "8"}, {"e=9", "e", "--set e: want <9, have 9"}, {"c=1", "e", "4"},
		{"f=[1, -2]", "f", "[1,-2]"}, {"f=[1, x]", "f", `--set f: want a list, as ["a", "b"], have [1, x]`},
		{"g=a", "g", `"a"`}, {"c=2", "g", `"b"`}, {"g=c", "g", `--set g: want one of "a", "b", have "c"`},
		{"h=true", "h", "true"}, {"inputs.h={type: \"bool\", value: true}", "h", "true"},
	} {
		set := []string{"d=1", "f=[]", c.set}
		d, err := Load("x.cue", Options{Source: map[string][]byte{"x.cue": []byte(text)}, Set: set})
		have := fmt.Sprint(err)
		if err == nil {
			have = input(t, d, c.input)
		}
		if have != c.want {
			t.Errorf("--set %s gives %s, want %s", c.set, have, c.want)
		}
	}
}

// What --set can't mean is told as its own.
func TestSetErrors(t *testing.T) {
	for set, want := range map[string]string{
		"prompt=caf\xe9": "--set prompt: byte 0xe9 is not UTF-8 text",
		"=3":             "--set =3: want NAME=VALUE",
		"a b=3":          "--set a b: is neither an input nor a path of fields, as nodes.reply.max_tokens",
		"nodes.#x=3":     "--set nodes.#x: #x is no name of a field",
		"special=1":      "--set special: want true or false, have 1",
		"n=":             "--set n: want a whole number, have nothing",
		"stop=a":         `--set stop: want a list, as ["a", "b"], have a`,
		"promt=x":        "--set promt: is no input; the document has extra, model, n, prompt, special, stop, t (did you mean prompt?)",
		"stop=[1]":       `--set stop: want text, have 1`,
	} {
		_, err := Load("x.cue", Options{Source: map[string][]byte{"x.cue": []byte(chat)}, Set: []string{"model=m", set}})
		if fmt.Sprint(err) != want {
			t.Errorf("--set %s: %v, want %s", set, err, want)
		}
	}
}

// A path sets what the document writes, and what it leaves out.
func TestSetPath(t *testing.T) {
	d := loadText(t, chat, "model=m", "nodes.reply.top_k=40", "models.llm.context=128", "chat.nodes.reply.temperature=0", "name=talk", "n=1", "n=2")
	reply := d.Pipeline.Stages[2].Fields
	have := joined(reply["top_k"], reply["temperature"], reply["max_tokens"], d.Pipeline.Models[0].Context, d.Pipeline.Name)
	if want := "40 0 2 128 talk"; have != want {
		t.Errorf("%s, want %s", have, want)
	}
	r, err := Load("../recipes/full-finetune.cue", Options{Set: []string{"train.steps=40", "optimizer.lr=1e-3", "eval.every=5", "model.adapter.targets=[\"fc\"]"}})
	if err != nil {
		t.Fatal(err)
	}
	f := r.Recipe.Fields
	have = joined(f["schedule"].(map[string]any)["warmup_steps"], f["optimizer"].(map[string]any)["lr"], f["eval"], f["model"].(map[string]any)["adapter"].(map[string]any)["targets"])
	if want := "2 0.001 map[batches:0 every:5 measures:[]] [fc]"; have != want {
		t.Errorf("%s, want %s", have, want)
	}
}

// Numbers in a path are elements of lists.
func TestSetElement(t *testing.T) {
	set := []string{"data.train.0.files=[\"mine.json\"]", "data.train[0].validation=0.2", "data.train.0.fields.instruction=ask"}
	r, err := Load("../recipes/full-finetune.cue", Options{Set: set})
	if err != nil {
		t.Fatal(err)
	}
	source := r.Recipe.Fields["data"].(map[string]any)["train"].([]any)[0].(map[string]any)
	have := joined(source["files"], source["validation"], source["fields"], source["format"])
	if want := "[mine.json] 0.2 map[instruction:ask] alpaca"; have != want {
		t.Errorf("%s, want %s", have, want)
	}
	r, err = Load("../recipes/full-finetune.cue", Options{Set: []string{"data.train.0.files.0=other.json"}})
	if err != nil {
		t.Fatal(err)
	}
	if files := r.Recipe.Fields["data"].(map[string]any)["train"].([]any)[0].(map[string]any)["files"]; joined(files) != "[other.json]" {
		t.Errorf("files are %v", files)
	}
	for set, want := range map[string]string{
		"data.train.3.files=[\"x\"]": "--set data.train.3.files: 3 is no element of the list, which has 1",
		"data.train.0.files.1=x":     "--set data.train.0.files.1: 1 is no element of the list, which has 1",
	} {
		if _, err := Load("../recipes/full-finetune.cue", Options{Set: []string{set}}); err == nil || err.Error() != want {
			t.Errorf("%s gives %v, want %s", set, err, want)
		}
	}
}

func joined(xs ...any) string { return strings.TrimSuffix(fmt.Sprintln(xs...), "\n") }

// documents are all that the module has, and what must be set to load them.
var documents = map[string][]string{
	"../pipelines/complete.cue":    {"model=m"},
	"../pipelines/forward.cue":     {"model=m", "ids=ids.npy", `take=["model.norm"]`},
	"../recipes/full-finetune.cue": nil,
	"testdata/net/net.cue":         nil,
	"testdata/kinds/kinds.cue":     nil,
}

// The resolved document loads again, to the same hash and the same text.
func TestResolved(t *testing.T) {
	hashes := map[string]string{}
	for file, set := range documents {
		d, err := Load(file, Options{Set: set})
		if err != nil {
			t.Error(err)
			continue
		}
		again, err := Load("again.cue", Options{Source: map[string][]byte{"again.cue": d.Resolved()}})
		if err != nil {
			t.Errorf("%s: %v\n%s", file, err, d.Resolved())
			continue
		}
		if again.Hash != d.Hash || string(again.Resolved()) != string(d.Resolved()) {
			t.Errorf("%s resolves to %s, which is %s:\n%s", file, d.Hash, again.Hash, again.Resolved())
		}
		if other := hashes[d.Hash]; other != "" || !strings.HasPrefix(d.Hash, "sha256:") || len(d.Hash) != 71 {
			t.Errorf("%s has the hash %s, as %q", file, d.Hash, other)
		}
		hashes[d.Hash] = file
		if !reflect.DeepEqual(meaningOf(t, d), meaningOf(t, again)) {
			t.Errorf("%s means something else when it is resolved:\n%s\n%s", file, meaningOf(t, d), meaningOf(t, again))
		}
	}
}

// meaningOf is a document without places, names of files and comments.
func meaningOf(t *testing.T, d *Document) string {
	t.Helper()
	data, err := json.Marshal([]any{d.Pipeline, d.Recipe, d.Models})
	if err != nil {
		t.Fatal(err)
	}
	var x any
	if err := json.Unmarshal(data, &x); err != nil {
		t.Fatal(err)
	}
	var strip func(x any)
	strip = func(x any) {
		switch x := x.(type) {
		case map[string]any:
			for _, k := range []string{"Pos", "At", "OutPos", "Doc"} {
				delete(x, k)
			}
			for _, v := range x {
				strip(v)
			}
		case []any:
			for _, v := range x {
				strip(v)
			}
		}
	}
	strip(x)
	data, err = json.MarshalIndent(x, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The hash goes by what a document means, not by how it is written.
func TestHash(t *testing.T) {
	base := loadText(t, chat, "model=m").Hash
	for name, text := range map[string]string{
		"a comment":           "// more\n" + chat,
		"a default":           strings.Replace(chat, `stop: inputs.stop.value`, "stop: inputs.stop.value, top_k: 0", 1),
		"a number's spelling": strings.Replace(chat, "*0.5", "*5e-1", 1),
	} {
		if have := loadText(t, text, "model=m").Hash; have != base {
			t.Errorf("%s changes the hash", name)
		}
	}
	for name, d := range map[string]*Document{
		"an input": loadText(t, chat, "model=other"),
		"a stage":  loadText(t, chat, "model=m", "nodes.reply.top_k=1"),
		"a name":   loadText(t, strings.Replace(chat, "chat: pipeline", "talk: pipeline", 1), "model=m"),
	} {
		if d.Hash == base {
			t.Errorf("%s does not change the hash", name)
		}
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

// Documents are found from any folder, and may import packages of their own module.
func TestLoadModule(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(root, name)
		if err := writeFile(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
		return name
	}
	alone := write("alone/net.cue", "package x\n\n"+smallNet)
	write("own/cue.mod/module.cue", moduleFile)
	write("own/blocks/blocks.cue", "package blocks\n\nWidth: 12\n")
	own := write("own/nets/net.cue", "package x\n\nimport \"pipe.local/blocks\"\n\n"+strings.Replace(smallNet, "out_features: 8", "out_features: blocks.Width", 1))
	t.Chdir(t.TempDir())
	for file, want := range map[string]string{alone: "8", own: "12"} {
		d, err := Load(file, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		if have := fmt.Sprint(d.Models[0].Nodes[1].Fields["out_features"]); have != want || d.Models[0].Nodes[1].Pos.File != file {
			t.Errorf("%s: %s, want %s, at %v", file, have, want, d.Models[0].Nodes[1].Pos)
		}
	}
}

// A module need not ask for pipe.dev, and mistakes in its packages are told there.
func TestLoadModuleMistakes(t *testing.T) {
	root := t.TempDir()
	t.Chdir(root)
	for name, text := range map[string]string{
		"cue.mod/module.cue": "module: \"my.org@v0\"\nlanguage: version: \"v0.17.0\"\n",
		"net.cue":            "package x\n\nimport \"my.org/b\"\n\n" + strings.Replace(smallNet, "out_features: 8", "out_features: b.Width", 1),
	} {
		if err := writeFile(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		"package b\n\nWidth: 12\n":             "",
		"package b\n\nWidth: 12 13\n":          "b/b.cue:3:11: missing ',' in struct literal",
		"package b\n\nWidth: twelve\n":         "b/b.cue:3:8: Width: undefined: twelve",
		"package b\n\nWidth: \"12\"\n":         "net.cue:10:47: fc.out_features: want a whole number, have \"12\"",
		"package b\n\nHeight: 12\n":            "net.cue:10:49: fc.out_features: undefined: b.Width",
		"package c\n\nimport \"my.org/net\"\n": "net.cue:3:8: can't import my.org/b (only pipe.dev and CUE's own packages are built in)",
	} {
		if err := writeFile("b/b.cue", []byte(text)); err != nil {
			t.Fatal(err)
		}
		_, err := Load("net.cue", Options{})
		if have := fmt.Sprint(err); err == nil && want != "" || err != nil && have != want {
			t.Errorf("%q:\n%s\nwant\n%s", text, have, want)
		}
	}
}

const smallNet = `import "pipe.dev/schema/op"

net: op.#Model & {
	nodes: {
		x: op.#Input & {shape: ["batch", 4]}
		fc: op.#Linear & {"x": x.out, out_features: 8}
	}
	out: nodes.fc.out
}
`

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
