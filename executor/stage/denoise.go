package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/diffusion"
	"pipe.dev/executor/hub"
	"pipe.dev/executor/model"
	"pipe.dev/executor/tensorfile"
)

// DenoiseAttr describes a walk from noise to samples.
type DenoiseAttr struct {
	Sampler   string         `cue:"sampler: *\"\" | \"ddpm\" | \"ddim\" | \"pndm\" | \"lms\" | \"euler\" | \"euler_ancestral\" | \"heun\" | \"dpm\" | \"unipc\" | \"lcm\" | \"flow\"" doc:"how steps are made; as the scheduler's file says if empty"`
	Scheduler string         `cue:"scheduler: string | *\"\"" doc:"a scheduler_config.json, or its folder: what the model was trained with; none if empty"`
	Settings  map[string]any `cue:"settings: {[string]: _} | *{}" doc:"settings of the sampler by the names of scheduler_config.json; they count more than the file"`
	Steps     int            `cue:"steps: int & >0 | *50" doc:"how many"`
	Shape     []int          `cue:"shape: [...int & >0] | *[]" doc:"sizes of one sample: channels, rows, columns; may be left out where x has them"`
	Count     int            `cue:"count: int & >0 | *1" doc:"samples that are made at the same time"`
	Seed      int            `cue:"seed: int & >=0 | *0" doc:"of the first sample's noise; each other one's is one more, and a sample is the same whatever stands beside it"`
	Seeds     []int          `cue:"seeds: [...int & >=0] | *[]" doc:"instead of seed and count: a seed for each sample"`
	Only      []int          `cue:"only: [...int & >=0] | *[]" doc:"of these samples those that are made, by number, to the same bits as all together; all if empty"`
	Guidance  float64        `cue:"guidance: number & >=0 | *1" doc:"how far predictions go from those without the inputs that guide towards those with them, and beyond; 1 is those with them"`
	Rescale   float64        `cue:"rescale: number & >=0 & <=1 | *0" doc:"how much of the contrast that guidance adds is taken back"`
	Strength  float64        `cue:"strength: number & >0 & <=1 | *1" doc:"of x: the share of the steps that are made; 1 makes all, from noise alone where a mask says what is made anew"`
	Scales    []float64      `cue:"scales: [...number] | *[]" doc:"of controls, in the order of their names: how much each counts; 1 if it is not said"`
	Starts    []float64      `cue:"starts: [...number & >=0 & <=1] | *[]" doc:"of controls: the share of the steps that is made before each counts; 0 if it is not said"`
	Ends      []float64      `cue:"ends: [...number & >=0 & <=1] | *[]" doc:"of controls: the share of the steps after which each counts no more; 1 if it is not said"`
	Guess     bool           `cue:"guess: bool | *false" doc:"controls alone say what is made, whatever the text: what they add counts a tenth in the first layers of the model, and more the deeper; predictions without the inputs that guide are made without controls"`
	Shown     string         `cue:"shown_as: string | *\"shown\"" doc:"the controls' input that is the picture"`
	Preview   int            `cue:"preview: int & >=0 | *0" doc:"after so many steps each a small picture of what is being made is written; 0 writes none"`
	PreviewTo string         `cue:"preview_to: string | *\"\"" doc:"the file of previews, .png or .jpg"`
	Sample    string         `cue:"sample: string | *\"sample\"" doc:"the model's input that is the sample"`
	Timestep  string         `cue:"timestep: string | *\"timestep\"" doc:"the model's input that is the time"`
}

