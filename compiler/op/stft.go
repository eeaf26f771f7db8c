package op

import (
	"fmt"

	"pipe.dev/compiler/ir"
)

// StftAttr describes a short-time Fourier transform.
type StftAttr struct {
	NFFT       int    `cue:"n_fft!: int & >0 & <=32768" doc:"elements of a frame"`
	Hop        int    `cue:"hop: int & >=0 | *0" doc:"distance of frames; 0 is a quarter of n_fft"`
	Width      int    `cue:"win_length: int & >=0 | *0" doc:"elements of the window, in the middle of a frame; 0 is n_fft"`
	Window     string `cue:"window: \"hann\" | \"hamming\" | \"blackman\" | \"bartlett\" | \"ones\" | *\"hann\"" doc:"what frames are multiplied by"`
	Periodic   bool   `cue:"periodic: bool | *true" doc:"the window is a period, without its last element, as torch.hann_window; else symmetric"`
	Center     bool   `cue:"center: bool | *true" doc:"frame t has element t*hop of x in its middle; half a frame is added on both sides"`
	Pad        string `cue:"pad: \"reflect\" | \"zeros\" | *\"reflect\"" doc:"what is added"`
	Normalized bool   `cue:"normalized: bool | *false" doc:"divide by the square root of n_fft"`
}

// SpectrogramAttr describes the sizes of the bins of a transform.
type SpectrogramAttr struct {
	NFFT       int    `cue:"n_fft!: int & >0 & <=32768" doc:"elements of a frame"`
	Hop        int    `cue:"hop: int & >=0 | *0" doc:"distance of frames; 0 is a quarter of n_fft"`
	Width      int    `cue:"win_length: int & >=0 | *0" doc:"elements of the window, in the middle of a frame; 0 is n_fft"`
	Window     string `cue:"window: \"hann\" | \"hamming\" | \"blackman\" | \"bartlett\" | \"ones\" | *\"hann\"" doc:"what frames are multiplied by"`
	Periodic   bool   `cue:"periodic: bool | *true" doc:"the window is a period, without its last element, as torch.hann_window; else symmetric"`
	Center     bool   `cue:"center: bool | *true" doc:"frame t has element t*hop of x in its middle; half a frame is added on both sides"`
	Pad        string `cue:"pad: \"reflect\" | \"zeros\" | *\"reflect\"" doc:"what is added"`
	Normalized bool   `cue:"normalized: bool | *false" doc:"divide by the square root of n_fft"`
	Power      int    `cue:"power: 1 | 2 | *2" doc:"1 gives magnitudes, 2 their squares"`
}

// IstftAttr describes the inverse of a short-time Fourier transform.
type IstftAttr struct {
	NFFT       int    `cue:"n_fft!: int & >0 & <=32768" doc:"elements of a frame"`
	Hop        int    `cue:"hop: int & >=0 | *0" doc:"distance of frames; 0 is a quarter of n_fft"`
	Width      int    `cue:"win_length: int & >=0 | *0" doc:"elements of the window, in the middle of a frame; 0 is n_fft"`
	Window     string `cue:"window: \"hann\" | \"hamming\" | \"blackman\" | \"bartlett\" | \"ones\" | *\"hann\"" doc:"what frames were multiplied by"`
	Periodic   bool   `cue:"periodic: bool | *true" doc:"the window is a period, without its last element; else symmetric"`
	Center     bool   `cue:"center: bool | *true" doc:"half a frame was added on both sides, and is dropped"`
	Normalized bool   `cue:"normalized: bool | *false" doc:"multiply by the square root of n_fft"`
	Length     int    `cue:"length: int & >=0 | *0" doc:"elements of the result; 0 is all that the frames give"`
}

func (a StftAttr) fourier() FourierAttr {
	if a.Hop == 0 {
		a.Hop = max(1, a.NFFT/4)
	}
	return FourierAttr{N: a.NFFT, Hop: a.Hop, Window: a.Window, Symmetric: !a.Periodic, Width: a.Width}
}

func (a SpectrogramAttr) stft() StftAttr {
	return StftAttr{a.NFFT, a.Hop, a.Width, a.Window, a.Periodic, a.Center, a.Pad, a.Normalized}
}

func (a IstftAttr) fourier() FourierAttr {
	f := StftAttr{NFFT: a.NFFT, Hop: a.Hop, Width: a.Width, Window: a.Window, Periodic: a.Periodic}.fourier()
	f.Inverse, f.Even = true, true
	return f
}

