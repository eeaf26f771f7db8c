package stage

import (
	"fmt"
	"testing"
)

// TestStretches cuts tokens at times, which begin at 100, of windows of 50 steps.
func TestStretches(t *testing.T) {
	for _, c := range []struct {
		ids  []int32
		want string
	}{
		{nil, "[] 50"},
		{[]int32{7, 8}, "[{0 50 [7 8]}] 50"},
		{[]int32{102, 7, 8}, "[{0 2 [102 7 8]}] 50"},
		{[]int32{100, 7, 8, 130}, "[{0 30 [100 7 8 130]}] 50"},
		{[]int32{100, 7, 120, 120, 8}, "[{0 20 [100 7 120]}] 20"},
		{[]int32{101, 7, 120, 122, 8, 131}, "[{1 20 [101 7 120]} {22 31 [122 8 131]}] 50"},
		{[]int32{101, 7, 120, 122, 8, 131, 131}, "[{1 20 [101 7 120]} {22 31 [122 8 131]}] 31"},
		{[]int32{100, 7, 100, 100, 8}, "[{0 0 [100 7 100]}] 50"},
	} {
		list, advance := stretchesOf(c.ids, 100, 50)
		if have := fmt.Sprint(list, " ", advance); have != c.want {
			t.Errorf("%v: %s, want %s", c.ids, have, c.want)
		}
	}
}