func denoise() *Def {
	tensor := []Kind{Tensor}
	return &Def{
		Name: "denoise", Title: "Denoise", Result: Tensor,
		Doc: "walks from noise to samples, by what a model says of the noise in them.",
		Ports: []Port{
			{Name: "model", Doc: "the model", Kinds: []Kind{Model}},
			{Name: "with", Doc: "its other inputs, by their names", Kinds: tensor, Map: true, Optional: true},
			{Name: "without", Doc: "the inputs for predictions that are to be left behind, for guidance; those that are not named are as in with", Kinds: tensor, Map: true, Optional: true},
			{Name: "x", Doc: "samples to begin from, to which noise is added", Kinds: tensor, Optional: true},
			{Name: "mask", Doc: "1 where x is made anew, 0 where it stays; [samples or 1, 1, rows, columns]. A model that reads what is beside is left to keep it by itself", Kinds: tensor, Optional: true},
			{Name: "beside", Doc: "channels that the model reads behind those of the sample; left out if it has no room for them", Kinds: tensor, Optional: true},
			{Name: "controls", Doc: "networks beside the model, which read what it reads and a picture, and whose results have the names of inputs of the model", Kinds: []Kind{Model}, Map: true, Optional: true},
			{Name: "shown", Doc: "the pictures of controls, in the order of their names, [controls, channels, height, width], 0 to 1", Kinds: tensor, Optional: true},
			{Name: "decoder", Doc: "the autoencoder that makes previews of latents: a tiny one costs little. What is larger than 32 latents on a side is averaged before. Without it samples are pictures themselves, from -1 to 1", Kinds: []Kind{Model}, Optional: true},
			{Name: "noise", Doc: "the noise to begin from, of standard deviation 1, instead of one by seed", Kinds: tensor, Optional: true},
			{Name: "noises", Doc: "the noise of each step, [steps, samples, ...], instead of one by seed", Kinds: tensor, Optional: true},
		},
		Attr:    DenoiseAttr{},
		Sample:  sampleOf,
		Note:    noteOf,
		Prepare: prepareDenoise,
		Own: func(c *Call) int64 {
			if w, ok := c.kept.(*walk); ok {
				return w.ownBytes(c) + w.preview.ownBytes(w.shape)
			}
			return 0
		},
		Smaller: func(c *Call) (bool, error) {
			if w, ok := c.kept.(*walk); ok {
				return w.smaller()
			}
			return false, nil
		},
		Promise: func(c *Call) Value {
			w, ok := c.kept.(*walk)
			if !ok {
				return nil
			}
			return tensorfile.Tensor{Name: c.ID, Type: ir.T(ir.F32, w.shape...)}
		},
		Run: func(ctx context.Context, c *Call) (Value, error) {
			w, ok := c.kept.(*walk)
			if !ok {
				return nil, errUnknownSizes
			}
			if err := w.begin(c); err != nil {
				return nil, err
			}
			return w.run(ctx, c)
		},
	}
}

// walk is a run of denoise.
type walk struct {
	attr     DenoiseAttr
	model    *model.Model
	calls    calls
	sampler  diffusion.Sampler
	shape    []int // of all samples
	first    int   // the step that it begins with
	seeds    []int
	all      int  // samples, of which only some may be made
	own      bool // more than noise by seed differs from sample to sample
	with     map[string]tensorfile.Tensor
	without  map[string]tensorfile.Tensor // nil without guidance
	controls []control
	joins    bool      // the model reads what is beside
	beside   []float32 // that, or nil
	mask     []float32 // as large as the samples, or nil
	kept     []float32 // x, or nil
	anew     bool      // it begins with noise alone all the same
	noise    []float32 // that the walk began with
	noises   []float32 // of all steps, or nil
	preview  *preview  // or nil
	variance bool      // the sampler reads variances that the model learned
}

// prepareDenoise makes the plan of one prediction.
func prepareDenoise(c *Call) error {
	a := c.Attr.(DenoiseAttr)
	w := &walk{attr: a, model: c.Model("model"), seeds: a.Seeds}
	for i := 0; len(a.Seeds) == 0 && i < a.Count; i++ {
		w.seeds = append(w.seeds, a.Seed+i)
	}
	if err := w.choose(a.Only); err != nil {
		return err
	}
	w.shape = append([]int{len(w.seeds)}, a.Shape...)
	if x, ok := c.In["x"].(tensorfile.Tensor); ok {
		s := x.Type.Sizes()
		if len(s) < 2 || len(a.Shape) > 0 && !slices.Equal(s[1:], a.Shape) || s[0] != 1 && s[0] != w.all {
			return fmt.Errorf("x is %v, but shape is %v and there are %d samples", x.Type, a.Shape, w.all)
		}
		w.shape = append([]int{len(w.seeds)}, s[1:]...)
	}
	if x, ok := c.In["x"]; ok && x == nil && len(a.Shape) == 0 {
		return nil // told if it is run all the same
	}
	if len(w.shape) < 2 {
		return fmt.Errorf("shape is missing: give the sizes of a sample, as [4, 64, 64]")
	}
	if err := w.chooseSampler(c); err != nil {
		return err
	}
	inputs, err := w.inputs(c)
	if err == nil {
		err = w.prepareControls(c, inputs)
	}
	if errors.Is(err, errUnknownSizes) {
		return nil // told if it is run all the same
	}
	if err != nil {
		return err
	}
	if err := w.prepareCalls(inputs); err != nil {
		return err
	}
	if err := w.preparePreview(c); err != nil {
		return err
	}
	c.kept = w
	return nil
}

func unknownInput(name string, wants map[string]ir.Type) error {
	return fmt.Errorf("with.%s: the model has no such input; it has %v", name, slices.Sorted(maps.Keys(wants)))
}

