package stage

import (
	"errors"
	"fmt"

	"pipe.dev/executor/image"
)

// ImageResizeAttr describes a new size.
type ImageResizeAttr struct {
	Width    int    `cue:"width: int & >=0 | *0" doc:"in pixels; 0 follows from the height"`
	Height   int    `cue:"height: int & >=0 | *0" doc:"in pixels; 0 follows from the width"`
	Fit      string `cue:"fit: *\"stretch\" | \"cover\" | \"inside\"" doc:"where both are given: stretch takes them as they are, cover keeps the shape and cuts two sides, inside keeps it and makes the picture no larger"`
	Multiple int    `cue:"multiple: int & >0 | *1" doc:"sizes are rounded down to a multiple of it"`
	Filter   string `cue:"filter: \"nearest\" | \"box\" | \"bilinear\" | \"hamming\" | *\"bicubic\" | \"lanczos\"" doc:"how pixels are weighted, as Pillow does it, with all pixels where the picture shrinks"`
}

func imageResize() *Def {
	return &Def{
		Name: "image.resize", Title: "ImageResize", Result: Images, Early: true, Rows: true,
		Doc:   "brings pictures to another size, as Pillow does, to the bit.",
		Ports: []Port{pictures(), {Name: "like", Doc: "pictures whose size is taken, instead of width and height: that of the first", Kinds: []Kind{Images}, Optional: true}},
		Attr:  ImageResizeAttr{},
		Prepare: func(c *Call) error {
			_, like := c.In["like"]
			switch a := c.Attr.(ImageResizeAttr); {
			case like && (a.Width > 0 || a.Height > 0):
				return errors.New("like gives the size; leave width and height out")
			case !like && a.Width == 0 && a.Height == 0 && a.Multiple == 1:
				return errors.New("width and height are 0; give one of them, or both")
			}
			return nil
		},
		Run: eachImage(func(c *Call, _ int, p *image.Picture) (*image.Picture, error) {
			a := c.Attr.(ImageResizeAttr)
			if list, ok := c.In["like"].([]*image.Picture); ok && len(list) > 0 {
				a.Width, a.Height = list[0].Width, list[0].Height
			}
			if a.Multiple > 1 {
				w, h := a.sizes(p)
				if w < a.Multiple || h < a.Multiple {
					return nil, fmt.Errorf("a picture of %d x %d has no size that is a multiple of %d; give width and height", p.Width, p.Height, a.Multiple)
				}
				a.Width, a.Height = w-w%a.Multiple, h-h%a.Multiple
			}
			return p.Fit(a.Width, a.Height, a.Fit, a.Filter)
		}),
	}
}

// sizes are those that a picture gets, before they are rounded.
func (a ImageResizeAttr) sizes(p *image.Picture) (width, height int) {
	switch {
	case a.Width == 0 && a.Height == 0:
		return p.Width, p.Height
	case a.Width == 0:
		return p.Width * a.Height / p.Height, a.Height
	case a.Height == 0:
		return a.Width, p.Height * a.Width / p.Width
	}
	return a.Width, a.Height
}

// ImageBlurAttr describes how far pixels spread.
type ImageBlurAttr struct {
	Radius float64 `cue:"radius: number & >=0 & <=1000 | *4" doc:"the standard deviation, in pixels; 0 leaves pictures as they are"`
}

func imageBlur() *Def {
	return &Def{
		Name: "image.blur", Title: "ImageBlur", Result: Images, Early: true, Rows: true,
		Doc:   "blurs pictures as Pillow's GaussianBlur does, of 8 bits to the bit.",
		Ports: []Port{pictures()},
		Attr:  ImageBlurAttr{},
		Run: eachImage(func(c *Call, _ int, p *image.Picture) (*image.Picture, error) {
			return p.Blur(c.Attr.(ImageBlurAttr).Radius), nil
		}),
	}
}

// ImageCropAttr describes a part.
type ImageCropAttr struct {
	Width  int  `cue:"width!: int & >0" doc:"of the part, in pixels"`
	Height int  `cue:"height!: int & >0" doc:"of the part, in pixels"`
	Middle bool `cue:"middle: bool | *true" doc:"the part is in the middle; else left and top say where"`
	Left   int  `cue:"left: int | *0" doc:"the first column of the part"`
	Top    int  `cue:"top: int | *0" doc:"the first row of the part"`
}

func imageCrop() *Def {
	return &Def{
		Name: "image.crop", Title: "ImageCrop", Result: Images, Early: true, Rows: true,
		Doc:   "cuts a part out of pictures; where it reaches over them, it is black, or transparent.",
		Ports: []Port{pictures()},
		Attr:  ImageCropAttr{},
		Run: eachImage(func(c *Call, _ int, p *image.Picture) (*image.Picture, error) {
			a := c.Attr.(ImageCropAttr)
			if a.Middle {
				return p.Middle(a.Width, a.Height)
			}
			return p.Crop(a.Left, a.Top, a.Width, a.Height)
		}),
	}
}

// ImageTurnAttr describes how a picture is turned or mirrored.
type ImageTurnAttr struct {
	Turn string `cue:"turn!: \"left_right\" | \"top_bottom\" | \"90\" | \"180\" | \"270\"" doc:"mirror left and right, or top and bottom, or turn by degrees, clockwise"`
}

func imageTurn() *Def {
	return &Def{
		Name: "image.turn", Title: "ImageTurn", Result: Images, Early: true, Rows: true,
		Doc:   "turns or mirrors pictures.",
		Ports: []Port{pictures()},
		Attr:  ImageTurnAttr{},
		Run: eachImage(func(c *Call, _ int, p *image.Picture) (*image.Picture, error) {
			exif := map[string]int{"left_right": 2, "180": 3, "top_bottom": 4, "90": 6, "270": 8}
			return p.Turned(exif[c.Attr.(ImageTurnAttr).Turn]), nil
		}),
	}
}
