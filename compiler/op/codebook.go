package op

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// CodebookAttr describes a table of vectors that follows what it stands for.
type CodebookAttr struct {
	Codes int     `cue:"codes!: int & >0" doc:"vectors of the table"`
	Decay float64 `cue:"decay: number & >0 & <1 | *0.99" doc:"of training: share of the averages that stays at a step"`
	Eps   float64 `cue:"eps: number & >0 | *1e-5" doc:"added to the average number of points of each vector, of which the sum stays as it is"`
	Least float64 `cue:"least: number & >=0 | *0" doc:"of training: a vector with fewer points on average is put where a point is: vector c of n at point c/n of the batch"`
	// Unbiased averages know nothing but points.
	Unbiased bool `cue:"unbiased: bool | *false" doc:"of training: numbers of points begin at 0 and are held against least as shares of the batch, so that the first steps count in full; a vector without any point stays as it is"`
}

// codebookParams are the table, and how many points each vector stands for on
// average.
func codebookParams(in []ir.Type, attr any) ([]Param, error) {
	x, at := in[0], attr.(CodebookAttr)
	codes, begin := ir.D(at.Codes), "ones"
	if at.Unbiased {
		begin = "zeros"
	}
	if err := first(wantAtLeast("x", x, "[..., dim]", 1), wantKnown("x", x, x.Rank()-1)); err != nil {
		return nil, err
	}
	dim := lastDim(x)
	return []Param{
		{Name: "embed", Shape: []ir.Dim{codes, dim}, Init: ir.Within(1), Statistic: true},
		{Name: "cluster_size", Shape: []ir.Dim{codes}, Init: begin, Statistic: true},
	}, nil
}

func codebookInfer(in []ir.Type, attr any) ([]ir.Type, error) {
	at, x := attr.(CodebookAttr), in[0]
	if err := first(wantFloat("x", x), wantAtLeast("x", x, "[..., dim]", 1), wantKnown("x", x, x.Rank()-1)); err != nil {
		return nil, err
	}
	if at.Codes < 1 || !(at.Decay > 0 && at.Decay < 1) || !(at.Eps > 0) || !(at.Least >= 0) {
		return nil, fmt.Errorf("codes is %d, decay %v, eps %v, least %v; want at least 1, a share, more than 0, and at least 0", at.Codes, at.Decay, at.Eps, at.Least)
	}
	return []ir.Type{x, x.With(x.Shape[:x.Rank()-1]...).As(ir.I32)}, nil
}

// nearest finds, for x [rows, dim], the number of the nearest row of table, and that
// row: where 2 x·e - |e|² is greatest.
func nearest(b *Builder, x, table ir.Value) (found, taken ir.Value) {
	products := b.MatMul(b.Mul(x, b.Scalar(2, x)), table, false, true)
	taken = b.one("argmax", AxisAttr{Axis: -1}, b.Sub(products, b.Sum(b.Mul(table, table), false, -1)))
	return b.Gather(table, taken, 0), taken
}

// codebookRead writes what training and reading have in common: y and taken in
// n's shapes, and x and the table as rows, through which no gradient flows.
func codebookRead(b *Builder, n *ir.Node) (y, taken, x, table, rows ir.Value) {
	wide := b.wide(n.In[0])
	t := wide.Type()
	count := ir.D(1)
	for _, d := range t.Shape[:t.Rank()-1] {
		count = count.Mul(d)
	}
	x, table = b.Detach(b.Reshape(wide, count, lastDim(t))), b.Detach(b.wide(n.In[1]))
	found, rows := nearest(b, x, table)
	return b.Cast(b.Reshape(found, t.Shape...), n.Types[0].DType), b.Reshape(rows, n.Types[1].Shape...), x, table, rows
}

func codebookCost(in, _ []ir.Type, attr any) int64 {
	return 2 * int64(in[0].Elems()) * int64(attr.(CodebookAttr).Codes)
}

