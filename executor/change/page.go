package change

import (
	"fmt"
	"strings"

	"pipe.dev/compiler/attr"
)

// Definitions writes the table as CUE of the package train.
func (t Table[T]) Definitions() ([]byte, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "// Code generated from the table of %s. DO NOT EDIT.\n\npackage train\n\n// %s are those of each name.\n%s: {\n", t.Many, t.CUE, t.CUE)
	for _, d := range t.Rows {
		fmt.Fprintf(&b, "\t%s: #%s\n", d.Name, d.Title)
	}
	b.WriteString("}\n")
	for _, d := range t.Rows {
		e := attr.Entry{Title: d.Title, Doc: d.Doc, Field: "name", Name: d.Name, Attr: d.Attr}
		if err := e.WriteCUE(&b); err != nil {
			return nil, err
		}
	}
	return []byte(b.String()), nil
}

// Docs writes the page of the table.
func (t Table[T]) Docs() ([]byte, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- Code generated from the table of %s. DO NOT EDIT. -->\n\n# %s\n\n%s\n", t.Many, t.Page, t.About)
	for _, d := range t.Rows {
		fmt.Fprintf(&b, "\n## %s\n\n`%s` %s", d.Title, d.Name, d.Doc)
		if d.Random {
			b.WriteString(" It is random.")
		}
		if d.Source != "" {
			fmt.Fprintf(&b, "\n\nAs %s.", d.Source)
		}
		b.WriteString("\n\n")
		e := attr.Entry{Title: d.Title, Attr: d.Attr}
		if err := e.WriteTable(&b); err != nil {
			return nil, err
		}
	}
	return []byte(b.String()), nil
}
