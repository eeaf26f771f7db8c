package journal

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"maps"
	"slices"

	"gonum.org/v1/plot/vg/vgimg"
)

// encodePNG packs lightly: a plot is drawn again and again while a run goes on. A byte for each dot takes a
// fifth of the time of four.
func encodePNG(c *vgimg.Canvas) ([]byte, error) {
	picture := c.Image()
	if m, ok := picture.(*image.RGBA); ok && m.Opaque() {
		picture = paletted(m)
	}
	var b bytes.Buffer
	e := png.Encoder{CompressionLevel: png.BestSpeed}
	err := e.Encode(&b, picture)
	return b.Bytes(), err
}

// paletted is a picture in the 256 colours that it has most of; edges of lines and letters may have others, which
// become the nearest of these.
func paletted(m *image.RGBA) *image.Paletted {
	counts := map[color.RGBA]int{}
	each(m, func(c color.RGBA, _, dots int) { counts[c] += dots })
	most := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int {
		return cmp.Or(counts[b]-counts[a], cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	out := image.NewPaletted(m.Rect, nil)
	for _, c := range most[:min(256, len(most))] {
		out.Palette = append(out.Palette, c)
	}
	places := map[color.RGBA]byte{}
	for i, c := range most {
		if i >= len(out.Palette) {
			i = out.Palette.Index(c)
		}
		places[c] = byte(i)
	}
	each(m, func(c color.RGBA, at, dots int) {
		place := places[c]
		for i := range dots {
			out.Pix[at+i] = place
		}
	})
	return out
}

// each gives the colour of dots that follow each other, where they begin and how many they are.
func each(m *image.RGBA, see func(c color.RGBA, at, dots int)) {
	n := len(m.Pix) / 4
	colour := func(i int) color.RGBA {
		p := m.Pix[4*i : 4*i+4 : 4*i+4]
		return color.RGBA{p[0], p[1], p[2], p[3]}
	}
	for i := 0; i < n; {
		c, at := colour(i), i
		for i++; i < n && colour(i) == c; i++ {
		}
		see(c, at, i-at)
	}
}
