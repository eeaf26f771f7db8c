package stage

import (
	"errors"

	"pipe.dev/executor/image"
)

// ImageResizeAttr describes a new size.
type ImageResizeAttr struct {
	Width  int    `cue:"width: int & >=0 | *0" doc:"in pixels; 0 follows from the height"`
	Height int    `cue:"height: int & >=0 | *0" doc:"in pixels; 0 follows from the width"`
	Fit    string `cue:"fit: *\"stretch\" | \"cover\" | \"inside\"" doc:"where both are given: stretch takes them as they are, cover keeps the shape and cuts two sides, inside keeps it and makes the picture no larger"`
	Filter string `cue:"filter: \"nearest\" | \"box\" | \"bilinear\" | \"hamming\" | *\"bicubic\" | \"lanczos\"" doc:"how pixels are weighted, as Pillow does it, with all pixels where the picture shrinks"`
}

func imageResize() *Def {
	return &Def{
		Name: "image.resize", Title: "ImageResize", Result: Images, Early: true,
		Doc:   "brings pictures to another size, as Pillow does, to the bit.",
		Ports: []Port{pictures()},
		Attr:  ImageResizeAttr{},
		Prepare: func(c *Call) error {
			if a := c.Attr.(ImageResizeAttr); a.Width == 0 && a.Height == 0 {
				return errors.New("width and height are 0; give one of them, or both")
			}
			return nil
		},
		Run: eachImage(func(c *Call, _ int, p *image.Picture) (*image.Picture, error) {
			a := c.Attr.(ImageResizeAttr)
			return p.Fit(a.Width, a.Height, a.Fit, a.Filter)
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
		Name: "image.crop", Title: "ImageCrop", Result: Images, Early: true,
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
		Name: "image.turn", Title: "ImageTurn", Result: Images, Early: true,
		Doc:   "turns or mirrors pictures.",
		Ports: []Port{pictures()},
		Attr:  ImageTurnAttr{},
		Run: eachImage(func(c *Call, _ int, p *image.Picture) (*image.Picture, error) {
			exif := map[string]int{"left_right": 2, "180": 3, "top_bottom": 4, "90": 6, "270": 8}
			return p.Turned(exif[c.Attr.(ImageTurnAttr).Turn]), nil
		}),
	}
}
