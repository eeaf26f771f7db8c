package schema

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

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
