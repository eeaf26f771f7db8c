package stage

import (
	"fmt"
	stdimage "image"
	"image/color"
	"image/draw"
	"math"

	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"pipe.dev/executor/image"
)

// What is around the rows of a picture of sound, pixels.
const (
	boardLeft, boardRight = 56, 12
	boardTop, boardGap    = 8, 10
	boardBottom           = 24
	letterSize            = 11
)

// rgb is a colour.
type rgb [3]uint8

var (
	background = rgb{16, 16, 24}
	paper      = rgb{28, 28, 36}
	ink        = rgb{205, 205, 215}
	faint      = rgb{90, 90, 110}
)

// board is a picture of rows over a common axis of time.
type board struct {
	*image.Picture
	rows    []plotRow
	face    font.Face
	lasting float64 // seconds
}

// plotRow is a part of a board with an axis of its own.
type plotRow struct {
	board                 *board
	left, top, wide, high int
}

// newBoard has rows of the given heights, which last so many seconds.
func newBoard(width int, heights []int, seconds float64) (*board, error) {
	letters, err := opentype.Parse(liberationsansregular.TTF)
	if err != nil {
		return nil, err
	}
	face, err := opentype.NewFace(letters, &opentype.FaceOptions{Size: letterSize, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return nil, err
	}
	b := &board{face: face, lasting: seconds}
	y := boardTop
	for _, h := range heights {
		b.rows = append(b.rows, plotRow{b, boardLeft, y, width - boardLeft - boardRight, h})
		y += h + boardGap
	}
	b.Picture = image.New(width, y-boardGap+boardBottom, 3, false)
	for i := 0; i < len(b.Pix); i += 3 {
		copy(b.Pix[i:], paper[:])
	}
	return b, nil
}

// point colours a pixel, if there is one.
func (b *board) point(x, y int, c rgb) {
	if x >= 0 && x < b.Width && y >= 0 && y < b.Height {
		copy(b.Pix[3*(y*b.Width+x):], c[:])
	}
}

// dot colours a pixel of the row.
func (r plotRow) dot(x, y int, c rgb) {
	if x >= 0 && x < r.wide && y >= 0 && y < r.high {
		r.board.point(r.left+x, r.top+y, c)
	}
}

// tick marks a row of pixels at the axis and says what it stands for.
func (r plotRow) tick(y int, label string) {
	for x := 1; x <= 4; x++ {
		r.board.point(r.left-x, r.top+y, ink)
	}
	r.board.write(label, r.left-7-r.board.width(label), r.top+y+4, ink)
}

// seconds draws the axis of time below the last row.
func (b *board) seconds() {
	r := b.rows[len(b.rows)-1]
	step := 0.001
	for i := 0; b.lasting/step > 10 || b.lasting/step*60 > float64(r.wide); i++ {
		step *= []float64{2, 2.5, 2}[i%3]
	}
	bottom := r.top + r.high
	for i := 0; float64(i)*step <= b.lasting; i++ {
		x := r.left + int(math.Round(float64(i)*step/b.lasting*float64(r.wide-1)))
		for y := range 4 {
			b.point(x, bottom+y, ink)
		}
		label := fmt.Sprintf("%.4g", float64(i)*step)
		if i == 0 {
			label = "0 s"
		}
		b.write(label, x-b.width(label)/2, bottom+16, ink)
	}
}

// column is where a time lies in a row.
func (r plotRow) column(seconds float64) int {
	return int(math.Round(seconds / r.board.lasting * float64(r.wide)))
}

// labels draws what stands when, and where it begins in the rows above.
func (b *board) labels(times []stretchOfTime) {
	r := b.rows[2]
	for i, s := range times {
		from, to := r.column(s.from), r.column(s.to)
		shade := background
		if i%2 == 1 {
			shade = rgb{44, 44, 58}
		}
		for x := from; x < to; x++ {
			for y := range r.high {
				r.dot(x, y, shade)
			}
		}
		if w := b.width(s.label); w < to-from {
			b.write(s.label, r.left+(from+to-w)/2, r.top+r.high/2+4, ink)
		}
		for y := 0; y < b.rows[1].high && from > 0; y += 3 {
			b.rows[1].dot(from, y, faint)
		}
	}
}

// attention draws how much steps looked at each of a row, the first at the bottom.
func (b *board) attention(r plotRow, steps [][]float32) {
	n := len(steps[0])
	for x := range r.wide {
		step := steps[min(len(steps)-1, x*len(steps)/r.wide)]
		for y := range r.high {
			r.dot(x, y, warmth(float64(step[min(n-1, (r.high-1-y)*n/r.high)])))
		}
	}
	r.tick(r.high-1, "0")
	r.tick(0, fmt.Sprint(n-1))
}

// width is that of a text, pixels.
func (b *board) width(text string) int { return font.MeasureString(b.face, text).Ceil() }

// write writes a text from a pixel of its base line on.
func (b *board) write(text string, x, y int, c rgb) {
	d := font.Drawer{Dst: pixels{b.Picture}, Src: stdimage.NewUniform(color.RGBA{c[0], c[1], c[2], 255}), Face: b.face, Dot: fixed.P(x, y)}
	d.DrawString(text)
}

// pixels lets the library of fonts draw on a picture of three channels.
type pixels struct{ *image.Picture }

var _ draw.Image = pixels{}

func (p pixels) ColorModel() color.Model { return color.RGBAModel }

func (p pixels) Bounds() stdimage.Rectangle { return stdimage.Rect(0, 0, p.Width, p.Height) }

func (p pixels) At(x, y int) color.Color {
	at := p.Pix[3*(y*p.Width+x):]
	return color.RGBA{at[0], at[1], at[2], 255}
}

func (p pixels) Set(x, y int, c color.Color) {
	v := color.RGBAModel.Convert(c).(color.RGBA)
	copy(p.Pix[3*(y*p.Width+x):], []uint8{v.R, v.G, v.B})
}
