package stage

import (
	"math"
	"testing"
)

// TestWeigh reads brackets as the popular programs document them.
func TestWeigh(t *testing.T) {
	type p = piece
	for prompt, want := range map[string][]piece{
		"normal text":           {p{text: "normal text", weight: 1}},
		"an (important) word":   {p{text: "an ", weight: 1}, p{text: "important", weight: 1.1}, p{text: " word", weight: 1}},
		"(unbalanced":           {p{text: "unbalanced", weight: 1.1}},
		"un)balanced]":          {p{text: "un)balanced]", weight: 1}},
		`\(literal\]`:           {p{text: "(literal]", weight: 1}},
		"(unnecessary)(parens)": {p{text: "unnecessaryparens", weight: 1.1}},
		"[less] (much: 1.5 )":   {p{text: "less", weight: 1 / 1.1}, p{text: " ", weight: 1}, p{text: "much", weight: 1.5}},
		"time 10:30":            {p{text: "time 10:30", weight: 1}},
		"a BREAK b":             {p{text: "a", weight: 1}, p{weight: 1, stop: true}, p{text: "b", weight: 1}},
		"(huge:1e9)":            {p{text: "huge:1e9", weight: 1.1}},
		"a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).": {
			p{text: "a ", weight: 1}, p{text: "house", weight: 1.573}, p{text: " ", weight: 1.1}, p{text: "on", weight: 1}, p{text: " a ", weight: 1.1},
			p{text: "hill", weight: 0.55}, p{text: ", sun, ", weight: 1.1}, p{text: "sky", weight: 1.4641}, p{text: ".", weight: 1.1}},
	} {
		got := weigh(prompt)
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %v", prompt, got, want)
			continue
		}
		for i, g := range got {
			if w := want[i]; g.text != w.text || g.stop != w.stop || math.Abs(g.weight-w.weight) > 1e-9 {
				t.Errorf("%s: %v, want %v", prompt, g, w)
			}
		}
	}
}

func FuzzWeigh(f *testing.F) {
	f.Add(`a ((b:1.2) [c\] BREAK :`)
	f.Fuzz(func(t *testing.T, prompt string) {
		for _, p := range weigh(prompt) {
			if math.IsNaN(p.weight) {
				t.Errorf("%q weighs %q by no number", prompt, p.text)
			}
		}
	})
}
