package cpu

import (
	"slices"
	"testing"

	"pipe.dev/kernels/cpu/asm"
)

// The best tier is taken that the processor has and that gains something there; another may be asked for.
func TestChooseTier(t *testing.T) {
	none := func() []string { return nil }
	list := []tier{
		{name: "best", missing: func() []string { return []string{"BEST"} }},
		{name: "slow", missing: none, slow: func() string { return "slow here" }},
		{name: "good", missing: none, slow: func() string { return "" }, kernels: asm.Generic},
		generic(),
	}
	for _, c := range []struct{ name, want string }{{"", "good"}, {"slow", "slow"}, {"generic", "generic"}} {
		if got, err := chooseTier(list, c.name); err != nil || got.name != c.want {
			t.Errorf("tier %q: %q, %v, want %q", c.name, got.name, err, c.want)
		}
	}
	if _, err := chooseTier(list, "best"); err == nil || err.Error() != "cpu: tier best: the CPU lacks BEST" {
		t.Errorf("a tier that the processor lacks: %v", err)
	}
	want := []TierInfo{{Name: "best", Why: "the CPU lacks BEST"}, {Name: "slow", Available: true, Why: "slow here"}, {Name: "good", Available: true, Chosen: true}, {Name: "generic", Available: true}}
	if got := describe(list); !slices.Equal(got, want) {
		t.Errorf("tiers are %+v, want %+v", got, want)
	}
}
