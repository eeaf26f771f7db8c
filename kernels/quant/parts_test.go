package quant

import (
	"math/rand/v2"
	"testing"

	"pipe.dev/kernels/half"
)

// A block taken apart stands for the weights that it decodes to, bit for bit.
func TestParts(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	offsets := map[string]int{"q8_0": 128, "q4_0": 8, "q5_0": 16, "iq4_nl": 128, "q6_k": 32, "q3_k": 4}
	for _, f := range Formats() {
		if f.Name == "nf4" {
			continue
		}
		block, want := make([]byte, f.Bytes), make([]float32, f.Block)
		for range 20 {
			for i := range block {
				block[i] = byte(r.Uint32())
			}
			clearNaN(f, block)
			if err := f.Decode(want, block); err != nil {
				t.Fatal(err)
			}
			p := f.Parts(block)
			d, m, got := half.F16ToF32(p.D), half.F16ToF32(p.M), make([]float32, f.Block)
			for i := range got {
				q := f.Codes(block, i/32)[i%32/4] >> (i % 4 * 8) & 255
				if f.Name == "iq4_nl" {
					q = uint32(int32(Levels()[q]) + 128)
				}
				scale, least, b := d, float32(0), i/f.Small()
				switch f.Name {
				case "q4_1", "q5_1":
					least = m
				case "q4_g32", "q4_g64", "q4_g128":
					least = -float32(d * m)
				case "q4_k", "q5_k", "q2_k":
					scale, least = d*float32(p.Scale[b]), -float32(m*float32(p.Least[b]))
				case "q6_k", "q3_k":
					scale = d * float32(p.Scale[b])
				}
				got[i] = float32(scale*float32(int(q)-offsets[f.Name])) + least
			}
			sameBits(t, f.Name, got, want)
		}
	}
}

// clearNaN keeps the scales of a random block finite.
func clearNaN(f Format, block []byte) {
	at := map[string][]int{"q2_k": {81, 83}, "q3_k": {109}, "q6_k": {209}}[f.Name]
	if at == nil {
		at = []int{1, 3}
	}
	for _, i := range at {
		block[i] &^= 0x40
	}
}
