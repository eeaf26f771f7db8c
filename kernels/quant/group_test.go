package quant

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// random32 is weights of GPTQ and of AWQ in groups of 32, 64 or 128, whose
// decoding is held against their packages.
func randomGrouped(r *rand.Rand, in, out, group int, awq bool) Grouped {
	g := Grouped{In: in, Out: out, Group: group}
	for range in * out / 8 {
		g.Weights = append(g.Weights, r.Uint32())
	}
	for range in / group * out / 8 {
		g.Zeros = append(g.Zeros, r.Uint32())
	}
	for range in / group * out {
		g.Scales = append(g.Scales, uint16(0x1c00+r.IntN(0x800)))
	}
	return g
}

// Rows of blocks are the weights of GPTQ and AWQ bit for bit.
func TestGroupRows(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	for _, name := range []string{"q4_g32", "q4_g64", "q4_g128"} {
		f, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, awq := range []bool{false, true} {
			g := randomGrouped(r, 256, 16, f.Block, awq)
			want, got := make([]float32, 256*16), make([]float32, 256*16)
			decode := g.GPTQ
			if awq {
				decode = g.AWQ
			}
			if err := decode(want); err != nil {
				t.Fatal(err)
			}
			blocks := make([]byte, 256*16/f.Block*f.Bytes)
			if err := g.Rows(blocks, awq); err != nil {
				t.Fatal(err)
			}
			if err := f.Decode(got, blocks); err != nil {
				t.Fatal(err)
			}
			sameBits(t, name, got, want)
		}
	}
}

func TestGroupRowsRefusals(t *testing.T) {
	g := randomGrouped(rand.New(rand.NewPCG(1, 1)), 64, 8, 32, false)
	for want, change := range map[string]func(g *Grouped) []byte{
		"no format \"q4_g16\"":      func(g *Grouped) []byte { g.Group = 16; return nil },
		"an order of groups":        func(g *Grouped) []byte { g.Index = make([]int32, 64); return nil },
		"take 320 bytes, not 7":     func(g *Grouped) []byte { return make([]byte, 7) },
		"zeros of length 0, want 2": func(g *Grouped) []byte { g.Zeros = nil; return nil },
	} {
		g := g
		if err := g.Rows(change(&g), false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
