package op

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
)

// Frequencies returns the angle in radians by which each pair of elements
// turns per position, [Dim/2], and the factor on cosine and sine.
//
// Sources: arXiv:2104.09864 (default), arXiv:2306.15595 (linear), the model
// card of Llama 3.1 (llama3), arXiv:2309.00071 (yarn; dynamic in its section
// 3.3), arXiv:2402.13753 (longrope).
func (a RopeAttr) Frequencies() (freq []float64, scale float64) {
	freq = make([]float64, a.Dim/2)
	theta := a.Theta
	if n := a.length(); a.Scaling == "dynamic" && n > a.TrainedLength && a.Dim > 2 {
		longer := a.Factor*float64(n)/float64(a.TrainedLength) - (a.Factor - 1)
		theta *= math.Pow(longer, float64(a.Dim)/float64(a.Dim-2))
	}
	for i := range freq {
		freq[i] = math.Pow(theta, -float64(2*i)/float64(a.Dim))
	}
	switch a.Scaling {
	case "linear":
		for i := range freq {
			freq[i] /= a.Factor
		}
	case "llama3":
		a.byWavelength(freq)
	case "yarn":
		a.byTurns(freq)
		return freq, a.attention()
	case "longrope":
		factors := a.ShortFactors
		if a.length() > a.TrainedLength {
			factors = a.LongFactors
		}
		for i, f := range factors.Slice() {
			freq[i] /= f
		}
		return freq, a.attention()
	}
	return freq, 1
}

// length is how long sequences may get, 0 if that is not known.
func (a RopeAttr) length() int {
	if l, err := a.Length.Slice(); err == nil && len(l) == 1 && l[0].Known() {
		return l[0].N
	}
	return 0
}

// spanned returns the attribute for sequences of a length.
func (a RopeAttr) spanned(length ir.Dim) RopeAttr {
	if a.Scaling == "dynamic" || a.Scaling == "longrope" {
		a.Length = MakeDims(length)
	}
	return a
}

// byWavelength keeps frequencies that turn often within the trained length,
// divides those that turn seldom, and blends in between.
func (a RopeAttr) byWavelength(freq []float64) {
	for i, f := range freq {
		turns := float64(a.TrainedLength) * f / (2 * math.Pi)
		keep := (turns - a.LowFreqFactor) / (a.HighFreqFactor - a.LowFreqFactor)
		switch {
		case turns < a.LowFreqFactor:
			keep = 0
		case turns > a.HighFreqFactor:
			keep = 1
		}
		freq[i] = (1-keep)*f/a.Factor + keep*f
	}
}

// byTurns blends along the index of the pair, from where BetaFast turns fit
// into the trained length to where BetaSlow do.
func (a RopeAttr) byTurns(freq []float64) {
	pair := func(turns float64) float64 {
		return float64(a.Dim) * math.Log(float64(a.TrainedLength)/(turns*2*math.Pi)) / (2 * math.Log(a.Theta))
	}
	low, high := pair(a.BetaFast), pair(a.BetaSlow)
	if !a.NoTruncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, float64(a.Dim-1))
	if low == high {
		high += 0.001
	}
	for i, f := range freq {
		divide := min(max((float64(i)-low)/(high-low), 0), 1)
		freq[i] = divide*f/a.Factor + (1-divide)*f
	}
}

func (a RopeAttr) attention() float64 {
	switch {
	case a.AttentionFactor > 0:
		return a.AttentionFactor
	case a.Factor <= 1:
		return 1
	case a.Scaling == "longrope":
		return math.Sqrt(1 + math.Log(a.Factor)/math.Log(float64(a.TrainedLength)))
	}
	return 0.1*math.Log(a.Factor) + 1
}

