package checkpoint

import (
	"fmt"
	"strings"

	"pipe.dev/internal/suggest"
)

// The bounds of what is compared, so that a hostile header costs little.
const (
	maxCandidates = 5_000 // names that renaming looks at
	maxProbes     = 8     // missing names that renaming derives prefixes from
)

// suggestion returns what to add to a message about a name, given those that
// exist.
func suggestion(name string, known []string) string {
	if near := suggest.Nearest(name, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// renaming says which change of prefix would turn most of the missing names
// into names that are there, or "" if none does.
func renaming(missing, extra []string) string {
	if len(missing) == 0 || len(extra) == 0 {
		return ""
	}
	there := map[string]bool{}
	for _, n := range extra {
		there[n] = true
	}
	type change struct{ from, to string }
	var best change
	most := 0
	tried := map[change]bool{}
	for i, m := range missing {
		if i == maxProbes {
			break
		}
		for j, e := range extra {
			if j == maxCandidates {
				break
			}
			from, to, ok := prefixes(m, e)
			c := change{from, to}
			if !ok || tried[c] || len(tried) == 256 {
				continue
			}
			tried[c] = true
			n := 0
			for _, m := range missing {
				if rest, ok := strings.CutPrefix(m, from); ok && there[to+rest] {
					n++
				}
			}
			if n > most || n == most && len(from)+len(to) < len(best.from)+len(best.to) {
				best, most = c, n
			}
		}
	}
	if most < 2 && most < len(missing) || 2*most <= len(missing) {
		return ""
	}
	of := fmt.Sprintf("of %d of the %d missing", most, len(missing))
	if most == len(missing) {
		of = "of everything missing"
	}
	switch {
	case best.from == "":
		return fmt.Sprintf("the names %s have %q before them in the file", of, best.to)
	case best.to == "":
		return fmt.Sprintf("the names %s lack the leading %q in the file", of, best.from)
	}
	return fmt.Sprintf("the names %s begin with %q instead of %q in the file", of, best.to, best.from)
}

// prefixes splits off the longest end that a and b share, at a dot, and
// returns what is left of each, with the dot.
func prefixes(a, b string) (from, to string, ok bool) {
	for n := 0; n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n]; n++ {
		i, j := len(a)-1-n, len(b)-1-n // the end after i and j is shared
		if (i == 0 || a[i-1] == '.') && (j == 0 || b[j-1] == '.') {
			from, to, ok = a[:i], b[:j], true
		}
	}
	return from, to, ok
}
