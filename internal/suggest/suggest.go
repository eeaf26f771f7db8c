// Package suggest finds the known word that somebody may have meant, for the
// end of error messages.
package suggest

import (
	"slices"
	"strings"
)

// The bounds of what is compared, so that hostile input costs little.
const (
	maxWord  = 200   // bytes
	maxKnown = 5_000 // words
)

// Nearest returns the word of known that is nearest to word: at most a third
// of the letters differ, and two in short words; a word that begins with the
// other counts as near. It returns "" if none is. Upper and lower case are the
// same; of equally near words the first in sorted order counts.
func Nearest(word string, known []string) string {
	if word == "" || len(word) > maxWord {
		return ""
	}
	lower := strings.ToLower(word)
	best, least := "", max(2, len(word)/3)+1
	begins := ""
	for _, k := range slices.Sorted(slices.Values(known[:min(len(known), maxKnown)])) {
		if k == "" || k == word || len(k) > maxWord {
			continue
		}
		if begins == "" && len(word) > 2 && strings.HasPrefix(strings.ToLower(k), lower) {
			begins = k
		}
		if len(k) > len(word)+least || len(word) > len(k)+least {
			continue
		}
		if d := distance(lower, strings.ToLower(k)); d < least && d < max(len(word), len(k)) {
			best, least = k, d
		}
	}
	if best == "" {
		return begins
	}
	return best
}

// DidYouMean returns "did you mean X?" for the nearest of known, or "".
func DidYouMean(word string, known []string) string {
	if near := Nearest(word, known); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour to turn a into b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
