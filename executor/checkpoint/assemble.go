package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/quant"
)

// Form is how a file holds a tensor otherwise than View gives it. The zero Form is
// as it is.
type Form struct {
	// Heads, if not 0, is how many heads share the rows; in the file, row j and
	// row size/2 + j of each lie side by side. View puts them apart.
	Heads int
	// Plus is what was added to each element, which is f32.
	Plus float32
	// Transposed says that rows are columns there. What lies in blocks is f32
	// then.
	Transposed bool
	// Row says that it lacks the first axis there, of size 1.
	Row bool
}

// Assemble makes a checkpoint of tensors that lie in a file of another format,
// whose reader has proven them; their shapes are those in the file. The file is
// closed with the checkpoint.
func Assemble(f *File, tensors []Tensor) (*Checkpoint, error) {
	c := &Checkpoint{path: f.path, index: map[string]int{}, metadata: map[string]string{}, files: map[string]contents{f.path: f.in}, made: map[string]*made{}}
	for _, t := range tensors {
		t.File = f.path
		if err := t.checkPairs(); err != nil {
			return nil, errorf(f.path, "tensor %q: %v", t.Name, err)
		}
		if t.Row {
			t.Shape = append([]int{1}, t.Shape...)
		}
		stored := t
		if t.Transposed {
			if len(t.Shape) != 2 {
				return nil, errorf(f.path, "tensor %q has %d axes, and 2 are transposed", t.Name, len(t.Shape))
			}
			t.Shape = []int{t.Shape[1], t.Shape[0]}
			if t.DType.Blocked() {
				t.DType, t.Raw = ir.F32, "F32"
				t.Bytes = t.Type().Bytes()
			}
		}
		if t.Plus != 0 && t.DType != ir.F32 {
			return nil, errorf(f.path, "tensor %q is %s; want F32, from which %v is taken", t.Name, t.Raw, t.Plus)
		}
		if t.Plus != 0 || t.Transposed {
			c.made[t.Name] = &made{f: func() ([]byte, error) { return stored.reformed(f.in) }}
		}
		c.tensors = append(c.tensors, t)
	}
	c.sort()
	return c, nil
}

// reformed is a tensor as View gives it; t is as it is stored.
func (t Tensor) reformed(in contents) ([]byte, error) {
	data, err := in.view(t.Offset, t.Bytes)
	if err != nil {
		return nil, err
	}
	size := t.DType.Size()
	if t.DType.Blocked() {
		f, err := quant.Lookup(t.DType.String())
		if err != nil {
			return nil, err
		}
		values := make([]float32, t.Shape[0]*t.Shape[1])
		if err := f.Decode(values, data); err != nil {
			return nil, err
		}
		size, data = 4, make([]byte, 0, 4*len(values))
		for _, v := range values {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
	}
	out := slices.Clone(data)
	if t.Transposed {
		for r := range t.Shape[0] {
			for c := range t.Shape[1] {
				copy(out[(c*t.Shape[0]+r)*size:][:size], data[(r*t.Shape[1]+c)*size:])
			}
		}
	}
	if t.Plus != 0 {
		for i := 0; i < len(out); i += 4 {
			v := math.Float32frombits(binary.LittleEndian.Uint32(out[i:])) - t.Plus
			binary.LittleEndian.PutUint32(out[i:], math.Float32bits(v))
		}
	}
	return out, nil
}

// sort puts the tensors in order.
func (c *Checkpoint) sort() {
	slices.SortFunc(c.tensors, func(a, b Tensor) int { return naturalCompare(a.Name, b.Name) })
	for i, t := range c.tensors {
		c.index[t.Name] = i
	}
}

// checkPairs proves that the rows of heads can be put apart.
func (t Tensor) checkPairs() error {
	if t.Heads == 0 {
		return nil
	}
	if len(t.Shape) == 0 || t.Heads < 0 || t.Shape[0]%(2*t.Heads) != 0 {
		return fmt.Errorf("has shape %v, whose rows are no pairs of %d heads", t.Shape, t.Heads)
	}
	return nil
}

// apart returns the rows of a tensor in the order in which each head has the
// first rows of all pairs before the second ones, in room if that is large enough.
func (t Tensor) apart(data, room []byte) []byte {
	out := slices.Grow(room[:0], len(data))[:len(data)]
	row := len(data) / t.Shape[0]
	size := t.Shape[0] / t.Heads
	for i := range t.Shape[0] {
		head, at := i/size, i%size
		from := head*size + at%(size/2)*2 + at/(size/2)
		copy(out[i*row:(i+1)*row], data[from*row:(from+1)*row])
	}
	return out
}
