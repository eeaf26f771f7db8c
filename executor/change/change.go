// Package change holds tables of what recipes do to one example before a model learns from it, be it a picture or sound: rows whose
// attribute structs give their CUE definitions and their documentation, and chains of them as documents list them. Those that are
// random draw from an image.Dice, so that what becomes of an example is a function of a seed and a number.
//
// The package knows no change itself, and no batches.
package change

import (
	"fmt"
	"slices"
	"strings"

	"pipe.dev/compiler/attr"
	"pipe.dev/executor/image"
	"pipe.dev/internal/suggest"
)

// Def is one row of a table of changes of a T.
type Def[T any] struct {
	Name   string // "resize": what the field name says in documents
	Title  string // "Resize": documents write train.#Resize
	Doc    string // what it does, after the name
	Source string // whose definition it follows; "" for none
	Attr   any    // zero value of the attribute struct
	Random bool   // it draws; evaluations have none of these

	Check func(attr any) error // what CUE does not say; may be nil
	Apply func(attr any, to T, d *image.Dice) error
	// Load reads files that the attributes name, and gives what then takes the place of Apply; nil if nothing does. It may be nil.
	Load func(attr any) (func(to T, d *image.Dice) error, error)
}

// Table is all changes of a T.
type Table[T any] struct {
	One   string   // what messages call one: "transform"
	Many  string   // "transforms"
	Draws string   // sets the draws of this table apart from those of others
	CUE   string   // the name of the map of all in CUE: "_transforms"
	Page  string   // the title of the page
	About string   // the text under it
	Rows  []Def[T] // in the order of the page
}

// Step is a change with its attributes.
type Step[T any] struct {
	Def[T]
	At    any    // the attributes
	Draws string // sets its draws apart from those of other steps of a chain
}

// Chain is changes that follow each other.
type Chain[T any] []Step[T]

// Step is a row with attributes as the i-th of a chain.
func (t Table[T]) Step(i int, d Def[T], at any) Step[T] {
	return Step[T]{d, at, fmt.Sprintf("%s %d %s", t.Draws, i, d.Name)}
}

// Decode makes a chain of the elements of a list of a document; what they do not say is as the table has it.
func (t Table[T]) Decode(list []any) (Chain[T], error) {
	var out Chain[T]
	for i, x := range list {
		m, _ := x.(map[string]any)
		name, _ := m["name"].(string)
		row := slices.IndexFunc(t.Rows, func(d Def[T]) bool { return d.Name == name })
		if row < 0 {
			return nil, fmt.Errorf("%d: there is no %s %q; there are %s%s", i, t.One, name, strings.Join(t.names(), ", "), t.hint(name))
		}
		d := t.Rows[row]
		at, err := attr.Default(d.Attr)
		if err == nil {
			at, err = attr.Decode(at, m)
		}
		if err == nil && d.Check != nil {
			err = d.Check(at)
		}
		if err == nil && d.Load != nil {
			var loaded func(to T, d *image.Dice) error
			if loaded, err = d.Load(at); loaded != nil {
				d.Apply = func(_ any, to T, d *image.Dice) error { return loaded(to, d) }
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%d: %s: %w", i, name, err)
		}
		out = append(out, t.Step(i, d, at))
	}
	return out, nil
}

func (t Table[T]) hint(name string) string {
	if s := suggest.DidYouMean(name, t.names()); s != "" {
		return "; " + s
	}
	return ""
}

func (t Table[T]) names() []string {
	var names []string
	for _, d := range t.Rows {
		names = append(names, d.Name)
	}
	return names
}

// Apply changes what to holds, in place; item is the number that the random steps draw by. Things of the same item and size are
// changed alike by equal chains.
func (c Chain[T]) Apply(to T, seed, item uint64) error {
	for _, s := range c {
		if err := s.Def.Apply(s.At, to, image.NewDice(seed, s.Draws, item)); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

// Random is the first step that is random, or -1.
func (c Chain[T]) Random() int { return slices.IndexFunc(c, func(s Step[T]) bool { return s.Random }) }

// Key tells chains apart.
func (c Chain[T]) Key() []any {
	var out []any
	for _, s := range c {
		out = append(out, s.Name, s.At)
	}
	return out
}
