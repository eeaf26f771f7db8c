package learn

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/internal/philox"
	"pipe.dev/kernels/half"
)

// NewWeight returns the values of a new weight: zeros or ones as the op says,
// else normal with the given standard deviation. They depend on the seed, the
// path and the place in the weight, and on nothing else.
func NewWeight(s plan.State, seed uint64, std float64) ([]byte, error) {
	draw, err := Draw(s, seed, std)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, s.Type.Bytes())
	for i := range s.Type.Elems() {
		x := draw(int64(i))
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

// Draw gives the elements of a new weight one by one, in any order, as
// NewWeight says.
func Draw(s plan.State, seed uint64, std float64) (func(i int64) float64, error) {
	path := s.Path
	if of, ok := train.ReferenceOf(path); ok {
		path = of
	}
	h := fnv.New64a()
	h.Write([]byte(path))
	key := seed ^ h.Sum64()
	within := func(bound float64) func(i int64) float64 {
		return func(i int64) float64 { return bound * (2*philox.Uniform(key, uint64(i)) - 1) }
	}
	switch s.Init {
	case "zeros":
		return func(int64) float64 { return 0 }, nil
	case "ones":
		return func(int64) float64 { return 1 }, nil
	case "normal", "uniform":
		return func(i int64) float64 { return std * philox.Normal(key, uint64(i)) }, nil
	case "kaiming": // uniform within 1/sqrt(n), for n inputs of an output: as torch's linear layers and convolutions
		root := math.Sqrt(float64(s.Type.With(s.Type.Shape[1:]...).Elems()))
		return func(i int64) float64 { return (2*philox.Uniform(key, uint64(i)) - 1) / root }, nil
	}
	bound, ok := ir.Bound(s.Init)
	if !ok {
		return nil, fmt.Errorf("weight %s: no way to fill it is called %q", s.Path, s.Init)
	}
	return within(bound), nil
}

// Initialise fills weights anew; std gives the standard deviation of each.
func (t *Trainer) Initialise(weights []plan.State, seed uint64, std func(path string) float64) error {
	for _, s := range weights {
		data, err := NewWeight(s, seed, std(s.Path))
		if err != nil {
			return err
		}
		if err := t.newState(s, data); err != nil {
			return err
		}
	}
	return nil
}

// weights puts weights as a run begins with them into a trainer: those of the
// model's folder, and new ones.
func (r *Run) weights(t *Trainer, all []plan.State) error {
	var norms, singular []plan.State
	for _, m := range r.Recipe.members() {
		var drawn, adapted, read []plan.State
		begun := map[*beginning][]plan.State{}
		for _, s := range all {
			of, rest := r.Recipe.of(stored(s.Path))
			begins := m.beginning(rest)
			switch {
			case of != m:
			case train.IsAdapter(s.Path) && m.from != nil:
				adapted = append(adapted, s)
			case s.Init == train.RowNorms:
				norms = append(norms, s)
			case s.Init == train.Singular:
				singular = append(singular, s)
			case begins != nil && !train.IsAdapter(s.Path):
				begun[begins] = append(begun[begins], s)
			case m.base == nil || train.IsAdapter(s.Path):
				drawn = append(drawn, s)
			default:
				read = append(read, s)
			}
		}
		for i, s := range drawn {
			if _, rest := r.Recipe.of(s.Path); s.Init == "kaiming" && m.told(rest) {
				drawn[i].Init = "normal"
			}
		}
		std := func(path string) float64 { _, rest := r.Recipe.of(path); return m.std(rest) }
		if err := t.Initialise(drawn, r.Recipe.Seed, std); err != nil {
			return err
		}
		if len(adapted) > 0 {
			if err := m.loadAdapter(t, adapted); err != nil {
				return err
			}
		}
		for i := range m.beginnings {
			if err := m.beginnings[i].load(t, begun[&m.beginnings[i]]); err != nil {
				return err
			}
		}
		if len(read) > 0 {
			if err := r.load(t, m, read); err != nil {
				return err
			}
		}
	}
	if err := t.magnitudes(norms); err != nil {
		return err
	}
	return t.singular(singular)
}

// load reads weights from the files of a model. Of a model that is called they
// may have more than is computed.
func (r *Run) load(t *Trainer, m *Member, read []plan.State) error {
	name := func(path string) string {
		_, rest := r.Recipe.of(stored(path))
		return m.tensor(rest)
	}
	used := map[string]bool{}
	for _, s := range t.states(ir.Weight) {
		if of, rest := r.Recipe.of(stored(s.Path)); of == m {
			used[m.tensor(rest)] = true
		}
	}
	ignore := func(tensor string) bool {
		return used[tensor] || m.arch.Ignores(tensor) || m.Name != "" && m.arch.Holds(tensor)
	}
	if err := m.base.Prove(wanted(read, name), ignore); err != nil {
		return err
	}
	return t.loadStates(m.base, name, read)
}

// wanted are the tensors that weights are read from.
func wanted(weights []plan.State, name func(path string) string) (wants []checkpoint.Want) {
	for _, s := range weights {
		wants = append(wants, checkpoint.Want{Name: name(s.Path), Shape: s.Type.Sizes(), DTypes: []ir.DType{ir.F32, ir.BF16, ir.F16, ir.F64}})
	}
	return wants
}

// stored is the name of the tensor that a weight begins as.
func stored(path string) string {
	if of, ok := train.ReferenceOf(path); ok {
		return of
	}
	return path
}
