package op

import (
	"encoding/binary"
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/internal/mel"
)

// MelFiltersAttr describes filters whose middles are equally far apart in mels.
type MelFiltersAttr struct {
	Rate  float64 `cue:"rate!: number & >0" doc:"samples a second, Hz"`
	NFFT  int     `cue:"n_fft!: int & >1 & <=32768" doc:"elements of a frame"`
	Mels  int     `cue:"mels!: int & >0 & <=4096" doc:"how many filters"`
	Low   float64 `cue:"low: number & >=0 | *0" doc:"where the first begins, Hz"`
	High  float64 `cue:"high: number & >=0 | *0" doc:"where the last ends, Hz; 0 is half the rate"`
	Scale string  `cue:"scale: \"htk\" | *\"slaney\"" doc:"which mels: linear up to 1000 Hz, or 2595 log10(1 + hz/700)"`
	Norm  string  `cue:"norm: \"none\" | *\"slaney\"" doc:"slaney divides a filter by half its width in Hz"`
}

func (a MelFiltersAttr) bank() mel.Bank {
	return mel.Bank{Rate: a.Rate, NFFT: a.NFFT, Mels: a.Mels, Low: a.Low, High: a.High, Scale: a.Scale, Norm: a.Norm}
}

// melFilters: -> f32 [mels, n_fft/2+1].
func melFilters() Def {
	return Def{Name: "mel_filters", Title: "MelFilters", NoGrad: true, Cost: free, Attr: MelFiltersAttr{},
		Doc: "y = triangular filters over the bins of a Fourier transform, equally far apart in mels, as librosa.filters.mel and torchaudio.functional.melscale_fbanks.",
		Infer: func(_ []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(MelFiltersAttr)
			return []ir.Type{ir.T(ir.F32, at.Mels, at.NFFT/2+1)}, at.bank().Check()
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at := n.Attr.(MelFiltersAttr)
			return []ir.Value{b.table(at.bank().Filters(), at.Mels, at.NFFT/2+1)}
		},
		Cases: []Case{
			{Attr: MelFiltersAttr{Rate: 8000, NFFT: 64, Mels: 7, Scale: "slaney", Norm: "slaney"}},
			{Name: "htk", Attr: MelFiltersAttr{Rate: 16000, NFFT: 51, Mels: 5, Low: 20, High: 7000, Scale: "htk", Norm: "none"}},
		},
	}
}

// CosinesAttr describes a cosine transform.
type CosinesAttr struct {
	Rows  int  `cue:"rows!: int & >0 & <=4096" doc:"how many coefficients, from the first on"`
	Size  int  `cue:"size!: int & >0 & <=4096" doc:"numbers that are transformed"`
	Ortho bool `cue:"ortho: bool | *true" doc:"the transform is orthonormal; else as scipy.fft.dct without norm"`
}

// cosines: -> f32 [rows, size].
func cosines() Def {
	return Def{Name: "cosines", Title: "Cosines", NoGrad: true, Cost: free, Attr: CosinesAttr{},
		Doc: "y[k,i] = 2 cos(pi k (i + 1/2) / size), the cosine transform of type II as a matrix.",
		Infer: func(_ []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(CosinesAttr)
			if at.Rows > at.Size {
				return nil, fmt.Errorf("rows is %d; %d numbers have no more than %d coefficients", at.Rows, at.Size, at.Size)
			}
			return []ir.Type{ir.T(ir.F32, at.Rows, at.Size)}, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at := n.Attr.(CosinesAttr)
			return []ir.Value{b.table(mel.Cosines(at.Rows, at.Size, at.Ortho), at.Rows, at.Size)}
		},
		Cases: []Case{
			{Attr: CosinesAttr{Rows: 5, Size: 9, Ortho: true}},
			{Name: "plain", Attr: CosinesAttr{Rows: 3, Size: 3}},
		},
	}
}

// table is numbers known to the compiler, in f32.
func (b *Builder) table(values []float64, sizes ...int) ir.Value {
	var data []byte
	for _, x := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(x)))
	}
	return b.one("constant", ConstantAttr{DType: "f32", Shape: MakeDims(ir.T(ir.F32, sizes...).Shape...), Data: string(data)})
}

// PadEdgesAttr describes what stands beyond the ends of a signal.
type PadEdgesAttr struct {
	Before int    `cue:"before: int & >=0 | *0" doc:"elements added before"`
	After  int    `cue:"after: int & >=0 | *0" doc:"elements added after"`
	Mode   string `cue:"mode: \"replicate\" | *\"reflect\"" doc:"they are mirrored around the last element, or repeat it"`
}