// infer gives the type of the real parts.
func (a StftAttr) infer(x ir.Type) (ir.Type, error) {
	if err := first(wantFloat("x", x), wantAtLeast("x", x, "[..., samples]", 1), a.fourier().check()); err != nil {
		return ir.Type{}, err
	}
	n, half := lastDim(x), a.NFFT/2
	if a.Center && a.Pad == "reflect" && n.Known() && n.N <= half {
		return ir.Type{}, fmt.Errorf("x has %d samples; want more than %d, half of n_fft, to reflect them", n.N, half)
	}
	if !a.Center {
		half = 0
	}
	c := convolution{[]int{a.fourier().Hop}, []int{half}, []int{half}, []int{1}, 1}
	frames, err := c.positions([]ir.Dim{n}, []int{a.NFFT})
	if err != nil {
		return ir.Type{}, err
	}
	shape := append(append([]ir.Dim{}, x.Shape[:x.Rank()-1]...), ir.D(a.NFFT/2+1), frames[0])
	return x.With(shape...), nil
}

// transformed writes the transform of x, in f32.
func (b *Builder) transformed(at StftAttr, x ir.Value) (re, im ir.Value) {
	x = b.Cast(x, ir.F32)
	if half := at.NFFT / 2; at.Center && half > 0 {
		x = b.padded(x, half, at.Pad)
	}
	out := b.Apply("analysis", at.fourier(), x)
	if len(out) < 2 {
		return out[0], out[0]
	}
	re, im = out[0], out[1]
	if at.Normalized {
		root := b.Rsqrt(b.Scalar(float64(at.NFFT), re))
		re, im = b.Mul(re, root), b.Mul(im, root)
	}
	return re, im
}

// padded adds n elements on both sides of the last axis: zeros, or mirrored.
func (b *Builder) padded(x ir.Value, n int, how string) ir.Value {
	if how == "reflect" {
		return b.continued(x, n, n, how)
	}
	if b.err != nil {
		return x
	}
	around := make([]int, x.Type().Rank())
	around[len(around)-1] = n
	return b.Pad(x, around, around, 0)
}

