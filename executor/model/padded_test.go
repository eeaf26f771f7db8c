package model

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
	"pipe.dev/internal/measured"
)

// padded reads the reference values of a padded batch through a model.
func padded(t *testing.T, dir string) map[string]tensorfile.Tensor {
	t.Helper()
	return tensortest.Read(t, filepath.Join("../../testdata/golden/padded", filepath.Base(dir)+".safetensors"))
}

// runPadded runs a model over a padded batch.
func runPadded(t *testing.T, dir string, threads int, ids, mask tensorfile.Tensor) tensorfile.Tensor {
	t.Helper()
	m, _ := open(t, dir, threads, "")
	where, err := ReadPadding(mask)
	if err != nil {
		t.Fatal(err)
	}
	call, err := m.Padded(where, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	outs, err := m.RunPadded(context.Background(), call, map[string]tensorfile.Tensor{"ids": ids})
	if err != nil {
		t.Fatal(err)
	}
	return outs[0]
}

// Batches of sequences of several lengths, padded before (language models) or
// after (encoders), give what transformers gives, and each sequence the bits
// that it gives alone.
func TestPadded(t *testing.T) {
	encoders, err := filepath.Glob("../../testdata/golden/encoder/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range append(folders(t), encoders...) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			want := padded(t, dir)
			ids, mask := want["ids"], want["mask"]
			values, ok := want["logits"]
			if !ok {
				values = want["hidden"]
			}
			got := runPadded(t, dir, 2, ids, mask)
			if !slices.Equal(got.Type.Sizes(), values.Type.Sizes()) {
				t.Fatalf("got %v, want %v", got.Type, values.Type)
			}
			d := worst(got.Float64s(), values.Float64s())
			if !(d < 2e-5) { // the promise is 1e-4
				t.Errorf("differs by %.2g", d)
			}
			measured.Note(t, golden, "padded", filepath.Base(dir), d)
			where, err := ReadPadding(mask)
			if err != nil {
				t.Fatal(err)
			}
			all, err := ids.Int32s()
			if err != nil {
				t.Fatal(err)
			}
			stride := len(got.Data) / len(all)
			for row, n := range where.size {
				at := row*where.width + where.start[row]
				alone := encodeBytes(t, dir, tensorfile.FromInt32s("ids", all[at:at+n], 1, n))
				if !bytes.Equal(alone, got.Data[at*stride:(at+n)*stride]) {
					t.Errorf("row %d of %d tokens has other bits than alone", row, n)
				}
			}
		})
	}
}

// encodeBytes runs a model over one sequence.
func encodeBytes(t *testing.T, dir string, ids tensorfile.Tensor) []byte {
	t.Helper()
	m, _ := open(t, dir, 1, "")
	p, err := m.Forward(1, ids.Type.Sizes()[1], nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	outs, err := m.Run(context.Background(), p, map[string]tensorfile.Tensor{"ids": ids})
	if err != nil {
		t.Fatal(err)
	}
	return outs[0].Data
}

// Masks that say nothing clear are refused with the place.
func TestReadPadding(t *testing.T) {
	for _, c := range []struct {
		mask []int32
		want string
	}{
		{[]int32{0, 1, 1, 0, 0, 0}, "no token in row 1"},
		{[]int32{0, 1, 1, 1, 0, 1}, "among the tokens of row 1, before position 2"},
		{[]int32{0, 1, 2, 1, 0, 0}, "mask[0,2] is 2"},
		{[]int32{0, 1, 1, 1, 1, 0}, ""},
	} {
		p, err := ReadPadding(tensorfile.FromInt32s("mask", c.mask, 2, 3))
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%v: got %v, want %q", c.mask, err, c.want)
		case c.want == "" && (!slices.Equal(p.start, []int{1, 0}) || !slices.Equal(p.size, []int{2, 2})):
			t.Errorf("%v: got %+v", c.mask, p)
		}
	}
	if _, err := ReadPadding(tensorfile.FromInt32s("mask", []int32{1}, 1)); err == nil {
		t.Error("a mask with one axis is read")
	}
}
