package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

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
			for _, k := range []string{"Pos", "At", "OutPos", "Doc", "CacheAt", "OffloadAt"} {
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
