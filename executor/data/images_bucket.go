package data

import (
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/ir"
)

// BucketsAttr says which sizes pictures may have, so that their shapes stay and a batch has pictures of one size.
type BucketsAttr struct {
	Resolution int    `cue:"resolution!: int & >0" doc:"sizes have about as many pixels as its square, and no more"`
	Multiple   int    `cue:"multiple: int & >0 | *64" doc:"widths and heights are multiples of it"`
	Smallest   int    `cue:"smallest: int & >0 | *256" doc:"of widths and heights"`
	Largest    int    `cue:"largest: int & >0 | *1024" doc:"of widths and heights"`
	Crop       string `cue:"crop: *\"center\" | \"random\"" doc:"what is kept where a picture is wider or higher than its bucket; evaluations keep the middle"`
	Enlarge    bool   `cue:"enlarge: bool | *true" doc:"enlarge pictures that are smaller than their bucket; else they are left out, and counted"`
}

// sizes lists the buckets, widths ascending.
//
// Source: kohya-ss/sd-scripts, library/model_util.py, make_bucket_resolutions, after NovelAI's aspect ratio bucketing.
func (b *BucketsAttr) sizes() ([][2]int, error) {
	if b.Smallest > b.Largest || b.Multiple > b.Resolution || b.Smallest%b.Multiple != 0 || b.Largest%b.Multiple != 0 {
		return nil, fmt.Errorf("buckets: smallest %d, largest %d, multiple %d, resolution %d: want multiples, the smallest first, and a resolution of one at least",
			b.Smallest, b.Largest, b.Multiple, b.Resolution)
	}
	area := b.Resolution * b.Resolution
	whole := func(n int) int { return n / b.Multiple * b.Multiple }
	list := [][2]int{{whole(b.Resolution), whole(b.Resolution)}}
	for w := b.Smallest; w <= b.Largest; w += b.Multiple {
		if h := min(b.Largest, whole(area/w)); h >= b.Smallest {
			list = append(list, [2]int{w, h}, [2]int{h, w})
		}
	}
	slices.SortFunc(list, func(x, y [2]int) int {
		if x[0] != y[0] {
			return x[0] - y[0]
		}
		return x[1] - y[1]
	})
	return slices.Compact(list), nil
}

// choose is the bucket of a picture: that of its very size, or else the one of the nearest ratio of width to height; the first of those.
func choose(sizes [][2]int, width, height int) int {
	if i := slices.Index(sizes, [2]int{width, height}); i >= 0 {
		return i
	}
	best, least, ratio := 0, math.Inf(1), float64(width)/float64(height)
	for i, s := range sizes {
		if d := math.Abs(float64(s[0])/float64(s[1]) - ratio); d < least {
			best, least = i, d
		}
	}
	return best
}

// Bucket is a size of pictures, and how many there are.
type Bucket struct {
	Width  int `json:"width"`
	Height int `json:"height"`
	Count  int `json:"count"`
}

// Buckets are those that have pictures.
func (e *Examples) Buckets() []Bucket {
	out := make([]Bucket, len(e.sizes))
	for i, s := range e.sizes {
		out[i] = Bucket{Width: s[0], Height: s[1]}
	}
	for i := e.lo; i < e.hi && len(out) > 0; i++ {
		out[e.bucketOf(e.example(i))].Count++
	}
	return out
}

// bucketOf is the bucket of an example; 0 where there are none.
func (e *Examples) bucketOf(example int) int {
	if len(e.bucket) == 0 {
		return 0
	}
	return int(e.bucket[example])
}

// Shape is what batches of pictures differ in, for which plans are made.
type Shape struct{ Bucket, Rows int }

// Key numbers shapes: Rows itself, of the first bucket.
func (s Shape) Key() int { return s.Bucket<<20 | s.Rows }

// ShapeOf is the shape of a key.
func ShapeOf(key int) Shape { return Shape{key >> 20, key & (1<<20 - 1)} }

// Sizes are the sizes that the inputs name, of a bucket.
func (e *Examples) Sizes(bucket int) map[string]int {
	out := map[string]int{}
	for i := range e.fields {
		f := &e.fields[i]
		if f.Sound != nil && len(e.sizes) > 0 {
			if d, err := ir.ParseDim(f.Names[0]); err == nil && !d.Known() {
				out[d.Syms] = e.sizes[bucket][0] / d.N
			}
		}
		if f.Images == nil {
			continue
		}
		s := f.size()
		if f.Images.Buckets != nil {
			s = e.sizes[bucket]
		}
		for axis, n := range []int{f.Shape[0], s[1], s[0]} {
			if axis < len(f.Names) && f.Names[axis] != "" {
				out[f.Names[axis]] = n
			}
		}
	}
	return out
}
