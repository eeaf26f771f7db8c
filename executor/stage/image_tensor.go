package stage

import (
	"context"
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/image"
	"pipe.dev/executor/tensorfile"
)

// ImageTensorAttr describes the numbers of pictures.
type ImageTensorAttr struct {
	Mean []float64 `cue:"mean: [...number] | *[0]" doc:"what is taken from samples, which go from 0 to 1: one number, or one for each channel"`
	Std  []float64 `cue:"std: [...number & !=0] | *[1]" doc:"by what they are divided then; mean 0.5 and std 0.5 give numbers from -1 to 1"`
}

func imageTensor() *Def {
	return &Def{
		Name: "image.tensor", Title: "ImageTensor", Result: Tensor, Early: true, Rows: true,
		Doc:   "turns pictures of one size into a tensor of f32, [pictures, channels, height, width].",
		Ports: []Port{pictures()},
		Attr:  ImageTensorAttr{},
		Run: func(_ context.Context, c *Call) (Value, error) {
			list, ok := c.In["x"].([]*image.Picture)
			if !ok {
				return nil, errKind(c.In["x"], Images)
			}
			a := c.Attr.(ImageTensorAttr)
			data, shape, err := image.Tensor(list, image.Normal{Mean: a.Mean, Std: a.Std})
			if err != nil {
				return nil, err
			}
			return tensorfile.FromFloat32s(c.ID, data, shape[:]...), nil
		},
	}
}

// TensorImageAttr describes how numbers become pictures.
type TensorImageAttr struct {
	Mean []float64 `cue:"mean: [...number] | *[0]" doc:"as ImageTensor has it: what is added to numbers"`
	Std  []float64 `cue:"std: [...number & !=0] | *[1]" doc:"as ImageTensor has it: by what they are multiplied before"`
	Bits int       `cue:"bits: *8 | 16" doc:"of a sample"`
}

func tensorImage() *Def {
	return &Def{
		Name: "tensor.image", Title: "TensorImage", Result: Images, Rows: true,
		Doc:   "turns a tensor [pictures, channels, height, width], or one picture without the first axis, into pictures: what image.tensor does, backwards; numbers beyond 0 and 1 are cut off.",
		Ports: []Port{{Name: "x", Doc: "the numbers", Kinds: []Kind{Tensor}}},
		Attr:  TensorImageAttr{},
		Promise: func(c *Call) Value {
			x, ok := c.In["x"].(tensorfile.Tensor)
			if !ok || x.Type.Rank() < 3 {
				return nil
			}
			s := x.Type.Sizes()
			n := 1
			for _, size := range s[:len(s)-3] {
				n *= size
			}
			s = s[len(s)-3:]
			list := make([]*image.Picture, n)
			for i := range list {
				list[i] = &image.Picture{Width: s[2], Height: s[1], Channels: s[0]}
			}
			return list
		},
		Own: func(c *Call) int64 { // the numbers of one channel
			x, ok := c.In["x"].(tensorfile.Tensor)
			if s := x.Type.Sizes(); ok && len(s) > 2 {
				return 4 * int64(s[len(s)-1]) * int64(s[len(s)-2])
			}
			return 0
		},
		Run: func(_ context.Context, c *Call) (Value, error) {
			x, ok := c.In["x"].(tensorfile.Tensor)
			if !ok {
				return nil, errKind(c.In["x"], Tensor)
			}
			s := x.Type.Sizes()
			if len(s) == 3 {
				s = append([]int{1}, s...)
			}
			if len(s) != 4 {
				return nil, fmt.Errorf("x is %v, want [pictures, channels, height, width]", x.Type)
			}
			a := c.Attr.(TensorImageAttr)
			return image.FromTensor(planes(x), [4]int(s), image.Normal{Mean: a.Mean, Std: a.Std}, a.Bits)
		},
	}
}

// planes gives the rows and columns of one channel of one picture after the other.
func planes(x tensorfile.Tensor) func(i int) []float32 {
	s := x.Type.Sizes()
	rows, columns := s[len(s)-2], s[len(s)-1]
	size := rows * columns * x.Type.DType.Size()
	return func(i int) []float32 {
		return tensorfile.Tensor{Type: ir.T(x.Type.DType, rows, columns), Data: x.Data[i*size:][:size]}.Float32s()
	}
}

// ImageMixAttr describes how the pictures of a batch are mixed.
type ImageMixAttr struct {
	How   string  `cue:"how: *\"mixup\" | \"cutmix\"" doc:"mixup adds numbers, cutmix puts a box of one picture into the other"`
	Alpha float64 `cue:"alpha: number & >0 | *0.2" doc:"the share of a picture is drawn from Beta(alpha, alpha)"`
	Seed  int     `cue:"seed: int & >=0 | *0" doc:"the same seed mixes alike"`
}

func imageMix() *Def {
	return &Def{
		Name: "image.mix", Title: "ImageMix", Result: Tensors,
		Doc: "mixes each picture of a batch with the one before it, and their labels alike: mixup or cutmix.",
		Ports: []Port{
			{Name: "x", Doc: "[pictures, channels, height, width]", Kinds: []Kind{Tensor}},
			{Name: "labels", Doc: "[pictures, classes]: how much each is of each class", Kinds: []Kind{Tensor}},
		},
		Attr: ImageMixAttr{},
		Run: func(_ context.Context, c *Call) (Value, error) {
			x, okX := c.In["x"].(tensorfile.Tensor)
			labels, okLabels := c.In["labels"].(tensorfile.Tensor)
			if !okX || !okLabels {
				return nil, errKind(c.In["x"], Tensor)
			}
			s, l := x.Type.Sizes(), labels.Type.Sizes()
			if len(s) != 4 || len(l) != 2 || s[0] != l[0] || len(x.Data) == 0 {
				return nil, fmt.Errorf("x is %v and labels %v, want [pictures, channels, height, width] and [pictures, classes]", x.Type, labels.Type)
			}
			a := c.Attr.(ImageMixAttr)
			d := image.NewDice(uint64(a.Seed), "mix", 0)
			var mixed, targets []float32
			if share := d.Beta(a.Alpha); a.How == "mixup" {
				mixed, targets = image.Mixup(x.Float32s(), labels.Float32s(), s[0], share)
			} else {
				mixed, targets = image.CutMix(x.Float32s(), labels.Float32s(), [4]int(s), share, d)
			}
			return []tensorfile.Tensor{tensorfile.FromFloat32s("x", mixed, s...), tensorfile.FromFloat32s("labels", targets, l...)}, nil
		},
	}
}
