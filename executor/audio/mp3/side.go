package mp3

import (
	"errors"
	"fmt"
)

// kinds of windows of a granule.
const (
	longWindow = iota
	startWindow
	shortWindow // three transforms of a third of the length
	stopWindow
)

// granule is the side information of 576 samples of a channel.
type granule struct {
	bits      int // of scale factors and Huffman codes
	big       int // lines with values that are coded in pairs, from 0
	gain      int // in quarters of a power of two
	compress  int // says how long scale factors are, bits
	window    int
	mixed     bool // the lowest two subbands have long windows whatever window says
	tables    [3]int
	regions   [2]int // where the second and third of tables begin, lines
	lower     [3]int // gains of short windows, in powers of a quarter
	raised    bool   // scale factors of the upper bands are larger by a table
	scale     int    // a scale factor is so many halves of a power of two
	quads     int    // table of values that are coded in fours
	*division        // of its lines
}

// sideInfo is what stands before the main data of a frame.
type sideInfo struct {
	back  int           // bytes of main data that come in frames before
	share [2][4]bool    // by channel: scale factors of granule 1 that are those of granule 0
	g     [2][2]granule // granule, channel
}

// read reads side information.
//
// Source: ISO/IEC 11172-3, 2.4.1.7; ISO/IEC 13818-3, 2.4.1.7.
func (s *sideInfo) read(data []byte, h *header) error {
	b := bitsAt(data, 0)
	if h.version == 1 {
		s.back = b.get(9)
		b.get([3]int{1: 5, 2: 3}[h.channels]) // private bits
		for ch := range h.channels {
			for i := range s.share[ch] {
				s.share[ch][i] = b.flag()
			}
		}
	} else {
		s.back = b.get(8)
		b.get(h.channels)
	}
	for gr := range h.granules {
		for ch := range h.channels {
			if err := s.g[gr][ch].read(&b, h, ch == 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// read reads the side information of a granule.
func (g *granule) read(b *bits, h *header, right bool) error {
	*g = granule{bits: b.get(12), big: 2 * b.get(9), gain: b.get(8)}
	if h.version == 1 {
		g.compress = b.get(4)
	} else {
		g.compress = b.get(9)
		g.raised = g.compress >= 500 && !(right && h.intensity)
	}
	if g.big > 576 {
		return fmt.Errorf("says %d lines of 576", g.big)
	}
	if b.flag() {
		g.window, g.mixed = b.get(2), b.flag()
		g.tables = [3]int{b.get(5), b.get(5), 0}
		g.lower = [3]int{b.get(3), b.get(3), b.get(3)}
		if g.window == longWindow {
			return errors.New("says another window, and has none")
		}
		g.division = divide(h.bands, g.window == shortWindow, g.mixed)
		g.regions = [2]int{g.switched(h), 576}
	} else {
		g.tables = [3]int{b.get(5), b.get(5), b.get(5)}
		first := b.get(4)
		second := first + b.get(3)
		g.division = divide(h.bands, false, false)
		g.regions = [2]int{int(g.edges[min(first+1, 22)]), int(g.edges[min(second+2, 22)])}
	}
	if h.version == 1 {
		g.raised = b.flag()
	}
	g.scale = 1 + b.get(1)
	g.quads = b.get(1)
	return nil
}

// switched is where the second region begins in a granule that says a window: behind three
// bands of short windows or eight of long ones. MPEG 2 has as many lines with both as with
// short windows; of MPEG 2.5, which no standard has, libmpg123 says how it is.
func (g *granule) switched(h *header) int {
	switch {
	case g.window == shortWindow && !g.mixed:
		return int(g.edges[9])
	case g.window == shortWindow && h.version == 2:
		return int(g.edges[6])
	}
	return int(divide(h.bands, false, false).edges[8])
}
