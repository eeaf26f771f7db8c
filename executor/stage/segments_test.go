package stage

import (
	"fmt"
	"testing"
)

// TestSegments: short parts are left out, short pauses end nothing, and padding
// stays apart.
func TestSegments(t *testing.T) {
	a := SegmentsAttr{Frame: 0.1, Threshold: 0.5, Release: 0.35, Least: 0.2, Silence: 0.2, Pad: 0.15}
	for _, c := range []struct {
		p    []float32
		want string
	}{
		{nil, "[]"},
		{[]float32{0, 0, 0.4, 0.3}, "[]"},
		{[]float32{0, 0.9, 0, 0, 0}, "[]"}, // too short
		{[]float32{0, 0, 0.9, 0.9, 0, 0.9, 0, 0}, "[{0.05 0.75}]"}, // one quiet frame is no pause
		{[]float32{0, 0.9, 0.9, 0.4, 0.4, 0.4}, "[{0 0.6}]"},       // what is above Release goes on
		{[]float32{0.9, 0.9, 0, 0, 0.9, 0.9}, "[{0 0.3} {0.3 0.6}]"},
	} {
		if got := fmt.Sprint(a.find(c.p)); got != c.want {
			t.Errorf("%v: %s, want %s", c.p, got, c.want)
		}
	}
}
