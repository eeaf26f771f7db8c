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
		Doc: "calls a model once over whole sequences, without a cache; gives \"logits\" and the nodes in take.",
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

// runInputs gives tensors two axes, [batch, seq], where they have one.
func runInputs(c *Call) (map[string]tensorfile.Tensor, error) {
	inputs := map[string]tensorfile.Tensor{}
	for name, v := range c.Maps["with"] {
		switch v := v.(type) {
		case tensorfile.Tensor:
			if v.Type.Rank() == 1 {
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
	inputs, err := runInputs(c)
	if err != nil {
		return err
	}
	batch, seq := 1, 1
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		t := inputs[name].Type
		if t.Rank() < 2 {
			return fmt.Errorf("with.%s is %v, want [batch,seq]", name, t)
		}
		if s := t.Sizes(); s[0] > 0 && s[1] > 0 {
			batch, seq = s[0], s[1]
		} else {
			return fmt.Errorf("with.%s is %v, which is empty", name, t)
		}
	}
	p, err := m.Forward(batch, seq, c.Attr.(RunAttr).Take)
	if err != nil {
		return err
	}
	names := model.Inputs(p)
	for name := range c.Maps["with"] {
		if !slices.Contains(names, name) {
			return fmt.Errorf("with.%s: the model has no such input; it has %s", name, strings.Join(names, ", "))
		}
	}
	for _, name := range names {
		if _, ok := c.Maps["with"][name]; !ok {
			return fmt.Errorf("with.%s is missing: the model needs it", name)
		}
	}
	c.kept = p
	return nil
}
