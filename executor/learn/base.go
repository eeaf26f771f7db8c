package learn

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
)

// openBases reads the headers of the weights that training begins with. A new
// model has none.
func (r *Run) openBases() error {
	for _, m := range r.Recipe.members() {
		if len(m.beginnings) == 0 {
			if err := r.openBeginnings(m); err != nil {
				return err
			}
		}
		if m.From == "" || m.Init == "random" || m.base != nil {
			continue
		}
		var err error
		if m.base, err = checkpoint.Open(m.From); err != nil {
			return err
		}
		if err = m.base.Unpack(); err != nil {
			return err
		}
	}
	return nil
}

// held is the element type in which a weight is held: f32 if it changes, else
// that of the folder, which kernels read as it is, where it lies.
func (r *Run) held(path string) (ir.DType, bool) {
	m, rest := r.Recipe.of(stored(path))
	if m.base == nil || r.Recipe.Changes(path) {
		return ir.F32, true
	}
	if x, ok := m.base.Lookup(m.tensor(rest)); ok && (x.DType == ir.BF16 || x.DType == ir.F16) {
		return x.DType, true
	}
	return ir.F32, true
}

// Changes says whether training changes the weight at path.
func (r *Recipe) Changes(path string) bool {
	for i := range r.Parts {
		if r.Trained(&r.Parts[i], path) {
			return true
		}
	}
	return false
}

// saveType is the element type of the model that a finished run writes: what
// the recipe says, else the type that most bytes of the base have.
func (r *Run) saveType(m *Member) (ir.DType, error) {
	if s := r.Recipe.Save.DType; s != "auto" {
		return ir.ParseDType(s)
	}
	best := ir.F32
	if m.base == nil {
		return best, nil
	}
	elements := map[ir.DType]int{}
	for _, x := range m.base.Tensors() {
		if !x.DType.Float() { // weights in blocks can't be written
			continue
		}
		elements[x.DType] += x.Type().Elems()
	}
	for _, t := range []ir.DType{ir.BF16, ir.F16} {
		if elements[t] > elements[best] {
			best = t
		}
	}
	return best, nil
}
