package transform

import (
	"errors"
	"fmt"
	"math"

	"pipe.dev/executor/image"
)

// ResizeAttr describes a new size.
type ResizeAttr struct {
	Size   int    `cue:"size: int & >=0 | *0" doc:"pixels of the shorter side; the other follows"`
	Width  int    `cue:"width: int & >=0 | *0" doc:"instead of size, with height: the very size"`
	Height int    `cue:"height: int & >=0 | *0" doc:"instead of size, with width"`
	Filter string `cue:"filter: \"nearest\" | \"box\" | *\"bilinear\" | \"hamming\" | \"bicubic\" | \"lanczos\"" doc:"how pixels are weighted, as Pillow does it"`
}

func resize() Def {
	return Def{
		Name: "resize", Title: "Resize", Attr: ResizeAttr{}, Source: "torchvision.transforms.Resize",
		Doc: "brings a picture to another size: its shorter side to size pixels, or the whole to width and height.",
		Check: func(a any) error {
			at := a.(ResizeAttr)
			return oneSize(at.Size, at.Width, at.Height)
		},
		Apply: func(a any, f *Frame, _ *image.Dice) (err error) {
			at := a.(ResizeAttr)
			w, h, _ := at.after(f.Width, f.Height)
			f.Picture, err = f.Resize(w, h, at.Filter)
			return err
		},
	}
}

// after is unknown for an unknown picture.
func (a ResizeAttr) after(w, h int) (int, int, error) {
	switch {
	case a.Size == 0:
		return a.Width, a.Height, nil
	case w == 0 || h == 0:
		return 0, 0, nil
	case w < h:
		return a.Size, max(1, a.Size*h/w), nil
	}
	return max(1, a.Size*w/h), a.Size, nil
}

// oneSize wants either one number for both sides, or two.
func oneSize(size, width, height int) error {
	if both := width > 0 && height > 0; (size > 0) == both || (width > 0) != (height > 0) {
		return fmt.Errorf("size is %d, width %d and height %d; want size, or width and height", size, width, height)
	}
	return nil
}

// CropAttr describes a part of a certain size.
type CropAttr struct {
	Size   int `cue:"size: int & >=0 | *0" doc:"pixels of both sides"`
	Width  int `cue:"width: int & >=0 | *0" doc:"instead of size, with height"`
	Height int `cue:"height: int & >=0 | *0" doc:"instead of size, with width"`
}

func (a CropAttr) check() error { return oneSize(a.Size, a.Width, a.Height) }

func (a CropAttr) sides() (int, int) {
	if a.Size > 0 {
		return a.Size, a.Size
	}
	return a.Width, a.Height
}

func (a CropAttr) after(int, int) (int, int, error) {
	w, h := a.sides()
	return w, h, nil
}

func centerCrop() Def {
	return Def{
		Name: "center_crop", Title: "CenterCrop", Attr: CropAttr{}, Source: "torchvision.transforms.CenterCrop",
		Doc:   "takes the part in the middle; what it reaches over the picture is black.",
		Check: func(a any) error { return a.(CropAttr).check() },
		Apply: func(a any, f *Frame, _ *image.Dice) error {
			w, h := a.(CropAttr).sides()
			return f.cut(middle(f.Width, w), middle(f.Height, h), w, h)
		},
	}
}

// middle is where a part of n of size begins: half of the rest to the nearest even number, and where it reaches over, half
// of what is lacking, rounded down, before it.
func middle(size, n int) int {
	if n > size {
		return -((n - size) / 2)
	}
	return int(math.RoundToEven(float64(size-n) / 2))
}

// cut takes a part.
func (f *Frame) cut(left, top, w, h int) (err error) {
	f.Left, f.Top, f.whole, f.part = left, top, f.Width, w
	f.Picture, err = f.Crop(left, top, w, h)
	return err
}

