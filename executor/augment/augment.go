// Package augment is what recipes do to sound before a model learns from it: a table of changes whose attribute structs give
// their CUE definitions and their documentation. Those that are random draw from an image.Dice, so that what a clip becomes is
// a function of a seed and a number.
//
// The package reads no files and knows no batches.
package augment

import (
	"fmt"
	"slices"
	"strings"

	"pipe.dev/compiler/attr"
	"pipe.dev/executor/audio"
	"pipe.dev/executor/image"
	"pipe.dev/internal/suggest"
)

// Def is one row of the table.
type Def struct {
	Name   string // "gain": the field name in documents
	Title  string // "Gain": documents write train.#Gain
	Doc    string // what it does, after the title
	Source string // whose definition it follows
	Attr   any    // zero value of the attribute struct
	Random bool   // it draws; evaluations have none of these

	check func(attr any) error // what CUE does not say; may be nil
	apply func(attr any, c *audio.Clip, d *image.Dice) error
}

// table lists every change, in the order of the documentation.
func table() []Def {
	return []Def{gain(), noise(), shift(), speed(), stretch(), pitch(), room(), normalize()}
}

// Step is a change with its attributes.
type Step struct {
	Def
	At any // the attributes
}

// Chain is changes that follow each other.
type Chain []Step

// Decode makes a chain of the elements of a list of a document; what they do not say is as the table has it.
func Decode(list []any) (Chain, error) {
	var out Chain
	for i, x := range list {
		m, _ := x.(map[string]any)
		name, _ := m["name"].(string)
		at := slices.IndexFunc(table(), func(d Def) bool { return d.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("%d: there is no change %q; there are %s%s", i, name, strings.Join(Names(), ", "), hint(name))
		}
		d := table()[at]
		a, err := attr.Default(d.Attr)
		if err == nil {
			a, err = attr.Decode(a, m)
		}
		if err == nil && d.check != nil {
			err = d.check(a)
		}
		if err != nil {
			return nil, fmt.Errorf("%d: %s: %w", i, name, err)
		}
		out = append(out, Step{d, a})
	}
	return out, nil
}

func hint(name string) string {
	if s := suggest.DidYouMean(name, Names()); s != "" {
		return "; " + s
	}
	return ""
}

// Names lists the changes.
func Names() []string {
	var names []string
	for _, d := range table() {
		names = append(names, d.Name)
	}
	return names
}

// Apply changes a clip of one channel in place; item is the number that the random steps draw by. The samples may become more or fewer.
func (c Chain) Apply(clip *audio.Clip, seed, item uint64) error {
	for i, s := range c {
		if err := s.apply(s.At, clip, image.NewDice(seed, fmt.Sprintf("sound %d %s", i, s.Name), item)); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

// Random is the first step that is random, or -1.
func (c Chain) Random() int { return slices.IndexFunc(c, func(s Step) bool { return s.Random }) }

// Key tells chains apart.
func (c Chain) Key() []any {
	var out []any
	for _, s := range c {
		out = append(out, s.Name, s.At)
	}
	return out
}

// CUE writes the definitions, for schema/train/sounds.cue.
func CUE() ([]byte, error) {
	var b strings.Builder
	b.WriteString("// Code generated from the table of changes of sound. DO NOT EDIT.\n\npackage train\n")
	b.WriteString("\n// _soundChanges are those of each name.\n_soundChanges: {\n")
	for _, d := range table() {
		fmt.Fprintf(&b, "\t%s: #%s\n", d.Name, d.Title)
	}
	b.WriteString("}\n")
	for _, d := range table() {
		e := attr.Entry{Title: d.Title, Doc: d.Doc, Field: "name", Name: d.Name, Attr: d.Attr}
		if err := e.WriteCUE(&b); err != nil {
			return nil, err
		}
	}
	return []byte(b.String()), nil
}

// Docs writes the page of the table.
func Docs() ([]byte, error) {
	var b strings.Builder
	b.WriteString("<!-- Code generated from the table of changes of sound. DO NOT EDIT. -->\n\n# Changes of sound\n\n" +
		"What a recipe does to sound, in the order in which `data.sounds` lists it.\n")
	for _, d := range table() {
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