func (a RopeAttr) check() error {
	switch {
	case a.Dim <= 0 || a.Dim%2 != 0:
		return fmt.Errorf("dim is %d; want an even number", a.Dim)
	case a.Theta <= 0:
		return fmt.Errorf("theta is %v; want more than 0", a.Theta)
	case !slices.Contains([]string{"", "default", "linear", "dynamic", "llama3", "yarn", "longrope"}, a.Scaling):
		return fmt.Errorf("scaling %q is not one of default, linear, dynamic, llama3, yarn, longrope", a.Scaling)
	case a.scales() && a.Factor < 1:
		return fmt.Errorf("factor is %v; want at least 1", a.Factor)
	case a.Scaling == "llama3" && (a.HighFreqFactor <= a.LowFreqFactor || a.TrainedLength <= 0):
		return fmt.Errorf("llama3 wants low_freq_factor below high_freq_factor and a trained_length, has %v, %v and %d", a.LowFreqFactor, a.HighFreqFactor, a.TrainedLength)
	case a.Scaling == "dynamic" && a.TrainedLength <= 0:
		return fmt.Errorf("dynamic wants a trained_length, has %d", a.TrainedLength)
	case a.Scaling == "longrope" && (len(a.ShortFactors.Slice()) != a.Dim/2 || len(a.LongFactors.Slice()) != a.Dim/2 || a.TrainedLength <= 1):
		return fmt.Errorf("longrope wants %d short_factors and long_factors and a trained_length, has %d, %d and %d", a.Dim/2, len(a.ShortFactors.Slice()), len(a.LongFactors.Slice()), a.TrainedLength)
	case a.Scaling == "yarn" && (a.BetaFast <= 0 || a.BetaSlow <= 0 || a.TrainedLength <= 0):
		return fmt.Errorf("yarn wants beta_fast, beta_slow and trained_length above 0, has %v, %v and %d", a.BetaFast, a.BetaSlow, a.TrainedLength)
	}
	return nil
}

func (a RopeAttr) scales() bool { return a.Scaling != "" && a.Scaling != "default" }

// wantHeads checks x [batch, seq, heads, d] for turning dim elements of a head.
func wantHeads(x ir.Type, dim int) error {
	if err := first(wantFloat("x", x), wantRank("x", x, "[batch, seq, heads, d]", 4), wantKnown("x", x, 3)); err != nil {
		return err
	}
	if d := x.Shape[3].N; d < dim {
		return fmt.Errorf("a head has %d elements but dim is %d", d, dim)
	}
	return nil
}

// rope: x [batch, seq, heads, d], positions [batch, seq].
func rope() Def {
	plain := RopeAttr{Dim: 8, Theta: 10000, Scaling: "default", Factor: 1}
	partial, inter, llama3, yarn := plain, plain, plain, plain
	partial.Dim, partial.Theta = 4, 500
	inter.Interleaved = true
	llama3.Scaling, llama3.Factor, llama3.LowFreqFactor, llama3.HighFreqFactor, llama3.TrainedLength = "llama3", 8, 1, 4, 64
	yarn.Scaling, yarn.Factor, yarn.BetaFast, yarn.BetaSlow, yarn.TrainedLength = "yarn", 4, 32, 1, 64
	dynamic, long := plain, plain
	dynamic.Scaling, dynamic.Factor, dynamic.TrainedLength, dynamic.Length = "dynamic", 2, 64, "200"
	long.Scaling, long.Factor, long.TrainedLength, long.Length = "longrope", 2, 64, "65"
	long.ShortFactors, long.LongFactors = "1,1,1.5,2", "1,2.5,8,30"
	big := plain
	big.Dim = 128
	c := func(name string, at RopeAttr, b, s, h, d int) Case {
		return Case{Name: name, In: []ir.Type{ir.T(ir.F32, b, s, h, d), ir.T(ir.I32, b, s)}, Attr: at, Low: -1, High: 1, Bounds: upTo(1, 200), Tol: 2e-6}
	}
	large := c("large", big, 1, 512, 32, 128)
	large.Large = true
	return Def{Name: "rope", Title: "Rope", Doc: "y = pairs of x's elements turned by angles proportional to the position.", Attr: RopeAttr{},
		Ports: []Port{{Name: "x", Doc: "[batch, seq, heads, d]"}, {Name: "positions", Doc: "i32 [batch, seq], as op.#Positions gives them"}},
		Spans: func(attr any, length ir.Dim) any { return attr.(RopeAttr).spanned(length) },
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(RopeAttr)
			if err := first(at.check(), wantHeads(in[0], at.Dim), wantPositions(in[1])); err != nil {
				return nil, err
			}
			if !slices.Equal(in[0].Shape[:2], in[1].Shape) {
				return nil, fmt.Errorf("x is %s but positions is %s", ir.ShapeString(in[0].Shape), ir.ShapeString(in[1].Shape))
			}
			return in[:1:1], nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at := n.Attr.(RopeAttr)
			rotate := RotateAttr{Dim: at.Dim, Interleaved: at.Interleaved, Apart: at.Apart}
			at.Interleaved, at.Apart = false, false // the angles are the same
			t := b.Apply("rope_table", at, n.In[1])
			return b.Apply("rotate", rotate, n.In[0], t[0], t[1])
		},
		Cost: func(in, out []ir.Type, attr any) int64 { return 3 * int64(in[0].Elems()) },
		Cases: []Case{c("", plain, 2, 3, 2, 8), c("partial", partial, 1, 6, 2, 10), c("interleaved", inter, 1, 6, 3, 8),
			c("llama3", llama3, 1, 5, 1, 8), c("yarn", yarn, 2, 1, 3, 8),
			c("dynamic", dynamic, 1, 3, 2, 8), c("longrope", long, 1, 3, 2, 9), large},
	}
}

