package plan

import (
	"encoding/json"
	"fmt"

	"pipe.dev/compiler/ir"
)

// JSON is the form of a plan that programs read.
type JSON struct {
	Name    string         `json:"name"`
	Backend string         `json:"backend"`
	Sizes   map[string]int `json:"sizes"`
	Hash    string         `json:"hash"`
	Peak    int64          `json:"peak_bytes"`
	Weights int64          `json:"weight_bytes"`
	Cache   int64          `json:"cache_bytes"`
	Work    int64          `json:"work_bytes"`
	FLOPs   int64          `json:"flops"`
	Bytes   int64          `json:"bytes_moved"`
	Again   *AgainJSON     `json:"computed_anew,omitempty"`
	States  []StateJSON    `json:"states"`
	Inputs  []PortJSON     `json:"inputs"`
	Outputs []PortJSON     `json:"outputs"`
	Steps   []StepJSON     `json:"steps"`
}

// AgainJSON is what the backward pass computes anew.
type AgainJSON struct {
	Blocks []string `json:"blocks"`
	FLOPs  int64    `json:"flops"`
}

// StepJSON is one step. Path is the layer that asked for it, At the line of
// the document.
type StepJSON struct {
	Op      string       `json:"op"`
	Attr    string       `json:"attr,omitempty"`
	In      []TensorJSON `json:"in"`
	Out     []TensorJSON `json:"out"`
	Scratch int64        `json:"scratch_bytes,omitempty"`
	FLOPs   int64        `json:"flops"`
	Bytes   int64        `json:"bytes_moved"`
	Path    string       `json:"path,omitempty"`
	At      string       `json:"at,omitempty"`
	// Runs is how often Body runs, which are the steps of a scan.
	Runs int        `json:"runs,omitempty"`
	Body []StepJSON `json:"body,omitempty"`
}

// TensorJSON is a placed tensor. Memory is "work", a state's path, or "none".
type TensorJSON struct {
	Memory string `json:"memory"`
	Offset int64  `json:"offset"`
	Type   string `json:"type"`
}

// StateJSON is memory that outlives a run.
type StateJSON struct {
	Path   string `json:"path"`
	Kind   string `json:"kind"`
	Type   string `json:"type"`
	Layout string `json:"layout,omitempty"`
	Bytes  int64  `json:"bytes"`
}

// PortJSON is a named input or output.
type PortJSON struct {
	Name string `json:"name"`
	TensorJSON
}

// JSON returns the form that programs read.
func (p *Plan) JSON() JSON {
	out := JSON{
		Name: p.Name, Backend: p.Backend, Sizes: p.Sizes, Hash: p.Hash(), Peak: p.PeakBytes(),
		Weights: p.StateBytes(ir.Weight), Cache: p.StateBytes(ir.Cache), Work: p.WorkBytes,
		FLOPs: p.FLOPs(), Bytes: p.BytesMoved(),
		States: []StateJSON{}, Inputs: p.ports(p.Inputs), Outputs: p.ports(p.Outputs), Steps: []StepJSON{},
	}
	if len(p.Again.Blocks) > 0 {
		out.Again = &AgainJSON{p.Again.Blocks, p.Again.FLOPs}
	}
	for _, s := range p.States {
		out.States = append(out.States, StateJSON{s.Path, s.Kind.String(), s.Type.String(), string(s.Layout), s.Bytes})
	}
	for _, s := range p.Steps {
		out.Steps = append(out.Steps, p.stepJSON(s))
	}
	return out
}

func (p *Plan) stepJSON(s Step) StepJSON {
	made := StepJSON{Op: s.Op, In: p.tensors(s.In), Out: p.tensors(s.Out), FLOPs: s.FLOPs, Bytes: s.Bytes, Path: s.Pos.Path}
	if s.Attr != nil {
		made.Attr = attrString(s.Attr)
	}
	if s.Scratch.State != None {
		made.Scratch = s.Scratch.Type.Bytes()
	}
	if s.Pos.File != "" {
		made.At = fmt.Sprintf("%s:%d:%d", s.Pos.File, s.Pos.Line, s.Pos.Col)
	}
	if l := s.Loop; l != nil {
		made.Runs = l.Steps
		for _, inner := range l.Body.Steps {
			made.Body = append(made.Body, l.Body.stepJSON(inner))
		}
	}
	return made
}

// MarshalJSON writes JSON.
func (p *Plan) MarshalJSON() ([]byte, error) { return json.Marshal(p.JSON()) }

func (p *Plan) tensor(at Place) TensorJSON {
	switch at.State {
	case None:
		return TensorJSON{Memory: "none"}
	case Work:
		return TensorJSON{"work", at.Offset, at.Type.String()}
	}
	return TensorJSON{p.States[at.State].Path, at.Offset, at.Type.String()}
}

func (p *Plan) tensors(list []Place) []TensorJSON {
	out := []TensorJSON{}
	for _, at := range list {
		out = append(out, p.tensor(at))
	}
	return out
}

func (p *Plan) ports(list []Port) []PortJSON {
	out := []PortJSON{}
	for _, x := range list {
		out = append(out, PortJSON{x.Name, p.tensor(x.Place)})
	}
	return out
}
