package op

import (
	"fmt"
	"slices"

	"pipe.dev/compiler/ir"
)

// UnfoldAttr describes windows over the spatial axes of x. A list of numbers has one for all
// axes, or one for each.
type UnfoldAttr struct {
	Kernel   Ints `cue:"kernel!: int & >0 | [int & >0, ...int & >0]" doc:"size of a window, one for all spatial axes or one for each"`
	Stride   Ints `cue:"stride: int & >0 | [int & >0, ...int & >0] | *1" doc:"distance of windows, one for all axes or one for each"`
	Padding  Ints `cue:"padding: int & >=0 | [int & >=0, ...int & >=0] | *0" doc:"zeros around x on both sides, one for all axes or one for each; or before each axis and then after each"`
	Dilation Ints `cue:"dilation: int & >0 | [int & >0, ...int & >0] | *1" doc:"distance of the elements of a window, one for all axes or one for each"`
}

// FoldAttr describes windows, as UnfoldAttr does, and what they lie over.
type FoldAttr struct {
	Size     Dims `cue:"size!: [int & >0, ...int & >0]" doc:"the spatial sizes of the result"`
	Kernel   Ints `cue:"kernel!: int & >0 | [int & >0, ...int & >0]" doc:"size of a window, one for all spatial axes or one for each"`
	Stride   Ints `cue:"stride: int & >0 | [int & >0, ...int & >0] | *1" doc:"distance of windows, one for all axes or one for each"`
	Padding  Ints `cue:"padding: int & >=0 | [int & >=0, ...int & >=0] | *0" doc:"zeros around the result on both sides, one for all axes or one for each; or before each axis and then after each"`
	Dilation Ints `cue:"dilation: int & >0 | [int & >0, ...int & >0] | *1" doc:"distance of the elements of a window, one for all axes or one for each"`
}

// Windows are windows over n spatial axes, with one number for each.
type Windows struct{ Kernel, Stride, Before, After, Dilation []int }

// Windows settles the lists for n spatial axes.
func (a UnfoldAttr) Windows(n int) (w Windows, err error) {
	var err1, err2, err3, err4 error
	w.Kernel, err1 = perAxis("kernel", a.Kernel, n, 1)
	w.Stride, err2 = perAxis("stride", a.Stride, n, 1)
	w.Dilation, err3 = perAxis("dilation", a.Dilation, n, 1)
	w.Before, w.After, err4 = sides(a.Padding, n)
	if err := first(err1, err2, err3, err4); err != nil {
		return w, err
	}
	for i, k := range w.Kernel {
		if k < 1 {
			return w, fmt.Errorf("kernel is %d along spatial axis %d; want at least 1", k, i)
		}
	}
	return w, w.convolution().check(n)
}

// Unfold is the map of which a is the adjoint.
func (a FoldAttr) Unfold() UnfoldAttr { return UnfoldAttr{a.Kernel, a.Stride, a.Padding, a.Dilation} }

func (w Windows) convolution() convolution {
	return convolution{w.Stride, w.Before, w.After, w.Dilation, 1}
}

// positions is how many windows lie over spatial sizes along each axis.
func (w Windows) positions(size []ir.Dim) ([]ir.Dim, error) {
	return w.convolution().positions(size, w.Kernel)
}

// visit calls f for every element of a window that lies in a plane of the given sizes: with the
// window's place, the element's number among its window's, and the element of the plane.
func (w Windows) visit(size []int, f func(window, k, x int)) {
	dims := make([]ir.Dim, len(size))
	for i, n := range size {
		dims[i] = ir.D(n)
	}
	out, _ := w.positions(dims)
	count := make([]int, len(size))
	for i, d := range out {
		count[i] = d.N
	}
	at := func(i int, sizes, to []int) {
		for a := len(sizes) - 1; a >= 0; a-- {
			to[a], i = i%sizes[a], i/sizes[a]
		}
	}
	p, k := make([]int, len(size)), make([]int, len(size))
	for window := range product(count) {
		at(window, count, p)
		for e := range product(w.Kernel) {
			at(e, w.Kernel, k)
			x, inside := 0, true
			for a, n := range size {
				i := p[a]*w.Stride[a] + k[a]*w.Dilation[a] - w.Before[a]
				x, inside = x*n+i, inside && i >= 0 && i < n
			}
			if inside {
				f(window, e, x)
			}
		}
	}
}

// product of dims that may have names.
func lengthOf(dims []ir.Dim) ir.Dim {
	n := ir.D(1)
	for _, d := range dims {
		n = n.Mul(d)
	}
	return n
}

