package journal

import (
	"fmt"
	"image/color"
	"math"

	"golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// The size of a plot, in pixels, and how many of them make an inch.
const (
	plotWidth  = 1200
	plotHeight = 700
	plotDPI    = 96
)

// The colours of a plot: Okabe and Ito's, which are told apart by those who
// don't see all colours too, on white.
var (
	ink       = color.NRGBA{0x22, 0x26, 0x2b, 0xff}
	quiet     = color.NRGBA{0x66, 0x6e, 0x78, 0xff}
	faint     = color.NRGBA{0xe3, 0xe6, 0xea, 0xff}
	blue      = color.NRGBA{0x00, 0x72, 0xb2, 0xff}
	vermilion = color.NRGBA{0xd5, 0x5e, 0x00, 0xff}
	alarm     = color.NRGBA{0xc0, 0x1c, 0x28, 0xff}
)

// pale is c as it looks where it is not the matter. It is opaque, so that
// lines drawn piece by piece show no joints.
func pale(c color.NRGBA) color.NRGBA {
	mix := func(v uint8) uint8 { return uint8((int(v)*5 + 0xff*11) / 16) }
	return color.NRGBA{mix(c.R), mix(c.G), mix(c.B), 0xff}
}

// figure is a plot with what stands above it.
type figure struct {
	*plot.Plot
	title, subtitle string
	legend          []legendEntry
}

type legendEntry struct {
	text string
	line draw.LineStyle
	dot  bool
}

// newFigure returns an empty figure over steps.
func newFigure(title, subtitle, unit string) *figure {
	p := plot.New()
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.LineStyle.Color = quiet
		a.LineStyle.Width = vg.Points(0.75)
		a.Tick.LineStyle = draw.LineStyle{Color: quiet, Width: vg.Points(0.75)}
		a.Tick.Length = vg.Points(4)
		a.Tick.Label = textStyle(11, quiet, font.WeightNormal, a.Tick.Label)
		a.Label.TextStyle = textStyle(12, ink, font.WeightNormal, a.Label.TextStyle)
		a.Label.Padding = vg.Points(8)
		a.Padding = vg.Points(2)
	}
	p.Y.LineStyle.Width = 0
	p.Y.Tick.LineStyle.Width = 0
	p.X.Label.Text = "step"
	p.Y.Label.Text = unit
	p.X.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick { return niceTicks(low, high, 9) })
	p.Y.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick { return niceTicks(low, high, 7) })
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Vertical.Color = nil
	grid.Horizontal = draw.LineStyle{Color: faint, Width: vg.Points(0.75)}
	p.Add(grid)
	return &figure{Plot: p, title: title, subtitle: subtitle}
}

// textStyle is s in the figures' font.
func textStyle(points float64, c color.Color, weight font.Weight, s text.Style) text.Style {
	s.Font.Variant = "Sans"
	s.Font.Weight = weight
	s.Font.Size = vg.Points(points)
	s.Color = c
	return s
}

// line adds a line through points.
func (f *figure) line(name string, points plotter.XYs, c color.NRGBA, width float64) {
	if len(points) == 0 {
		return
	}
	style := draw.LineStyle{Color: c, Width: vg.Points(width)}
	// The rasterizer's time grows with the square of a line's crossings of a
	// row of pixels, so that a line that goes up and down is drawn in pieces,
	// which overlap.
	const piece = 64
	drawn := thinned(points, 2*plotWidth)
	for i := 0; i == 0 || i < len(drawn)-1; i += piece {
		f.Add(&plotter.Line{XYs: drawn[i:min(i+piece+2, len(drawn))], LineStyle: style})
	}
	if len(points) == 1 {
		f.dots(points, c, 3)
	}
	if name != "" {
		f.legend = append(f.legend, legendEntry{text: name, line: style})
	}
}

// dots adds a dot at each point.
func (f *figure) dots(points plotter.XYs, c color.NRGBA, radius float64) {
	f.Add(&plotter.Scatter{XYs: points, GlyphStyle: draw.GlyphStyle{
		Color: c, Radius: vg.Points(radius), Shape: draw.CircleGlyph{},
	}})
}

