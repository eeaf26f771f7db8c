package learn

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/data"
	"pipe.dev/executor/session"
)

// The files of a checkpoint: the weights that change, as any program reads
// them, what the optimizer keeps, and where the run stands.
const (
	weightsFile   = "model.safetensors"
	optimizerFile = "optimizer.safetensors"
	standFile     = "trainer.json"
)

// stand is where a run stands after a step.
type stand struct {
	Step    int           `json:"step"`
	Tokens  int64         `json:"tokens"`
	Skipped int64         `json:"skipped_batches,omitempty"`
	Data    data.Position `json:"data"`
	Pending *Event        `json:"pending,omitempty"` // the step, if its evaluation was interrupted
	Skips   []skips       `json:"skips"`             // of each part
}

// Save writes a checkpoint through file, which is called for each of its files.
func (t *Trainer) Save(file func(name string, fill func(io.Writer) error) error) error {
	if err := t.saveStates(file, weightsFile, t.changing()); err != nil {
		return err
	}
	if err := t.saveStates(file, optimizerFile, t.states(ir.Moment)); err != nil {
		return err
	}
	return file(standFile, func(w io.Writer) error {
		return json.NewEncoder(w).Encode(stand{t.step, t.tokens, t.skipped, t.at, t.pending.finite(), t.skips})
	})
}

func (t *Trainer) saveStates(file func(string, func(io.Writer) error) error, name string, states []plan.State) error {
	var list []checkpoint.Data
	called := namesIn(states)
	for _, s := range states {
		d := checkpoint.Data{Name: called(s.Path), Type: s.Type, Bytes: make([]byte, s.Type.Bytes())}
		if err := t.readState(s.Path, d.Bytes); err != nil {
			return err
		}
		if i := checkpoint.FirstNaN(s.Type.DType, d.Bytes); i >= 0 { // a checkpoint that holds it is of no use
			return &session.NaNError{Pos: ir.Pos{Path: s.Path}, Op: "training", Index: i}
		}
		list = append(list, d)
	}
	return file(name, func(w io.Writer) error { return checkpoint.Encode(w, list, map[string]string{"format": "pt"}) })
}

// changing lists the weights that training changes.
func (t *Trainer) changing() []plan.State {
	return slices.DeleteFunc(t.states(ir.Weight), func(s plan.State) bool { return !s.Changes })
}

// fixed lists the weights that stay as they are.
func (t *Trainer) fixed() []plan.State {
	return slices.DeleteFunc(t.states(ir.Weight), func(s plan.State) bool { return s.Changes })
}

// Stand returns where the data stood at a checkpoint: a trainer that takes it up
// needs a loader that begins there. path gives the place of each file.
func Stand(path func(name string) string) (data.Position, error) {
	s, err := readStand(path(standFile))
	return s.Data, err
}

func readStand(file string) (s stand, err error) {
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err == nil && (s.Step < 0 || s.Pending != nil && (s.Pending.Step != s.Step || s.Pending.More == nil)) {
		err = fmt.Errorf("stands at step %d, which cannot be", s.Step)
	}
	if err != nil {
		return s, checkpoint.FileError(file, err)
	}
	return s, nil
}

// Restore takes the weights that change, moments and the count of steps from a
// checkpoint.
func (t *Trainer) Restore(path func(name string) string) error {
	s, err := readStand(path(standFile))
	if err != nil {
		return err
	}
	t.step, t.tokens, t.skipped, t.pending = s.Step, s.Tokens, s.Skipped, s.Pending
	copy(t.skips, s.Skips)
	if err := t.restoreStates(path(weightsFile), t.changing()); err != nil {
		return err
	}
	return t.restoreStates(path(optimizerFile), t.states(ir.Moment))
}

func (t *Trainer) restoreStates(file string, states []plan.State) error {
	c, err := checkpoint.Open(file)
	if err != nil {
		return err
	}
	defer c.Close()
	var wants []checkpoint.Want
	called := namesIn(states)
	for _, s := range states {
		wants = append(wants, checkpoint.Want{Name: called(s.Path), Shape: s.Type.Sizes(), DTypes: []ir.DType{s.Type.DType}})
	}
	if err := c.Prove(wants, nil); err != nil {
		return err
	}
	for _, s := range states {
		data, err := c.View(called(s.Path))
		if err != nil {
			return err
		}
		if s.Kind == ir.Weight {
			err = t.newState(s, data)
		} else {
			err = t.home(s.Path).Write(s.Path, data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// states lists the states of one kind of all plans, once each. One changes if
// any plan changes it. Those on both sides are as the host has them.
func (t *Trainer) states(k ir.Kind) []plan.State {
	var list []plan.State
	at := map[string]int{}
	for _, p := range append(t.plans.on(true), t.plans.on(false)...) {
		for _, s := range p.States {
			if s.Kind != k {
				continue
			}
			if i, ok := at[s.Path]; ok {
				list[i].Changes = list[i].Changes || s.Changes
				continue
			}
			at[s.Path] = len(list)
			list = append(list, s)
		}
	}
	return list
}