// unfold: x [batch, channels, spatial...] -> [batch, channels*kernel, windows].
func unfold() Def {
	return Def{Name: "unfold", Title: "Unfold", Doc: "y = the elements of each window over x, side by side: row c*K+k of y has element k of the K of a window of channel c, window after window.", Attr: UnfoldAttr{}, Cost: free,
		Ports: []Port{{Name: "x", Doc: "[batch, channels, spatial...], with 1, 2 or 3 spatial axes"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			x := in[0]
			if err := first(wantAtLeast("x", x, "[batch, channels, spatial...]", 3), wantFloat("x", x)); err != nil {
				return nil, err
			}
			w, err := attr.(UnfoldAttr).Windows(x.Rank() - 2)
			if err != nil {
				return nil, err
			}
			out, err := w.positions(spatial(x))
			if err != nil {
				return nil, err
			}
			return []ir.Type{x.With(x.Shape[0], x.Shape[1].Mul(ir.D(product(w.Kernel))), lengthOf(out))}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			size := types[0].Sizes()
			w, _ := attr.(UnfoldAttr).Windows(len(size) - 2)
			out, _ := w.positions(spatial(types[0]))
			plane, kernel, windows := product(size[2:]), product(w.Kernel), lengthOf(out).N
			y := make([]float64, size[0]*size[1]*kernel*windows)
			w.visit(size[2:], func(window, k, x int) {
				for c := range size[0] * size[1] {
					y[(c*kernel+k)*windows+window] = in[0][c*plane+x]
				}
			})
			return [][]float64{y}
		},
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			at := n.Attr.(UnfoldAttr)
			return []ir.Value{b.one("fold", FoldAttr{MakeDims(spatial(n.In[0].Type())...), at.Kernel, at.Stride, at.Padding, at.Dilation}, dy[0])}
		},
		Cases: []Case{
			{In: f32s([]int{2, 3, 5, 6}), Attr: UnfoldAttr{Kernel: "3,2", Stride: "1", Padding: "1", Dilation: "1"}, Low: -1, High: 1},
			{Name: "strided", In: f32s([]int{1, 2, 9, 8}), Attr: UnfoldAttr{Kernel: "3", Stride: "2,3", Padding: "2,0", Dilation: "2,1"}, Low: -1, High: 1},
			{Name: "one axis", In: f32s([]int{2, 3, 37}), Attr: UnfoldAttr{Kernel: "5", Stride: "2", Padding: "0,3"}, Low: -1, High: 1},
			{Name: "three axes", In: f32s([]int{1, 2, 3, 4, 17}), Attr: UnfoldAttr{Kernel: "2,1,3", Stride: "1", Padding: "0,1,2"}, Low: -1, High: 1},
			{Name: "patches", In: f32s([]int{4, 3, 224, 224}), Attr: UnfoldAttr{Kernel: "16", Stride: "16"}, Low: -1, High: 1, Large: true},
			{Name: "windows", In: f32s([]int{1, 64, 64, 64}), Attr: UnfoldAttr{Kernel: "3", Stride: "1", Padding: "1"}, Low: -1, High: 1, Large: true},
		},
	}
}

// foldDef: x [batch, channels*kernel, windows] -> [batch, channels, spatial...].
func foldDef() Def {
	return Def{Name: "fold", Title: "Fold", Doc: "y = windows as Unfold gives them, added where they overlap.", Attr: FoldAttr{},
		Ports: []Port{{Name: "x", Doc: "[batch, channels*kernel, windows]"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			x, at := in[0], attr.(FoldAttr)
			if x.Rank() != 3 {
				return nil, fmt.Errorf("x is %v; want [batch, channels*kernel, windows]", x)
			}
			size, err := at.Size.Slice()
			if err != nil {
				return nil, err
			}
			w, err := at.Unfold().Windows(len(size))
			if err := first(err, wantFloat("x", x)); err != nil {
				return nil, err
			}
			out, err := w.positions(size)
			if err != nil {
				return nil, err
			}
			if n := lengthOf(out); n.Known() && x.Shape[2].Known() && n != x.Shape[2] {
				return nil, fmt.Errorf("x has %v windows; over %s there are %v", x.Shape[2], ir.ShapeString(size), n)
			}
			channels, whole := x.Shape[1].Div(ir.D(product(w.Kernel)))
			if !whole {
				return nil, fmt.Errorf("x has %v rows, which are no whole windows of %d elements", x.Shape[1], product(w.Kernel))
			}
			return []ir.Type{x.With(append([]ir.Dim{x.Shape[0], channels}, size...)...)}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			at := attr.(FoldAttr)
			dims, _ := at.Size.Slice()
			size := make([]int, len(dims))
			for i, d := range dims {
				size[i] = d.N
			}
			w, _ := at.Unfold().Windows(len(size))
			kernel, windows := product(w.Kernel), types[0].Sizes()[2]
			planes := types[0].Sizes()[0] * types[0].Sizes()[1] / kernel
			y := make([]float64, planes*product(size))
			w.visit(size, func(window, k, x int) {
				for c := range planes {
					y[c*product(size)+x] += in[0][(c*kernel+k)*windows+window]
				}
			})
			return [][]float64{y}
		},
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			return b.Apply("unfold", n.Attr.(FoldAttr).Unfold(), dy[0])
		},
		Cost: func(in, _ []ir.Type, _ any) int64 { return int64(in[0].Elems()) },
		Cases: []Case{
			{In: f32s([]int{2, 18, 35}), Attr: FoldAttr{Size: "5,6", Kernel: "3,2", Stride: "1", Padding: "1", Dilation: "1"}, Low: -1, High: 1},
			{Name: "strided", In: f32s([]int{1, 18, 10}), Attr: FoldAttr{Size: "9,8", Kernel: "3", Stride: "2,3", Padding: "2,0", Dilation: "2,1"}, Low: -1, High: 1},
			{Name: "one axis", In: f32s([]int{2, 15, 18}), Attr: FoldAttr{Size: "37", Kernel: "5", Stride: "2", Padding: "0,3"}, Low: -1, High: 1},
			{Name: "three axes", In: f32s([]int{1, 12, 228}), Attr: FoldAttr{Size: "3,4,17", Kernel: "2,1,3", Stride: "1", Padding: "0,1,2"}, Low: -1, High: 1},
			{Name: "windows", In: f32s([]int{1, 64 * 9, 4096}), Attr: FoldAttr{Size: "64,64", Kernel: "3", Stride: "1", Padding: "1"}, Low: -1, High: 1, Large: true},
		},
	}
}

