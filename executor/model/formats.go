package model

import (
	"fmt"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/train"
	"pipe.dev/internal/suggest"
	"pipe.dev/schema"
)

// Formats say which weights are quantised as they are read, and to what.
type Formats struct {
	Default ir.DType // Invalid means as the checkpoint has them
	Layers  []LayerFormat
	Pos     ir.Pos // of the model
}

// LayerFormat is the format of layers by a pattern: see train.Match.
type LayerFormat struct {
	Pattern string
	Type    ir.DType
	Pos     ir.Pos
}

// ParseFormats reads what a document says of a model's weights.
func ParseFormats(ref schema.ModelRef) (f Formats, err error) {
	parse := func(name string, pos ir.Pos) ir.DType {
		if name == "" {
			return ir.Invalid
		}
		d, e := ir.ParseBlocked(name)
		if e != nil && err == nil {
			err = &schema.Error{Pos: pos, Msg: e.Error()}
		}
		return d
	}
	f.Pos, f.Default = ref.Pos, parse(ref.Weights.Default, ref.Pos)
	for _, l := range ref.Weights.Layers {
		f.Layers = append(f.Layers, LayerFormat{l.Pattern, parse(l.Format, l.Pos), l.Pos})
	}
	return f, err
}

// of is the format of the weight at a path, and the pattern that says so: the
// longest, or -1 for none.
func (f Formats) of(path string) (ir.DType, int) {
	best := -1
	layer, _ := cutLast(path)
	for i, l := range f.Layers {
		if (train.Match(l.Pattern, path) || train.Match(l.Pattern, layer)) && (best < 0 || len(l.Pattern) > len(f.Layers[best].Pattern)) {
			best = i
		}
	}
	if best < 0 {
		return f.Default, best
	}
	return f.Layers[best].Type, best
}

func cutLast(path string) (layer, last string) {
	i := strings.LastIndexByte(path, '.')
	return path[:max(i, 0)], path[i+1:]
}

// chosen is what became of the formats of a model.
type chosen struct {
	paths []string // of the weights that can be in blocks
	types map[string]ir.Type
	stay  map[string]ir.DType // asked for, of rows that are no whole blocks
	told  bool
}

// choose picks the format of a weight of type t. What a file has in blocks stays.
func (c *chosen) choose(f Formats, path string, t ir.Type, blocked bool) ir.DType {
	if _, ok := c.types[path]; !ok {
		c.paths, c.types[path] = append(c.paths, path), t
	}
	d, _ := f.of(path)
	switch {
	case d == ir.Invalid || blocked:
		return ir.Invalid
	case !t.Blocks(d):
		c.stay[path] = d
		return ir.Invalid
	}
	return d
}

// check tells, once, of patterns that no weight matches and of weights that
// can't be what a pattern or the default asks for: an error of the first, and of
// the second a warning, unless nothing at all can be.
func (c *chosen) check(o Options) error {
	if c.told {
		return nil
	}
	c.told = true
	var errs schema.Errors
	for i, l := range o.Weights.Layers {
		if !slices.ContainsFunc(c.paths, func(path string) bool { _, k := o.Weights.of(path); return k == i }) {
			errs = append(errs, &schema.Error{Pos: l.Pos, Msg: c.unmatched(o.Weights, l), Hint: c.near(l.Pattern)})
		}
	}
	var fallen []string
	told := map[int]bool{}
	for _, path := range c.paths {
		d, ok := c.stay[path]
		if !ok {
			continue
		}
		if _, i := o.Weights.of(path); i >= 0 {
			if told[i] {
				continue
			}
			told[i] = true
			errs = append(errs, &schema.Error{Pos: o.Weights.Layers[i].Pos, Msg: path + " " + misfit(c.types[path], d), Hint: instead(c.types[path], d)})
			continue
		}
		fallen = append(fallen, path)
	}
	if len(errs) > 0 {
		return errs
	}
	if len(fallen) == 0 {
		return nil
	}
	path := fallen[0]
	d := c.stay[path]
	if len(fallen) == len(c.paths) {
		return &schema.Error{Pos: o.Weights.Pos, Msg: fmt.Sprintf("no weight can be %v: %s %s", d, path, misfit(c.types[path], d)), Hint: instead(c.types[path], d)}
	}
	if o.Warn != nil {
		more := ""
		if n := len(fallen) - 1; n > 0 {
			more = fmt.Sprintf(", and %d more", n)
		}
		o.Warn(fmt.Errorf("%s: %s%s stay as they are stored: the first %s (%s by layer_weights)", o.Name, path, more, misfit(c.types[path], d), instead(c.types[path], d)))
	}
	return nil
}

// unmatched says why a pattern decides nothing.
func (c *chosen) unmatched(f Formats, l LayerFormat) string {
	for _, path := range c.paths {
		layer, _ := cutLast(path)
		if _, k := f.of(path); k >= 0 && (train.Match(l.Pattern, path) || train.Match(l.Pattern, layer)) {
			return fmt.Sprintf("longer patterns stand for all that it matches, as %q for %s", f.Layers[k].Pattern, layer)
		}
	}
	return "matches no linear layer and no table of vectors"
}

// near is a layer, or its last part, that a pattern may have meant.
func (c *chosen) near(pattern string) string {
	var known []string
	for _, path := range c.paths {
		layer, _ := cutLast(path)
		_, last := cutLast(layer)
		known = append(known, layer, last)
	}
	_, last := cutLast(pattern)
	if s := suggest.DidYouMean(pattern, known); s != "" {
		return s
	}
	if s := suggest.Nearest(last, known); s != "" {
		return fmt.Sprintf("did you mean %q?", s)
	}
	return ""
}

// misfit says that rows of t are no whole blocks of d.
func misfit(t ir.Type, d ir.DType) string {
	block, _ := d.Block()
	return fmt.Sprintf("has rows of %v, no whole blocks of %d as %v has", t.Shape[len(t.Shape)-1], block, d)
}

// instead is what rows of t could be: the format of the fewest bits that has no
// fewer than d, or else of the most.
func instead(t ir.Type, d ir.DType) string {
	bits := func(d ir.DType) float64 {
		elems, bytes := d.Block()
		return 8 * float64(bytes) / float64(elems)
	}
	best := ir.Invalid
	for _, x := range ir.Blocked() {
		if t.Blocks(x) && bits(x) >= bits(d) && (best == ir.Invalid || bits(x) < bits(best)) {
			best = x
		}
	}
	if best == ir.Invalid {
		return `choose ""`
	}
	return fmt.Sprintf("choose %q", best)
}
