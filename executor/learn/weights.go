package learn

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/compiler/train"
	"pipe.dev/internal/philox"
	"pipe.dev/kernels/half"
)

// NewWeight returns the values of a new weight: zeros or ones as the op says,
// else normal with the given standard deviation. They depend on the seed, the
// path and the place in the weight, and on nothing else.
func NewWeight(s plan.State, seed uint64, std float64) ([]byte, error) {
	path := s.Path
	if of, ok := train.ReferenceOf(path); ok {
		path = of
	}
	h := fnv.New64a()
	h.Write([]byte(path))
	key := seed ^ h.Sum64()
	out := make([]byte, 0, s.Type.Bytes())
	for i := range s.Type.Elems() {
		var x float64
		switch s.Init {
		case "zeros":
		case "ones":
			x = 1
		case "normal", "uniform":
			x = std * philox.Normal(key, uint64(i))
		case "kaiming": // uniform within 1/sqrt(in), as torch.nn.Linear's
			x = (2*philox.Uniform(key, uint64(i)) - 1) / math.Sqrt(float64(s.Type.Shape[len(s.Type.Shape)-1].N))
		default:
			return nil, fmt.Errorf("weight %s: no way to fill it is called %q", s.Path, s.Init)
		}
		switch s.Type.DType {
		case ir.F32:
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(x)))
		case ir.BF16:
			out = binary.LittleEndian.AppendUint16(out, half.F32ToBF16(float32(x)))
		case ir.F16:
			out = binary.LittleEndian.AppendUint16(out, half.F32ToF16(float32(x)))
		default:
			return nil, fmt.Errorf("weight %s is %v, which is not trained", s.Path, s.Type)
		}
	}
	return out, nil
}

// Initialise fills weights anew.
func (t *Trainer) Initialise(weights []plan.State, seed uint64, std float64) error {
	for _, s := range weights {
		data, err := NewWeight(s, seed, std)
		if err != nil {
			return err
		}
		if err := t.store.New(s, data); err != nil {
			return err
		}
	}
	return nil
}
