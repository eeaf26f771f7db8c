package checkpoint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
)

// Want is a tensor that a plan needs.
type Want struct {
	Name   string
	Shape  []int
	DTypes []ir.DType // accepted; none: all that pipe computes with
	Pos    string     // who asks, as file:line:column, for the message; may be ""
}

// Kind says what is wrong with a tensor.
type Kind uint8

// The kinds of mismatch, in the order in which they are reported.
const (
	Missing    Kind = iota // wanted, and not in the checkpoint
	WrongShape             // both shapes are in the message
	WrongDType             // of an element type that is not accepted
	Extra                  // in the checkpoint, and not wanted
)

func (k Kind) String() string { return [...]string{"missing", "shape", "dtype", "extra"}[k] }

// Mismatch is one tensor that is not as wanted.
type Mismatch struct {
	Kind Kind
	Name string
	Pos  string // of the Want; "" for Extra
	Fact string // one line, with both values of what differs
}

// MismatchError holds every mismatch that Prove found. In the sense of
// errors.As it is an *Error as well.
type MismatchError struct {
	File       string
	Mismatches []Mismatch // sorted by kind, then by name in natural order
	Hint       string     // what would explain many of them, or ""
}

// maxListed is how many mismatches a message spells out.
const maxListed = 20

// Error is one line for one mismatch; else a line with their number and one
// line for each of the first 20.
func (e *MismatchError) Error() string {
	var b strings.Builder
	b.WriteString(e.summary())
	if len(e.Mismatches) == 1 {
		return b.String()
	}
	for i, m := range e.Mismatches {
		if i == maxListed {
			fmt.Fprintf(&b, "\n  and %d more", len(e.Mismatches)-i)
			break
		}
		b.WriteString("\n  " + m.Fact)
	}
	return b.String()
}

// Unwrap returns the first line as an *Error.
func (e *MismatchError) Unwrap() error {
	return &Error{File: e.File, Msg: strings.TrimPrefix(e.summary(), e.File+": ")}
}

func (e *MismatchError) summary() string {
	hint := ""
	if e.Hint != "" {
		hint = ": " + e.Hint
	}
	if len(e.Mismatches) == 1 {
		return e.File + ": " + e.Mismatches[0].Fact + hint
	}
	count := [Extra + 1]int{}
	for _, m := range e.Mismatches {
		count[m.Kind]++
	}
	var parts []string
	for k, n := range count {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, [...]string{"missing", "of the wrong shape", "of the wrong dtype", "extra"}[k]))
		}
	}
	return fmt.Sprintf("%s: %d tensors are not as planned (%s)%s", e.File, len(e.Mismatches), strings.Join(parts, ", "), hint)
}

// Prove holds the headers against what a plan wants, and returns nil or a
// *MismatchError with every difference: tensors that are missing, of another
// shape, of an element type that is not accepted, and tensors that nothing
// wants unless ignore says that they do not matter. ignore may be nil. It
// reads no data.
func (c *Checkpoint) Prove(wants []Want, ignore func(name string) bool) error {
	var out []Mismatch
	wanted := map[string]bool{}
	var missing []Want
	for _, w := range parts(wants) {
		first := !wanted[w.Name]
		wanted[w.Name] = true
		if t, ok := c.Lookup(w.Name); ok {
			out = append(out, c.compare(w, t)...)
		} else if first {
			missing = append(missing, w)
		}
	}
	var extra []string
	for _, t := range c.tensors {
		if wanted[t.Name] {
			continue
		}
		extra = append(extra, t.Name)
		if ignore == nil || !ignore(t.Name) {
			out = append(out, Mismatch{Kind: Extra, Name: t.Name,
				Fact: fmt.Sprintf("extra tensor %q%s, %s%v, which nothing wants", t.Name, c.shard(t), t.Raw, t.Shape)})
		}
	}
	hint := renaming(names(missing), extra)
	slices.SortFunc(missing, func(a, b Want) int { return naturalCompare(a.Name, b.Name) })
	for i, w := range missing {
		near := ""
		if i < maxListed && hint == "" {
			near = suggestion(w.Name, extra)
		}
		out = append(out, Mismatch{Kind: Missing, Name: w.Name, Pos: w.Pos,
			Fact: fmt.Sprintf("no tensor %q of shape %v%s%s", w.Name, w.Shape, by(w.Pos), near)})
	}
	if len(out) == 0 {
		return nil
	}
	slices.SortStableFunc(out, func(a, b Mismatch) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), naturalCompare(a.Name, b.Name))
	})
	return &MismatchError{File: c.label(), Mismatches: out, Hint: hint}
}

// compare holds one tensor against one want.
func (c *Checkpoint) compare(w Want, t Tensor) (out []Mismatch) {
	where := fmt.Sprintf("tensor %q%s", t.Name, c.shard(t))
	if !slices.Equal(w.Shape, t.Shape) {
		out = append(out, Mismatch{Kind: WrongShape, Name: t.Name, Pos: w.Pos,
			Fact: fmt.Sprintf("%s has shape %v, want %v%s", where, t.Shape, w.Shape, by(w.Pos))})
	}
	if t.DType == ir.Invalid {
		return append(out, Mismatch{Kind: WrongDType, Name: t.Name, Pos: w.Pos,
			Fact: fmt.Sprintf("%s has dtype %q, which cannot be computed with; want %s%s", where, t.Raw, list(w.DTypes), by(w.Pos))})
	}
	if len(w.DTypes) > 0 && !slices.Contains(w.DTypes, t.DType) {
		out = append(out, Mismatch{Kind: WrongDType, Name: t.Name, Pos: w.Pos,
			Fact: fmt.Sprintf("%s has dtype %s, want %s%s", where, t.DType, list(w.DTypes), by(w.Pos))})
	}
	return out
}

func list(ds []ir.DType) string {
	if len(ds) == 0 {
		ds = ir.DTypes()
	}
	s := make([]string, len(ds))
	for i, d := range ds {
		s[i] = d.String()
	}
	if n := len(s); n > 1 {
		return strings.Join(s[:n-1], ", ") + " or " + s[n-1]
	}
	return s[0]
}

func by(pos string) string {
	if pos == "" {
		return ""
	}
	return " (wanted by " + pos + ")"
}

func names(wants []Want) []string {
	out := make([]string, len(wants))
	for i, w := range wants {
		out[i] = w.Name
	}
	return out
}
