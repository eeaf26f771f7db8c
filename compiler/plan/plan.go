// Package plan is the flat program that the executor runs: every size known,
// every tensor placed, every cost counted. It has a text form that can be
// compared with diff and a JSON form for programs.
package plan

import "pipe.dev/compiler/ir"

// Place is where a tensor lies: in the memory of a state, or in the work
// arena, which is free again after the run.
type Place struct {
	State  int   // index in Plan.States, or Work
	Offset int64 // bytes
	Type   ir.Type
}

// Work as Place.State means the work arena; None an input that is left out.
const (
	Work = -1
	None = -2
)

// Step is one call of one kernel.
type Step struct {
	Op      string
	Attr    any
	In, Out []Place
	Scratch Place   // U8 in the work arena; State None if there is none
	Frees   []Place // work memory that held something until this step, and is free after it
	FLOPs   int64
	Bytes   int64 // read and written, counting every tensor once
	Pos     ir.Pos
	Loop    *Loop // of a scan, which is no kernel but a plan that runs again and again
}

// Loop is how a scan runs: Begin, and then the body, Steps times. The body has
// neither inputs nor outputs; its work arena is the scratch of the step.
type Loop struct {
	Begin  []Step // of the plan around
	Body   *Plan
	States []Place // where the states of the body lie, in the plan around
	Steps  int
}

// State is memory that outlives a run.
type State struct {
	Path   string
	Kind   ir.Kind
	Type   ir.Type
	Layout ir.Layout
	Bytes  int64 // in its layout
	Init   string
	Pos    ir.Pos
	// Changes says that a run of this plan, or of another of the same model,
	// changes it.
	Changes bool
	// Statistic and Pairs are those of ir.State.
	Statistic, Pairs bool
}

// Port is a named input or output.
type Port struct {
	Name  string
	Place Place
	Path  string // layer path, for outputs that are nodes
}

// Plan is the whole program for one set of sizes.
type Plan struct {
	Name      string // "forward", "step"
	Backend   string
	Sizes     map[string]int // "batch": 1, "seq": 16
	Inputs    []Port
	Outputs   []Port
	States    []State // sorted by path
	Steps     []Step
	WorkBytes int64 // size of the work arena
	Again     Again
	// Parts are the plans that it consists of, of a model that is cut: each on its
	// device, one after the other. Then its steps are theirs, it has no states, and
	// where its ports and steps lie only they say.
	Parts []*Plan
}

// Again is what the backward pass of a training computes anew, so that the
// forward pass need not keep it.
type Again struct {
	Blocks []string // paths of the layers, in the order of the forward pass
	FLOPs  int64    // of one run, counted in the FLOPs of the plan too
}

// StateBytes is the memory of all states of one kind.
func (p *Plan) StateBytes(k ir.Kind) int64 {
	var sum int64
	for _, s := range p.States {
		if s.Kind == k {
			sum += s.Bytes
		}
	}
	return sum
}

// PeakBytes is what running the plan alone allocates.
func (p *Plan) PeakBytes() int64 {
	sum := p.WorkBytes
	for _, s := range p.States {
		sum += s.Bytes
	}
	return sum
}

// FLOPs is the floating-point operations of one run.
func (p *Plan) FLOPs() int64 {
	var sum int64
	for _, s := range p.Steps {
		sum += s.FLOPs
	}
	return sum
}

// BytesMoved is the memory traffic of one run, counting every tensor of every
// step once.
func (p *Plan) BytesMoved() int64 {
	var sum int64
	for _, s := range p.Steps {
		sum += s.Bytes
	}
	return sum
}

// Share is how much more p computes, as a part of what it would without.
func (a Again) Share(p *Plan) float64 {
	return float64(a.FLOPs) / float64(max(1, p.FLOPs()-a.FLOPs))
}
