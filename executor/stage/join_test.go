package stage

import (
	"context"
	"fmt"
	"testing"

	"pipe.dev/executor/tensorfile"
)

func TestJoin(t *testing.T) {
	x := tensorfile.FromFloat32s("x", []float32{1, 2, 3, 4}, 2, 2)
	y := tensorfile.FromFloat32s("y", []float32{5, 6}, 2, 1)
	for _, c := range []struct {
		x, y tensorfile.Tensor
		axis int
		want string
	}{
		{x, y, -1, "[2 3] [1 2 5 3 4 6]"},
		{y, x, 1, "[2 3] [5 1 2 6 3 4]"},
		{x, x, 0, "[4 2] [1 2 3 4 1 2 3 4]"},
		{x, y, 0, "x is f32[2,2] and y f32[2,1]; want equal sizes but along axis 0"},
		{x, y, 2, "x is f32[2,2] and y f32[2,1], and the axis 2"},
	} {
		v, err := join().Run(context.Background(), &Call{ID: "j", Attr: JoinAttr{Axis: c.axis}, In: map[string]Value{"x": c.x, "y": c.y}})
		got := fmt.Sprint(err)
		if r, ok := v.(tensorfile.Tensor); ok && err == nil {
			got = fmt.Sprint(r.Type.Sizes(), r.Float32s())
		}
		if got != c.want {
			t.Errorf("axis %d: %s, want %s", c.axis, got, c.want)
		}
	}
}

// TestJoinFilled: zeros stand behind the values of the smaller one, along every other axis.
func TestJoinFilled(t *testing.T) {
	x := tensorfile.FromFloat32s("x", []float32{1, 2, 3, 4}, 2, 1, 2)
	y := tensorfile.FromFloat32s("y", []float32{5, 6, 7}, 1, 1, 3)
	v, err := join().Run(context.Background(), &Call{ID: "j", Attr: JoinAttr{Axis: 1, Fill: true}, In: map[string]Value{"x": x, "y": y}})
	if err != nil {
		t.Fatal(err)
	}
	r := v.(tensorfile.Tensor)
	if got, want := fmt.Sprint(r.Type.Sizes(), r.Float32s()), "[2 2 3] [1 2 0 5 6 7 3 4 0 0 0 0]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
