package attr

import (
	"fmt"
	"strings"
)

// Entry is a row of a table, as documents use it and as its page shows it. It
// writes the CUE definition and the Markdown section.
type Entry struct {
	Title string // documents call it by this: #Title
	Doc   string // what it is, after its title: "turns text into ids."
	Embed string // a definition that it stands on, "" for none: "#Stage"
	Field string // the field that tells rows apart: "stage", "name"; "" for none
	Name  string // what that field says
	Rows  []Row  // fields besides the attributes
	Attr  any    // zero value of the attribute struct
}

// Row is one line of an Entry.
type Row struct {
	CUE     string // "x!: op.#Tok"; "" for what documents do not set
	Label   string // on the page: "input `x`"
	Doc     string
	Note    string // on the page, after Doc
	Default string // on the page
}

// rows are those of the entry and of its attributes.
func (e Entry) rows() ([]Row, error) {
	fs, err := Fields(e.Attr)
	if err != nil {
		return nil, err
	}
	rows := e.Rows[:len(e.Rows):len(e.Rows)]
	for _, f := range fs {
		kind, fallback := f.Describe()
		rows = append(rows, Row{CUE: f.CUE, Label: "`" + f.Name + "`", Doc: f.Doc, Note: kind, Default: fallback})
	}
	return rows, nil
}

// WriteCUE appends the definition.
func (e Entry) WriteCUE(b *strings.Builder) error {
	rows, err := e.rows()
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "\n// #%s %s\n#%s: {\n", e.Title, e.Doc, e.Title)
	if e.Embed != "" {
		fmt.Fprintf(b, "\t%s\n", e.Embed)
	}
	if e.Field != "" {
		fmt.Fprintf(b, "\t%s: %q\n", e.Field, e.Name)
	}
	for _, r := range rows {
		if r.CUE != "" {
			fmt.Fprintf(b, "\t// %s\n\t%s\n", r.Doc, r.CUE)
		}
	}
	b.WriteString("}\n")
	return nil
}

// WriteTable appends the table of fields in Markdown.
func (e Entry) WriteTable(b *strings.Builder) error {
	rows, err := e.rows()
	if err != nil || len(rows) == 0 {
		return err
	}
	b.WriteString("| field | meaning | default |\n|---|---|---|\n")
	for _, r := range rows {
		doc := r.Doc
		if r.Note != "" {
			doc += "; " + r.Note
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", cell(r.Label), cell(doc), cell(r.Default))
	}
	return nil
}

// cell escapes a table cell.
func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
