package stage

import (
	"context"
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/tensorfile"
)

// SpreadAttr describes how what lasts becomes places in time.
type SpreadAttr struct {
	Stretch float64 `cue:"stretch: number & >0 | *1" doc:"how long each lasts is multiplied by it, and rounded: 2 is half as fast"`
	Most    int     `cue:"most: int & >0 & <=1048576 | *4096" doc:"places there may be; memory is planned for so many"`
}

func spread() *Def {
	return &Def{
		Name: "spread", Title: "Spread", Result: Tensor,
		Doc: "tells which of a row stands at each place, [1, places], where each takes as many places as it lasts, one after the other: of 2, 0, 1 it gives 0 0 2.",
		Ports: []Port{
			{Name: "x", Doc: "how long each lasts, whole numbers [1, n], alone or the only result of a model", Kinds: []Kind{Tensor, Tensors}},
		},
		Attr: SpreadAttr{},
		Promise: func(c *Call) Value {
			return tensorfile.Tensor{Name: c.ID, Type: ir.T(ir.I32, 1, c.Attr.(SpreadAttr).Most)}
		},
		Run: func(_ context.Context, c *Call) (Value, error) {
			x, ok := c.In["x"].(tensorfile.Tensor)
			if list, many := c.In["x"].([]tensorfile.Tensor); many && len(list) == 1 {
				x, ok = list[0], true
			}
			if !ok || x.Type.Rank() != 2 || x.Type.Sizes()[0] != 1 {
				return nil, fmt.Errorf("x is %s %v, want one tensor [1, n]", KindOf(c.In["x"]), x.Type)
			}
			places, err := c.Attr.(SpreadAttr).places(x.Float64s())
			if err != nil {
				return nil, err
			}
			return tensorfile.FromInt32s(c.ID, places, 1, len(places)), nil
		},
	}
}

// places has the number of each of a row as often as it lasts. A row in which nothing
// lasts has each once, so that there is something.
func (a SpreadAttr) places(lasts []float64) ([]int32, error) {
	var out []int32
	for i, n := range lasts {
		if !(n >= 0) || n != math.Floor(n) {
			return nil, fmt.Errorf("x[%d] is %v, want a whole number from 0 on", i, n)
		}
		many := math.RoundToEven(n * a.Stretch)
		if many+float64(len(out)) > float64(a.Most) {
			return nil, fmt.Errorf("x takes more than %d places up to its element %d of %d: set most to more", a.Most, i, len(lasts))
		}
		for range int(many) {
			out = append(out, int32(i))
		}
	}
	if len(out) == 0 {
		for i := range lasts {
			out = append(out, int32(i))
		}
	}
	return out, nil
}
