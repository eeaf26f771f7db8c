package train

import (
	"fmt"
	"strings"

	"pipe.dev/compiler/attr"
)

// CUE writes the definitions of the table for the package pipe.dev/schema/train,
// and a definition that lists their names: #OptimizerName.
func (t *Table[R]) CUE() []byte {
	var b strings.Builder
	kind := strings.ToUpper(t.kind[:1]) + t.kind[1:]
	fmt.Fprintf(&b, "// Code generated from the table of %ss. DO NOT EDIT.\n\npackage train\n\n", t.kind)
	fmt.Fprintf(&b, "// #%sName is the name of any %s.\n#%sName: %s\n", kind, t.kind, kind, `"`+strings.Join(t.Names(), `" | "`)+`"`)
	fmt.Fprintf(&b, "\n// _%ss are those of each name.\n_%ss: {\n", t.kind, t.kind)
	width := 0
	for _, name := range t.Names() {
		width = max(width, len(name))
	}
	for _, r := range t.list { // aligned as cue fmt does
		d := r.def()
		fmt.Fprintf(&b, "\t%-*s #%s\n", width+1, d.Name+":", d.Title)
	}
	b.WriteString("}\n")
	for _, r := range t.list {
		must(t.entry(r).WriteCUE(&b))
	}
	return []byte(b.String())
}

// Docs writes the page of the table in Markdown.
func (t *Table[R]) Docs() []byte {
	var b strings.Builder
	kind := strings.ToUpper(t.kind[:1]) + t.kind[1:]
	fmt.Fprintf(&b, "<!-- Generated from the table of %ss. Do not edit. -->\n\n# %ss\n\nThe values of a recipe's field `%s`, from the package `pipe.dev/schema/train`.\n",
		t.kind, kind, t.kind)
	for _, r := range t.list {
		d := r.def()
		fmt.Fprintf(&b, "\n## %s\n\n`train.#%s`: %s\n\nSource: %s.\n\n", d.Title, d.Title, d.Doc, d.Source)
		must(t.entry(r).WriteTable(&b))
	}
	return []byte(b.String())
}

func (t *Table[R]) entry(r R) attr.Entry {
	d := r.def()
	return attr.Entry{Title: d.Title, Doc: "is " + d.Doc, Field: "name", Name: d.Name, Rows: r.rows(), Attr: d.Attr}
}

// must holds of attribute structs that newTable has read.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