// RandomCropAttr describes a part somewhere.
type RandomCropAttr struct {
	Size   int `cue:"size: int & >=0 | *0" doc:"pixels of both sides"`
	Width  int `cue:"width: int & >=0 | *0" doc:"instead of size, with height"`
	Height int `cue:"height: int & >=0 | *0" doc:"instead of size, with width"`
	Pad    int `cue:"pad: int & >=0 & <=4096 | *0" doc:"black pixels that are added at every side first"`
}

func (a RandomCropAttr) after(w, h int) (int, int, error) {
	cw, ch := CropAttr{a.Size, a.Width, a.Height}.sides()
	if w > 0 && h > 0 && (w+2*a.Pad < cw || h+2*a.Pad < ch) {
		return 0, 0, fmt.Errorf("the part is %d x %d, and the picture %d x %d then; resize it before, or give pad", cw, ch, w, h)
	}
	return cw, ch, nil
}

func randomCrop() Def {
	return Def{
		Name: "random_crop", Title: "RandomCrop", Attr: RandomCropAttr{}, Random: true, Source: "torchvision.transforms.RandomCrop",
		Doc:   "takes a part, all places alike likely.",
		Check: func(a any) error { at := a.(RandomCropAttr); return oneSize(at.Size, at.Width, at.Height) },
		Apply: func(a any, f *Frame, d *image.Dice) error {
			at := a.(RandomCropAttr)
			w, h, err := at.after(f.Width, f.Height)
			if err != nil {
				return err
			}
			top := d.Int(f.Height+2*at.Pad-h+1) - at.Pad
			return f.cut(d.Int(f.Width+2*at.Pad-w+1)-at.Pad, top, w, h)
		},
	}
}

// RandomResizedCropAttr describes a part of some size, brought to another.
type RandomResizedCropAttr struct {
	Size   int        `cue:"size: int & >=0 | *0" doc:"pixels of both sides of the result"`
	Width  int        `cue:"width: int & >=0 | *0" doc:"instead of size, with height"`
	Height int        `cue:"height: int & >=0 | *0" doc:"instead of size, with width"`
	Scale  [2]float64 `cue:"scale: [number & >0 & <=1, number & >0 & <=1] | *[0.08, 1]" doc:"bounds of the share of the area that is cut out"`
	Ratio  [2]float64 `cue:"ratio: [number & >0, number & >0] | *[0.75, 1.3333333333333333]" doc:"bounds of the width of that part by its height"`
	Filter string     `cue:"filter: \"nearest\" | \"box\" | *\"bilinear\" | \"hamming\" | \"bicubic\" | \"lanczos\"" doc:"how it is resized"`
}

func (a RandomResizedCropAttr) augment() image.Augment {
	w, h := CropAttr{a.Size, a.Width, a.Height}.sides()
	return image.Augment{Width: w, Height: h, Scale: a.Scale, Ratio: a.Ratio}
}

func (a RandomResizedCropAttr) after(int, int) (int, int, error) {
	w, h := CropAttr{a.Size, a.Width, a.Height}.sides()
	return w, h, nil
}

func randomResizedCrop() Def {
	return Def{
		Name: "random_resized_crop", Title: "RandomResizedCrop", Attr: RandomResizedCropAttr{}, Random: true, Source: "torchvision.transforms.RandomResizedCrop",
		Doc: "takes a part whose share of the area, and the logarithm of whose width by height, are drawn between bounds, and resizes it.",
		Check: func(a any) error {
			at := a.(RandomResizedCropAttr)
			return errors.Join(oneSize(at.Size, at.Width, at.Height), at.augment().Check())
		},
		Apply: func(a any, f *Frame, d *image.Dice) error {
			at := a.(RandomResizedCropAttr)
			g := at.augment()
			err := f.cut(g.Part(f.Width, f.Height, d))
			if err == nil {
				f.Picture, err = f.Resize(g.Width, g.Height, at.Filter)
			}
			return err
		},
	}
}
