package stage

import (
	"fmt"
	"slices"
	"strings"

	"pipe.dev/compiler/attr"
)

// CUE writes the definitions of all stages, for schema/pipeline/stages.cue.
func (t *Table) CUE() []byte {
	var b strings.Builder
	b.WriteString("// Code generated from the table of stages. DO NOT EDIT.\n\npackage pipeline\n\nimport \"pipe.dev/schema/op\"\n")
	for _, d := range t.defs {
		must(d.entry().WriteCUE(&b))
	}
	return []byte(b.String())
}

// Docs writes the page of all stages in Markdown.
func (t *Table) Docs() []byte {
	var b strings.Builder
	b.WriteString("<!-- Generated from the table of stages. Do not edit. -->\n\n# Stages\n\n" +
		"The steps of pipelines, from the package `pipe.dev/schema/pipeline`.\n")
	for _, d := range t.defs {
		fmt.Fprintf(&b, "\n## %s\n\n`pipeline.#%s` %s It gives %s.\n\n", d.Title, d.Title, d.Doc, d.Result)
		must(d.entry().WriteTable(&b))
	}
	return []byte(b.String())
}

func (d *Def) entry() attr.Entry {
	e := attr.Entry{Title: d.Title, Doc: d.Doc, Embed: "#Stage", Field: "stage", Name: d.Name, Attr: d.Attr}
	for _, p := range d.Ports {
		kinds := make([]string, len(p.Kinds))
		for i, k := range p.Kinds {
			kinds[i] = string(k)
		}
		kind := "op.#Tok"
		if slices.Equal(p.Kinds, []Kind{Model}) {
			kind = "#ModelTok"
		}
		if p.Map {
			kind = "{[string]: " + kind + "}"
		}
		mark, must := "!: ", "must be given"
		if p.Optional {
			mark, must = "?: ", "none"
		}
		e.Rows = append(e.Rows, attr.Row{CUE: p.Name + mark + kind, Label: "input `" + p.Name + "`",
			Doc: p.Doc, Note: strings.Join(kinds, " or "), Default: must})
	}
	return e
}

// must holds of attribute structs, which NewTable has checked.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
