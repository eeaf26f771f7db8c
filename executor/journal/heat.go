package journal

import (
	"image"
	"image/color"
	paint "image/draw"
	"math"

	"golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/palette/moreland"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// heat is the logarithms (base 10) of positive values by layer and stretch of
// steps; NaN where there is none.
type heat struct {
	layers    []string    // from top to bottom
	cells     [][]float64 // by layer, by stretch
	from, to  float64     // steps
	low, high float64     // of the cells
}

// maxStretches is how many columns a map has at most: each some pixels wide.
const maxStretches = 400

// newHeat takes the norms from rows: the greatest of each stretch. It returns
// nil if there are none.
func newHeat(rows []Row) *heat {
	var with []Row
	seen := map[string]int{}
	for _, r := range rows {
		if len(r.Norms) > 0 {
			with = append(with, r)
			for l := range r.Norms {
				seen[l] = 0
			}
		}
	}
	if len(with) == 0 {
		return nil
	}
	h := &heat{layers: Row{Norms: zeros(seen)}.layers(), low: math.Inf(1), high: math.Inf(-1)}
	n := min(len(with), maxStretches)
	for i, l := range h.layers {
		seen[l] = i
		h.cells = append(h.cells, make([]float64, n))
		for s := range n {
			h.cells[i][s] = math.NaN()
		}
	}
	for i, r := range with {
		for l, v := range r.Norms {
			cell := &h.cells[seen[l]][i*n/len(with)]
			if v = math.Log10(v); math.IsNaN(v) || math.IsInf(v, 0) || v <= *cell {
				continue
			}
			*cell = v
			h.low, h.high = min(h.low, v), max(h.high, v)
		}
	}
	h.from, h.to = float64(with[0].Step), float64(with[len(with)-1].Step)
	if h.to == h.from {
		h.to++
	}
	if !(h.low < h.high) {
		if math.IsInf(h.low, 0) {
			return nil
		}
		h.low, h.high = h.low-0.5, h.high+0.5
	}
	return h
}

func zeros(names map[string]int) map[string]float64 {
	out := make(map[string]float64, len(names))
	for n := range names {
		out[n] = 0
	}
	return out
}

// png draws the map, a bar of its colours at its right.
func (h *heat) png(title, subtitle string) ([]byte, error) {
	f := newFigure(title, subtitle, "")
	colors := moreland.ExtendedBlackBody()
	colors.SetMin(h.low)
	colors.SetMax(h.high + (h.high-h.low)*0.05) // not up to white, which is the paper
	f.Add(plotter.NewImage(h.image(colors), h.from, 0, h.to, float64(len(h.layers))))
	f.X.Padding, f.Y.Padding = 0, 0
	f.Y.Tick.Marker = plot.ConstantTicks(h.ticks())
	if len(h.layers) > 24 {
		f.Y.Tick.Label.Font.Size = vg.Points(9)
	}
	c, all := newCanvas()
	inner := f.heading(all)
	f.Draw(draw.Crop(inner, 0, -vg.Points(86), 0, 0))
	h.bar(colors, draw.Crop(inner, inner.Max.X-inner.Min.X-vg.Points(74), 0, f.below(), 0))
	return encodePNG(c)
}

// below is how high the horizontal axis is.
func (f *figure) below() vg.Length {
	c := draw.NewCanvas(nil, plotWidth, plotHeight)
	return f.DataCanvas(c).Min.Y - c.Min.Y
}

// bar draws the scale of colours.
func (h *heat) bar(colors palette.ColorMap, c draw.Canvas) {
	p := plot.New()
	bar := &heat{cells: make([][]float64, 256), low: h.low, high: h.high}
	for i := range bar.cells {
		bar.cells[i] = []float64{h.high - (h.high-h.low)*float64(i)/255}
	}
	p.Add(plotter.NewImage(bar.image(colors), 0, h.low, 1, h.high))
	p.HideX()
	p.X.Padding, p.Y.Padding = 0, 0
	p.Y.LineStyle.Width = 0
	p.Y.Tick.LineStyle = draw.LineStyle{Color: quiet, Width: vg.Points(0.75)}
	p.Y.Tick.Label = textStyle(11, quiet, font.WeightNormal, p.Y.Tick.Label)
	var ticks []plot.Tick
	for _, t := range logTicks(math.Pow(10, h.low), math.Pow(10, h.high)) {
		ticks = append(ticks, plot.Tick{Value: math.Log10(t.Value), Label: t.Label})
	}
	p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	p.Draw(c)
}

// image has a pixel for each cell, several in a row for large cells, so that
// scaling the image up keeps their edges sharp.
func (h *heat) image(colors palette.ColorMap) image.Image {
	rows, columns := len(h.cells), len(h.cells[0])
	sx, sy := max(1, 1600/columns), max(1, 800/rows)
	img := image.NewNRGBA(image.Rect(0, 0, columns*sx, rows*sy))
	for y, line := range h.cells {
		for x, v := range line {
			var c color.Color = faint
			if !math.IsNaN(v) {
				if at, err := colors.At(max(h.low, min(v, h.high))); err == nil {
					c = at
				}
			}
			cell := image.Rect(x*sx, y*sy, (x+1)*sx, (y+1)*sy)
			paint.Draw(img, cell, image.NewUniform(c), image.Point{}, paint.Src)
		}
	}
	return img
}

// ticks names the layers, or every so many of them.
func (h *heat) ticks() []plot.Tick {
	const most = 36
	every := (len(h.layers) + most - 1) / most
	var ticks []plot.Tick
	for i := 0; i < len(h.layers); i += every {
		ticks = append(ticks, plot.Tick{Value: float64(len(h.layers)-i) - 0.5, Label: shorten(h.layers[i])})
	}
	return ticks
}
