package stage

import (
	"context"
	"fmt"

	"pipe.dev/executor/image"
)

// ImageGridAttr describes a sheet of pictures.
type ImageGridAttr struct {
	Columns int `cue:"columns: int & >0 | *4" doc:"how many stand beside each other at most"`
	Gap     int `cue:"gap: int & >=0 | *0" doc:"pixels between them, black, or transparent"`
}

func imageGrid() *Def {
	return &Def{
		Name: "image.grid", Title: "ImageGrid", Result: Images,
		Doc:   "puts pictures of one size into one picture, in rows.",
		Ports: []Port{pictures()},
		Attr:  ImageGridAttr{},
		Run: func(_ context.Context, c *Call) (Value, error) {
			list, ok := c.In["x"].([]*image.Picture)
			if !ok {
				return nil, errKind(c.In["x"], Images)
			}
			a := c.Attr.(ImageGridAttr)
			sheet, err := image.Grid(list, a.Columns, a.Gap)
			if err != nil {
				return nil, err
			}
			return []*image.Picture{sheet}, nil
		},
	}
}

func imageCompare() *Def {
	return &Def{
		Name: "image.compare", Title: "ImageCompare", Result: Number,
		Doc: "says how like pictures are to others: the peak signal to noise ratio in dB, of all samples together; equal ones have 999.",
		Ports: []Port{
			{Name: "a", Doc: "the pictures", Kinds: []Kind{Images}},
			{Name: "b", Doc: "the others, as many and of the same sizes", Kinds: []Kind{Images}},
		},
		Run: func(_ context.Context, c *Call) (Value, error) {
			a, okA := c.In["a"].([]*image.Picture)
			b, okB := c.In["b"].([]*image.Picture)
			if !okA || !okB {
				return nil, fmt.Errorf("a is %s and b %s, want %s", KindOf(c.In["a"]), KindOf(c.In["b"]), Images)
			}
			return image.PSNR(a, b)
		},
	}
}
