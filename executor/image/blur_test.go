package image

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pipe.dev/executor/tensorfile"
)

// TestBlur holds blurred pictures against Pillow's, to the bit
// (testdata/golden/from_picture.py).
func TestBlur(t *testing.T) {
	const golden = "../../testdata/golden/from_picture"
	list, err := tensorfile.Read(filepath.Join(golden, "blur.npz"))
	if err != nil || len(list) < 6 {
		t.Fatal(len(list), err)
	}
	for _, want := range list {
		kind, radius, _ := strings.Cut(want.Name, ".")
		file := map[string]string{"radius": "mask.png", "colour": "in.png"}[kind]
		p, err := Read(filepath.Join(golden, file), Options{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := strconv.ParseFloat(radius, 64)
		if err != nil {
			t.Fatal(err)
		}
		if worst := same(t, p.Blur(r), want); worst > 0 {
			t.Errorf("%s: worst difference %g", want.Name, worst)
		}
		// In 16 bits the same formula holds, with finer steps.
		if worst := same(t, p.WithBits(16).Blur(r).WithBits(8), want); worst > 2 {
			t.Errorf("%s in 16 bits: worst difference %g", want.Name, worst)
		}
	}
}
