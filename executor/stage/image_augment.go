package stage

import "pipe.dev/executor/image"

// ImageAugmentAttr describes random changes.
type ImageAugmentAttr struct {
	Width      int        `cue:"width: int & >=0 | *0" doc:"of the result, in pixels; 0, and so the height, leaves the size"`
	Height     int        `cue:"height: int & >=0 | *0" doc:"of the result, in pixels"`
	Scale      [2]float64 `cue:"scale: [number & >0, number & <=1] | *[0.08, 1]" doc:"bounds of the share of the area that is cut out and brought to the size"`
	Ratio      [2]float64 `cue:"ratio: [number & >0, number & >0] | *[0.75, 1.3333333333333333]" doc:"bounds of the width of that part by its height"`
	Filter     string     `cue:"filter: \"nearest\" | \"box\" | *\"bilinear\" | \"hamming\" | \"bicubic\" | \"lanczos\"" doc:"how it is resized"`
	Flip       float64    `cue:"flip: number & >=0 & <=1 | *0.5" doc:"how likely left and right are mirrored"`
	Brightness float64    `cue:"brightness: number & >=0 | *0" doc:"how far from 1 its factor is at most"`
	Contrast   float64    `cue:"contrast: number & >=0 | *0" doc:"how far from 1 its factor is at most"`
	Saturation float64    `cue:"saturation: number & >=0 | *0" doc:"how far from 1 its factor is at most"`
	Hue        float64    `cue:"hue: number & >=0 & <=0.5 | *0" doc:"by which share of the circle colours turn at most"`
	Seed       int        `cue:"seed: int & >=0 | *0" doc:"the same seed changes the same pictures alike"`
}

func (a ImageAugmentAttr) augment() image.Augment {
	return image.Augment{Width: a.Width, Height: a.Height, Scale: a.Scale, Ratio: a.Ratio, Filter: a.Filter, Flip: a.Flip,
		Brightness: a.Brightness, Contrast: a.Contrast, Saturation: a.Saturation, Hue: a.Hue}
}

func imageAugment() *Def {
	return &Def{
		Name: "image.augment", Title: "ImageAugment", Result: Images, Early: true,
		Doc:     "changes pictures at random: a part is cut out and resized, mirrored, and its colours changed, as torchvision's RandomResizedCrop, RandomHorizontalFlip and ColorJitter do it. What picture number i becomes goes by the seed and i alone.",
		Ports:   []Port{pictures()},
		Attr:    ImageAugmentAttr{},
		Prepare: func(c *Call) error { return c.Attr.(ImageAugmentAttr).augment().Check() },
		Run: eachImage(func(c *Call, i int, p *image.Picture) (*image.Picture, error) {
			a := c.Attr.(ImageAugmentAttr)
			return a.augment().Apply(p, image.NewDice(uint64(a.Seed), "augment", uint64(i)))
		}),
	}
}
