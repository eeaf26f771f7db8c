package train

import (
	"strings"

	"pipe.dev/compiler/ir"
)

// Rule says of the weights whose paths match a pattern whether they decay.
type Rule struct {
	Pattern string
	Decay   bool
}

// Decays reports whether weight decay applies to the weight at path: as the
// first rule that matches says, else matrices do, and vectors (biases, norms)
// do not.
func Decays(path string, shape []ir.Dim, rules []Rule) bool {
	for _, r := range rules {
		if Match(r.Pattern, path) {
			return r.Decay
		}
	}
	return len(shape) >= 2
}

// Match reports whether pattern stands for path: for the whole path or for
// its last parts, where * stands for any characters, dots included. So
// "*.mlp.*" and "down_proj.weight" both match "model.layers.0.mlp.down_proj.weight".
func Match(pattern, path string) bool {
	return glob(pattern, path) || glob("*."+pattern, path)
}

func glob(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(s, parts[0])
	if !ok || len(parts) == 1 {
		return ok && rest == ""
	}
	last := parts[len(parts)-1]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, p)
		if i < 0 {
			return false
		}
		rest = rest[i+len(p):]
	}
	return strings.HasSuffix(rest, last)
}
