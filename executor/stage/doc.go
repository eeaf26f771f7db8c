package stage

import (
	"fmt"
	"strings"

	"pipe.dev/compiler/attr"
)

// CUE writes the definitions of all stages, for schema/pipeline/stages.cue.
func (t *Table) CUE() []byte {
	var b strings.Builder
	b.WriteString("// Code generated from the table of stages. DO NOT EDIT.\n\npackage pipeline\n\nimport \"pipe.dev/schema/op\"\n")
	for _, d := range t.defs {
		fmt.Fprintf(&b, "\n// #%s %s\n#%s: {\n\t#Stage\n\tstage: %q\n", d.Title, d.Doc, d.Title, d.Name)
		for _, p := range d.Ports {
			fmt.Fprintf(&b, "\t// %s\n", p.Doc)
			if p.Map {
				fmt.Fprintf(&b, "\t%s!: {[string]: op.#Tok}\n", p.Name)
			} else {
				fmt.Fprintf(&b, "\t%s!: op.#Tok\n", p.Name)
			}
		}
		fields, _ := attr.Fields(d.Attr) // NewTable checked them
		for _, f := range fields {
			fmt.Fprintf(&b, "\t// %s\n\t%s\n", f.Doc, f.CUE)
		}
		b.WriteString("}\n")
	}
	return []byte(b.String())
}

// Docs writes the page of all stages in Markdown.
func (t *Table) Docs() []byte {
	var b strings.Builder
	b.WriteString("<!-- Generated from the table of stages. Do not edit. -->\n\n# Stages\n\n" +
		"The steps of pipelines, from the package `pipe.dev/schema/pipeline`.\n")
	for _, d := range t.defs {
		fmt.Fprintf(&b, "\n## %s\n\n`pipeline.#%s` %s It gives %s.\n\n| field | meaning | default |\n|---|---|---|\n", d.Title, d.Title, d.Doc, d.Result)
		for _, p := range d.Ports {
			kinds := make([]string, len(p.Kinds))
			for i, k := range p.Kinds {
				kinds[i] = string(k)
			}
			fmt.Fprintf(&b, "| input `%s` | %s; %s | must be given |\n", p.Name, p.Doc, strings.Join(kinds, " or "))
		}
		fields, _ := attr.Fields(d.Attr) // NewTable checked them
		for _, f := range fields {
			kind, fallback := f.Describe()
			fmt.Fprintf(&b, "| `%s` | %s; %s | %s |\n", f.Name, f.Doc, strings.ReplaceAll(kind, "|", "\\|"), fallback)
		}
	}
	return []byte(b.String())
}
