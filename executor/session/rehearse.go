package session

import (
	"pipe.dev/compiler/plan"
	"pipe.dev/kernels"
)

// Rehearse binds plans without memory, and returns how many bytes of the device's memory that
// took for good, beside what plans say: kernels' code and constants. It is 0 on a device
// that can't, or that has nothing of the kind.
func Rehearse(b kernels.Backend, plans []*plan.Plan) (int64, error) {
	r, ok := b.(kernels.Rehearser)
	if !ok {
		return 0, nil
	}
	before := onDevice(r.Beyond())
	for _, p := range plans {
		arena := r.Nowhere(p.WorkBytes)
		m := memory{b, p, func(at plan.Place) (kernels.Tensor, error) {
			t := kernels.Tensor{DType: at.Type.DType, Shape: at.Type.Sizes()}
			switch at.State {
			case plan.None:
				return kernels.Tensor{}, nil
			case plan.Work:
				t.Buffer, t.Offset = arena, at.Offset
			default:
				st := p.States[at.State]
				t.Buffer, t.Layout = r.Nowhere(st.Bytes), st.Layout
			}
			return t, nil
		}}
		if _, err := m.steps(p.Steps); err != nil {
			return 0, err
		}
	}
	return onDevice(r.Beyond()) - before, nil
}

func onDevice(list []kernels.Beyond) int64 {
	var sum int64
	for _, x := range list {
		if !x.Host {
			sum += x.Bytes
		}
	}
	return sum
}
