package data

import (
	"encoding/hex"
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"os"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/image"
	"pipe.dev/executor/transform"
)

// Images is the format of pictures with what belongs to them.
const Images = "images"

// ImagesAttr says how pictures become numbers.
type ImagesAttr struct {
	Mean       []float64 `cue:"mean: [...number] | *[0]" doc:"what is taken from samples, which go from 0 to 1: one number, or one for each channel"`
	Std        []float64 `cue:"std: [...number & !=0] | *[1]" doc:"by what they are divided then; mean 0.5 and std 0.5 give numbers from -1 to 1"`
	Background string    `cue:"background: *\"\" | =~\"^#[0-9a-fA-F]{6}$\"" doc:"the colour behind what is not opaque, as \"#ffffff\"; if empty, alpha is left out where the input has no channel for it"`
	Bits       int       `cue:"bits: *8 | 16 | 0" doc:"of a sample; those of the file if 0"`
	Upright    bool      `cue:"upright: bool | *true" doc:"turn pictures as their Exif data say"`
	MaxPixels  int       `cue:"max_pixels: int & >0 | *89478485" doc:"a larger picture is an error before it is decoded"`
	Filter     string    `cue:"filter: \"nearest\" | \"box\" | *\"bilinear\" | \"hamming\" | \"bicubic\" | \"lanczos\"" doc:"how a picture is brought to the size of its bucket, or to that of the input where no transforms are given"`
}

// ImageInput is how an input of the model is made of pictures.
type ImageInput struct {
	ImagesAttr
	Train, Eval transform.Chain
	Buckets     *BucketsAttr // nil if all pictures have one size
}

// picture is where the bytes of a picture lie.
type picture struct {
	file          string
	at, size      int64  // in the file; size is -1 for all of it
	inside        string // its name in an archive, for errors
	archive       string // what errors call the file, if it is a copy
	width, height int    // upright
}

// name is what errors call it.
func (p *picture) name() string {
	if p.archive != "" {
		return p.archive + ": " + clean(p.inside)
	}
	if p.inside != "" {
		return p.file + ": " + clean(p.inside)
	}
	return p.file
}

// open gives the bytes for reading.
func (p *picture) open() (*os.File, *io.SectionReader, error) {
	f, err := os.Open(p.file)
	if err != nil {
		return nil, nil, err
	}
	at, size := p.at, p.size
	if size < 0 {
		info, err := f.Stat()
		if err == nil && !info.Mode().IsRegular() {
			err = errors.New("is not a regular file")
		}
		if err != nil {
			f.Close()
			return nil, nil, err
		}
		at, size = 0, info.Size()
	}
	return f, io.NewSectionReader(f, at, size), nil
}

// probe finds the size of a picture, and gives its first bytes and how many there are.
func (p *picture) probe(a *ImagesAttr) (head []byte, size int64, err error) {
	f, r, err := p.open()
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	p.width, p.height, head, err = image.Probe(r, r.Size(), image.Options{Pixels: a.MaxPixels, Stored: !a.Upright})
	return head, r.Size(), err
}

// read decodes a picture as it stands in the file, in the channels of the input.
func (p *picture) read(a *ImagesAttr, channels int) (*image.Picture, error) {
	f, r, err := p.open()
	if err != nil {
		return nil, checkpoint.FileError(p.name(), err)
	}
	defer f.Close()
	data := make([]byte, r.Size())
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, checkpoint.FileError(p.name(), err)
	}
	m, err := image.Decode(data, image.Options{Pixels: a.MaxPixels, Stored: !a.Upright})
	if err != nil {
		return nil, checkpoint.FileError(p.name(), err)
	}
	if a.Background != "" {
		c := a.background()
		m = m.Over(c.R, c.G, c.B)
	}
	if m = m.WithChannels(channels); a.Bits > 0 {
		m = m.WithBits(a.Bits)
	}
	return m, nil
}

// background is the colour behind; the schema has checked its form.
func (a *ImagesAttr) background() (c color.NRGBA) {
	if b, err := hex.DecodeString(a.Background[1:]); err == nil && len(b) == 3 {
		c.R, c.G, c.B = b[0], b[1], b[2]
	}
	return c
}

// lot says how a picture is changed: which example of which epoch it is, and for what.
type lot struct {
	seed, item uint64
	evaluate   bool
}

// frame is a picture as the model sees it, before it becomes numbers, in the size of the field or of its bucket.
func (f *Field) frame(p *picture, size [2]int, d lot) (*transform.Frame, error) {
	in := f.Images
	m, err := p.read(&in.ImagesAttr, f.Shape[0])
	if err != nil {
		return nil, err
	}
	out := &transform.Frame{Picture: m}
	if in.fits(d.evaluate) {
		var dice *image.Dice
		if in.Buckets != nil && in.Buckets.Crop == "random" && !d.evaluate {
			dice = image.NewDice(d.seed, "bucket", d.item)
		}
		err = out.Cover(size[0], size[1], in.Filter, dice)
	}
	if err == nil {
		err = in.chain(d.evaluate).Apply(out, d.seed, d.item)
	}
	if err == nil && (out.Width != size[0] || out.Height != size[1]) {
		err = fmt.Errorf("is %d x %d after the transforms, and the input %s wants %d x %d", out.Width, out.Height, f.Name, size[0], size[1])
	}
	if err != nil {
		return nil, checkpoint.FileError(p.name(), err)
	}
	return out, nil
}

// fits reports whether pictures are brought to the size first: that of their bucket, or that of the input where no transform does.
func (in *ImageInput) fits(evaluate bool) bool {
	return in.Buckets != nil || len(in.Train) == 0 || evaluate && len(in.Eval) == 0
}

