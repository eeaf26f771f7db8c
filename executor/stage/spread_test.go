package stage

import (
	"fmt"
	"strings"
	"testing"
)

// TestPlaces spreads a row by how long each lasts.
func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		lasts   []float64
		stretch float64
		want    string
	}{
		{[]float64{2, 0, 1}, 1, "[0 0 2]"},
		{[]float64{1, 3}, 1.5, "[0 0 1 1 1 1]"}, // 1.5 and 4.5 to even
		{[]float64{0, 0}, 1, "[0 1]"},
		{[]float64{3, 6}, 1, "x takes more than 8 places up to its element 1 of 2: set most to more"},
		{[]float64{1, -1}, 1, "x[1] is -1"},
		{[]float64{0.5}, 1, "x[0] is 0.5"},
	} {
		places, err := SpreadAttr{Stretch: c.stretch, Most: 8}.places(c.lasts)
		have := fmt.Sprint(places)
		if err != nil {
			have = err.Error()
		}
		if !strings.HasPrefix(have, c.want) {
			t.Errorf("%v: %s, want %s", c.lasts, have, c.want)
		}
	}
}
