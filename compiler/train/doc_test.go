package train_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/format"

	"pipe.dev/compiler/train"
)

type table struct {
	kind string
	cue  []byte
	docs []byte
	defs []*train.Def
}

func tables(t *testing.T) []table {
	t.Helper()
	o, j, s := newOptimizers(t), newObjectives(t), newSchedules(t)
	out := []table{{kind: "Optimizer", cue: o.CUE(), docs: o.Docs()}, {kind: "Objective", cue: j.CUE(), docs: j.Docs()}, {kind: "Schedule", cue: s.CUE(), docs: s.Docs()}}
	for _, d := range o.Defs() {
		out[0].defs = append(out[0].defs, &d.Def)
	}
	for _, d := range j.Defs() {
		out[1].defs = append(out[1].defs, &d.Def)
	}
	for _, d := range s.Defs() {
		out[2].defs = append(out[2].defs, &d.Def)
	}
	return out
}

// The definitions are as cue fmt leaves them; what a document gets that says
// nothing but what it must is what Go code gets by Default; a misspelt field
// is an error.
func TestCUE(t *testing.T) {
	must := map[string]string{"exponential": "gamma: 0.9", "step": "step_size: 3", "wsd": "decay_steps: 4", "adversarial": `as: "made"`}
	for _, tab := range tables(t) {
		formatted, err := format.Source(tab.cue)
		if err != nil {
			t.Fatalf("%ss: %v\n%s", tab.kind, err, tab.cue)
		}
		if string(formatted) != string(tab.cue) {
			t.Errorf("cue fmt would change the definitions of %ss", tab.kind)
		}
		ctx := cuecontext.New()
		scope := ctx.CompileBytes(tab.cue)
		if scope.Err() != nil {
			t.Fatal(scope.Err())
		}
		for _, d := range tab.defs {
			use := func(fields string) cue.Value {
				return ctx.CompileString("#"+d.Title+" & {name: #"+tab.kind+"Name, "+fields+"}", cue.Scope(scope))
			}
			v := use(must[d.Name])
			data, err := v.MarshalJSON()
			if err != nil {
				t.Errorf("%s: %v", d.Name, err)
				continue
			}
			fields := decode(t, string(data))
			if fields["name"] != d.Name {
				t.Errorf("%s is called %v", d.Name, fields["name"])
			}
			lr, ok := fields["lr"].(json.Number)
			if f, _ := lr.Float64(); ok != (tab.kind == "Optimizer") || ok && f <= 0 {
				t.Errorf("%s has the learning rate %v", d.Name, fields["lr"])
			}
			got, err := d.Decode(fields)
			if err != nil {
				t.Error(err)
				continue
			}
			if want := attributes(t, d, decodeFields(t, must[d.Name])); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: a document gets %+v, Go code %+v", d.Name, got, want)
			}
			if err := use(must[d.Name] + ", wieght_decay: 1").Validate(); err == nil {
				t.Errorf("%s takes a misspelt field", d.Name)
			}
		}
	}
}

// All tables stand in one CUE package, so their titles differ.
func TestTitles(t *testing.T) {
	taken := map[string]string{}
	for _, tab := range tables(t) {
		for _, d := range tab.defs {
			if other, dup := taken[d.Title]; dup {
				t.Errorf("%s and %s are both #%s", d.Name, other, d.Title)
			}
			taken[d.Title] = d.Name
		}
	}
}

// decodeFields reads "gamma: 0.9".
func decodeFields(t *testing.T, text string) map[string]any {
	t.Helper()
	if text == "" {
		return nil
	}
	name, value, _ := strings.Cut(text, ":")
	return decode(t, `{"`+name+`":`+value+`}`)
}

// Pages have a section for each row, with its fields and its source.
func TestDocs(t *testing.T) {
	for _, tab := range tables(t) {
		page := string(tab.docs)
		if !strings.HasPrefix(page, "<!-- Generated from the table of ") {
			t.Errorf("the page of %ss begins with %q", tab.kind, page[:40])
		}
		sections := strings.Split(page, "\n## ")[1:]
		if len(sections) != len(tab.defs) {
			t.Fatalf("%d sections of %d rows", len(sections), len(tab.defs))
		}
		for i, d := range tab.defs {
			if s := sections[i]; !strings.HasPrefix(s, d.Title+"\n") || !strings.Contains(s, d.Source) || !strings.Contains(s, d.Doc) {
				t.Errorf("section of %s:\n%s", d.Name, s)
			}
		}
	}
	o := newOptimizers(t)
	if !strings.Contains(string(o.Docs()), "| `betas` | decay of the mean of gradients and of that of their squares; `[number & >=0 & <1, number & >=0 & <1]` | `[0.9, 0.999]` |") {
		t.Error("the page of optimizers lacks betas")
	}
	j := newObjectives(t)
	if !strings.Contains(string(j.Docs()), "| input `targets` | the class of each row; `i32 [...]` | must be given |") {
		t.Error("the page of objectives lacks targets")
	}
}