// stft: x [..., samples] -> real, imag [..., n_fft/2+1, frames].
func stft() Def {
	return Def{Name: "stft", Title: "STFT", Doc: "real, imag = short-time Fourier transforms of x: the bins from 0 to n_fft/2, as torch.stft.", Attr: StftAttr{}, Outputs: []string{"real", "imag"},
		Ports: []Port{{Name: "x", Doc: "[..., samples]"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			y, err := attr.(StftAttr).infer(in[0])
			return []ir.Type{y, y}, err
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			re, im := b.transformed(n.Attr.(StftAttr), n.In[0])
			return []ir.Value{b.Cast(re, n.Types[0].DType), b.Cast(im, n.Types[0].DType)}
		},
		Cases: []Case{
			{In: f32s([]int{2, 50}), Attr: StftAttr{NFFT: 16, Hop: 5, Width: 12, Window: "hann", Periodic: true, Center: true, Pad: "reflect"}, Low: -1, High: 1, Tol: 1e-5, GradTol: 1e-5},
			{Name: "inside", In: f32s([]int{50}), Attr: StftAttr{NFFT: 10, Window: "hamming", Normalized: true}, Low: -1, High: 1, Tol: 1e-5, GradTol: 1e-5},
		},
	}
}

// spectrogram: x [..., samples] -> [..., n_fft/2+1, frames].
func spectrogram() Def {
	return Def{Name: "spectrogram", Title: "Spectrogram", Doc: "y = the squared sizes of short-time Fourier transforms of x, or the sizes.", Attr: SpectrogramAttr{},
		Ports: []Port{{Name: "x", Doc: "[..., samples]"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at := attr.(SpectrogramAttr)
			if at.Power != 1 && at.Power != 2 {
				return nil, fmt.Errorf("power is %d; want 1 or 2", at.Power)
			}
			y, err := at.stft().infer(in[0])
			return []ir.Type{y}, err
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at := n.Attr.(SpectrogramAttr)
			re, im := b.transformed(at.stft(), n.In[0])
			y := b.Add(b.Mul(re, re), b.Mul(im, im))
			if at.Power == 1 {
				y = b.Sqrt(y)
			}
			return []ir.Value{b.Cast(y, n.Types[0].DType)}
		},
		Cases: []Case{
			{In: f32s([]int{2, 50}), Attr: SpectrogramAttr{NFFT: 16, Hop: 5, Window: "hann", Periodic: true, Center: true, Pad: "zeros", Power: 2}, Low: -1, High: 1, Tol: 1e-5, GradTol: 1e-5},
			{Name: "magnitude", In: f32s([]int{1, 2, 40}), Attr: SpectrogramAttr{NFFT: 12, Hop: 5, Window: "hann", Periodic: true, Center: true, Pad: "reflect", Power: 1}, Low: -1, High: 1, Tol: 1e-5, GradTol: 1e-4},
		},
	}
}

// istft: real, imag [..., n_fft/2+1, frames] -> [..., samples].
func istft() Def {
	return Def{Name: "istft", Title: "ISTFT", Doc: "x = the signal of which real and imag are the short-time Fourier transform, as torch.istft.", Attr: IstftAttr{},
		Ports: []Port{{Name: "real", Doc: "[..., n_fft/2+1, frames]"}, {Name: "imag", Doc: "as real"}},
		Infer: func(in []ir.Type, attr any) ([]ir.Type, error) {
			at, re := attr.(IstftAttr), in[0]
			f := at.fourier()
			if err := first(wantFloat("real", re), wantAtLeast("real", re, "[..., bins, frames]", 2), f.check()); err != nil {
				return nil, err
			}
			if !in[1].Equal(re) || re.Shape[re.Rank()-2] != ir.D(at.NFFT/2+1) {
				return nil, fmt.Errorf("real is %v and imag %v; want %d bins for n_fft %d", re, in[1], at.NFFT/2+1, at.NFFT)
			}
			if err := wantKnown("real", re, re.Rank()-1); err != nil {
				return nil, err
			}
			from, to, err := at.kept(lastDim(re).N)
			if err != nil {
				return nil, err
			}
			return []ir.Type{re.With(append(append([]ir.Dim{}, re.Shape[:re.Rank()-2]...), ir.D(to-from))...)}, nil
		},
		Lower: func(b *Builder, n *ir.Node) []ir.Value {
			at, re, im := n.Attr.(IstftAttr), b.Cast(n.In[0], ir.F32), b.Cast(n.In[1], ir.F32)
			f, frames := at.fourier(), lastDim(n.In[0].Type()).N
			from, to, err := at.kept(frames)
			if err != nil {
				b.Fail(err)
				return n.In
			}
			f.Size = MakeDims(ir.D(max(to, (frames-1)*f.Hop+f.N)))
			x := b.Slice(b.one("synthesis", f, re, im), -1, from, to)
			if at.Normalized {
				x = b.Mul(x, b.Sqrt(b.Scalar(float64(at.NFFT), x)))
			}
			return []ir.Value{b.Cast(x, n.Types[0].DType)}
		},
		Cases: []Case{
			{In: f32s([]int{2, 9, 7}, []int{2, 9, 7}), Attr: IstftAttr{NFFT: 16, Hop: 4, Window: "hann", Periodic: true, Center: true}, Low: -1, High: 1, Tol: 1e-5, GradTol: 1e-5},
			{Name: "length", In: f32s([]int{6, 8}, []int{6, 8}), Attr: IstftAttr{NFFT: 10, Hop: 3, Window: "hamming", Periodic: true, Center: true, Length: 19, Normalized: true}, Low: -1, High: 1, Tol: 1e-5, GradTol: 1e-5},
			{Name: "whole", In: f32s([]int{5, 4}, []int{5, 4}), Attr: IstftAttr{NFFT: 8, Hop: 3, Window: "hamming"}, Low: -1, High: 1, Tol: 1e-5, GradTol: 1e-5},
		},
	}
}

// kept is the range of the overlapped frames that is the result; over all of
// it windows must lie.
func (a IstftAttr) kept(frames int) (from, to int, err error) {
	f := a.fourier()
	all := (frames-1)*f.Hop + f.N
	if to = all; a.Center {
		from, to = f.N/2, all-f.N/2
	}
	if a.Length > 0 {
		to = from + a.Length
	}
	if frames < 1 || from >= to {
		return 0, 0, fmt.Errorf("nothing is left of %d frames", frames)
	}
	for i, v := range f.Evenness(frames, min(to, all)) {
		if i >= from && v == 0 {
			return 0, 0, fmt.Errorf("no window lies over sample %d; want a smaller hop than %d, or another window", i-from, f.Hop)
		}
	}
	return from, to, nil
}

func signalDefs() []Def {
	return []Def{analysis(), synthesis(), stft(), spectrogram(), istft()}
}
