package stage

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/tensorfile"
)

// tiling says how pictures are cut into tiles that overlap, and how what a model gives of
// them becomes one again. Sizes are those that the model calls height and width.
//
// Sources: AutoencoderKL.tiled_decode and AutoencoderTiny._tiled_decode of diffusers 0.42.1.
type tiling struct {
	size   int  // of a tile
	stride int  // from one tile to the next
	over   bool // tiles lie over those before them, else they end where the next begins
}

// box is a tile: where it begins and how large it is, in named sizes.
type box struct{ y, x, rows, columns int }

func newTiling(a RunAttr) (*tiling, error) {
	t := &tiling{size: a.Tile, over: a.Blend == "over"}
	if t.stride = a.Tile - int(float64(a.Tile)*a.Overlap); !t.over {
		t.stride = int(float64(a.Tile) * (1 - a.Overlap))
	}
	if t.stride < 1 {
		return nil, fmt.Errorf("tiles of %d with an overlap of %g of that leave nothing between them", a.Tile, a.Overlap)
	}
	return t, nil
}

// tileable says why a call cannot be made in tiles.
func (p *parts) tileable() error {
	for _, name := range slices.Sorted(maps.Keys(p.inputs)) {
		if t := p.inputs[name]; mentions(t) && !pictures32(t) {
			return fmt.Errorf("tile: the model's input %s is %v, which can't be cut: want f32[..., height, width], or multiples of these", name, t)
		}
	}
	for _, t := range p.results {
		if !pictures32(t) {
			return fmt.Errorf("tile: the model gives %v, which can't be put together of tiles: want f32[..., height, width], or multiples of these; name such outputs", t)
		}
	}
	return nil
}

// mentions reports whether a type goes by height or width.
func mentions(t ir.Type) bool {
	return slices.ContainsFunc(t.Shape, func(d ir.Dim) bool {
		return slices.ContainsFunc(names(d), func(n string) bool { return n == heightSize || n == widthSize })
	})
}

// pictures32 reports whether a type is planes of f32 whose rows and columns are multiples of height and width.
func pictures32(t ir.Type) bool {
	n := t.Rank()
	return n >= 2 && t.DType == ir.F32 && t.Shape[n-2].Syms == heightSize && t.Shape[n-1].Syms == widthSize && !mentions(t.With(t.Shape[:n-2]...))
}

// names are those in a dimension.
func names(d ir.Dim) []string { return strings.Split(d.Syms, "*") }

// boxes are the tiles in rows from the top; the whole, if it is not cut.
func (p *parts) boxes() []box {
	h, w := p.sizes[heightSize], p.sizes[widthSize]
	if p.tiles == nil {
		return []box{{0, 0, h, w}}
	}
	var list []box
	for y := 0; y < h; y += p.tiles.stride {
		for x := 0; x < w; x += p.tiles.stride {
			list = append(list, box{y, x, min(p.tiles.size, h-y), min(p.tiles.size, w-x)})
		}
	}
	return list
}

// cutOut is the part of an input that lies in a box; all of what is no picture.
func cutOut(t tensorfile.Tensor, like ir.Type, at box) tensorfile.Tensor {
	if !pictures32(like) {
		return t
	}
	if t.Type.DType != ir.F32 {
		t = tensorfile.FromFloat32s(t.Name, t.Float32s(), t.Type.Sizes()...)
	}
	g := newGrid(t, like)
	return g.cut(t, at.y*g.high, at.x*g.wide, at.rows*g.high, at.columns*g.wide)
}

// cut copies a part of all planes.
func (g grid) cut(of tensorfile.Tensor, y, x, rows, columns int) tensorfile.Tensor {
	sizes := of.Type.Sizes()
	n := len(sizes)
	sizes[n-2], sizes[n-1] = rows, columns
	out := tensorfile.Tensor{Name: of.Name, Type: ir.T(ir.F32, sizes...)}
	out.Data = make([]byte, 0, out.Type.Bytes())
	for plane := range g.planes {
		for row := y; row < y+rows; row++ {
			out.Data = append(out.Data, g.data[g.at(plane, row, x):][:columns*4]...)
		}
	}
	return out
}

// grid is a tensor as planes of rows and columns.
type grid struct {
	data                  []byte
	planes, rows, columns int
	high, wide            int // rows and columns of one of the named sizes
}

func newGrid(t tensorfile.Tensor, like ir.Type) grid {
	s := t.Type.Sizes()
	g := grid{data: t.Data, planes: 1, rows: s[len(s)-2], columns: s[len(s)-1], high: like.Shape[len(s)-2].N, wide: like.Shape[len(s)-1].N}
	for _, n := range s[:len(s)-2] {
		g.planes *= n
	}
	return g
}

