package stage

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pipe.dev/compiler/plan"
	"pipe.dev/executor/tensorfile"
)

// StreamAttr describes how a model hears a signal frame after frame.
type StreamAttr struct {
	Input string   `cue:"input!: string" doc:"the model's input that takes a frame, [batch, samples]"`
	State []string `cue:"state: [...string] | *[]" doc:"inputs that take what the output of the same name gave at the frame before; 0 at the first"`
}

func stream() *Def {
	return &Def{
		Name: "stream", Title: "Stream", Result: Tensors,
		Doc: "calls a model for each frame of a signal and hands on what it remembers; the last frame is filled up with zeros. Gives the other outputs, [batch, frames, ...].",
		Ports: []Port{
			{Name: "model", Doc: "the model", Kinds: []Kind{Model}},
			{Name: "x", Doc: "the signal, [batch, samples]", Kinds: []Kind{Tensor}},
		},
		Attr:    StreamAttr{},
		Prepare: prepareStream,
		Run:     runStream,
	}
}

// frames is a plan for one frame.
type frames struct {
	plan        *plan.Plan
	batch, size int
	outputs     []string // what is no state
}

// prepareStream asks for the plan of a frame.
func prepareStream(c *Call) error {
	m, a := c.Model("model"), c.Attr.(StreamAttr)
	wants, err := m.Inputs()
	if err != nil {
		return err
	}
	takes, ok := wants[a.Input]
	if !ok {
		return fmt.Errorf("input is %q: the model has no such input; it has %s", a.Input, strings.Join(slices.Sorted(maps.Keys(wants)), ", "))
	}
	if takes.Rank() != 2 || !takes.Shape[1].Known() {
		return fmt.Errorf("input is %q, which is %v, want [batch, samples] of a size that is known", a.Input, takes)
	}
	f := &frames{batch: 1, size: takes.Shape[1].N}
	if x, ok := c.In["x"].(tensorfile.Tensor); ok {
		if x.Type.Rank() != 2 {
			return fmt.Errorf("x is %v, want [batch, samples]", x.Type)
		}
		f.batch = x.Type.Sizes()[0]
	}
	if f.plan, err = m.Call(map[string]int{"batch": f.batch}, nil, nil); err != nil {
		return err
	}
	given := map[string]string{}
	for _, t := range m.Results(f.plan) {
		given[t.Name] = fmt.Sprint(t.Type)
		if !slices.Contains(a.State, t.Name) {
			f.outputs = append(f.outputs, t.Name)
		}
	}
	for _, in := range f.plan.Inputs {
		isState := slices.Contains(a.State, in.Name)
		switch {
		case in.Name == a.Input:
		case !isState:
			return fmt.Errorf("state lacks %q, an input of the model", in.Name)
		case given[in.Name] != fmt.Sprint(in.Place.Type):
			return fmt.Errorf("state names %q: the model takes %v, and gives %s", in.Name, in.Place.Type, orNone(given[in.Name]))
		}
	}
	for _, name := range a.State {
		if _, ok := wants[name]; !ok {
			return fmt.Errorf("state names %q: the model has no such input; it has %s", name, strings.Join(slices.Sorted(maps.Keys(wants)), ", "))
		}
	}
	c.kept = f
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "nothing of that name"
	}
	return s
}

func runStream(ctx context.Context, c *Call) (Value, error) {
	x, ok := c.In["x"].(tensorfile.Tensor)
	if !ok {
		return nil, errKind(c.In["x"], Tensor)
	}
	f, a, m := c.kept.(*frames), c.Attr.(StreamAttr), c.Model("model")
	if x.Type.Rank() != 2 || x.Type.Sizes()[0] != f.batch {
		return nil, errUnknownSizes
	}
	signal, length := x.Float32s(), x.Type.Sizes()[1]
	in := map[string]tensorfile.Tensor{}
	for _, p := range f.plan.Inputs {
		in[p.Name] = tensorfile.Tensor{Name: p.Name, Type: p.Place.Type, Data: make([]byte, p.Place.Type.Bytes())}
	}
	many := (length + f.size - 1) / f.size
	made := map[string][][]float32{} // by output: what each frame gave
	var last []tensorfile.Tensor
	for t := range many {
		frame := make([]float32, f.batch*f.size)
		for i := range f.batch {
			copy(frame[i*f.size:(i+1)*f.size], signal[i*length+t*f.size:(i+1)*length])
		}
		in[a.Input] = tensorfile.FromFloat32s(a.Input, frame, f.batch, f.size)
		out, err := m.Run(ctx, f.plan, in)
		if err != nil {
			return nil, err
		}
		for _, y := range out {
			if slices.Contains(a.State, y.Name) {
				in[y.Name] = y
			} else {
				made[y.Name] = append(made[y.Name], y.Float32s())
			}
		}
		if last = out; c.Progress != nil && (t%64 == 63 || t == many-1) {
			c.Progress(t+1, many)
		}
	}
	var results []tensorfile.Tensor
	for _, y := range last {
		if !slices.Contains(a.State, y.Name) {
			results = append(results, stacked(y, made[y.Name]))
		}
	}
	return results, nil
}

// stacked puts what frames gave, each [batch, ...], into [batch, frames, ...].
func stacked(like tensorfile.Tensor, parts [][]float32) tensorfile.Tensor {
	sizes := like.Type.Sizes()
	row := size(sizes[1:])
	all := make([]float32, 0, len(parts)*len(parts[0]))
	for i := range sizes[0] {
		for _, p := range parts {
			all = append(all, p[i*row:(i+1)*row]...)
		}
	}
	return tensorfile.FromFloat32s(like.Name, all, append([]int{sizes[0], len(parts)}, sizes[1:]...)...)
}
