package op

import (
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
)

// FourierAttr describes frames of a signal and their discrete Fourier
// transforms: frame t is elements t*Hop to t*Hop+N-1, times a window.
type FourierAttr struct {
	N, Hop    int
	Window    string // "hann", "hamming", "blackman", "bartlett" or "ones"
	Symmetric bool   // of the window: its last element equals the first; else it is periodic
	Width     int    // of the window, with zeros around; 0 means N
	Inverse   bool   // bins are weighted so that synthesis gives back the frames; else it is the adjoint of plain analysis
	Even      bool   // divide the signal by the sum of the squares of the windows over each element, or give 0 where there is none
	Size      Dims   // of synthesis: elements of the signal
}

// Windows are the values that frames are multiplied by.
func (a FourierAttr) Windows() []float64 {
	width := a.Width
	if width == 0 {
		width = a.N
	}
	period := float64(width)
	if a.Symmetric {
		period = max(1, float64(width-1))
	}
	out := make([]float64, a.N)
	for i := range width {
		x := 2 * math.Pi * float64(i) / period
		v := 1.0
		switch {
		case width == 1:
		case a.Window == "hann":
			v = 0.5 - 0.5*math.Cos(x)
		case a.Window == "hamming":
			v = 0.54 - 0.46*math.Cos(x)
		case a.Window == "blackman":
			v = 0.42 - 0.5*math.Cos(x) + 0.08*math.Cos(2*x)
		case a.Window == "bartlett":
			v = 1 - math.Abs(2*float64(i)/period-1)
		}
		out[(a.N-width)/2+i] = v
	}
	return out
}

// Evenness is what each of n elements is multiplied by, if Even: one over the sum of squares of
// the windows of some frames that lie over it.
func (a FourierAttr) Evenness(frames, n int) []float64 {
	out := make([]float64, n)
	w := a.Windows()
	for t := range frames {
		for i, v := range w {
			if t*a.Hop+i < n {
				out[t*a.Hop+i] += v * v
			}
		}
	}
	for i, v := range out {
		if out[i] = 0; v > 1e-11 {
			out[i] = 1 / v
		}
	}
	return out
}

// Bin is what bin k is multiplied by: 1, or as synthesis that gives back the frames has it.
func (a FourierAttr) Bin(k int) float64 {
	switch edge := k == 0 || 2*k == a.N; {
	case a.Inverse && edge:
		return 1 / float64(a.N)
	case a.Inverse:
		return 2 / float64(a.N)
	}
	return 1
}

func (a FourierAttr) check() error {
	switch {
	case a.N < 1 || a.Hop < 1:
		return fmt.Errorf("n_fft is %d and hop %d; want at least 1", a.N, a.Hop)
	case a.N > MaxFourier:
		return fmt.Errorf("n_fft is %d; want at most %d", a.N, MaxFourier)
	case a.Width < 0 || a.Width > a.N:
		return fmt.Errorf("the window is %d wide; want at most n_fft, %d", a.Width, a.N)
	case !slices.Contains([]string{"hann", "hamming", "blackman", "bartlett", "ones"}, a.Window):
		return fmt.Errorf("no window is called %q", a.Window)
	}
	return nil
}

// MaxFourier is the greatest size of a transform.
const MaxFourier = 1 << 15

func wantF32(name string, t ir.Type) error {
	if t.DType != ir.F32 {
		return fmt.Errorf("%s is %v; want f32", name, t)
	}
	return nil
}

