package model

import (
	"context"
	"fmt"
	"slices"

	"pipe.dev/compiler/plan"
	"pipe.dev/executor/tensorfile"
)

// Padding says where the tokens of padded sequences are.
type Padding struct {
	width       int   // positions of each sequence, filled ones included
	start, size []int // of each sequence: its first token, how many there are
}

// ReadPadding reads a mask [batch, seq]: 1 at tokens, 0 at padding, which may
// be before the tokens of a sequence or after them, not between.
func ReadPadding(mask tensorfile.Tensor) (*Padding, error) {
	if mask.Type.Rank() != 2 {
		return nil, fmt.Errorf("mask is %v, want [batch,seq]", mask.Type)
	}
	sizes, values := mask.Type.Sizes(), mask.Float64s()
	p := &Padding{width: sizes[1]}
	for b := range sizes[0] {
		row := values[b*p.width : (b+1)*p.width]
		if i := slices.IndexFunc(row, func(x float64) bool { return x != 0 && x != 1 }); i >= 0 {
			return nil, fmt.Errorf("mask[%d,%d] is %v, want 1 at tokens and 0 at padding", b, i, row[i])
		}
		first := slices.Index(row, 1)
		if first < 0 {
			return nil, fmt.Errorf("mask has no token in row %d", b)
		}
		n := 0
		for n < len(row)-first && row[first+n] == 1 {
			n++
		}
		if i := slices.Index(row[first+n:], 1); i >= 0 {
			return nil, fmt.Errorf("mask has padding among the tokens of row %d, before position %d", b, first+n+i)
		}
		p.start, p.size = append(p.start, first), append(p.size, n)
	}
	return p, nil
}

// PaddingOf is the padding of sequences that are filled up at their ends.
func PaddingOf(sizes []int) *Padding {
	return &Padding{width: slices.Max(sizes), start: make([]int, len(sizes)), size: sizes}
}

// Padded is a call of a model over sequences of several lengths.
type Padded struct {
	padding *Padding
	calls   []paddedCall
}

// paddedCall is a plan and the sequences that it computes.
type paddedCall struct {
	plan *plan.Plan
	rows []int
	seq  int
}

// Plan is a plan of the call, whose inputs and outputs all of them have.
func (p *Padded) Plan() *plan.Plan { return p.calls[0].plan }

// Padded asks for what running the model once over padded sequences needs, as
// Forward does. All sequences are computed in one call, but for models whose
// meaning goes by how long sequences get (rotary scaling): those have a call
// for each length, so that a sequence gives what it gives alone.
func (m *Model) Padded(p *Padding, only, take []string) (*Padded, error) {
	entry := plan.Entry{Name: "forward", Only: only, Take: take, Padded: true}
	program, err := m.program(entry)
	if err != nil {
		return nil, err
	}
	out := &Padded{padding: p}
	bySize := map[int][]int{}
	for row, n := range p.size {
		if !program.Spans() {
			n = slices.Max(p.size)
		}
		bySize[n] = append(bySize[n], row)
	}
	for n, rows := range bySize {
		made, err := m.plan(entry, map[string]int{"batch": len(rows), "seq": n})
		if err != nil {
			return nil, err
		}
		m.want(made)
		out.calls = append(out.calls, paddedCall{made, rows, n})
	}
	slices.SortFunc(out.calls, func(a, b paddedCall) int { return a.rows[0] - b.rows[0] })
	return out, nil
}

// RunPadded runs what Padded asked for. inputs and results are as those of Run,
// [batch, seq, ...] with the padding where it was; results are 0 there.
func (m *Model) RunPadded(ctx context.Context, p *Padded, inputs map[string]tensorfile.Tensor) ([]tensorfile.Tensor, error) {
	var outs []tensorfile.Tensor
	for _, c := range p.calls {
		moved := map[string]tensorfile.Tensor{"lengths": p.lengths(c)}
		for name, t := range inputs {
			if s := t.Type.Sizes(); len(s) < 2 || s[0] != len(p.padding.size) || s[1] != p.padding.width {
				return nil, fmt.Errorf("%s: input %s is %v, and the mask is [%d,%d]", m.opt.Name, name, t.Type, len(p.padding.size), p.padding.width)
			}
			part := tensorfile.Tensor{Name: name, Type: withSizes(t, len(c.rows), c.seq)}
			part.Data = make([]byte, len(t.Data)/(len(p.padding.size)*p.padding.width)*len(c.rows)*c.seq)
			p.move(c, t.Data, part.Data, false)
			moved[name] = part
		}
		list, err := m.Run(ctx, c.plan, moved)
		if err != nil {
			return nil, err
		}
		for i, t := range list {
			if s := t.Type.Sizes(); len(s) < 2 || s[0] != len(c.rows) || s[1] != c.seq {
				return nil, fmt.Errorf("%s: %s is %v, and of padded sequences only values [batch,seq,...] can be given", m.opt.Name, t.Name, t.Type)
			}
			if len(outs) == i {
				whole := tensorfile.Tensor{Name: t.Name, Type: withSizes(t, len(p.padding.size), p.padding.width)}
				whole.Data = make([]byte, len(t.Data)/(len(c.rows)*c.seq)*len(p.padding.size)*p.padding.width)
				outs = append(outs, whole)
			}
			p.move(c, outs[i].Data, t.Data, true)
		}
	}
	return outs, nil
}

// lengths are those of the sequences of a call.
func (p *Padded) lengths(c paddedCall) tensorfile.Tensor {
	var sizes []int32
	for _, row := range c.rows {
		sizes = append(sizes, int32(p.padding.size[row]))
	}
	return tensorfile.FromInt32s("lengths", sizes, len(sizes))
}

// move copies tokens from whole, padded as outside, to part, where those of each
// sequence of a call begin at 0; or the other way.
func (p *Padded) move(c paddedCall, whole, part []byte, back bool) {
	bytes := len(part) / (len(c.rows) * c.seq) // of a position
	for i, row := range c.rows {
		a := whole[(row*p.padding.width+p.padding.start[row])*bytes:][:p.padding.size[row]*bytes]
		b := part[i*c.seq*bytes:][:len(a)]
		if back {
			copy(a, b)
		} else {
			copy(b, a)
		}
	}
}
