package ir

import (
	"strconv"
	"strings"
)

// Within is the Init of a state that begins uniform between -bound and bound.
func Within(bound float64) string { return "within " + strconv.FormatFloat(bound, 'g', 4, 64) }

// Bound reads what Within writes.
func Bound(init string) (bound float64, ok bool) {
	text, ok := strings.CutPrefix(init, "within ")
	bound, err := strconv.ParseFloat(text, 64)
	return bound, ok && err == nil
}
