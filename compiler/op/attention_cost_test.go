package op

import (
	"testing"

	"pipe.dev/compiler/ir"
)

// Scores that no row may see cost nothing.
func TestAttentionCost(t *testing.T) {
	table, err := New()
	if err != nil {
		t.Fatal(err)
	}
	d, _ := table.Lookup("attention")
	for _, c := range []struct {
		name string
		at   AttentionAttr
		seq  int
		past bool
		keys []int // that each row sees
	}{
		{"full", AttentionAttr{}, 3, false, []int{7, 7, 7}},
		{"causal", AttentionAttr{Causal: true}, 3, false, []int{1, 2, 3}},
		{"causal after a past", AttentionAttr{Causal: true}, 3, true, []int{5, 6, 7}},
		{"one token", AttentionAttr{Causal: true}, 1, true, []int{7}},
		{"window", AttentionAttr{Causal: true, Window: 2}, 3, false, []int{1, 2, 2}},
		{"window after a past", AttentionAttr{Causal: true, Window: 6}, 3, true, []int{5, 6, 6}},
	} {
		in := []ir.Type{ir.T(ir.F32, 2, c.seq, 4, 8), ir.T(ir.F32, 2, 7, 2, 8), ir.T(ir.F32, 2, 7, 2, 8), {}, {}, {}, {}}
		if c.past {
			in[4] = ir.T(ir.I32, 2)
		}
		want := int64(0)
		for _, n := range c.keys {
			want += 4 * 2 * 4 * 8 * int64(n) // two products of two FLOPs, batch, heads, d
		}
		if got := d.Cost(in, nil, c.at); got != want {
			t.Errorf("%s: %d FLOPs, want %d", c.name, got, want)
		}
	}
}
