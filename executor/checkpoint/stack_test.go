package checkpoint

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
)

// A stack is written as one tensor for each expert, and read back as one.
func TestStack(t *testing.T) {
	data := make([]byte, 3*2*4*4)
	for i := range data {
		data[i] = byte(i)
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	tensors := []Data{{"a.{e}.w.weight", ir.T(ir.F32, 3, 2, 4), data}, {"b", ir.T(ir.F32, 1), data[:4]}}
	if err := Write(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
	c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n := len(c.Tensors()); n != 4 {
		t.Fatalf("%d tensors, want 3 experts and b", n)
	}
	one, err := c.View("a.1.w.weight")
	if err != nil || !bytes.Equal(one, data[32:64]) {
		t.Errorf("expert 1 is %v, %v", one, err)
	}
	all, err := c.View("a.{e}.w.weight")
	if err != nil || !bytes.Equal(all, data) {
		t.Errorf("the stack is %v, %v", all, err)
	}
	if s, ok := c.Lookup("a.{e}.w.weight"); !ok || s.Bytes != 96 || len(s.Shape) != 3 || s.Shape[0] != 3 {
		t.Errorf("the stack is %+v, %v", s, ok)
	}
	if err := c.Prove([]Want{{Name: "a.{e}.w.weight", Shape: []int{3, 2, 4}}, {Name: "b", Shape: []int{1}}}, nil); err != nil {
		t.Error(err)
	}
	err = c.Prove([]Want{{Name: "a.{e}.w.weight", Shape: []int{4, 2, 4}}, {Name: "b", Shape: []int{1}}}, nil)
	if err == nil || !strings.Contains(err.Error(), `no tensor "a.3.w.weight" of shape [2 4]`) {
		t.Errorf("four experts of three: %v", err)
	}
	if _, err := c.View("a.{e}.nosuch"); err == nil || !strings.Contains(err.Error(), "a.{e}.nosuch") {
		t.Errorf("no such stack: %v", err)
	}
}
