package plan

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
)

// String prints the plan as text that can be compared with diff: sizes and
// totals, then states, inputs and outputs, then one line a step:
//
//	linear{outfeatures=64} w+0 f32[1,1,64], model.norm.weight -> w+256 f32[1,1,64]  8.2k flop 16.9 kB  # model.lm_head
//
// "w+256" is byte 256 of the work arena; a state is named by its path.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan %s on %s%s\n", p.Name, p.Backend, p.sizes())
	fmt.Fprintf(&b, "hash %s\n", p.Hash())
	fmt.Fprintf(&b, "weights %d bytes, cache %d, work %d, peak %d\n",
		p.StateBytes(ir.Weight), p.StateBytes(ir.Cache), p.WorkBytes, p.PeakBytes())
	fmt.Fprintf(&b, "each run %d flop, %d bytes moved, %d steps\n", p.FLOPs(), p.BytesMoved(), len(p.Steps))
	if a := p.Again; len(a.Blocks) > 0 {
		fmt.Fprintf(&b, "computed anew %s: %d flop of these, %.1f%% more than without\n", a.names(), a.FLOPs, 100*a.Share(p))
	}
	b.WriteByte('\n')
	b.WriteString(p.body())
	return b.String()
}

// names lists the blocks, many as the first and the last.
func (a Again) names() string {
	if n := len(a.Blocks); n > 3 {
		return fmt.Sprintf("%d blocks from %s to %s", n, a.Blocks[0], a.Blocks[n-1])
	}
	return strings.Join(a.Blocks, ", ")
}

func (p *Plan) sizes() string {
	var s string
	for _, name := range slices.Sorted(maps.Keys(p.Sizes)) {
		s += fmt.Sprintf(" %s=%d", name, p.Sizes[name])
	}
	return s
}

// Hash identifies the program: sizes, memory and steps, not where on this
// machine the documents lie.
func (p *Plan) Hash() string {
	sum := sha256.Sum256([]byte(p.Name + " " + p.Backend + p.sizes() + fmt.Sprint(p.WorkBytes) + "\n" + p.body()))
	return fmt.Sprintf("sha256:%x", sum[:16])
}

func (p *Plan) body() string {
	var b strings.Builder
	for _, s := range p.States {
		layout := ""
		if s.Layout != "" {
			layout = " as " + string(s.Layout)
		}
		if s.Pairs {
			layout += " in pairs"
		}
		fmt.Fprintf(&b, "%s %s %v%s %d\n", s.Kind, s.Path, s.Type, layout, s.Bytes)
	}
	for _, in := range p.Inputs {
		fmt.Fprintf(&b, "input %s = %s\n", in.Name, p.place(in.Place))
	}
	for _, out := range p.Outputs {
		fmt.Fprintf(&b, "output %s = %s\n", out.Name, p.place(out.Place))
	}
	b.WriteByte('\n')
	p.steps(&b, p.Steps)
	return b.String()
}

// steps prints steps, one a line; the body of a loop follows its step, further to the right.
func (p *Plan) steps(b *strings.Builder, list []Step) {
	for _, s := range list {
		b.WriteString(s.Op)
		if s.Attr != nil {
			b.WriteString(attrString(s.Attr))
		}
		if l := s.Loop; l != nil {
			fmt.Fprintf(b, "{steps=%d}", l.Steps)
		}
		fmt.Fprintf(b, " %s -> %s", p.places(s.In), p.places(s.Out))
		if s.Scratch.State != None {
			fmt.Fprintf(b, " scratch %s", p.place(s.Scratch))
		}
		fmt.Fprintf(b, "  %s flop %sB", SI(s.FLOPs), SI(s.Bytes))
		if s.Pos.Path != "" {
			b.WriteString("  # " + s.Pos.Path)
		}
		b.WriteByte('\n')
		if l := s.Loop; l != nil {
			b.WriteString(indented(p.loop(l)))
		}
	}
}

// loop prints what begins a loop, where its states lie, and its body.
func (p *Plan) loop(l *Loop) string {
	var b strings.Builder
	p.steps(&b, l.Begin)
	for i, s := range l.Body.States {
		fmt.Fprintf(&b, "%s %v = %s\n", s.Path, s.Type, strings.TrimSuffix(p.place(l.States[i]), " "+s.Type.String()))
	}
	l.Body.steps(&b, l.Body.Steps)
	return b.String()
}

func indented(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, l := range lines {
		if l != "" {
			lines[i] = "    " + l
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// attrString shortens the data of constants.
func attrString(attr any) string {
	s := ir.AttrString(attr)
	if len(s) > 400 {
		return fmt.Sprintf("{%d bytes, %x}", len(s), sha256.Sum256([]byte(s)))
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0xFFFD {
			return '.'
		}
		return r
	}, s)
}

func (p *Plan) places(list []Place) string {
	s := make([]string, len(list))
	for i, at := range list {
		s[i] = p.place(at)
	}
	return strings.Join(s, ", ")
}

func (p *Plan) place(at Place) string {
	switch at.State {
	case None:
		return "none"
	case Work:
		return fmt.Sprintf("w+%d %v", at.Offset, at.Type)
	}
	return p.States[at.State].Path
}

// SI writes a count with three digits and a decimal prefix: "8.19k", "1.05M".
func SI(n int64) string {
	const prefixes = " kMGTPE"
	x, i := float64(n), 0
	for x >= 999.5 && i < len(prefixes)-1 {
		x /= 1000
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d", n)
	}
	return fmt.Sprintf("%.3g%c", x, prefixes[i])
}
