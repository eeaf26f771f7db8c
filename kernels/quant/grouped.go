package quant

import (
	"fmt"

	"pipe.dev/kernels/half"
)

// Grouped is a matrix of 4-bit weights with a scale and a zero for every group
// of inputs of each output, as GPTQ and AWQ checkpoints hold it.
//
//	x[in][out] = scale[group][out] * (q[in][out] - zero[group][out])
type Grouped struct {
	In, Out, Group int      // sizes, and inputs that share a scale
	Weights        []uint32 // eight weights each
	Zeros          []uint32 // [In/Group][Out/8], eight zeros each
	Scales         []uint16 // [In/Group][Out], f16
	Index          []int32  // group of each input; nil means input/Group
}

// order is the place of column j of eight in a word of AWQ.
var order = [8]int{0, 4, 1, 5, 2, 6, 3, 7}

// GPTQ writes the weights of g to dst [Out, In]. Weights are [In/8][Out]: a
// word holds eight inputs, the first in its low bits; zeros are stored less
// one, in the order of outputs. Source: arXiv:2210.17323, and the checkpoint
// format of AutoGPTQ.
func (g Grouped) GPTQ(dst []float32) error {
	if err := g.check(len(dst), g.In); err != nil {
		return err
	}
	g.each(dst, false)
	return nil
}

// AWQ writes the weights of g to dst [Out, In]. Weights are [In][Out/8]: a word
// holds eight outputs in the order 0 2 4 6 1 3 5 7, and so do zeros. Source:
// arXiv:2306.00978, and the checkpoint format of AutoAWQ ("gemm").
func (g Grouped) AWQ(dst []float32) error {
	if err := g.check(len(dst), g.Out); err != nil {
		return err
	}
	if g.Index != nil {
		return fmt.Errorf("awq: weights have no order of groups")
	}
	g.each(dst, true)
	return nil
}

// codes reads weight (i, o) and the zero of a group of output o, in the form of
// AWQ or else of GPTQ.
func (g Grouped) codes(awq bool) (weight, zero func(i, o int) int) {
	if awq {
		return func(i, o int) int { return nibble(g.Weights[i*g.Out/8+o/8], order[o%8]) },
			func(group, o int) int { return nibble(g.Zeros[group*g.Out/8+o/8], order[o%8]) }
	}
	return func(i, o int) int { return nibble(g.Weights[i/8*g.Out+o], i%8) },
		func(group, o int) int { return nibble(g.Zeros[group*g.Out/8+o/8], o%8) + 1 }
}

func nibble(word uint32, i int) int { return int(word >> (4 * i) & 15) }

func (g Grouped) each(dst []float32, awq bool) {
	weight, zero := g.codes(awq)
	for i := range g.In {
		group := i / g.Group
		if g.Index != nil {
			group = int(g.Index[i])
		}
		for o := range g.Out {
			scale := half.F16ToF32(g.Scales[group*g.Out+o])
			dst[o*g.In+i] = scale * float32(weight(i, o)-zero(group, o))
		}
	}
}

// check compares the sizes with a result of n weights; along is the axis of
// which eight share a word.
func (g Grouped) check(n, along int) error {
	if g.In <= 0 || g.Out <= 0 || g.Group <= 0 || g.In%g.Group != 0 || along%8 != 0 || g.Out%8 != 0 {
		return fmt.Errorf("grouped weights [%d, %d] in groups of %d: want whole groups, and words of eight", g.Out, g.In, g.Group)
	}
	groups := g.In / g.Group
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"result", n, g.In * g.Out},
		{"weights", len(g.Weights), g.In * g.Out / 8},
		{"zeros", len(g.Zeros), groups * g.Out / 8},
		{"scales", len(g.Scales), groups * g.Out},
	} {
		if c.got != c.want {
			return fmt.Errorf("grouped weights [%d, %d] in groups of %d: %s of length %d, want %d", g.Out, g.In, g.Group, c.what, c.got, c.want)
		}
	}
	if g.Index == nil {
		return nil
	}
	if len(g.Index) != g.In {
		return fmt.Errorf("grouped weights [%d, %d]: the order of groups has %d inputs, want %d", g.Out, g.In, len(g.Index), g.In)
	}
	for i, x := range g.Index {
		if x < 0 || int(x) >= groups {
			return fmt.Errorf("grouped weights [%d, %d]: input %d is of group %d, of %d", g.Out, g.In, i, x, groups)
		}
	}
	return nil
}
