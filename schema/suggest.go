package schema

import (
	"fmt"
	"slices"
	"strings"
)

// Suggest returns "did you mean X?" for the X in known nearest to word, or ""
// if none is near: a third of the letters may differ, and two at least.
func Suggest(word string, known []string) string {
	best, least := "", max(2, len(word)/3)+1
	for _, k := range slices.Sorted(slices.Values(known)) {
		if k == word || k == "" {
			continue
		}
		d := distance(strings.ToLower(word), strings.ToLower(k))
		if d >= max(len(word), len(k)) || d > least || best == "" && d == least {
			continue
		}
		if d < least || closer(word, k, best) {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %s?", best)
}

// closer decides between two words of equal distance: by what they begin with,
// then by their length.
func closer(word, a, b string) bool {
	if pa, pb := commonPrefix(word, a), commonPrefix(word, b); pa != pb {
		return pa > pb
	}
	return len(a) == len(word) && len(b) != len(word)
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour to turn a into b.
func distance(a, b string) int {
	before, previous := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(previous[j]+1, row[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, previous = previous, row
	}
	return previous[len(b)]
}
