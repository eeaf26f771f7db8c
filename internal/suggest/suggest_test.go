package suggest

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"temperature", "top_k", "top_p", "seed", "SiLU", "model.layers.0.self_attn.q_proj.weight"}
	for word, want := range map[string]string{
		"temprature":                            "temperature",
		"temp":                                  "temperature",
		"tpo_k":                                 "top_k",
		"silu":                                  "SiLU",
		"Seed":                                  "seed",
		"xyz":                                   "",
		"":                                      "",
		"temperature":                           "",
		"model.layers.0.self_atn.q_proj.weight": "model.layers.0.self_attn.q_proj.weight",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
	if got := DidYouMean("sed", known); got != "did you mean seed?" {
		t.Errorf("DidYouMean gives %q", got)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1}} {
		if got := distance(c.a, c.b); got != c.want || distance(c.b, c.a) != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
