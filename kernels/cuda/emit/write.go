package emit

import (
	"fmt"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// writer writes the body of a kernel.
type writer struct {
	chain Chain
	text  strings.Builder
	calls map[string]bool
	used  [6]int // registers, by kind
}

// kinds of registers, as they are declared and named.
const (
	predicate = iota
	short
	word
	float
	long
	double
)

var registers = [6]struct{ declared, name string }{{".pred", "%p"}, {".b16", "%h"}, {".b32", "%r"}, {".f32", "%f"}, {".b64", "%d"}, {".f64", "%w"}}

func (w *writer) new(kind int) string {
	w.used[kind]++
	return fmt.Sprintf("%s%d", registers[kind].name, w.used[kind]-1)
}

func (w *writer) registers() string {
	out := ""
	for kind, n := range w.used {
		if n > 0 {
			out += fmt.Sprintf("\t.reg %s %s<%d>;\n", registers[kind].declared, registers[kind].name, n)
		}
	}
	return out
}

func (w *writer) line(format string, args ...any) { fmt.Fprintf(&w.text, "\t"+format+";\n", args...) }

// to writes an instruction into a new register, which it returns.
func (w *writer) to(kind int, what, from string) string {
	r := w.new(kind)
	w.line("%s %s, %s", what, r, from)
	return r
}

// pointer reads an address of the parameter.
func (w *writer) pointer(at int) string {
	return w.to(long, "cvta.to.global.u64", w.to(long, "ld.param.u64", fmt.Sprintf("[p+%d]", at)))
}

// loop writes the kernel: thread i takes the lanes at i, and at each step of all
// threads from there. A thread reads all before it writes, so that a result may
// lie over an input.
func (w *writer) loop(tokens []op.Token) {
	c := w.chain
	n := w.to(word, "ld.param.u32", "[p]")
	width := w.to(word, "mov.u32", "%ntid.x")
	i := w.to(word, "mad.lo.u32", w.to(word, "mov.u32", "%ctaid.x")+", "+width+", "+w.to(word, "mov.u32", "%tid.x"))
	step := w.to(word, "mul.lo.u32", width+", "+w.to(word, "mov.u32", "%nctaid.x"))
	places, kind := "p", "param"
	if len(c.Inputs) > MaxInputs {
		places, kind = w.to(long, "add.s64", fmt.Sprintf("%s, %d", w.pointer(inputsAt), -inputsAt)), "global"
	}
	ins, sizes, each, ones := make([]string, len(c.Inputs)), make([]string, len(c.Inputs)), make([]string, len(c.Inputs)), make([]string, len(c.Inputs))
	for k, x := range c.Inputs {
		ins[k] = w.to(long, "cvta.to.global.u64", w.to(long, "ld."+kind+".u64", fmt.Sprintf("[%s+%d]", places, inputsAt+16*k)))
		switch x.Reach {
		case Repeats, Spread:
			sizes[k] = w.to(word, "ld."+kind+".u32", fmt.Sprintf("[%s+%d]", places, inputsAt+16*k+8))
			if x.Reach == Spread {
				each[k] = w.to(word, "ld."+kind+".u32", fmt.Sprintf("[%s+%d]", places, inputsAt+16*k+12))
			}
		case One:
			ones[k] = w.load(x.DType, ins[k], 1)[0]
		}
	}
	outs := make([]string, c.Results)
	for k := range outs {
		outs[k] = w.pointer(resultsAt + 8*k)
	}
	sum := ""
	if c.Sum {
		sum = w.to(double, "mov.f64", "0d0000000000000000")
	}
	done := w.new(predicate)
	w.text.WriteString("$next:\n")
	w.line("setp.ge.u32 %s, %s, %s", done, i, n)
	w.line("@%s bra $end", done)
	lanes := make([][]string, len(c.Inputs))
	for k, x := range c.Inputs {
		at := i
		switch x.Reach {
		case One:
			lanes[k] = []string{ones[k], ones[k], ones[k], ones[k]}
			continue
		case Repeats:
			at = w.to(word, "rem.u32", i+", "+sizes[k])
		case Spread:
			at = w.to(word, "rem.u32", w.to(word, "div.u32", i+", "+each[k])+", "+sizes[k])
			where := w.to(long, "add.s64", ins[k]+", "+w.to(long, "mul.wide.u32", fmt.Sprintf("%s, %d", at, x.DType.Size())))
			lanes[k] = slices.Repeat(w.load(x.DType, where, 1), c.Lanes)
			continue
		}
		lanes[k] = w.load(x.DType, w.place(ins[k], at, x.DType), c.Lanes)
	}
	ys := make([][]string, c.Results)
	for lane := range c.Lanes {
		xs := make([]string, len(lanes))
		for k := range xs {
			xs[k] = lanes[k][lane]
		}
		for k, y := range op.Follow(tokens, func(i int) string { return xs[i] }, w.apply) {
			ys[k] = append(ys[k], y)
		}
	}
	for k, y := range ys {
		if c.Sum {
			w.add(sum, y)
			break
		}
		w.store(c.Result, w.place(outs[k], i, c.Result), y)
	}
	w.line("add.u32 %s, %s, %s", i, i, step)
	w.line("bra $next")
	w.text.WriteString("$end:\n")
	if c.Sum {
		w.warpSum(sum, outs[0])
	}
	w.line("ret")
}

// add adds lanes to a sum: by twos in f32, and then in f64.
func (w *writer) add(sum string, lanes []string) {
	for len(lanes) > 1 {
		var half []string
		for i := 0; i < len(lanes); i += 2 {
			half = append(half, w.to(float, "add.rn.f32", lanes[i]+", "+lanes[i+1]))
		}
		lanes = half
	}
	w.line("add.rn.f64 %s, %s, %s", sum, sum, w.to(double, "cvt.f64.f32", lanes[0]))
}

// warpSum adds up what the threads of a warp have, which its first writes. All of
// them come here.
func (w *writer) warpSum(sum, to string) {
	for m := 16; m > 0; m /= 2 {
		low, high := w.new(word), w.new(word)
		w.line("mov.b64 {%s, %s}, %s", low, high, sum)
		other := func(r string) string {
			return w.to(word, "shfl.sync.bfly.b32", fmt.Sprintf("%s, %d, 31, 0xffffffff", r, m))
		}
		low, high = other(low), other(high)
		w.line("add.rn.f64 %s, %s, %s", sum, sum, w.to(double, "mov.b64", fmt.Sprintf("{%s, %s}", low, high)))
	}
	thread := w.to(word, "mov.u32", "%tid.x")
	first := w.to(predicate, "setp.eq.u32", w.to(word, "and.b32", thread+", 31")+", 0")
	place := w.to(word, "mad.lo.u32", w.to(word, "mov.u32", "%ctaid.x")+", "+w.to(word, "mov.u32", "%ntid.x")+", "+thread)
	at := w.to(long, "add.s64", to+", "+w.to(long, "mul.wide.u32", w.to(word, "shr.u32", place+", 5")+", 8"))
	w.line("@%s st.global.f64 [%s], %s", first, at, sum)
}

// place is the address of the lanes at i.
func (w *writer) place(base, i string, t ir.DType) string {
	return w.to(long, "add.s64", base+", "+w.to(long, "mul.wide.u32", fmt.Sprintf("%s, %d", i, w.chain.Lanes*t.Size())))
}

// vector is how lanes of a type are moved, and the registers in which they are.
func vector(kind, lanes int) string {
	name := map[int]string{short: "b16", float: "f32"}[kind]
	if lanes > 1 {
		return fmt.Sprintf("v%d.%s", lanes, name)
	}
	return name
}

func list(registers []string) string {
	if len(registers) == 1 {
		return registers[0]
	}
	return "{" + strings.Join(registers, ", ") + "}"
}

// load reads lanes of a type as f32.
func (w *writer) load(t ir.DType, at string, lanes int) []string {
	kind := float
	if t != ir.F32 {
		kind = short
	}
	out := make([]string, lanes)
	for i := range out {
		out[i] = w.new(kind)
	}
	w.line("ld.global.%s %s, [%s]", vector(kind, lanes), list(out), at)
	for i, r := range out {
		out[i] = w.wide(t, r)
	}
	return out
}

// wide is the f32 of what is stored in a register.
func (w *writer) wide(t ir.DType, r string) string {
	switch t {
	case ir.BF16:
		return w.to(float, "mov.b32", w.to(word, "shl.b32", w.to(word, "cvt.u32.u16", r)+", 16"))
	case ir.F16:
		return w.to(float, "cvt.f32.f16", r)
	}
	return r
}

// narrow is what is stored of an f32.
func (w *writer) narrow(t ir.DType, r string) string {
	switch t {
	case ir.BF16:
		return w.to(short, "cvt.rn.bf16.f32", r)
	case ir.F16:
		return w.to(short, "cvt.rn.f16.f32", r)
	}
	return r
}

func (w *writer) store(t ir.DType, at string, y []string) {
	kind := float
	if t != ir.F32 {
		kind = short
	}
	stored := make([]string, len(y))
	for i, r := range y {
		stored[i] = w.narrow(t, r)
	}
	w.line("st.global.%s [%s], %s", vector(kind, len(y)), at, list(stored))
}

// instructions are the ops that are one.
var instructions = map[string]string{"add": "add.rn.f32", "sub": "sub.rn.f32", "mul": "mul.rn.f32", "div": "div.rn.f32", "neg": "neg.f32", "abs": "abs.f32", "sqrt": "sqrt.rn.f32"}

// apply writes an op, or a call of its function.
func (w *writer) apply(name string, args []string) string {
	if op.Rounds(name) {
		t := map[string]ir.DType{"bf16": ir.BF16, "f16": ir.F16}[name]
		return w.wide(t, w.narrow(t, args[0]))
	}
	if what, ok := instructions[name]; ok {
		return w.to(float, what, strings.Join(args, ", "))
	}
	w.calls["pipe_"+name] = true
	out := w.new(float)
	number := strings.TrimPrefix(out, registers[float].name)
	given := make([]string, len(args))
	for i, a := range args {
		given[i] = fmt.Sprintf("a%d_%s", i, number)
		w.line(".param .b32 %s", given[i])
		w.line("st.param.f32 [%s], %s", given[i], a)
	}
	w.line(".param .b32 y_%s", number)
	w.line("call.uni (y_%s), pipe_%s, (%s)", number, name, strings.Join(given, ", "))
	w.line("ld.param.f32 %s, [y_%s]", out, number)
	return out
}
