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
	Channels int `cue:"channels!: int & >0 & <=65536" doc:"numbers at each place"`
	Seed     int `cue:"seed: int & >=0 | *0" doc:"the same seed gives the same noise; places that are added behind change none"`
}

func noise() *Def {
	return &Def{
		Name: "noise", Title: "Noise", Result: Tensor,
		Doc:   "is noise of standard deviation 1, [1, channels, places], with as many places as another tensor has.",
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
			channels, places := t.Sizes()[1], t.Sizes()[2]
			x := make([]float32, channels*places)
			for i := range x {
				channel, place := i/places, i%places
				x[i] = float32(philox.Normal(uint64(c.Attr.(NoiseAttr).Seed), uint64(place*channels+channel)))
			}
			return tensorfile.FromFloat32s(c.ID, x, t.Sizes()...), nil
		},
	}
}

// noiseLike is the type of the noise.
func noiseLike(c *Call) (ir.Type, error) {
	like, ok := c.In["like"].(tensorfile.Tensor)
	if !ok || like.Type.Rank() == 0 {
		return ir.Type{}, fmt.Errorf("like is %s %v, want a tensor with an axis of places", KindOf(c.In["like"]), like.Type)
	}
	sizes := like.Type.Sizes()
	return ir.T(ir.F32, 1, c.Attr.(NoiseAttr).Channels, sizes[len(sizes)-1]), nil
}