// PixelShuffleAttr says how many pixels a channel becomes, or the other way round.
type PixelShuffleAttr struct {
	Factor int `cue:"factor!: int & >0" doc:"how much larger, or smaller, the picture becomes along both axes"`
}

// shuffled splits the parts of a picture's shape: channels, height and width with the
// factor r taken out of channels, or put into them.
func shuffled(x ir.Type, r int, back bool) (channels, height, width ir.Dim, err error) {
	if err := first(wantAtLeast("x", x, "[..., channels, height, width]", 3), wantFloat("x", x)); err != nil {
		return channels, height, width, err
	}
	if r < 1 {
		return channels, height, width, fmt.Errorf("factor is %d; want at least 1", r)
	}
	s, f := x.Shape[x.Rank()-3:], ir.D(r)
	if !back {
		channels, whole := s[0].Div(ir.D(r * r))
		if !whole {
			return channels, s[1], s[2], fmt.Errorf("%v channels do not divide by %d, the square of factor", s[0], r*r)
		}
		return channels, s[1].Mul(f), s[2].Mul(f), nil
	}
	height, whole := s[1].Div(f)
	width, wide := s[2].Div(f)
	if !whole || !wide {
		return channels, height, width, fmt.Errorf("a picture of %v x %v does not divide by factor %d", s[1], s[2], r)
	}
	return s[0].Mul(ir.D(r * r)), height, width, nil
}

// pixelShuffle: x [..., channels*r*r, height, width] -> [..., channels, height*r, width*r].
// Source: arXiv:1609.05158.
func pixelShuffle() Def {
	return shuffle("pixel_shuffle", "PixelShuffle", "y[..., c, h*r+i, w*r+j] = x[..., (c*r+i)*r+j, h, w]: channels become pixels.", false, []int{2, 12, 3, 5}, []int{18, 4, 17})
}

// pixelUnshuffle: x [..., channels, height*r, width*r] -> [..., channels*r*r, height, width].
func pixelUnshuffle() Def {
	return shuffle("pixel_unshuffle", "PixelUnshuffle", "y[..., (c*r+i)*r+j, h, w] = x[..., c, h*r+i, w*r+j]: pixels become channels.", true, []int{2, 3, 6, 10}, []int{2, 12, 51})
}

func shuffle(name, title, doc string, back bool, two, three []int) Def {
	return Def{Name: name, Title: title, Doc: doc, Attr: PixelShuffleAttr{}, Cost: free,
		Ports: []Port{{Name: "x", Doc: "[..., channels, height, width]"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			c, h, w, err := shuffled(in[0], attr.(PixelShuffleAttr).Factor, back)
			if err != nil {
				return nil, err
			}
			lead := in[0].Shape[:in[0].Rank()-3]
			return []ir.Type{in[0].With(slices.Concat(lead, []ir.Dim{c, h, w})...)}, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			x, y, r := n.In[0].Type().Shape, n.Types[0].Shape, ir.D(n.Attr.(PixelShuffleAttr).Factor)
			k := len(x) - 3
			parts, perm := []ir.Dim{x[k], y[k+1], r, y[k+2], r}, []int{0, 2, 4, 1, 3} // channels, height, factor, width, factor
			if !back {
				parts, perm = []ir.Dim{y[k], r, r, x[k+1], x[k+2]}, []int{0, 3, 1, 4, 2}
			}
			for i := range perm {
				perm[i] += k
			}
			lead := make([]int, k)
			for i := range lead {
				lead[i] = i
			}
			apart := b.Transpose(b.Reshape(n.In[0], slices.Concat(x[:k], parts)...), append(lead, perm...)...)
			return []ir.Value{b.Reshape(apart, y...)}
		},
		Cases: []Case{
			{In: f32s(two), Attr: PixelShuffleAttr{Factor: 2}, Low: -1, High: 1},
			{Name: "three, no batch", In: f32s(three), Attr: PixelShuffleAttr{Factor: 3}, Low: -1, High: 1},
		},
	}
}
