package stage

import (
	"context"
	"fmt"
	"math"

	"pipe.dev/executor/tensorfile"
)

// NumbersAttr describes a tensor by its numbers.
type NumbersAttr struct {
	Values []float64 `cue:"values!: [number, ...number]" doc:"the numbers"`
	Shape  []int     `cue:"shape: [...int & >0] | *[]" doc:"sizes of the tensor; one axis if there are none"`
	DType  string    `cue:"dtype: \"i32\" | *\"f32\"" doc:"their element type"`
}

func numbers() *Def {
	return &Def{
		Name: "numbers", Title: "Numbers", Result: Tensor, Early: true,
		Doc:  "is a tensor with the numbers of the document, as the classes of samples.",
		Attr: NumbersAttr{},
		Run: func(_ context.Context, c *Call) (Value, error) {
			a := c.Attr.(NumbersAttr)
			shape := a.Shape
			if len(shape) == 0 {
				shape = []int{len(a.Values)}
			}
			if size(shape) != len(a.Values) {
				return nil, fmt.Errorf("values are %d, and shape is %v", len(a.Values), shape)
			}
			if a.DType == "f32" {
				list := make([]float32, len(a.Values))
				for i, v := range a.Values {
					list[i] = float32(v)
				}
				return tensorfile.FromFloat32s(c.ID, list, shape...), nil
			}
			list := make([]int32, len(a.Values))
			for i, v := range a.Values {
				if v != math.Trunc(v) || math.Abs(v) > math.MaxInt32 {
					return nil, fmt.Errorf("values: %v is no whole number of 32 bits", v)
				}
				list[i] = int32(v)
			}
			return tensorfile.FromInt32s(c.ID, list, shape...), nil
		},
	}
}
