package cpu

import (
	"fmt"
	"strings"

	"pipe.dev/kernels/cpu/asm"
)

// TierInfo tells whether this machine has an instruction set.
type TierInfo struct {
	Name      string
	Available bool
	Why       string // what is missing, or why it is not taken unless it is asked for, or ""
	Chosen    bool   // the one that is taken unless another is asked for
}

// tier is a set of vector kernels, and what it needs.
type tier struct {
	name    string
	missing func() []string // features that the processor lacks
	kernels func() asm.Kernels
	slow    func() string // why another is quicker on this processor, or ""; nil if none is

	multiplyAdds func(n int) // n times fmaChains independent ones, of lanes numbers each
	lanes        int
	byteAdds     func(n int) // n times fmaChains of byteLanes products of bytes; nil if there are none
	byteLanes    int
	pairAdds     func(n int) // n times fmaChains of pairLanes products of bf16; nil if there are none
	pairLanes    int
}

func generic() tier {
	return tier{name: "generic", missing: func() []string { return nil }, kernels: asm.Generic, multiplyAdds: multiplyAdds, lanes: 1}
}

// Tiers lists the instruction sets that this build knows, the best first.
func Tiers() []TierInfo { return describe(tiers()) }

func describe(list []tier) []TierInfo {
	var out []TierInfo
	chosen := false
	for _, t := range list {
		info := TierInfo{Name: t.name, Available: true}
		if m := t.missing(); len(m) > 0 {
			info.Available, info.Why = false, "the CPU lacks "+strings.Join(m, ", ")
		} else {
			info.Why = t.slower()
			info.Chosen = !chosen && info.Why == ""
			chosen = chosen || info.Chosen
		}
		out = append(out, info)
	}
	return out
}

func (t tier) slower() string {
	if t.slow == nil {
		return ""
	}
	return t.slow()
}

// findTier returns the tier called name, or the best.
func findTier(name string) (tier, error) { return chooseTier(tiers(), name) }

func chooseTier(list []tier, name string) (tier, error) {
	var names []string
	for _, t := range list {
		missing := t.missing()
		switch {
		case name == "" && len(missing) == 0 && t.slower() == "":
			return t, nil
		case name == t.name && len(missing) == 0:
			return t, nil
		case name == t.name:
			return tier{}, fmt.Errorf("cpu: tier %s: the CPU lacks %s", name, strings.Join(missing, ", "))
		}
		names = append(names, t.name)
	}
	return tier{}, fmt.Errorf("cpu: unknown tier %q: want one of %s", name, strings.Join(names, ", "))
}