// padEdges: x [..., n] -> [..., before+n+after].
func padEdges() Def {
	return Def{Name: "pad_edges", Title: "PadEdges", Doc: "y = x with its last axis continued at both ends, as torch.nn.functional.pad.", Attr: PadEdgesAttr{},
		Ports: []Port{{Name: "x", Doc: "[..., n]"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			x, at := in[0], attr.(PadEdgesAttr)
			if err := first(wantFloat("x", x), wantAtLeast("x", x, "[..., n]", 1)); err != nil {
				return nil, err
			}
			n, most := lastDim(x), max(at.Before, at.After)
			if at.Mode == "reflect" && n.Known() && n.N <= most || n.Known() && n.N < 1 {
				return nil, fmt.Errorf("x has %d elements; want more than the %d that are added", n.N, most)
			}
			return []ir.Type{x.With(replaced(x.Shape, x.Rank()-1, n.Add(ir.D(at.Before+at.After)))...)}, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at := n.Attr.(PadEdgesAttr)
			return []ir.Value{b.continued(n.In[0], at.Before, at.After, at.Mode)}
		},
		Cases: []Case{
			{In: f32s([]int{2, 7}), Attr: PadEdgesAttr{Before: 6, After: 3, Mode: "reflect"}, Low: -1, High: 1},
			{Name: "replicate", In: f32s([]int{5}), Attr: PadEdgesAttr{Before: 2, After: 9, Mode: "replicate"}, Low: -1, High: 1},
		},
	}
}

// continued adds elements at the ends of the last axis: mirrored, or the last ones again.
func (b *Builder) continued(x ir.Value, before, after int, mode string) ir.Value {
	if b.err != nil {
		return x
	}
	size := lastDim(x.Type())
	end := b.Fill(float64(size.N-1), ir.I32)
	if !size.Known() {
		end = b.one("argmax", AxisAttr{Axis: 0}, b.Iota(ir.I32, 0, size)) // the last place, whatever the size will be
	}
	// Only the ends are gathered; what lies between them is copied.
	side := func(from ir.Value, n int) []ir.Value { // places from on, where x begins at 0
		if n == 0 {
			return nil
		}
		i := b.Add(b.Iota(ir.I32, 0, ir.D(n)), from)
		if mode == "reflect" {
			i = b.Sub(end, b.Abs(b.Sub(end, b.Abs(i))))
		} else {
			i = b.Max(b.Min(i, end), b.Fill(0, ir.I32))
		}
		return []ir.Value{b.Gather(x, i, -1)}
	}
	behind := b.Add(end, b.Fill(1, ir.I32))
	parts := append(append(side(b.Fill(float64(-before), ir.I32), before), x), side(behind, after)...)
	if len(parts) == 1 {
		return x
	}
	return b.Concat(-1, parts...)
}

// DeltasAttr describes how fast features change.
type DeltasAttr struct {
	Width int    `cue:"width: int & >=3 | *9" doc:"frames that are looked at, an odd number"`
	Order int    `cue:"order: 1 | 2 | *1" doc:"1 is the slope of a line through them, 2 the second derivative of a parabola"`
	Mode  string `cue:"mode: \"replicate\" | *\"interp\"" doc:"at the ends: what the window nearest to it gives that lies within x, or the last frame again and again"`
}

func (a DeltasAttr) resample(n ir.Dim) ResampleAttr {
	return ResampleAttr{Axis: -1, Size: MakeDims(n), Rule: "slope", Kernel: a.Width, Order: a.Order, Inside: a.Mode == "interp"}
}

// deltas: x [..., frames] -> the same shape.
//
// Source: Savitzky and Golay, Smoothing and differentiation of data, 1964.
func deltas() Def {
	return Def{Name: "deltas", Title: "Deltas", Doc: "y = how x changes from frame to frame, by least squares over some frames, as librosa.feature.delta and torchaudio.functional.compute_deltas.", Attr: DeltasAttr{},
		Ports: []Port{{Name: "x", Doc: "[..., frames]"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			x, at := in[0], attr.(DeltasAttr)
			if err := first(wantFloat("x", x), wantAtLeast("x", x, "[..., frames]", 1)); err != nil {
				return nil, err
			}
			if at.Width%2 == 0 {
				return nil, fmt.Errorf("width is %d; want an odd number", at.Width)
			}
			if n := lastDim(x); at.Mode == "interp" && n.Known() && n.N < at.Width {
				return nil, fmt.Errorf("x has %d frames; want at least width, %d, or mode: \"replicate\"", n.N, at.Width)
			}
			return in, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			return []ir.Value{b.one("resample", n.Attr.(DeltasAttr).resample(lastDim(n.In[0].Type())), n.In[0])}
		},
		Cases: []Case{
			{In: f32s([]int{2, 11}), Attr: DeltasAttr{Width: 9, Order: 1, Mode: "interp"}, Low: -1, High: 1},
			{Name: "second", In: f32s([]int{3, 9}), Attr: DeltasAttr{Width: 5, Order: 2, Mode: "interp"}, Low: -1, High: 1},
			{Name: "replicate", In: f32s([]int{2, 4}), Attr: DeltasAttr{Width: 5, Order: 1, Mode: "replicate"}, Low: -1, High: 1},
		},
	}
}

// slopeTaps differentiate the line, or the parabola, that lies nearest to a window.
func slopeTaps(a ResampleAttr, t *AxisTaps, o, in, _ int) {
	half := a.Kernel / 2
	if a.Inside {
		o = min(max(o, half), in-1-half)
	}
	n, s2, s4 := float64(2*half+1), 0.0, 0.0
	for k := -half; k <= half; k++ {
		x := float64(k * k)
		s2, s4 = s2+x, s4+x*x
	}
	for k := -half; k <= half; k++ {
		w := float64(k) / s2
		if a.Order == 2 {
			w = 2 * (n*float64(k*k) - s2) / (n*s4 - s2*s2)
		}
		t.add(min(max(o+k, 0), in-1), w)
	}
}

// PreEmphasisAttr describes how high tones are raised.
type PreEmphasisAttr struct {
	Factor float64 `cue:"factor: number & >=0 & <=1 | *0.97" doc:"the share of the sample before that is taken away"`
	Start  string  `cue:"start: \"repeat\" | \"line\" | *\"zero\"" doc:"what counts as that share at the first sample: nothing (as torchaudio), the share of itself (as Kaldi), or x[1] - 2 x[0] (as librosa)"`
}

// preEmphasis: x [..., samples] -> the same shape.
func preEmphasis() Def {
	return Def{Name: "pre_emphasis", Title: "PreEmphasis", Doc: "y[t] = x[t] - factor x[t-1].", Attr: PreEmphasisAttr{},
		Ports: []Port{{Name: "x", Doc: "[..., samples]"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			if err := first(wantFloat("x", in[0]), wantAtLeast("x", in[0], "[..., samples]", 1)); err != nil {
				return nil, err
			}
			if n := lastDim(in[0]); attr.(PreEmphasisAttr).Start == "line" && n.Known() && n.N < 2 {
				return nil, fmt.Errorf("x has %d samples; want 2 at least", n.N)
			}
			return in, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at := n.Attr.(PreEmphasisAttr)
			return []ir.Value{b.one("resample", ResampleAttr{Axis: -1, Size: MakeDims(lastDim(n.In[0].Type())), Rule: "emphasis " + at.Start, Scale: at.Factor}, n.In[0])}
		},
		Cases: []Case{
			{In: f32s([]int{2, 9}), Attr: PreEmphasisAttr{Factor: 0.97, Start: "zero"}, Low: -1, High: 1},
			{Name: "repeat", In: f32s([]int{7}), Attr: PreEmphasisAttr{Factor: 0.5, Start: "repeat"}, Low: -1, High: 1},
			{Name: "line", In: f32s([]int{3, 5}), Attr: PreEmphasisAttr{Factor: 0.97, Start: "line"}, Low: -1, High: 1},
		},
	}
}

func emphasisTaps(a ResampleAttr, t *AxisTaps, o, _, _ int) {
	switch {
	case o > 0:
		t.add(o-1, -a.Scale)
		t.add(o, 1)
	case a.Rule == "emphasis repeat":
		t.add(0, 1-a.Scale)
	case a.Rule == "emphasis line":
		t.add(0, 3)
		t.add(1, -1)
	default:
		t.add(0, 1)
	}
}

// melDefs are what features of sound are made by.
func melDefs() []Def {
	return []Def{melFilters(), cosines(), padEdges(), deltas(), preEmphasis()}
}
