package schema

import (
	"fmt"
	"strings"
	"testing"
)

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

// Settings of a recipe are those that it declares.
func TestSetSettings(t *testing.T) {
	const recipe = `package x
import "pipe.dev/schema/train"
r: train.#Recipe & {name: "r", settings: {size: 8, rate: 0.1}, model: from: "m", data: train: [{files: ["\(settings.size)"]}], batch: batch: 1, "train": steps: 1}
`
	d := loadText(t, recipe, "settings.size=9")
	if x := fmt.Sprint(d.Recipe.Fields["data"]); !strings.Contains(x, "files:[9]") {
		t.Error(x)
	}
	_, err := Load("x.cue", Options{Source: map[string][]byte{"x.cue": []byte(recipe)}, Set: []string{"settings.sise=9"}})
	if err == nil || !strings.Contains(err.Error(), "settings of the document are size, rate (did you mean size?)") {
		t.Error(err)
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
	inputs: i: type: "int"
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
		{"h=true", "h", "true"}, {"i=5", "i", "5"}, {"inputs.h={type: \"bool\", value: true}", "h", "true"},
	} {
		set := []string{"d=1", "f=[]", "i=0", c.set}
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

// Caches have the type that a model computes in, unless the document says otherwise.
func TestPrecisionOfCaches(t *testing.T) {
	for want, set := range map[string][]string{
		"f32":  {"models.llm.precision=tf32"},
		"bf16": {"models.llm.precision=bf16"},
		"f16":  {"models.llm.precision=f16"},
		"q8_0": {"models.llm.precision=bf16", "models.llm.cache=q8_0"},
	} {
		d, err := Load("../pipelines/complete.cue", Options{Set: set, Unset: true})
		if err != nil {
			t.Fatal(err)
		}
		if have := d.Pipeline.Models[0].Cache; have != want {
			t.Errorf("%v: a cache of %s, want %s", set, have, want)
		}
	}
}