func (g grid) at(plane, row, column int) int { return ((plane*g.rows+row)*g.columns + column) * 4 }

// seam puts tiles of a result together.
type seam struct {
	tiling
	whole grid
	like  ir.Type
	above []tensorfile.Tensor // the ends of the tiles above, by column of tiles
	left  tensorfile.Tensor   // the end of the tile to the left
}

func (t *tiling) seam(whole tensorfile.Tensor, like ir.Type) *seam {
	return &seam{tiling: *t, whole: newGrid(whole, like), like: like}
}

// seamBytes is what putting a result together keeps of tiles.
func (t *tiling) seamBytes(whole, like ir.Type, rows int) int64 {
	if t.over {
		return 0
	}
	s := whole.Sizes()
	high, wide := like.Shape[len(s)-2].N, like.Shape[len(s)-1].N
	columns := (s[len(s)-1]/wide + t.stride - 1) / t.stride
	planes := whole.Elems() / s[0] * rows / s[len(s)-1] / s[len(s)-2]
	overlap := t.size - t.stride
	return int64(4 * planes * (columns + 1) * overlap * t.size * high * wide)
}

// put takes the next tile, row by row from the top left.
func (s *seam) put(at box, tile tensorfile.Tensor) {
	t := newGrid(tile, s.like)
	if s.over {
		s.lay(at, t)
		return
	}
	high, wide := (s.size-s.stride)*t.high, (s.size-s.stride)*t.wide
	column := at.x / s.stride
	if at.y > 0 {
		fade(t, newGrid(s.above[column], s.like), high, true)
	}
	if at.x > 0 {
		fade(t, newGrid(s.left, s.like), wide, false)
	}
	if column == len(s.above) {
		s.above = append(s.above, tensorfile.Tensor{})
	}
	n := min(high, t.rows)
	s.above[column] = t.cut(tile, t.rows-n, 0, n, t.columns)
	n = min(wide, t.columns)
	s.left = t.cut(tile, 0, t.columns-n, t.rows, n)
	rows, columns := min(t.rows, s.stride*t.high), min(t.columns, s.stride*t.wide)
	for plane := range t.planes {
		for row := range rows {
			to := s.whole.at(plane, at.y*t.high+row, at.x*t.wide)
			copy(s.whole.data[to:], t.data[t.at(plane, row, 0):][:columns*4])
		}
	}
}

// fade goes over from the end of another tile to the beginning of t, over so many rows or columns.
func fade(t, other grid, extent int, down bool) {
	if down {
		extent = min(extent, t.rows, other.rows)
	} else {
		extent = min(extent, t.columns, other.columns)
	}
	for plane := range t.planes {
		for i := range extent {
			share := float32(float64(i) / float64(extent))
			rest := float32(1 - float64(i)/float64(extent))
			if down {
				for x := range t.columns {
					mix(t.data[t.at(plane, i, x):], other.data[other.at(plane, other.rows-extent+i, x):], share, rest)
				}
			} else {
				for y := range t.rows {
					mix(t.data[t.at(plane, y, i):], other.data[other.at(plane, y, other.columns-extent+i):], share, rest)
				}
			}
		}
	}
}

// mix puts share of dst and rest of other into dst.
func mix(dst, other []byte, share, rest float32) {
	putFloat(dst, float32(float(other)*rest)+float32(float(dst)*share))
}

// lay lays a tile over what is there, more and more of it from its edges on.
func (s *seam) lay(at box, t grid) {
	ramp := func(i, first, extent int) float32 {
		if first == 0 || extent < 2 {
			return 1
		}
		return min(1, float32(i)/float32(extent-1))
	}
	overlap := s.size - s.stride
	for plane := range t.planes {
		for y := range t.rows {
			down := ramp(y, at.y, overlap*t.high)
			for x := range t.columns {
				m := down * ramp(x, at.x, overlap*t.wide)
				mix(s.whole.data[s.whole.at(plane, at.y*t.high+y, at.x*t.wide+x):], t.data[t.at(plane, y, x):], 1-m, m)
			}
		}
	}
}

func float(b []byte) float32 {
	return math.Float32frombits(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
}

func putFloat(b []byte, v float32) {
	u := math.Float32bits(v)
	b[0], b[1], b[2], b[3] = byte(u), byte(u>>8), byte(u>>16), byte(u>>24)
}
