package cpu

import (
	"math"
	"unsafe"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels"
)

// monotonicPath finds, for every sequence, the best path of frames through places: the
// sums of one frame at a time, and for each of frames and places whether the best way
// there came from the place before.
//
//	scores [batch, frames, seq]   frames, places i32 [batch]   y i32 [batch, frames]
func monotonicPath(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
	ok := len(in) == 3 && stored(in[0].DType) && out[0].DType == ir.I32
	for _, t := range in[min(1, len(in)):] {
		ok = ok && (t.DType == ir.Invalid || isIndex(t))
	}
	scratch := func(_ any, in, _ []ir.Type) int64 {
		s := in[0].Sizes()
		return int64(s[0]) * int64(pathBytes(s[1], s[2]))
	}
	return kernel{scratch: scratch, bind: func(args kernels.Args) (kernels.Step, error) {
		vs, err := b.views(args.In[0], args.In[1], args.In[2], args.Out[0], args.Scratch)
		if err != nil {
			return nil, err
		}
		s := args.In[0].Shape
		if s[0]*s[1] == 0 {
			return b.step(0, nil), nil
		}
		frames, places, y, room, each := indices{vec: vs[1]}, indices{vec: vs[2]}, slice[int32](vs[3]), slice[byte](vs[4]), pathBytes(s[1], s[2])
		return b.step(s[0], func(_, id int) {
			p := path{scores: vs[0], at: id * s[1] * s[2], frames: s[1], places: s[2], width: s[2]}
			if frames.p != nil {
				p.frames = min(max(frames.get(id), 0), s[1])
			}
			if places.p != nil {
				p.places = min(max(places.get(id), 0), s[2])
			}
			p.find(y[id*s[1]:(id+1)*s[1]], room[id*each:(id+1)*each])
		}), nil
	}}, ok
}

// pathBytes is the memory of one sequence: a sum for each place, and a byte for each frame and place.
func pathBytes(frames, places int) int { return (8*places + frames*places + 63) / 64 * 64 }

// path is a sequence of frames, of which scores begin at an element, width for each frame.
type path struct {
	scores                    vec
	at, frames, places, width int
}

// find writes the path to y; later frames have the last place.
func (p path) find(y []int32, room []byte) {
	if p.frames < p.places || p.places == 0 {
		for i := range y {
			y[i] = int32(max(0, min(i, p.places-1)))
		}
		return
	}
	sums, entered := unsafe.Slice((*float64)(unsafe.Pointer(&room[0])), p.width), room[8*p.width:]
	for i := range p.frames {
		// Later places first, so that a place reads the sums of the frame before.
		for j := min(i, p.places-1); j >= max(0, p.places-p.frames+i); j-- {
			best := math.Inf(-1)
			if j < i {
				best = sums[j]
			}
			enter := j > 0 && (j == i || best < sums[j-1])
			if enter {
				best = sums[j-1]
			}
			if entered[i*p.width+j] = 0; enter {
				entered[i*p.width+j] = 1
			}
			if sums[j] = float64(p.scores.one(p.at + i*p.width + j)); i > 0 {
				sums[j] += best
			}
		}
	}
	j := p.places - 1
	for i := p.frames; i < len(y); i++ {
		y[i] = int32(j)
	}
	for i := p.frames - 1; i >= 0; i-- {
		y[i] = int32(j)
		j -= int(entered[i*p.width+j])
	}
}