func wantPositions(t ir.Type) error {
	return first(wantIndex("positions", t), wantRank("positions", t, "[batch, seq]", 2))
}

// ropeTable: positions [batch, seq] -> cos, sin f32 [batch, seq, dim/2].
func ropeTable() Def {
	at := RopeAttr{Dim: 6, Theta: 10000, Scaling: "default", Factor: 1}
	scaled := RopeAttr{Dim: 34, Theta: 500000, Scaling: "yarn", Factor: 4, BetaFast: 32, BetaSlow: 1, TrainedLength: 4096}
	return Def{Name: "rope_table", Doc: "cos, sin = factor * cosine and sine of position * frequency, the angle computed in float64.",
		Attr: RopeAttr{}, Outputs: []string{"cos", "sin"}, NoGrad: true,
		Ports: []Port{{Name: "positions", Doc: "i32 [batch, seq]"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(RopeAttr)
			if err := first(at.check(), wantPositions(in[0])); err != nil {
				return nil, err
			}
			t := ir.Type{DType: ir.F32, Shape: append(slices.Clone(in[0].Shape), ir.D(at.Dim/2))}
			return []ir.Type{t, t}, nil
		},
		Ref: func(in [][]float64, _ []ir.Type, attr any) [][]float64 {
			freq, scale := attr.(RopeAttr).Frequencies()
			var c, s []float64
			for _, p := range in[0] {
				for _, f := range freq {
					c = append(c, scale*math.Cos(p*f))
					s = append(s, scale*math.Sin(p*f))
				}
			}
			return [][]float64{c, s}
		},
		Cases: []Case{
			{In: []ir.Type{ir.T(ir.I32, 2, 3)}, Attr: at, Low: 0, High: 9},
			{Name: "far", In: []ir.Type{ir.T(ir.I32, 1, 17)}, Attr: scaled, Low: 0, High: 131071},
			{Name: "quick", In: []ir.Type{ir.T(ir.I32, 1, 9)}, Attr: RopeAttr{Dim: 6, Theta: 1e-12, Scaling: "default", Factor: 1}, Low: 0, High: 131071},
		},
	}
}

// rotate: x [batch, seq, heads, d], cos and sin [batch, seq, dim/2].
func rotate() Def {
	c := func(name string, at RotateAttr, b, s, h, d int) Case {
		half := ir.T(ir.F32, b, s, at.Dim/2)
		return Case{Name: name, In: []ir.Type{ir.T(ir.F32, b, s, h, d), half, half}, Attr: at, Low: -1, High: 1}
	}
	large := c("large", RotateAttr{Dim: 128}, 1, 512, 32, 128)
	large.Large = true
	return Def{Name: "rotate", Doc: "y = (x1 cos - x2 sin, x2 cos + x1 sin) for each pair (x1, x2); elements from dim on unchanged.", Attr: RotateAttr{},
		Ports: []Port{{Name: "x", Doc: "[batch, seq, heads, d]"}, {Name: "cos", Doc: "[batch, seq, dim/2]"}, {Name: "sin", Doc: "[batch, seq, dim/2]"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at, x := attr.(RotateAttr), in[0]
			if at.Dim <= 0 || at.Dim%2 != 0 {
				return nil, fmt.Errorf("dim is %d; want an even number", at.Dim)
			}
			if at.Apart && !at.Interleaved {
				return nil, errors.New("only pairs that are neighbours can be written apart")
			}
			if err := wantHeads(x, at.Dim); err != nil {
				return nil, err
			}
			want := []ir.Dim{x.Shape[0], x.Shape[1], ir.D(at.Dim / 2)}
			for i, name := range []string{"cos", "sin"} {
				if t := in[1+i]; !slices.Equal(t.Shape, want) || !t.DType.Float() {
					return nil, fmt.Errorf("%s is %v, want %s", name, t, ir.ShapeString(want))
				}
			}
			return in[:1:1], nil
		},
		Lower: inWide(lowerRotate),
		Flat:  []int{1, 2},
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value { // turned back
			at := n.Attr.(RotateAttr)
			apart := at.Apart
			if apart {
				at.Interleaved, at.Apart = false, false
			}
			dx := b.Apply("rotate", at, dy[0], n.In[1], b.Neg(n.In[2]))[0]
			if apart {
				dx = neighbours(b, dx, at.Dim)
			}
			return []ir.Value{dx, {}, {}}
		},
		Cost: func(in, out []ir.Type, attr any) int64 { return 3 * int64(in[0].Elems()) },
		Cases: []Case{c("", RotateAttr{Dim: 8}, 2, 3, 2, 8), c("partial", RotateAttr{Dim: 4}, 1, 5, 3, 7), c("interleaved", RotateAttr{Dim: 6, Interleaved: true}, 2, 3, 1, 6),
			c("interleaved partial", RotateAttr{Dim: 4, Interleaved: true}, 1, 2, 3, 9),
			c("apart", RotateAttr{Dim: 8, Interleaved: true, Apart: true}, 2, 3, 2, 8), c("apart partial", RotateAttr{Dim: 6, Interleaved: true, Apart: true}, 1, 2, 3, 9), c("one head", RotateAttr{Dim: 34}, 1, 1, 1, 34), large},
	}
}

// neighbours returns x, of whose last axis the first dim elements are halves of pairs, with the two
// of a pair side by side.
func neighbours(b *Builder, x ir.Value, dim int) ir.Value {
	t := x.Type()
	half := append(slices.Clone(t.Shape[:3]), ir.D(2), ir.D(dim/2))
	y := b.Reshape(b.Transpose(b.Reshape(b.Slice(x, 3, 0, dim), half...), 0, 1, 2, 4, 3), replaced(t.Shape, 3, ir.D(dim))...)
	if d := t.Shape[3].N; dim < d {
		y = b.Concat(3, y, b.Slice(x, 3, dim, d))
	}
	return y
}

func lowerRotate(b *Builder, n *ir.Node, x ir.Value) ir.Value {
	at, t := n.Attr.(RotateAttr), x.Type()
	half, d := at.Dim/2, t.Shape[3].N
	angles := []ir.Dim{t.Shape[0], t.Shape[1], ir.D(1), ir.D(half)}
	cos, sin := b.Reshape(b.Cast(n.In[1], t.DType), angles...), b.Reshape(b.Cast(n.In[2], t.DType), angles...)
	turn := func(x1, x2 ir.Value) (ir.Value, ir.Value) {
		return b.Sub(b.Mul(x1, cos), b.Mul(x2, sin)), b.Add(b.Mul(x2, cos), b.Mul(x1, sin))
	}
	var parts []ir.Value
	if at.Interleaved {
		flat := []ir.Dim{t.Shape[0], t.Shape[1], t.Shape[2], ir.D(half)}
		pair := append(slices.Clone(flat), ir.D(1))
		z := b.Reshape(b.Slice(x, 3, 0, at.Dim), append(slices.Clone(flat), ir.D(2))...)
		y1, y2 := turn(b.Reshape(b.Slice(z, 4, 0, 1), flat...), b.Reshape(b.Slice(z, 4, 1, 2), flat...))
		parts = []ir.Value{y1, y2}
		if !at.Apart {
			y := b.Concat(4, b.Reshape(y1, pair...), b.Reshape(y2, pair...))
			parts = []ir.Value{b.Reshape(y, replaced(t.Shape, 3, ir.D(at.Dim))...)}
		}
	} else {
		y1, y2 := turn(b.Slice(x, 3, 0, half), b.Slice(x, 3, half, at.Dim))
		parts = []ir.Value{y1, y2}
	}
	if at.Dim < d {
		parts = append(parts, b.Slice(x, 3, at.Dim, d))
	}
	return b.Concat(3, parts...)
}
