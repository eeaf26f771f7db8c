package train

import (
	"pipe.dev/compiler/ir"
)

// AdamW8Attr describes AdamW with 8-bit state.
type AdamW8Attr struct {
	Betas       [2]float64 `cue:"betas: [number & >=0 & <1, number & >=0 & <1] | *[0.9, 0.999]" doc:"decay of the mean of gradients and of that of their squares"`
	Eps         float64    `cue:"eps: number & >0 | *1e-8" doc:"added to the root below the fraction"`
	WeightDecay float64    `cue:"weight_decay: number & >=0 | *0.01" doc:"share of the weight that a learning rate of 1 takes away"`
	BlockSize   int        `cue:"block_size: int & >0 | *256" doc:"numbers that share a scale"`
	Least       int        `cue:"min_8bit_size: int & >=0 | *4096" doc:"weights of fewer elements keep their state in f32"`
}

// Lion8Attr describes Lion with 8-bit state.
type Lion8Attr struct {
	Betas       [2]float64 `cue:"betas: [number & >=0 & <1, number & >=0 & <1] | *[0.9, 0.99]" doc:"share of the mean in the direction, and decay of the mean"`
	WeightDecay float64    `cue:"weight_decay: number & >=0 | *0.1" doc:"share of the weight that a learning rate of 1 takes away"`
	BlockSize   int        `cue:"block_size: int & >0 | *256" doc:"numbers that share a scale"`
	Least       int        `cue:"min_8bit_size: int & >=0 | *4096" doc:"weights of fewer elements keep their state in f32"`
}

func adamW8() *Optimizer {
	d := Def{Name: "adamw8", Title: "AdamW8", Attr: AdamW8Attr{},
		Doc:    "AdamW whose means are kept between steps in 8 bits a number and one f32 a block.",
		Source: "block-wise state arXiv:2110.02861; linear-square codes arXiv:2405.18144"}
	return in8Bits(d, adamW(), func(a any) (any, blocks) {
		at := a.(AdamW8Attr)
		return AdamWAttr{Betas: at.Betas, Eps: at.Eps, WeightDecay: at.WeightDecay}, blocks{at.BlockSize, at.Least}
	})
}

func lion8() *Optimizer {
	d := Def{Name: "lion8", Title: "Lion8", Attr: Lion8Attr{},
		Doc:    "Lion whose mean is kept between steps in 8 bits a number and one f32 a block.",
		Source: "block-wise state arXiv:2110.02861; linear-square codes arXiv:2405.18144"}
	return in8Bits(d, lion(), func(a any) (any, blocks) {
		at := a.(Lion8Attr)
		return LionAttr{Betas: at.Betas, WeightDecay: at.WeightDecay}, blocks{at.BlockSize, at.Least}
	})
}

// in8Bits is inner with its slots in 8 bits. A step unpacks them, computes as
// inner does, and packs what comes of it.
func in8Bits(d Def, inner *Optimizer, split func(attr any) (any, blocks)) *Optimizer {
	return &Optimizer{Def: d, LR: inner.LR,
		slots: func(a any, w ir.Type) []Slot {
			at, q := split(a)
			list := inner.slots(at, w)
			if !q.hold(w) {
				return list
			}
			var out []Slot
			for _, s := range list {
				out = append(out, q.slots(s)...)
			}
			return out
		},
		update: func(s *step, a any) (ir.Value, []ir.Value) {
			at, q := split(a)
			if !q.hold(s.w.Type()) {
				return inner.update(s, at)
			}
			list := inner.slots(at, s.w.Type())
			full := *s
			full.slots = nil
			for i, slot := range list {
				full.slots = append(full.slots, q.unpack(s, slot, s.slots[2*i], s.slots[2*i+1]))
			}
			next, slots := inner.update(&full, at)
			var out []ir.Value
			for i, slot := range list {
				code, scale := q.pack(s, slot, slots[i])
				out = append(out, code, scale)
			}
			return next, out
		},
	}
}

// blocks keeps tensors as 8-bit codes [blocks, size] and scales [blocks, 1],
// in C order, the last block filled up with zeros. With r = x / scale, where
// scale is the greatest |x| of the block,
//
//	i8  code = sign(r) round(127 sqrt(|r|))              r = (code/127) |code/127|
//	u8  code = round(255 r^(1/4)), at least 1 if r > 0   r = (code/255)⁴
//
// u8 is for what is never below 0: the squares of gradients, which span more
// decades, and which a step divides by, so that none may vanish.
type blocks struct{ size, least int }

// hold reports whether the state of a weight of type w is kept in blocks.
func (q blocks) hold(w ir.Type) bool { return w.Known() && w.Elems() > 0 && w.Elems() >= q.least }

func (q blocks) count(t ir.Type) int { return (t.Elems() + q.size - 1) / q.size }

// slots are the states that s becomes.
func (q blocks) slots(s Slot) []Slot {
	code := ir.I8
	if s.Positive {
		code = ir.U8
	}
	n := q.count(s.Type)
	return []Slot{
		{Name: s.Name, Type: ir.T(code, n, q.size), Init: s.Init},
		{Name: s.Name + "_scale", Type: ir.T(s.Type.DType, n, 1), Init: s.Init},
	}
}

func (q blocks) unpack(s *step, slot Slot, code, scale ir.Value) ir.Value {
	r := s.Cast(code, slot.Type.DType)
	if slot.Positive {
		r = s.square(s.Div(r, s.c(255)))
		r = s.square(r)
	} else {
		r = s.Div(r, s.c(127))
		r = s.Mul(r, s.Abs(r))
	}
	n := slot.Type.Elems()
	x := s.Reshape(s.Mul(r, scale), ir.D(q.count(slot.Type)*q.size))
	return s.Reshape(s.Slice(x, 0, 0, n), slot.Type.Shape...)
}

func (q blocks) pack(s *step, slot Slot, x ir.Value) (code, scale ir.Value) {
	n, rows := slot.Type.Elems(), q.count(slot.Type)
	x = s.Reshape(x, ir.D(n))
	if rest := rows*q.size - n; rest > 0 {
		x = s.Pad(x, []int{0}, []int{rest}, 0)
	}
	x = s.Reshape(x, ir.D(rows), ir.D(q.size))
	if slot.Positive {
		scale = s.ReduceMax(x, true, -1)
		r := s.Div(x, s.Max(scale, s.c(tiny)))
		nearest := s.Floor(s.Add(s.Mul(s.Sqrt(s.Sqrt(r)), s.c(255)), s.c(0.5)))
		return s.Cast(s.Max(nearest, s.Sign(r)), ir.U8), scale
	}
	scale = s.ReduceMax(s.Abs(x), true, -1)
	r := s.Div(x, s.Max(scale, s.c(tiny)))
	nearest := s.Floor(s.Add(s.Mul(s.Sqrt(s.Abs(r)), s.c(127)), s.c(0.5)))
	return s.Cast(s.Mul(nearest, s.Sign(r)), ir.I8), scale
}

// tiny stands below all scales of interest and is a normal number of f32.
const tiny = 1e-37
