package stage

import (
	"context"
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/internal/philox"
)

// NoiseAttr describes noise.
type NoiseAttr struct {
	Channels int    `cue:"channels!: int & >0 & <=65536" doc:"numbers at each place"`
	Times    int    `cue:"times: int & >0 & <=65536 | *1" doc:"places for each of the other's"`
	Form     string `cue:"form: \"uniform\" | *\"normal\"" doc:"normal numbers have mean 0 and standard deviation 1; uniform ones lie between 0 and 1"`
	Seed     int    `cue:"seed: int & >=0 | *0" doc:"the same seed gives the same noise; places that are added behind change none"`
}

func noise() *Def {
	return &Def{
		Name: "noise", Title: "Noise", Result: Tensor,
		Doc:   "is noise, [1, channels, places], with as many places as another tensor has, or a multiple.",
		Ports: []Port{{Name: "like", Doc: "the tensor, whose last axis has the places", Kinds: []Kind{Tensor}}},
		Attr:  NoiseAttr{},
		Promise: func(c *Call) Value {
			t, err := noiseLike(c)
			if err != nil {
				return nil
			}
			return tensorfile.Tensor{Name: c.ID, Type: t}
		},
		Run: func(_ context.Context, c *Call) (Value, error) {
			t, err := noiseLike(c)
			if err != nil {
				return nil, err
			}
			channels, places, at := t.Sizes()[1], t.Sizes()[2], c.Attr.(NoiseAttr)
			draw := philox.Normal
			if at.Form == "uniform" {
				draw = between
			}
			x := make([]float32, channels*places)
			for i := range x {
				channel, place := i/places, i%places
				x[i] = float32(draw(uint64(at.Seed), uint64(place*channels+channel)))
			}
			return tensorfile.FromFloat32s(c.ID, x, t.Sizes()...), nil
		},
	}
}

// between is a number above 0 and below 1, also where it is rounded to f32.
func between(seed, position uint64) float64 {
	const least = 1. / (1 << 24)
	return min(max(philox.Uniform(seed, position), least), 1-least)
}

// noiseLike is the type of the noise.
func noiseLike(c *Call) (ir.Type, error) {
	like, ok := c.In["like"].(tensorfile.Tensor)
	if !ok || like.Type.Rank() == 0 {
		return ir.Type{}, fmt.Errorf("like is %s %v, want a tensor with an axis of places", KindOf(c.In["like"]), like.Type)
	}
	sizes := like.Type.Sizes()
	at := c.Attr.(NoiseAttr)
	return ir.T(ir.F32, 1, at.Channels, at.Times*sizes[len(sizes)-1]), nil
}
