package quant

import (
	"encoding/binary"
	"testing"
)

func words(b []byte) []uint32 {
	out := make([]uint32, len(b)/4)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return out
}

func grouped(t *testing.T, name string) Grouped {
	g := Grouped{In: 32, Out: 16, Group: 8, Weights: words(golden(t, name+".weights")), Zeros: words(golden(t, name+".zeros"))}
	scales := golden(t, "grouped.scales")
	for i := 0; i < len(scales); i += 2 {
		g.Scales = append(g.Scales, binary.LittleEndian.Uint16(scales[i:]))
	}
	return g
}

// Words as AutoGPTQ and AutoAWQ pack them stand for the weights they were made
// of; GPTQ's here have an order of groups.
func TestGrouped(t *testing.T) {
	g := grouped(t, "gptq")
	for _, w := range words(golden(t, "gptq.index")) {
		g.Index = append(g.Index, int32(w))
	}
	got := make([]float32, 32*16)
	if err := g.GPTQ(got); err != nil {
		t.Fatal(err)
	}
	sameBits(t, "gptq", got, floats(golden(t, "gptq.values")))
	if err := grouped(t, "awq").AWQ(got); err != nil {
		t.Fatal(err)
	}
	sameBits(t, "awq", got, floats(golden(t, "awq.values")))
}

func TestGroupedRefusals(t *testing.T) {
	dst := make([]float32, 32*16)
	for want, change := range map[string]func(*Grouped){
		"grouped weights [16, 32] in groups of 8: zeros of length 3, want 8":             func(g *Grouped) { g.Zeros = g.Zeros[:3] },
		"grouped weights [16, 32] in groups of 5: want whole groups, and words of eight": func(g *Grouped) { g.Group = 5 },
		"grouped weights [16, 32]: input 0 is of group 9, of 4":                          func(g *Grouped) { g.Index = make([]int32, 32); g.Index[0] = 9 },
		"grouped weights [16, 32]: the order of groups has 1 inputs, want 32":            func(g *Grouped) { g.Index = []int32{0} },
		"grouped weights [12, 32] in groups of 8: want whole groups, and words of eight": func(g *Grouped) { g.Out = 12 },
		"grouped weights [16, 40] in groups of 8: result of length 512, want 640":        func(g *Grouped) { g.In = 40 },
	} {
		g := grouped(t, "gptq")
		change(&g)
		if err := g.GPTQ(dst); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	g := grouped(t, "awq")
	g.Index = make([]int32, 32)
	if err := g.AWQ(dst); err == nil {
		t.Error("awq weights with an order of groups were read")
	}
}