// chooseSampler reads the settings, and makes the sampler.
func (w *walk) chooseSampler(c *Call) error {
	a := w.attr
	s := &diffusion.Settings{}
	if a.Scheduler != "" {
		file, err := hub.Folder(a.Scheduler)
		if err != nil {
			return err
		}
		if st, err := os.Stat(file); err == nil && st.IsDir() {
			file = filepath.Join(file, "scheduler_config.json")
		}
		c.read(file)
		data, err := os.ReadFile(file)
		if err != nil {
			return checkpoint.FileError(file, err)
		}
		if s, err = diffusion.ParseSettings(data); err != nil {
			return &checkpoint.Error{File: file, Msg: err.Error()}
		}
		if len(s.Unknown) > 0 && c.Warn != nil {
			c.Warn(fmt.Errorf("%s: settings that no sampler has are left out: %v", file, s.Unknown))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Settings)) {
		value, err := json.Marshal(a.Settings[name])
		if err == nil {
			err = s.Set(name, value)
		}
		if err != nil {
			return fmt.Errorf("settings: %w", err)
		}
	}
	name, config, err := s.Resolve(a.Sampler)
	if err != nil {
		return err
	}
	w.variance = strings.HasPrefix(config.Variance, "learned")
	// Models of flows read patches of two rows and two columns.
	tokens := w.shape[len(w.shape)-1] * w.shape[max(len(w.shape)-2, 1)] / 4
	if w.sampler, err = diffusion.New(name, config, diffusion.Options{Steps: a.Steps, Batch: len(w.seeds), Tokens: tokens}); err != nil {
		return err
	}
	w.first = 0
	if a.Strength < 1 {
		w.first = (a.Steps - int(float64(a.Steps)*a.Strength)) * w.sampler.Order()
		if name == "flow" { // as pipelines of diffusers round there
			w.first = int(float64(a.Steps) - float64(a.Steps)*a.Strength)
		}
		if w.first >= len(w.sampler.Timesteps()) {
			return fmt.Errorf("strength %g of %d steps leaves none", a.Strength, a.Steps)
		}
	}
	return nil
}

// inputs are those of one prediction, as far as they are known.
func (w *walk) inputs(c *Call) (map[string]tensorfile.Tensor, error) {
	channels := w.shape[1]
	if beside, ok := c.In["beside"].(tensorfile.Tensor); ok && beside.Type.Rank() == len(w.shape) {
		if w.joins = !w.fits(channels); w.joins {
			channels += beside.Type.Sizes()[1]
		}
	}
	shape := slices.Clone(w.shape)
	shape[1] = channels
	in := map[string]tensorfile.Tensor{
		w.attr.Sample:   {Name: w.attr.Sample, Type: ir.T(ir.F32, shape...)},
		w.attr.Timestep: {Name: w.attr.Timestep, Type: ir.T(ir.F32, w.shape[0])},
	}
	var err error
	w.with, err = w.conditions(c.Maps["with"])
	if err == nil && len(c.Maps["without"]) > 0 && w.attr.Guidance != 1 {
		w.without, err = w.conditions(c.Maps["without"])
	}
	maps.Copy(in, w.with)
	for name, v := range w.without {
		if other, ok := in[name]; !ok {
			return nil, fmt.Errorf("without.%s stands instead of with.%s, which is missing", name, name)
		} else if !v.Type.Equal(other.Type) {
			return nil, fmt.Errorf("without.%s is %v, and with.%s %v", name, v.Type, name, other.Type)
		}
	}
	return in, err
}

// fits reports whether the model reads samples of so many channels.
func (w *walk) fits(channels int) bool {
	wants, err := w.model.Inputs()
	t, ok := wants[w.attr.Sample]
	return err == nil && ok && t.Rank() > 1 && t.Shape[1].Known() && t.Shape[1].N == channels
}

// errUnknownSizes says that no plan could be made.
var errUnknownSizes = &UnknownError{"the sizes of its inputs are not known before the run: read them from a file, or from a stage that says them"}

// conditions are inputs of all samples: one row stands for each.
func (w *walk) conditions(values map[string]Value) (map[string]tensorfile.Tensor, error) {
	out := map[string]tensorfile.Tensor{}
	for name, v := range values {
		t, ok := v.(tensorfile.Tensor)
		if !ok && v != nil {
			return nil, fmt.Errorf("with.%s is %s, want %s", name, KindOf(v), Tensor)
		}
		if !ok {
			return nil, errUnknownSizes
		}
		out[name] = w.rows(t)
	}
	return out, nil
}
