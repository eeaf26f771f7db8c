package transform

import (
	"math"

	"pipe.dev/executor/image"
)

// ChanceAttr says how likely something is done.
type ChanceAttr struct {
	P float64 `cue:"p: number & >=0 & <=1 | *0.5" doc:"how likely it is done"`
}

func flip() Def {
	return Def{
		Name: "flip", Title: "Flip", Attr: ChanceAttr{}, Random: true, Source: "torchvision.transforms.RandomHorizontalFlip",
		Doc: "mirrors left and right. Where a part was cut out before, its place is that in the mirrored picture.",
		Apply: func(a any, f *Frame, d *image.Dice) error {
			if d.Float() < a.(ChanceAttr).P {
				f.Picture = f.FlipX()
				f.flipped()
			}
			return nil
		},
	}
}

func verticalFlip() Def {
	return Def{
		Name: "vertical_flip", Title: "VerticalFlip", Attr: ChanceAttr{}, Random: true, Source: "torchvision.transforms.RandomVerticalFlip",
		Doc: "mirrors top and bottom.",
		Apply: func(a any, f *Frame, d *image.Dice) error {
			if d.Float() < a.(ChanceAttr).P {
				f.Picture = f.FlipY()
			}
			return nil
		},
	}
}

// ColorJitterAttr describes random changes of colours.
type ColorJitterAttr struct {
	Brightness float64 `cue:"brightness: number & >=0 | *0" doc:"how far from 1 its factor is at most"`
	Contrast   float64 `cue:"contrast: number & >=0 | *0" doc:"how far from 1 its factor is at most"`
	Saturation float64 `cue:"saturation: number & >=0 | *0" doc:"how far from 1 its factor is at most"`
	Hue        float64 `cue:"hue: number & >=0 & <=0.5 | *0" doc:"by which share of the circle colours turn at most"`
}

func colorJitter() Def {
	return Def{
		Name: "color_jitter", Title: "ColorJitter", Attr: ColorJitterAttr{}, Random: true, Source: "torchvision.transforms.ColorJitter",
		Doc: "changes brightness, contrast, saturation and hue, in an order that is drawn, too.",
		Apply: func(a any, f *Frame, d *image.Dice) error {
			at := a.(ColorJitterAttr)
			f.Picture = image.Augment{Brightness: at.Brightness, Contrast: at.Contrast, Saturation: at.Saturation, Hue: at.Hue}.Jitter(f.Picture, d)
			return nil
		},
	}
}

// GreyscaleAttr describes a picture without colours.
type GreyscaleAttr struct {
	P float64 `cue:"p: number & >=0 & <=1 | *0.1" doc:"how likely it is done"`
}

func greyscale() Def {
	return Def{
		Name: "greyscale", Title: "Greyscale", Attr: GreyscaleAttr{}, Random: true, Source: "torchvision.transforms.RandomGrayscale",
		Doc: "takes the colours away; there are as many channels as before.",
		Apply: func(a any, f *Frame, d *image.Dice) error {
			if d.Float() < a.(GreyscaleAttr).P && f.Channels > 2 {
				n := f.Channels
				f.Picture = f.WithChannels(2 - n%2).WithChannels(n)
			}
			return nil
		},
	}
}

// EraseAttr describes a part that is lost.
type EraseAttr struct {
	P     float64    `cue:"p: number & >=0 & <=1 | *0.5" doc:"how likely it is done"`
	Scale [2]float64 `cue:"scale: [number & >0 & <1, number & >0 & <1] | *[0.02, 0.33]" doc:"bounds of its share of the area"`
	Ratio [2]float64 `cue:"ratio: [number & >0, number & >0] | *[0.3, 3.3]" doc:"bounds of its height by its width"`
}

func erase() Def {
	return Def{
		Name: "erase", Title: "Erase", Attr: EraseAttr{}, Random: true, Source: "torchvision.transforms.RandomErasing; arXiv:1708.04896",
		Doc: "makes a part 0, after the picture has become numbers, mean and deviation taken. It stands last.",
		Apply: func(a any, f *Frame, d *image.Dice) error {
			at := a.(EraseAttr)
			if d.Float() >= at.P {
				return nil
			}
			for range 10 {
				area := float64(f.Width*f.Height) * d.Between(at.Scale[0], at.Scale[1])
				ratio := math.Exp(d.Between(math.Log(at.Ratio[0]), math.Log(at.Ratio[1])))
				h, w := int(math.RoundToEven(math.Sqrt(area*ratio))), int(math.RoundToEven(math.Sqrt(area/ratio)))
				if h < f.Height && w < f.Width {
					top := d.Int(f.Height - h + 1)
					f.Erased = append(f.Erased, Box{d.Int(f.Width - w + 1), top, w, h})
					break
				}
			}
			return nil
		},
	}
}

// RotateAttr describes a turn.
type RotateAttr struct {
	Degrees float64 `cue:"degrees: number & >=0 & <=180 | *15" doc:"how far it turns at most, to either side"`
	Filter  string  `cue:"filter: *\"nearest\" | \"bilinear\"" doc:"how pixels between those of the picture are made"`
}

func rotate() Def {
	return Def{
		Name: "rotate", Title: "Rotate", Attr: RotateAttr{}, Random: true, Source: "torchvision.transforms.RandomRotation",
		Doc: "turns a picture around its middle; what comes in from outside is black.",
		Apply: func(a any, f *Frame, d *image.Dice) error {
			at := a.(RotateAttr)
			f.Picture = f.Rotate(d.Between(-at.Degrees, at.Degrees), at.Filter == "bilinear")
			return nil
		},
	}
}
