package cuda

import (
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

// fourierParams is Fourier of source/fourier.cu.
type fourierParams struct {
	x, real, imag, room  driver.Pointer
	cosine, sine, window driver.Pointer
	rows, n, frames      uint64
	size, hop, bins      uint32
	even                 uint32
	edge, middle         float32
}

// fourier settles transforms of x [rows, n], of which re is [rows, bins, frames].
func (b *Backend) fourier(a op.FourierAttr, x, re []int) (*fourierParams, error) {
	_, n := lastRows(x)
	_, frames := lastRows(re)
	p := &fourierParams{rows: uint64(prod(x) / n), n: uint64(n), frames: uint64(frames), size: uint32(a.N), hop: uint32(a.Hop), bins: uint32(a.N/2 + 1)}
	p.edge, p.middle = float32(a.Bin(0)), 1
	if a.Inverse {
		p.middle = float32(2 / float64(a.N))
	}
	if a.Even {
		p.even = 1
	}
	cosine, sine, window := make([]float32, a.N), make([]float32, a.N), make([]float32, a.N)
	for i, w := range a.Windows() {
		s, c := math.Sincos(2 * math.Pi * float64(i) / float64(a.N))
		cosine[i], sine[i], window[i] = float32(c), float32(s), float32(w)
	}
	for to, table := range map[*driver.Pointer][]float32{&p.cosine: cosine, &p.sine: sine, &p.window: window} {
		var err error
		if *to, err = b.lasting(table); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func allF32(lists ...[]ir.Type) bool {
	for _, list := range lists {
		for _, t := range list {
			if t.DType != ir.F32 {
				return false
			}
		}
	}
	return true
}

// analysis transforms frames.
//
//	x [..., n]   real, imag [..., N/2+1, frames]
func analysis(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	type evenness struct {
		fourier fourierParams
		to      driver.Pointer
	}
	a, ok := attr.(op.FourierAttr)
	scratch := func(_ any, in, _ []ir.Type) int64 {
		if !a.Even {
			return 0
		}
		_, n := lastRows(in[0].Sizes())
		return 4 * int64(n)
	}
	return kernel{scratch: scratch, bind: func(args kernels.Args) (kernels.Step, error) {
		at, err := b.pointers(args.In[0], args.Out[0], args.Out[1], args.Scratch)
		if err != nil || args.Out[0].Len() == 0 {
			return nothing, err
		}
		p, err := b.fourier(a, args.In[0].Shape, args.Out[0].Shape)
		if err != nil {
			return nil, err
		}
		p.x, p.real, p.imag, p.room = at[0], at[1], at[2], at[3]
		step, err := launch(b, "fourier", "analysis", overFrames(p, int(p.bins)), p)
		if err != nil || !a.Even {
			return step, err
		}
		first, err := launch(b, "fourier", "fourier_evenness", overElements(int(p.n)), &evenness{*p, at[3]})
		return sequence([]kernels.Step{first, step}), err
	}}, ok && len(in) == 1 && len(out) == 2 && allF32(in, out)
}

// overFrames spreads tiles of lines by frames, for each row.
func overFrames(p *fourierParams, lines int) grid {
	return grid{driver.Dim{X: parts(int(p.frames), tile), Y: parts(lines, tile), Z: min(int(p.rows), 65535)}, 256}
}

// synthesis turns transforms into frames and adds them.
//
//	real, imag [..., N/2+1, frames]   x [..., n]
func synthesis(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	a, ok := attr.(op.FourierAttr)
	scratch := func(_ any, in, _ []ir.Type) int64 {
		return 4 * int64(in[0].Elems()/(a.N/2+1)) * int64(a.N)
	}
	return kernel{scratch: scratch, bind: func(args kernels.Args) (kernels.Step, error) {
		at, err := b.pointers(args.Out[0], args.In[0], args.In[1], args.Scratch)
		if err != nil || args.Out[0].Len() == 0 {
			return nothing, err
		}
		p, err := b.fourier(a, args.Out[0].Shape, args.In[0].Shape)
		if err != nil {
			return nil, err
		}
		p.x, p.real, p.imag, p.room = at[0], at[1], at[2], at[3]
		frames, err := launch(b, "fourier", "synthesis_frames", overFrames(p, a.N), p)
		if err != nil {
			return nil, err
		}
		add, err := launch(b, "fourier", "synthesis", overElements(args.Out[0].Len()), p)
		return sequence([]kernels.Step{frames, add}), err
	}}, ok && len(in) == 2 && len(out) == 1 && allF32(in, out)
}
