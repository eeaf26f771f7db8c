package train

import (
	"fmt"
	"strconv"

	"pipe.dev/compiler/attr"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
)

// Optimizer defines how a weight changes by its gradient. Use Slots, Part and
// Update.
type Optimizer struct {
	Def
	LR float64 // base learning rate of a document that names none

	// slots are the states of one weight; w has at least f32 precision.
	slots func(attr any, w ir.Type) []Slot
	// update writes one step in the formulas of step.
	update func(s *step, attr any) (next ir.Value, slots []ir.Value)
	// hand gives weights that the optimizer is not made for to another one;
	// nil keeps all.
	hand func(attr any, path string, shape []ir.Dim) (Part, bool)
}

// Slot is a state that an optimizer keeps for one weight between steps.
type Slot struct {
	Name string  // "exp_avg": PyTorch's name where it has one
	Type ir.Type // at least f32
	Init string  // "zeros"

	Positive bool // never below 0
}

// Update is one weight at one step.
type Update struct {
	Attr  any
	W, G  ir.Value   // the weight and its gradient, of one type
	LR    ir.Value   // f32 scalar: the learning rate of this step
	Step  ir.Value   // f32 scalar: this step's number, from 1
	Slots []ir.Value // in the order of Optimizer.Slots
	Decay bool       // whether weight_decay applies to this weight
}

// Part says who updates a weight.
type Part struct {
	Optimizer *Optimizer
	Attr      any
	Rate      float64 // factor of the learning rate
}

// Part returns which optimizer updates the weight at path: o itself, but for
// weights it is not made for.
func (o *Optimizer) Part(attr any, path string, shape []ir.Dim) Part {
	if o.hand != nil {
		if p, ok := o.hand(attr, path, shape); ok {
			return p
		}
	}
	return Part{Optimizer: o, Attr: attr, Rate: 1}
}

// Slots lists the states of a weight of type w.
func (o *Optimizer) Slots(attr any, w ir.Type) []Slot { return o.slots(attr, wideType(w)) }

// Update writes one step of one weight: its next value, of the weight's type,
// and the next values of its slots. Weights narrower than f32 are computed in
// f32. Errors stick to b.
func (o *Optimizer) Update(b *op.Builder, u Update) (next ir.Value, slots []ir.Value) {
	if b.Err() != nil {
		return u.W, u.Slots
	}
	if err := o.fits(u); err != nil {
		b.Fail(&op.Error{Pos: b.Pos, Op: o.Name, Err: err})
		return u.W, u.Slots
	}
	t := wideType(u.W.Type()).DType
	s := &step{Builder: b, w: b.Cast(u.W, t), g: b.Cast(u.G, t), lr: b.Cast(u.LR, t), t: b.Cast(u.Step, t), slots: u.Slots, decay: u.Decay}
	next, slots = o.update(s, u.Attr)
	if b.Err() == nil && len(slots) != len(u.Slots) {
		b.Fail(&op.Error{Pos: b.Pos, Op: o.Name, Err: fmt.Errorf("%d next slots, want %d", len(slots), len(u.Slots))})
	}
	return b.Cast(next, u.W.Type().DType), slots
}

// fits checks the values of an update.
func (o *Optimizer) fits(u Update) error {
	w := u.W.Type()
	if !w.DType.Float() {
		return fmt.Errorf("weight is %v; want floating-point numbers", w)
	}
	if g := u.G.Type(); !g.Equal(w) {
		return fmt.Errorf("weight is %v but its gradient %v", w, g)
	}
	for _, v := range []ir.Value{u.LR, u.Step} {
		if t := v.Type(); t.Rank() != 0 || !t.DType.Float() {
			return fmt.Errorf("learning rate and step are %v and %v; want scalars of f32", u.LR.Type(), u.Step.Type())
		}
	}
	want := o.Slots(u.Attr, w)
	if len(u.Slots) != len(want) {
		return fmt.Errorf("%d slots, want %d", len(u.Slots), len(want))
	}
	for i, s := range want {
		if have := u.Slots[i].Type(); !have.Equal(s.Type) {
			return fmt.Errorf("slot %s is %v, want %v", s.Name, have, s.Type)
		}
	}
	return nil
}

func (o *Optimizer) complete() error {
	if o.LR <= 0 || o.slots == nil || o.update == nil {
		return fmt.Errorf("need LR, slots and update")
	}
	return nil
}

func (o *Optimizer) rows() []attr.Row {
	rate := strconv.FormatFloat(o.LR, 'g', -1, 64)
	return []attr.Row{{CUE: "lr: number & >0 & <=10 | *" + rate, Label: "`lr`",
		Doc: "learning rate, which the schedule multiplies", Note: "`number & >0 & <=10`", Default: "`" + rate + "`"}}
}

// wideType is t in at least f32.
func wideType(t ir.Type) ir.Type {
	if t.DType == ir.F64 {
		return t
	}
	return t.As(ir.F32)
}

// zeros are slots of w's type, which start at zero.
func zeros(w ir.Type, names ...string) []Slot {
	var out []Slot
	for _, n := range names {
		out = append(out, Slot{Name: n, Type: w, Init: "zeros"})
	}
	return out
}
