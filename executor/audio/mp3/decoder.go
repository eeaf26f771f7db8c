package mp3

import (
	"errors"
	"fmt"
)

// decoder is what decoding of a frame takes over from frames before.
type decoder struct {
	main     []byte // main data that later frames may refer to, and that of the frame; 16 bytes of zeros behind
	info     sideInfo
	factors  [2]factors
	spectrum [2][576]float32
	top      [2]int // lines from here on are 0
	sub      [18][32]float32
	channel  [2]channel
}

// channel is what a channel takes over from the granule before.
type channel struct {
	overlap [32][18]float32
	history history
}

// pad is how many bytes of zeros stand behind data, so that bits can be read without
// asking whether they are there.
const pad = 16

// reach is how far back main data may lie, bytes.
const reach = 511

// decode decodes a frame: the samples of one instant beside each other. A frame whose data
// lies before those that were read is silent, but for what sounds on.
func (d *decoder) decode(frame []byte, h *header, to []float32) error {
	data := frame[h.start():]
	var side [32 + pad]byte
	copy(side[:], data[:h.side])
	if err := d.info.read(side[:], h); err != nil {
		return err
	}
	before := max(0, len(d.main)-pad)
	keep := min(before, reach)
	d.main = append(d.main[:0], d.main[before-keep:before]...)
	d.main = append(d.main, data[h.side:]...)
	size := len(d.main)
	d.main = append(d.main, make([]byte, pad)...)
	at, there := 8*(keep-d.info.back), d.info.back <= keep
	for gr := range h.granules {
		for ch := range h.channels {
			d.top[ch] = 0
			if !there {
				d.info.g[gr][ch] = granule{division: divide(h.bands, false, false)}
				clear(d.spectrum[ch][:])
				continue
			}
			end := at + d.info.g[gr][ch].bits
			if end > 8*size {
				return errors.New("says more data than there is")
			}
			if err := d.lines(h, gr, ch, at, end); err != nil {
				return err
			}
			at = end
		}
		d.stereo(h, &d.info.g[gr])
		for ch := range h.channels {
			d.granule(&d.info.g[gr][ch], ch, to[gr*576*h.channels+ch:], h.channels)
		}
	}
	return nil
}

// lines reads the lines of a granule of a channel, from one bit of the main data to another.
func (d *decoder) lines(h *header, gr, ch, at, end int) error {
	g, f, x := &d.info.g[gr][ch], &d.factors[ch], &d.spectrum[ch]
	b := bitsAt(d.main, at)
	var share [4]bool
	if gr == 1 && !g.short() {
		share = d.info.share[ch]
	}
	f.read(&b, g, h, &share, ch == 1)
	if b.at() > end {
		return errors.New("its scale factors run over its end")
	}
	clear(x[:])
	from := 0
	for i, to := range [3]int{g.regions[0], g.regions[1], 576} {
		to = max(from, min(to, g.big))
		if err := readPairs(&b, x, from, to, g.tables[i], end); err != nil {
			return fmt.Errorf("granule %d, channel %d: %w", gr+1, ch+1, err)
		}
		from = to
	}
	if b.at() > end {
		return errEnd
	}
	d.top[ch] = readQuads(&b, x, from, g.quads, end)
	f.apply(x, g, d.top[ch])
	return nil
}

// granule makes 576 samples of the lines of a channel, and writes each so many places
// behind the one before.
func (d *decoder) granule(g *granule, ch int, to []float32, stride int) {
	x, c := &d.spectrum[ch], &d.channel[ch]
	longs := 32 // subbands with long windows
	if g.short() {
		if longs = 0; g.mixed {
			longs = int(g.edges[g.long]) / 18
		}
		d.top[ch] = reorder(x, g, d.top[ch])
	}
	smooth(x, longs, d.top[ch])
	c.transform(x, g, longs, d.top[ch], &d.sub)
	c.history.synthesize(&d.sub, to, stride)
}
