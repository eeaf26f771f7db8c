package mp3

import "sync"

// division says where the bands of scale factors lie in the order of the file, where the
// lines of a band with short windows stand window after window.
type division struct {
	edges []uint16 // where bands begin; the last is 576
	long  int      // bands before those of short windows; a short one is three of edges
}

// windows is how many bands come before the next of the same window.
func (d *division) windows() int {
	if d.short() {
		return 3
	}
	return 1
}

// short reports whether there are bands of short windows.
func (d *division) short() bool { return len(d.edges)-1 > d.long }

// longBands and shortBands are the widths of bands, by version and rate: 44.1, 48 and 32
// kHz; 22.05, 24 and 16 kHz; 11.025, 12 and 8 kHz. The last band is what is left.
//
// Source: ISO/IEC 11172-3, table B.8; ISO/IEC 13818-3, table B.2.
var (
	longBands = [9][21]int{
		{4, 4, 4, 4, 4, 4, 6, 6, 8, 8, 10, 12, 16, 20, 24, 28, 34, 42, 50, 54, 76},
		{4, 4, 4, 4, 4, 4, 6, 6, 6, 8, 10, 12, 16, 18, 22, 28, 34, 40, 46, 54, 54},
		{4, 4, 4, 4, 4, 4, 6, 6, 8, 10, 12, 16, 20, 24, 30, 38, 46, 56, 68, 84, 102},
		{6, 6, 6, 6, 6, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 38, 46, 52, 60, 68, 58},
		{6, 6, 6, 6, 6, 6, 8, 10, 12, 14, 16, 18, 22, 26, 32, 38, 46, 54, 62, 70, 76},
		{6, 6, 6, 6, 6, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 38, 46, 52, 60, 68, 58},
		{6, 6, 6, 6, 6, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 38, 46, 52, 60, 68, 58},
		{6, 6, 6, 6, 6, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 38, 46, 52, 60, 68, 58},
		{12, 12, 12, 12, 12, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 76, 90, 2, 2, 2, 2},
	}
	shortBands = [9][12]int{
		{4, 4, 4, 4, 6, 8, 10, 12, 14, 18, 22, 30},
		{4, 4, 4, 4, 6, 6, 10, 12, 14, 16, 20, 26},
		{4, 4, 4, 4, 6, 8, 12, 16, 20, 26, 34, 42},
		{4, 4, 4, 6, 6, 8, 10, 14, 18, 26, 32, 42},
		{4, 4, 4, 6, 8, 10, 12, 14, 18, 24, 32, 44},
		{4, 4, 4, 6, 8, 10, 12, 14, 18, 24, 30, 40},
		{4, 4, 4, 6, 8, 10, 12, 14, 18, 24, 30, 40},
		{4, 4, 4, 6, 8, 10, 12, 14, 18, 24, 30, 40},
		{8, 8, 8, 12, 16, 20, 24, 28, 36, 2, 2, 2},
	}
)

// divisions are those of each rate: of long windows, of short ones, of both.
var divisions = sync.OnceValue(func() *[9][3]division {
	var all [9][3]division
	for i := range all {
		longs := make([]int, 0, 22)
		for _, w := range longBands[i] {
			longs = append(longs, w)
		}
		var shorts []int
		for _, w := range shortBands[i] {
			shorts = append(shorts, w, w, w)
		}
		under := 6 // bands below those of the fourth short one
		if i < 3 {
			under = 8
		}
		all[i][0] = newDivision(longs, nil)
		all[i][1] = newDivision(nil, shorts)
		all[i][2] = newDivision(longs[:under], shorts[9:])
	}
	return &all
})

// newDivision adds widths up; what is left is a last band, or one of each window.
func newDivision(long, short []int) division {
	d := division{edges: []uint16{0}, long: len(long)}
	at := 0
	for _, list := range [][]int{long, short} {
		for _, w := range list {
			at += w
			d.edges = append(d.edges, uint16(at))
		}
	}
	if short == nil {
		d.long++
		d.edges = append(d.edges, 576)
		return d
	}
	for left := 3; left > 0; left-- {
		at += (576 - at) / left
		d.edges = append(d.edges, uint16(at))
	}
	return d
}

// divide is the division of a granule.
func divide(rate int, short, mixed bool) *division {
	switch all := divisions(); {
	case short && mixed:
		return &all[rate][2]
	case short:
		return &all[rate][1]
	default:
		return &all[rate][0]
	}
}
