package attr

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

type sample struct {
	Betas [2]float64 `cue:"betas: [number, number] | *[0.9, 0.999]" doc:"decays"`
	Mode  string     `cue:"mode: \"a\" | \"b\" | *\"a\"" doc:"which | kind"`
	Skip  []string   `cue:"skip: [...string] | *[\"x\"]" doc:"patterns"`
	Steps int        `cue:"steps!: int & >0" doc:"how many"`
	Inner bool
}

// A document that says nothing and Go code get the same values.
func TestDefault(t *testing.T) {
	got, err := Default(sample{})
	if err != nil {
		t.Fatal(err)
	}
	if want := (sample{Betas: [2]float64{0.9, 0.999}, Mode: "a", Skip: []string{"x"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	type bad struct {
		X float64 `cue:"x: number | *one" doc:"no JSON"`
	}
	if _, err := Default(bad{}); err == nil || !strings.Contains(err.Error(), "x: default one") {
		t.Errorf("a default that is no JSON gives %v", err)
	}
}

// An array takes as many entries as it has.
func TestDecodeArray(t *testing.T) {
	number := func(s ...string) any {
		var out []any
		for _, x := range s {
			out = append(out, json.Number(x))
		}
		return out
	}
	got, err := Decode(sample{}, map[string]any{"betas": number("0.5", "1")})
	if err != nil || got.(sample).Betas != [2]float64{0.5, 1} {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := Decode(sample{}, map[string]any{"betas": number("0.5")}); err == nil || err.Error() != "betas: 1 entries, want 2" {
		t.Errorf("one entry of two gives %v", err)
	}
}

// An entry writes its definition and the table of its fields.
func TestEntry(t *testing.T) {
	e := Entry{Title: "Sample", Doc: "is one.", Embed: "#Base", Field: "name", Name: "sample", Attr: sample{},
		Rows: []Row{{CUE: "x!: #Tok", Label: "input `x`", Doc: "the input", Note: "text", Default: "must be given"}, {Label: "output", Doc: "what it gives"}}}
	var c, d strings.Builder
	if err := e.WriteCUE(&c); err != nil {
		t.Fatal(err)
	}
	if err := e.WriteTable(&d); err != nil {
		t.Fatal(err)
	}
	wantCUE := `
// #Sample is one.
#Sample: {
	#Base
	name: "sample"
	// the input
	x!: #Tok
	// decays
	betas: [number, number] | *[0.9, 0.999]
	// which | kind
	mode: "a" | "b" | *"a"
	// patterns
	skip: [...string] | *["x"]
	// how many
	steps!: int & >0
}
`
	wantTable := "| field | meaning | default |\n|---|---|---|\n" +
		"| input `x` | the input; text | must be given |\n" +
		"| output | what it gives |  |\n" +
		"| `betas` | decays; `[number, number]` | `[0.9, 0.999]` |\n" +
		"| `mode` | which \\| kind; `\"a\" \\| \"b\"` | `\"a\"` |\n" +
		"| `skip` | patterns; `[...string]` | `[\"x\"]` |\n" +
		"| `steps` | how many; `int & >0` | must be given |\n"
	if c.String() != wantCUE {
		t.Errorf("CUE:\n%s\nwant:\n%s", c.String(), wantCUE)
	}
	if d.String() != wantTable {
		t.Errorf("table:\n%s\nwant:\n%s", d.String(), wantTable)
	}
}

// Types and defaults are read off the CUE text, wherever the default stands.
func TestDescribe(t *testing.T) {
	for _, c := range []struct{ cue, kind, fallback string }{
		{"x: number | *1e-6", "`number`", "`1e-6`"},
		{"x!: int & >0", "`int & >0`", "must be given"},
		{`x: "a" | "b" | *"a"`, "`\"a\" | \"b\"`", "`\"a\"`"},
		{`x: *"a" | "b"`, "`\"a\" | \"b\"`", "`\"a\"`"},
		{`x: [...("a" | "b")] | *["a"]`, "`[...(\"a\" | \"b\")]`", "`[\"a\"]`"},
		{"x: 0 | number & >=1 | *2", "`0 | number & >=1`", "`2`"},
		{"x: number & <0 | *-0.8", "`number & <0`", "`-0.8`"},
		{`x: string & !="|" | *"*"`, "`string & !=\"|\"`", "`\"*\"`"},
	} {
		if kind, fallback := (Field{CUE: c.cue}).Describe(); kind != c.kind || fallback != c.fallback {
			t.Errorf("%s: %s, default %s; want %s, default %s", c.cue, kind, fallback, c.kind, c.fallback)
		}
	}
}