// codebook: x [..., dim], embed [codes, dim], cluster_size [codes] -> y as x, taken i32 [...].
func codebook() Def {
	return Def{Name: "codebook", Title: "Codebook", Doc: "y, taken = the nearest vector of a table for each of x, and its number; in training, the table moves to the averages of what it stands for (see docs/training.md). No gradient flows.",
		Attr: CodebookAttr{}, Outputs: []string{"y", "taken"}, NoGrad: true, Training: "codebook_train", Cost: codebookCost,
		Ports: []Port{{Name: "x", Doc: "[..., dim]"}}, Params: codebookParams, Infer: codebookInfer,
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			y, taken, _, _, _ := codebookRead(b, n)
			return []ir.Value{y, taken}
		},
		Cases: codebookCases(),
	}
}

// codebookTrain gives the next embed and cluster_size as well. The averages are
// those of arXiv:1711.00937, appendix A.1; sums of points need no state of their own,
// since they are the vectors times the smoothed numbers of points.
func codebookTrain() Def {
	return Def{Name: "codebook_train", Doc: "y, taken = as codebook; cluster_size moves to the number of points of each vector by 1 - decay, embed to their average; a vector with fewer than least is put on a point.",
		Attr: CodebookAttr{}, Outputs: []string{"y", "taken", "embed", "cluster_size"}, NoGrad: true, Cost: codebookCost,
		Ports: []Port{{Name: "x", Doc: "[..., dim]"}}, Params: codebookParams,
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			out, err := codebookInfer(in, attr)
			if err != nil {
				return nil, err
			}
			return append(out, in[1], in[2]), nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at := n.Attr.(CodebookAttr)
			y, taken, x, table, rows := codebookRead(b, n)
			size := b.Detach(b.wide(n.In[2]))
			keep, take, codes := b.Scalar(at.Decay, x), b.Scalar(1-at.Decay, x), ir.D(at.Codes)
			smooth := func(size ir.Value) ir.Value { // [codes, 1]
				all := b.Sum(size, false)
				share := b.Div(all, b.Add(all, b.Scalar(at.Eps*float64(at.Codes), all)))
				return b.Reshape(b.Mul(b.Add(size, b.Scalar(at.Eps, size)), share), codes, ir.D(1))
			}
			hits := b.Cast(b.OneHot(rows, at.Codes), x.Type().DType)
			next := b.Add(b.Mul(size, keep), b.Mul(b.Sum(hits, false, 0), take))
			sums := b.Add(b.Mul(b.Mul(table, smooth(size)), keep), b.Mul(b.MatMul(hits, x, true, false), take))
			moved := b.Div(sums, smooth(next))
			if at.Unbiased {
				moved = b.Select(b.Reshape(b.Gt(next, b.Scalar(0, next)), codes, ir.D(1)), moved, table)
			}
			if at.Least > 0 {
				least := b.Scalar(at.Least, next)
				if at.Unbiased { // as their averages are: a share of the batch
					least = b.Mul(least, b.Div(b.Sum(next, false), b.Count(x, x.Type().Shape[0])))
				}
				dead := b.Lt(next, least)
				number := b.Cast(b.Iota(ir.I32, 0, codes), x.Type().DType)
				place := b.Floor(b.Mul(number, b.Div(b.Count(x, x.Type().Shape[0]), b.Scalar(float64(at.Codes), x))))
				moved = b.Select(b.Reshape(dead, codes, ir.D(1)), b.Gather(x, b.Cast(place, ir.I32), 0), moved)
				next = b.Select(dead, least, next)
			}
			return []ir.Value{y, taken, b.Cast(moved, n.In[1].Type().DType), b.Cast(next, n.In[2].Type().DType)}
		},
		Cases: codebookCases(),
	}
}

func codebookCases() []Case {
	c := func(name string, least float64, codes, dim int, x ...int) Case {
		return Case{Name: name, In: f32s(append(x, dim), []int{codes, dim}, []int{codes}), Attr: CodebookAttr{Codes: codes, Decay: 0.8, Eps: 1e-5, Least: least},
			Low: -1, High: 1, Bounds: map[int][2]float64{2: {0.5, 2}}, Tol: 1e-5}
	}
	large := c("large", 0, 1024, 64, 8, 1024)
	large.Large = true
	unbiased := c("unbiased", 0.9, 9, 2, 3, 4)
	unbiased.Attr = CodebookAttr{Codes: 9, Decay: 0.8, Eps: 1e-5, Least: 0.9, Unbiased: true}
	return []Case{c("", 0, 7, 3, 2, 5), c("dead", 0.9, 9, 2, 3, 4), unbiased, c("one row", 0, 4, 5), large}
}
