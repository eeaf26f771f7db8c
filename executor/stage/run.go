package stage

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/model"
	"pipe.dev/executor/tensorfile"
)

// RunAttr describes a single call of a model.
type RunAttr struct {
	Take []string `cue:"take: [...string] | *[]" doc:"paths of nodes whose values are wanted besides the model's output"`
}

func run() *Def {
	return &Def{
		Name: "run", Title: "Run", Result: Tensors,
		Doc: "calls a model once over whole sequences, without a cache; gives its outputs, \"logits\" if they have no names, and the nodes in take.",
		Ports: []Port{
			{Name: "model", Doc: "the model", Kinds: []Kind{Model}},
			{Name: "with", Doc: "the model's inputs by their names", Kinds: []Kind{Tensor, IDs}, Map: true},
		},
		Attr:    RunAttr{},
		Prepare: prepareRun,
		Run: func(ctx context.Context, c *Call) (Value, error) {
			p := c.kept.(*plan.Plan)
			inputs, err := runInputs(c)
			if err != nil {
				return nil, err
			}
			return c.Model("model").Run(ctx, p, inputs)
		},
	}
}

// runInputs gives tensors of one axis a first one of size 1 where the model
// wants two, [batch, seq].
func runInputs(c *Call) (map[string]tensorfile.Tensor, error) {
	inputs := map[string]tensorfile.Tensor{}
	wants, err := c.Model("model").Inputs()
	if err != nil {
		return nil, err
	}
	for name, v := range c.Maps["with"] {
		switch v := v.(type) {
		case tensorfile.Tensor:
			if v.Type.Rank() == 1 && wants[name].Rank() == 2 {
				v.Type = v.Type.With(ir.D(1), v.Type.Shape[0])
			}
			inputs[name] = v
		case []int32:
			inputs[name] = tensorfile.FromInt32s(name, v, 1, len(v))
		case nil: // not known yet
		default:
			return nil, fmt.Errorf("with.%s is %s, want %s", name, KindOf(v), Tensor)
		}
	}
	return inputs, nil
}

// prepareRun asks for a plan of the inputs' sizes, which are known beforehand
// where they come from files.
func prepareRun(c *Call) error {
	m := c.Model("model")
	wants, err := m.Inputs()
	if err != nil {
		return err
	}
	for name := range c.Maps["with"] {
		if _, ok := wants[name]; !ok {
			return fmt.Errorf("with.%s: the model has no such input; it has %s", name, strings.Join(slices.Sorted(maps.Keys(wants)), ", "))
		}
	}
	inputs, err := runInputs(c)
	if err != nil {
		return err
	}
	sizes, err := sizesOf(wants, inputs)
	if err != nil {
		return err
	}
	p, err := m.Call(sizes, c.Attr.(RunAttr).Take)
	if err != nil {
		return err
	}
	for _, name := range model.Inputs(p) {
		if _, ok := c.Maps["with"][name]; !ok {
			return fmt.Errorf("with.%s is missing: the model needs it", name)
		}
	}
	c.kept = p
	return nil
}

// sizesOf gives the named sizes of a model's inputs the numbers that tensors
// have there; a size that none has is 1.
func sizesOf(wants map[string]ir.Type, inputs map[string]tensorfile.Tensor) (map[string]int, error) {
	sizes, from := map[string]int{}, map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		want, t := wants[name], inputs[name].Type
		if t.Rank() != want.Rank() {
			return nil, fmt.Errorf("with.%s is %v, want %s", name, t, ir.ShapeString(want.Shape))
		}
		for i, n := range t.Sizes() {
			d := want.Shape[i]
			switch before, ok := sizes[d.Syms]; {
			case n <= 0:
				return nil, fmt.Errorf("with.%s is %v, which is empty", name, t)
			case d.Known() && d.N != n:
				return nil, fmt.Errorf("with.%s is %v, want %s", name, t, ir.ShapeString(want.Shape))
			case !d.Known() && ok && before != n:
				return nil, fmt.Errorf("with.%s is %v, want %s, and %s is %d in with.%s", name, t, ir.ShapeString(want.Shape), d, before, from[d.Syms])
			case !d.Known():
				sizes[d.Syms], from[d.Syms] = n, name
			}
		}
	}
	for _, want := range wants {
		for _, d := range want.Shape {
			if _, ok := sizes[d.Syms]; !ok && !d.Known() {
				sizes[d.Syms] = 1
			}
		}
	}
	return sizes, nil
}