// analysis: x [..., n] -> real, imag [..., N/2+1, frames].
func analysis() Def {
	return Def{Name: "analysis", Doc: "real, imag = the discrete Fourier transforms of windowed frames of x: the bins from 0 to N/2.", Attr: FourierAttr{}, Outputs: []string{"real", "imag"},
		Ports: []Port{{Name: "x", Doc: "[..., n]"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(FourierAttr)
			if err := first(wantF32("x", in[0]), wantAtLeast("x", in[0], "[..., n]", 1), at.check()); err != nil {
				return nil, err
			}
			c := convolution{[]int{at.Hop}, []int{0}, []int{0}, []int{1}, 1}
			frames, err := c.positions([]ir.Dim{lastDim(in[0])}, []int{at.N})
			if err != nil {
				return nil, err
			}
			y := in[0].With(append(slices.Clone(in[0].Shape[:in[0].Rank()-1]), ir.D(at.N/2+1), frames[0])...)
			return []ir.Type{y, y}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			at := attr.(FourierAttr)
			n := lastDim(types[0]).N
			frames, bins, w := (n-at.N)/at.Hop+1, at.N/2+1, at.Windows()
			rows := len(in[0]) / n
			re, im := make([]float64, rows*bins*frames), make([]float64, rows*bins*frames)
			even := at.Evenness(frames, n)
			at.each(rows, frames, func(r, t, k, i int, cos, sin float64) {
				x := in[0][r*n+t*at.Hop+i] * w[i] * at.Bin(k)
				if at.Even {
					x *= even[t*at.Hop+i]
				}
				re[(r*bins+k)*frames+t] += x * cos
				im[(r*bins+k)*frames+t] -= x * sin
			})
			return [][]float64{re, im}
		},
		Grad: func(b *Builder, n *ir.Node, dy []ir.Value) []ir.Value {
			at := n.Attr.(FourierAttr)
			at.Size = MakeDims(lastDim(n.In[0].Type()))
			for i := range dy {
				if !dy[i].Valid() {
					dy[i] = b.Fill(0, n.Types[i].DType, n.Types[i].Shape...)
				}
			}
			return []ir.Value{b.one("synthesis", at, dy...)}
		},
		Cost:  func(in, out []ir.Type, attr any) int64 { return fourierCost(out[0], attr.(FourierAttr).N) },
		Cases: fourierCases(func(at FourierAttr, shape []int) ([]ir.Type, FourierAttr) { return f32s(shape), at }),
	}
}

// each visits every element of every frame and every bin.
func (a FourierAttr) each(rows, frames int, f func(r, t, k, i int, cos, sin float64)) {
	for k := range a.N/2 + 1 {
		for i := range a.N {
			sin, cos := math.Sincos(2 * math.Pi * float64(k*i%a.N) / float64(a.N))
			for r := range rows {
				for t := range frames {
					f(r, t, k, i, cos, sin)
				}
			}
		}
	}
}

// fourierCost is 2.5 N log2(N) operations for each frame.
func fourierCost(y ir.Type, n int) int64 {
	frames := float64(y.Elems()) / float64(n/2+1)
	return int64(frames * 2.5 * float64(n) * max(1, math.Log2(float64(n))))
}

// synthesis: real, imag [..., N/2+1, frames] -> x [..., Size].
func synthesis() Def {
	return Def{Name: "synthesis", Doc: "x = windowed frames of given Fourier transforms, added where they overlap: the adjoint of analysis, or its inverse.", Attr: FourierAttr{},
		Ports: []Port{{Name: "real", Doc: "[..., N/2+1, frames]"}, {Name: "imag", Doc: "as real"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at, re := attr.(FourierAttr), in[0]
			if err := first(wantF32("real", re), wantF32("imag", in[1]), wantAtLeast("real", re, "[..., bins, frames]", 2), at.check()); err != nil {
				return nil, err
			}
			if !in[1].Equal(re) || re.Shape[re.Rank()-2] != ir.D(at.N/2+1) {
				return nil, fmt.Errorf("real is %v and imag %v; want %d bins for n_fft %d", re, in[1], at.N/2+1, at.N)
			}
			size, err := at.Size.Slice()
			if err != nil || len(size) != 1 {
				return nil, fmt.Errorf("size is [%s]; want one", at.Size)
			}
			if frames := lastDim(re); frames.Known() && size[0].Known() && (frames.N < 1 || size[0].N < (frames.N-1)*at.Hop+at.N) {
				return nil, fmt.Errorf("%v frames of %d, %d apart, don't fit into %v elements", frames, at.N, at.Hop, size[0])
			}
			return []ir.Type{re.With(append(slices.Clone(re.Shape[:re.Rank()-2]), size[0])...)}, nil
		},
		Ref: func(in [][]float64, types []ir.Type, attr any) [][]float64 {
			at := attr.(FourierAttr)
			size, _ := at.Size.Slice()
			n, frames, bins, w := size[0].N, lastDim(types[0]).N, at.N/2+1, at.Windows()
			rows := len(in[0]) / bins / frames
			x := make([]float64, rows*n)
			at.each(rows, frames, func(r, t, k, i int, cos, sin float64) {
				at0 := (r*bins+k)*frames + t
				x[r*n+t*at.Hop+i] += w[i] * at.Bin(k) * (in[0][at0]*cos - in[1][at0]*sin)
			})
			if at.Even {
				for i, v := range at.Evenness(frames, n) {
					for r := range rows {
						x[r*n+i] *= v
					}
				}
			}
			return [][]float64{x}
		},
		Grad: func(b *Builder, n *ir.Node, dx []ir.Value) []ir.Value {
			at, re := n.Attr.(FourierAttr), n.In[0].Type()
			used := lastDim(re).Mul(ir.D(1))
			if used.Known() {
				if used = ir.D((used.N-1)*at.Hop + at.N); lastDim(dx[0].Type()).Known() {
					dx[0] = b.Slice(dx[0], dx[0].Type().Rank()-1, 0, used.N)
				}
			}
			at.Size = ""
			return b.Apply("analysis", at, dx[0])
		},
		Cost: func(in, out []ir.Type, attr any) int64 { return fourierCost(in[0], attr.(FourierAttr).N) },
		Cases: fourierCases(func(at FourierAttr, shape []int) ([]ir.Type, FourierAttr) {
			n := shape[len(shape)-1]
			back := append(slices.Clone(shape[:len(shape)-1]), at.N/2+1, (n-at.N)/at.Hop+1)
			at.Size = MakeDims(ir.D(n))
			return f32s(back, back), at
		}),
	}
}

func fourierCases(in func(at FourierAttr, shape []int) ([]ir.Type, FourierAttr)) []Case {
	c := func(name string, at FourierAttr, shape ...int) Case {
		types, a := in(at, shape)
		return Case{Name: name, In: types, Attr: a, Low: -1, High: 1, Tol: 1e-5, GradTol: 1e-5}
	}
	return []Case{
		c("", FourierAttr{N: 8, Hop: 2, Window: "hann"}, 2, 21),
		c("many frames", FourierAttr{N: 16, Hop: 3, Window: "hamming", Width: 11}, 3, 250),
		c("odd", FourierAttr{N: 15, Hop: 4, Window: "blackman", Symmetric: true}, 1, 2, 40),
		c("even", FourierAttr{N: 40, Hop: 16, Window: "hann", Inverse: true, Even: true}, 2, 200),
		c("prime", FourierAttr{N: 22, Hop: 30, Window: "bartlett", Inverse: true}, 90),
		c("odd back", FourierAttr{N: 9, Hop: 2, Window: "hamming", Inverse: true, Even: true}, 1, 31),
		c("short", FourierAttr{N: 2, Hop: 1, Window: "ones"}, 1, 5),
		c("one", FourierAttr{N: 1, Hop: 2, Window: "ones"}, 2, 5),
		large(c("speech", FourierAttr{N: 400, Hop: 160, Window: "hann"}, 1, 480240)),
		large(c("music", FourierAttr{N: 1024, Hop: 256, Window: "hann"}, 1, 441344)),
		large(c("long windows", FourierAttr{N: 2048, Hop: 512, Window: "hann"}, 1, 441856)),
	}
}
