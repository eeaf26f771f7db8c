package checkpoint

import (
	"fmt"
	"slices"
)

// Assemble makes a checkpoint of tensors that lie in a file of another format,
// whose reader has proven them. The file is closed with the checkpoint.
func Assemble(f *File, tensors []Tensor) (*Checkpoint, error) {
	c := &Checkpoint{path: f.path, index: map[string]int{}, metadata: map[string]string{}, files: map[string]contents{f.path: f.in}}
	for _, t := range tensors {
		t.File = f.path
		if err := t.checkPairs(); err != nil {
			return nil, errorf(f.path, "tensor %q: %v", t.Name, err)
		}
		c.tensors = append(c.tensors, t)
	}
	c.sort()
	return c, nil
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
// first rows of all pairs before the second ones.
func (t Tensor) apart(data []byte) []byte {
	out := make([]byte, len(data))
	row := len(data) / t.Shape[0]
	size := t.Shape[0] / t.Heads
	for i := range t.Shape[0] {
		head, at := i/size, i%size
		from := head*size + at%(size/2)*2 + at/(size/2)
		copy(out[i*row:(i+1)*row], data[from*row:(from+1)*row])
	}
	return out
}
