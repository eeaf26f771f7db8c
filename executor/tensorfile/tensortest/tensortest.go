// Package tensortest helps tests that compare with arrays of a file.
package tensortest

import (
	"testing"

	"pipe.dev/executor/tensorfile"
)

// Read reads all arrays of a file (.npy, .npz, .safetensors) by name. A file that can't be read, and one without arrays, end the test.
func Read(t testing.TB, file string) map[string]tensorfile.Tensor {
	t.Helper()
	list, err := tensorfile.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatalf("%s: no arrays", file)
	}
	out := make(map[string]tensorfile.Tensor, len(list))
	for _, x := range list {
		out[x.Name] = x
	}
	return out
}
