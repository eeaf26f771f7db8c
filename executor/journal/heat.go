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

// cells are a heat's in a range of a plot, which is painted on a page.
type cells struct {
	*heat
	colors                   palette.ColorMap
	page                     paint.Image
	left, right, bottom, top float64
}

// png draws the map, a bar of its colours at its right.
func (h *heat) png(title, subtitle string) ([]byte, error) {
	f := newFigure(title, subtitle, "")
	colors := moreland.ExtendedBlackBody()
	colors.SetMin(h.low)
	colors.SetMax(h.high + (h.high-h.low)*0.05) // not up to white, which is the paper
	c, all := newCanvas()
	f.Add(cells{h, colors, c.Image(), h.from, h.to, 0, float64(len(h.layers))})
	f.X.Padding, f.Y.Padding = 0, 0
	f.Y.Tick.Marker = plot.ConstantTicks(h.ticks())
	if len(h.layers) > 24 {
		f.Y.Tick.Label.Font.Size = vg.Points(9)
	}
	inner := f.heading(all)
	f.Draw(draw.Crop(inner, 0, -vg.Points(86), 0, 0))
	h.bar(colors, c.Image(), draw.Crop(inner, inner.Max.X-inner.Min.X-vg.Points(74), 0, f.below(), 0))
	return encodePNG(c)
}

// below is how high the horizontal axis is.
func (f *figure) below() vg.Length {
	c := draw.NewCanvas(nil, plotWidth, plotHeight)
	return f.DataCanvas(c).Min.Y - c.Min.Y
}

// bar draws the scale of colours.
func (h *heat) bar(colors palette.ColorMap, page paint.Image, c draw.Canvas) {
	p := plot.New()
	bar := &heat{cells: make([][]float64, 256), low: h.low, high: h.high}
	for i := range bar.cells {
		bar.cells[i] = []float64{h.high - (h.high-h.low)*float64(i)/255}
	}
	p.Add(cells{bar, colors, page, 0, 1, h.low, h.high})
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

// Plot paints the cells, pixel by pixel: the first row lies at the top.
func (m cells) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	dot := func(v vg.Length) int { return int(math.Round(v.Dots(plotDPI))) }
	left, right := dot(x(m.left)), dot(x(m.right))
	top, bottom := m.page.Bounds().Max.Y-dot(y(m.top)), m.page.Bounds().Max.Y-dot(y(m.bottom))
	rows, columns := len(m.cells), len(m.cells[0])
	for i, line := range m.cells {
		for j, v := range line {
			var col color.Color = faint
			if !math.IsNaN(v) {
				if at, err := m.colors.At(max(m.low, min(v, m.high))); err == nil {
					col = at
				}
			}
			cell := image.Rect(left+j*(right-left)/columns, top+i*(bottom-top)/rows, left+(j+1)*(right-left)/columns, top+(i+1)*(bottom-top)/rows)
			paint.Draw(m.page, cell, image.NewUniform(col), image.Point{}, paint.Src)
		}
	}
}

// DataRange is where the cells lie.
func (m cells) DataRange() (left, right, bottom, top float64) {
	return m.left, m.right, m.bottom, m.top
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