// series adds a curve: as it is, pale, and smoothed, if it has many points.
func (f *figure) series(name string, c curve, col color.NRGBA) {
	w := window(len(c.points))
	if w == 0 {
		f.line(name, c.points, col, 1.8)
		return
	}
	f.line(name, c.points, pale(col), 0.9)
	f.line(fmt.Sprintf("mean of %d rows", w), smoothed(c.points, w), col, 2)
}

// logarithmic makes the vertical axis one.
func (f *figure) logarithmic() {
	f.Y.Scale = plot.LogScale{}
	f.Y.Tick.Marker = plot.TickerFunc(logTicks)
	f.Y.Label.Text += " (log)"
}

// maxRatio is how far a logarithmic axis may reach.
const maxRatio = 1e30

// frame sets the vertical range to that of the points and some more.
func (f *figure) frame(log bool, low, high float64) {
	if log && low > 0 && high/low <= maxRatio {
		f.logarithmic()
		more := math.Pow(high/low, 0.04)
		if high == low {
			more = 2
		}
		f.Y.Min, f.Y.Max = low/more, high*more
		return
	}
	more := 0.05 * (high - low)
	if more == 0 {
		more = max(math.Abs(high)*0.05, 1e-9)
	}
	f.Y.Min, f.Y.Max = low-more, high+more
	if low >= 0 && (f.Y.Min < 0 || low < 0.25*high) {
		f.Y.Min = 0
	}
}

// mark draws a line across at a step.
func (f *figure) mark(name string, step float64, col color.NRGBA) {
	style := draw.LineStyle{Color: col, Width: vg.Points(1.2), Dashes: []vg.Length{vg.Points(5), vg.Points(3)}}
	f.Add(&plotter.Line{XYs: plotter.XYs{{X: step, Y: f.Y.Min}, {X: step, Y: f.Y.Max}}, LineStyle: style})
	f.legend = append(f.legend, legendEntry{text: name, line: style})
}

// png draws the figure.
func (f *figure) png() ([]byte, error) {
	c, all := newCanvas()
	inner := f.heading(all)
	f.Draw(inner)
	return encodePNG(c)
}

// newCanvas returns a white canvas and what is inside its margins.
func newCanvas() (*vgimg.Canvas, draw.Canvas) {
	c := vgimg.NewWith(
		vgimg.UseWH(plotWidth*vg.Inch/plotDPI, plotHeight*vg.Inch/plotDPI),
		vgimg.UseDPI(plotDPI))
	return c, draw.Crop(draw.New(c), vg.Points(18), -vg.Points(26), vg.Points(14), -vg.Points(16))
}

// heading draws title, subtitle and legend, and returns what is left below.
func (f *figure) heading(c draw.Canvas) draw.Canvas {
	title := textStyle(17, ink, font.WeightBold, f.Title.TextStyle)
	title.XAlign, title.YAlign = draw.XLeft, draw.YTop
	c.FillText(title, vg.Point{X: c.Min.X, Y: c.Max.Y}, f.title)
	sub := textStyle(11, quiet, font.WeightNormal, f.Title.TextStyle)
	sub.XAlign, sub.YAlign = draw.XLeft, draw.YTop
	y := c.Max.Y - vg.Points(24)
	c.FillText(sub, vg.Point{X: c.Min.X, Y: y}, f.subtitle)
	label := textStyle(11, ink, font.WeightNormal, f.Title.TextStyle)
	label.XAlign, label.YAlign = draw.XLeft, draw.YCenter
	y -= vg.Points(27)
	x := c.Min.X
	for _, e := range f.legend {
		end := x + vg.Points(22)
		c.StrokeLine2(e.line, x, y, end, y)
		if e.dot {
			c.DrawGlyph(draw.GlyphStyle{Color: e.line.Color, Radius: vg.Points(3), Shape: draw.CircleGlyph{}},
				vg.Point{X: (x + end) / 2, Y: y})
		}
		c.FillText(label, vg.Point{X: end + vg.Points(6), Y: y}, e.text)
		x = end + vg.Points(6) + label.Width(e.text) + vg.Points(20)
	}
	below := vg.Points(56)
	if len(f.legend) > 0 {
		below = vg.Points(68)
	}
	return draw.Crop(c, 0, 0, 0, -below)
}
