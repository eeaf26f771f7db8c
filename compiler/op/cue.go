package op

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// CUE returns the text of schema/op/ops.cue: a definition for each op that
// documents may use. It stands on #Op, #Weights and #Tok, which are written by
// hand beside it.
func (t *Table) CUE() []byte {
	var b bytes.Buffer
	b.WriteString("// Code generated from the table of operations. DO NOT EDIT.\n\npackage op\n")
	for _, d := range t.defs {
		if d.Title != "" {
			d.writeCUE(&b)
		}
	}
	return b.Bytes()
}

func (d *Def) writeCUE(b *bytes.Buffer) {
	alias := ""
	if len(d.Outputs) > 0 {
		alias = "N="
	}
	fmt.Fprintf(b, "\n// #%s: %s\n#%s: %s{\n\t#Op\n", d.Title, d.Doc, d.Title, alias)
	if d.Params != nil {
		b.WriteString("\t#Weights\n")
	}
	fmt.Fprintf(b, "\top: %q\n", d.Name)
	for _, p := range d.Ports {
		fmt.Fprintf(b, "\t// %s\n\t%s\n", p.Doc, p.field())
	}
	for _, f := range d.Fields() {
		fmt.Fprintf(b, "\t// %s\n\t%s\n", f.Doc, f.CUE)
	}
	if len(d.Outputs) > 0 {
		b.WriteString("\t// the tokens of all outputs; out is the first\n\touts: {\n")
		width := 0
		for _, name := range d.Outputs {
			width = max(width, len(name)+1)
		}
		for _, name := range d.Outputs {
			fmt.Fprintf(b, "\t\t%-*s \"\\(N.id)#%s\"\n", width, name+":", name)
		}
		b.WriteString("\t}\n")
	}
	b.WriteString("}\n")
}

func (p Port) field() string {
	switch {
	case p.Variadic:
		return p.Name + "!: [#Tok, ...#Tok]"
	case p.Optional:
		return p.Name + "?: #Tok"
	}
	return p.Name + "!: #Tok"
}

// checkNames reports a field of a document's node that would have two meanings.
func (d *Def) checkNames() error {
	taken := []string{"op", "id", "out", "outs", "param", "tied"}
	names := make([]string, 0, len(d.Ports))
	for _, p := range d.Ports {
		if p.Doc == "" {
			return fmt.Errorf("op %s: port %s has no doc", d.Name, p.Name)
		}
		names = append(names, p.Name)
	}
	for _, f := range d.Fields() {
		names = append(names, f.Name)
	}
	for _, name := range names {
		if slices.Contains(taken, name) {
			return fmt.Errorf("op %s: the name %s is taken", d.Name, name)
		}
		taken = append(taken, name)
	}
	return nil
}

// Docs returns the text of docs/ops.md: a section for each op.
func (t *Table) Docs() []byte {
	var b bytes.Buffer
	b.WriteString("<!-- Generated from the table of operations. Do not edit. -->\n\n# Operations\n\n" +
		"Shapes stand in brackets; `...` is any number of axes. Documents call an operation by its title, as `op.#Linear`.\n")
	for _, d := range t.defs {
		if d.Title != "" {
			d.writeDocs(&b)
		}
	}
	b.WriteString("\n# Operations that only the compiler makes\n")
	for _, d := range t.defs {
		if d.Title == "" {
			d.writeDocs(&b)
		}
	}
	return b.Bytes()
}

func (d *Def) writeDocs(b *bytes.Buffer) {
	title := d.Title
	if title == "" {
		title = d.Name
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", title, d.Doc)
	var rows [][3]string
	for _, p := range d.Ports {
		note := ""
		switch {
		case p.Implicit != "":
			note = "may be left out: connected by a run that goes token by token"
		case p.Optional:
			note = "may be left out"
		case p.Variadic:
			note = "one or more"
		}
		rows = append(rows, [3]string{"input `" + p.Name + "`", p.Doc, note})
	}
	for _, p := range d.weights() {
		rows = append(rows, [3]string{"weight `" + p.Name + "`", fmt.Sprintf("%d-dimensional; a new one is filled by `%s`", len(p.Shape), p.Init), ""})
	}
	for _, f := range d.Fields() {
		kind, fallback := f.Describe()
		rows = append(rows, [3]string{"`" + f.Name + "`", f.Doc + "; " + kind, fallback})
	}
	for _, name := range d.Outputs {
		rows = append(rows, [3]string{"output `" + name + "`", "", ""})
	}
	if len(rows) > 0 {
		b.WriteString("| field | meaning | default |\n|---|---|---|\n")
		for _, r := range rows {
			fmt.Fprintf(b, "| %s | %s | %s |\n", cell(r[0]), cell(r[1]), cell(r[2]))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(b, "Graphs print it as `%s`. %s\n", d.Name, d.nature())
}

// cell escapes a table cell.
func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

func (d *Def) nature() string {
	switch {
	case d.NoGrad:
		return "It has no gradient."
	case d.Lower != nil:
		return "It stands for simpler operations, and has their gradient."
	}
	return "It has a gradient."
}

// weights lists the weights that the cases of d have.
func (d *Def) weights() []Param {
	var out []Param
	for _, c := range d.Cases {
		if d.Params == nil {
			break
		}
		ps, err := d.Params(c.In[:len(d.Ports)], c.Attr)
		if err != nil {
			continue // TestCases reports it
		}
		for _, p := range ps {
			if !slices.ContainsFunc(out, func(q Param) bool { return q.Name == p.Name }) {
				out = append(out, p)
			}
		}
	}
	return out
}
