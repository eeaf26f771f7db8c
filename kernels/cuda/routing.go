package cuda

import (
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda/driver"
)

func errLong(n int) error {
	return fmt.Errorf("cuda: %d elements along an axis, want at most %d", n, math.MaxInt32)
}

// expertChoice lets each expert choose tokens.
//
//	scores [batch, seq, experts]   y i32 [batch, seq, experts]
func expertChoice(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	type params struct {
		y, x                       driver.Pointer
		batch, seq, experts, takes uint64
		code                       uint32
	}
	a, ok := attr.(op.ExpertChoiceAttr)
	ok = ok && len(in) == 1 && stored(in[0].DType) && out[0].DType == ir.I32
	return kernel{bind: func(args kernels.Args) (kernels.Step, error) {
		at, err := b.pointers(args.Out[0], args.In[0])
		s := args.In[0].Shape
		if err != nil || prod(s) == 0 {
			return nothing, err
		}
		if s[1] > math.MaxInt32 {
			return nil, errLong(s[1])
		}
		p := &params{at[0], at[1], uint64(s[0]), uint64(s[1]), uint64(s[2]), uint64(a.Takes(s[1], s[2])), codes[args.In[0].DType]}
		return launch(b, "sort", "expert_choice", overSorted(s[0]*s[2], s[1]), p)
	}}, ok
}

// withinCapacity puts -1 in place of choices that exceed the room of an expert.
//
//	chosen [batch, seq, k]   y i32 [batch, seq, k]
func withinCapacity(b *Backend, attr any, in, out []ir.Type) (kernels.Kernel, bool) {
	type params struct {
		y, chosen, used               driver.Pointer
		batch, seq, k, experts, space uint64
		code                          uint32
	}
	a, ok := attr.(op.WithinCapacityAttr)
	ok = ok && len(in) == 1 && isIndex(in[0]) && out[0].DType == ir.I32
	scratch := func(_ any, in, _ []ir.Type) int64 { return 4 * int64(in[0].Sizes()[0]) * int64(a.Experts) }
	return kernel{scratch: scratch, bind: func(args kernels.Args) (kernels.Step, error) {
		at, err := b.pointers(args.Out[0], args.In[0], args.Scratch)
		s := args.In[0].Shape
		if err != nil || prod(s) == 0 {
			return nothing, err
		}
		p := &params{at[0], at[1], at[2], uint64(s[0]), uint64(s[1]), uint64(s[2]), uint64(a.Experts), uint64(a.Room(s[1], s[2])), codes[args.In[0].DType]}
		return launch(b, "routing", "within_capacity", overSorted(s[0], s[1]*s[2]), p)
	}}, ok
}

// monotonicPath finds, for every sequence, the best path of frames through places.
//
//	scores [batch, frames, seq]   frames, places i32 [batch]   y i32 [batch, frames]
func monotonicPath(b *Backend, _ any, in, out []ir.Type) (kernels.Kernel, bool) {
	type params struct {
		y, scores, frameCounts, placeCounts driver.Pointer
		sums, entered                       driver.Pointer
		batch, frames, places               uint64
		code, frameCode, placeCode          uint32
	}
	ok := len(in) == 3 && stored(in[0].DType) && out[0].DType == ir.I32
	for _, t := range in[min(1, len(in)):] {
		ok = ok && (t.DType == ir.Invalid || isIndex(t))
	}
	scratch := func(_ any, in, _ []ir.Type) int64 {
		s := in[0].Sizes()
		return int64(s[0]) * int64(s[2]) * int64(16+s[1])
	}
	return kernel{scratch: scratch, bind: func(args kernels.Args) (kernels.Step, error) {
		at, err := b.pointers(args.Out[0], args.In[0], args.In[1], args.In[2], args.Scratch)
		s := args.In[0].Shape
		if err != nil || s[0]*s[1] == 0 {
			return nothing, err
		}
		p := &params{y: at[0], scores: at[1], frameCounts: at[2], placeCounts: at[3], sums: at[4], entered: at[4] + driver.Pointer(16*s[0]*s[2])}
		p.batch, p.frames, p.places = uint64(s[0]), uint64(s[1]), uint64(s[2])
		p.code, p.frameCode, p.placeCode = codes[args.In[0].DType], codes[args.In[1].DType], codes[args.In[2].DType]
		return launch(b, "routing", "monotonic_path", overSorted(s[0], s[2]), p)
	}}, ok
}
