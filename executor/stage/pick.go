package stage

import (
	"context"
	"fmt"

	"pipe.dev/executor/tensorfile"
)

// PickAttr names one of several.
type PickAttr struct {
	Name string `cue:"name!: string" doc:"the one that is wanted"`
}

func pick() *Def {
	find := func(c *Call) (Value, error) {
		list, ok := c.In["x"].([]tensorfile.Tensor)
		if t, one := c.In["x"].(tensorfile.Tensor); one {
			list, ok = []tensorfile.Tensor{t}, true
		}
		if !ok {
			return nil, nil
		}
		name := c.Attr.(PickAttr).Name
		var names []string
		for _, t := range list {
			if t.Name == name {
				return t, nil
			}
			names = append(names, t.Name)
		}
		return nil, fmt.Errorf("name is %q, and there are %v", name, names)
	}
	return &Def{
		Name: "pick", Title: "Pick", Result: Tensor, Early: true,
		Doc:   "takes one of several tensors by its name, as of what a model gives.",
		Ports: []Port{{Name: "x", Doc: "the tensors", Kinds: []Kind{Tensors}}},
		Attr:  PickAttr{},
		Prepare: func(c *Call) error {
			_, err := find(c)
			return err
		},
		Promise: func(c *Call) Value {
			v, _ := find(c) // Prepare told the error
			return v
		},
		Run: func(_ context.Context, c *Call) (Value, error) {
			v, err := find(c)
			if v == nil && err == nil {
				err = errKind(c.In["x"], Tensors)
			}
			return v, err
		},
	}
}