// chain is what follows then. Without transforms for evaluations, pictures are brought to the size and no more.
func (in *ImageInput) chain(evaluate bool) transform.Chain {
	if evaluate {
		return in.Eval
	}
	return in.Train
}

// numbers writes a picture as the model reads it, little-endian.
//
//	to [channels, height, width] of f32
func (in *ImageInput) numbers(to []byte, f *transform.Frame) error {
	values, _, err := image.Tensor([]*image.Picture{f.Picture}, image.Normal{Mean: in.Mean, Std: in.Std})
	if err != nil {
		return err
	}
	for _, b := range f.Erased {
		for plane := range f.Channels {
			for y := b.Top; y < b.Top+b.Height; y++ {
				clear(values[(plane*f.Height+y)*f.Width+b.Left:][:b.Width])
			}
		}
	}
	put(to, values)
	return nil
}

// The columns that say how a picture was cut, each two numbers, first down, then across: its size, the corner of the part in the
// resized picture, and the size of the part, as models that are told of it want them.
//
// Source: arXiv:2307.01952, section 2.2.
const (
	originalSize = "original_size"
	cropCorner   = "crop"
	targetSize   = "target_size"
)

// cutColumns are their names.
func cutColumns() []string { return []string{originalSize, cropCorner, targetSize} }

// cuts writes such columns of a picture.
func (f *Field) cuts(to []byte, columns []string, p *picture, m *transform.Frame) {
	for i, c := range columns {
		y, x := p.height, p.width
		switch c {
		case cropCorner:
			y, x = m.Top, m.Left
		case targetSize:
			y, x = m.Height, m.Width
		}
		if f.DType == ir.I32 {
			putInts(to[8*i:], []int32{int32(y), int32(x)})
		} else {
			put(to[8*i:], []float32{float32(y), float32(x)})
		}
	}
}

// size is that of the input, as far as its shape says it: width, height.
func (f *Field) size() [2]int { return [2]int{f.Shape[2], f.Shape[1]} }

// check holds what is said of pictures against the input.
func (f *Field) check() error {
	in := f.Images
	if len(f.Shape) != 3 || f.DType != ir.F32 || f.Shape[0] < 1 || f.Shape[0] > 4 {
		return fmt.Errorf("is no input of f32 [batch, channels, height, width] with 1 to 4 channels")
	}
	for _, list := range [][]float64{in.Mean, in.Std} {
		if n := len(list); n > 1 && n != f.Shape[0] {
			return fmt.Errorf("mean or std has %d numbers, and the input %d channels", n, f.Shape[0])
		}
	}
	if at := in.Eval.Random(); at >= 0 {
		return fmt.Errorf("eval.%d is %s, which is random; evaluations want the same picture every time", at, in.Eval[at].Name)
	}
	named := f.Shape[1] == 0 || f.Shape[2] == 0
	if named && in.Buckets == nil {
		w, h, err := transform.Size(in.Train, 0, 0)
		if err != nil || w == 0 || h == 0 {
			return fmt.Errorf("have no certain size, and the input names it: give transforms that end in one, as center_crop, or buckets")
		}
		f.Shape[1], f.Shape[2] = h, w
	}
	if !named && in.Buckets != nil {
		return fmt.Errorf("have buckets, and the input is always %d x %d; name its sizes, as shape: [\"batch\", %d, \"height\", \"width\"]", f.Shape[2], f.Shape[1], f.Shape[0])
	}
	f.Width = f.Shape[0] * f.Shape[1] * f.Shape[2]
	sizes := [][2]int{f.size()}
	if in.Buckets != nil {
		var err error
		if sizes, err = in.Buckets.sizes(); err != nil {
			return err
		}
	}
	for _, evaluate := range []bool{false, true} {
		for _, s := range sizes {
			from := [2]int{}
			if in.fits(evaluate) {
				from = s
			}
			w, h, err := transform.Size(in.chain(evaluate), from[0], from[1])
			if err != nil {
				return err
			}
			if w > 0 && h > 0 && (w != s[0] || h != s[1]) {
				return fmt.Errorf("are %d x %d after the transforms, and the input %s wants %d x %d", w, h, f.Name, s[0], s[1])
			}
		}
	}
	return nil
}

// suits says why a picture would not have the size of the input after the transforms.
func (f *Field) suits(p *picture, size [2]int) error {
	for _, evaluate := range []bool{false, true} {
		from := [2]int{p.width, p.height}
		if f.Images.fits(evaluate) {
			from = size
		}
		w, h, err := transform.Size(f.Images.chain(evaluate), from[0], from[1])
		if err == nil && (w != size[0] || h != size[1]) {
			err = fmt.Errorf("%d x %d pixels become %d x %d by the transforms, and the input %s wants %d x %d", p.width, p.height, w, h, f.Name, size[0], size[1])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// put writes numbers, little-endian.
func put(to []byte, values []float32) {
	for i, v := range values {
		bits := math.Float32bits(v)
		to[4*i], to[4*i+1], to[4*i+2], to[4*i+3] = byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24)
	}
}

func putInts(to []byte, values []int32) {
	for i, v := range values {
		to[4*i], to[4*i+1], to[4*i+2], to[4*i+3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
	}
}

// floats reads numbers, little-endian.
func floats(data []byte) []float32 {
	out := make([]float32, len(data)/4)
	for i := range out {
		out[i] = math.Float32frombits(uint32(data[4*i]) | uint32(data[4*i+1])<<8 | uint32(data[4*i+2])<<16 | uint32(data[4*i+3])<<24)
	}
	return out
}
