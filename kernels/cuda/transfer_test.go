package cuda

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestTransfer: what is larger than the slots that it goes through arrives whole, at any offset, one copy after the other.
func TestTransfer(t *testing.T) {
	b := open(t)
	random := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 2*stageBytes+stageBytes/2+13)
	for i := range want {
		want[i] = byte(random.Uint32())
	}
	buffer, err := b.Alloc(int64(len(want)))
	if err != nil {
		t.Fatal(err)
	}
	defer buffer.Free()
	if err := buffer.Write(0, want); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]int{{0, len(want)}, {7, 1}, {5, stageBytes}, {1, 2 * stageBytes}, {stageBytes - 3, stageBytes + 1}, {len(want), 0}} {
		got := make([]byte, c[1])
		if err := buffer.Read(int64(c[0]), got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want[c[0]:c[0]+c[1]]) {
			t.Errorf("%d bytes at %d are not those that were written", c[1], c[0])
		}
		for i := range got {
			got[i] ^= 0x5a
		}
		if err := buffer.Write(int64(c[0]), got); err != nil {
			t.Fatal(err)
		}
		copy(want[c[0]:], got)
	}
}
