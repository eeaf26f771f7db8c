package diffusion

import (
	"math"
	"reflect"
	"strings"
)

// Sampler walks from noise to a sample, in steps that begin with step 0, or
// with a later one where it begins with a sample that noise was added to. It
// keeps what earlier steps left, so that one serves one walk.
type Sampler interface {
	// Timesteps are what the model is called with, one call each.
	Timesteps() []float64
	// Order is how many calls a step has.
	Order() int
	// Start is the standard deviation of the noise that a walk begins with.
	Start() float64
	// Scale is what the model's input is: the sample, times it.
	Scale(i int) float64
	// Mix says what a sample of step i is: signal times what is wanted, plus noise
	// times noise of standard deviation 1.
	Mix(i int) (signal, noise float64)
	// Noisy reports whether step i reads noise.
	Noisy(i int) bool
	// Original puts what the model says is wanted into dst.
	Original(i int, dst, x, out []float32)
	// Next turns the sample x of step i into that of step i+1. out is what the
	// model made of it, noise of standard deviation 1. Samples of a batch follow
	// one another.
	Next(i int, x, out, noise []float32)
}

// def is a sampler's row in the table.
type def struct {
	name     string // as documents call it
	class    string // as diffusers calls it
	doc      string
	defaults func(*Config) // what differs from the common ones
	build    func(Config, walk) (Sampler, error)
}

// table holds every sampler, in the order of the documentation.
var table = []def{
	{"ddpm", "DDPMScheduler", "ancestral sampling of the trained chain; arXiv:2006.11239", ddpmDefaults, newDDPM},
	{"ddim", "DDIMScheduler", "the same model without noise, in few steps; arXiv:2010.02502", ddimDefaults, newDDIM},
	{"pndm", "PNDMScheduler", "pseudo linear multistep, after Runge-Kutta steps; arXiv:2202.09778", pndmDefaults, newPNDM},
	{"lms", "LMSDiscreteScheduler", "linear multistep over sigmas, of order 4; arXiv:2206.00364", sigmaDefaults, newLMS},
	{"euler", "EulerDiscreteScheduler", "Euler steps over sigmas; arXiv:2206.00364", sigmaDefaults, newEuler},
	{"euler_ancestral", "EulerAncestralDiscreteScheduler", "Euler steps that add noise again", sigmaDefaults, newAncestral},
	{"heun", "HeunDiscreteScheduler", "Heun's method over sigmas, two calls a step; arXiv:2206.00364", heunDefaults, newHeun},
	{"dpm", "DPMSolverMultistepScheduler", "DPM-Solver++ of order 1 to 3, with noise if algorithm_type begins with sde; arXiv:2211.01095", dpmDefaults, newDPM},
	{"unipc", "UniPCMultistepScheduler", "a predictor and a corrector; arXiv:2302.04867", unipcDefaults, newUniPC},
	{"lcm", "LCMScheduler", "consistency models, in one to eight steps; arXiv:2310.04378", lcmDefaults, newLCM},
	{"flow", "FlowMatchEulerDiscreteScheduler", "Euler steps of flow matching; arXiv:2403.03206", flowDefaults, newFlow},
}

// Names are the samplers that a document may ask for.
func Names() []string {
	names := make([]string, len(table))
	for i, d := range table {
		names[i] = d.name
	}
	return names
}

// Doc says in one line what a sampler is.
func Doc(name string) string {
	for _, d := range table {
		if d.name == name {
			return d.doc
		}
	}
	return ""
}

func lookup(name, class string) (def, error) {
	var classes []string
	for _, d := range table {
		if name == d.name || name == "" && class == d.class {
			return d, nil
		}
		classes = append(classes, d.class)
	}
	if name != "" {
		return def{}, unknown("sampler", name, Names())
	}
	if class == "" {
		return def{}, errorf("no sampler is named; want one of %s", strings.Join(Names(), ", "))
	}
	return def{}, unknown("_class_name", class, classes)
}

// Options are what a walk is besides its settings.
type Options struct {
	Steps int // calls of the model, or pairs of calls where a sampler makes two a step
	Batch int // samples that are made at the same time
	// Tokens is how many positions a sample has for the model, for shifts that
	// depend on it.
	Tokens int
}

// New returns a sampler for a walk.
func New(name string, c Config, o Options) (Sampler, error) {
	d, err := lookup(name, "")
	if err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if o.Steps < 1 || o.Batch < 1 {
		return nil, errorf("%d steps of %d samples: want at least one", o.Steps, o.Batch)
	}
	w := walk{c: c, batch: o.Batch, tokens: o.Tokens, calls: o.Steps}
	if d.name != "flow" {
		if o.Steps > c.TrainSteps {
			return nil, errorf("%d steps, but the model is trained on %d", o.Steps, c.TrainSteps)
		}
		if w.alphas, err = alphas(c); err != nil {
			return nil, err
		}
	}
	return d.build(c, w)
}

// noLambda is that no lambda is too small.
var noLambda = lambda(math.Inf(-1))

// defaults are those that most samplers share.
func defaults() Config {
	return Config{TrainSteps: 1000, BetaStart: 1e-4, BetaEnd: 0.02, BetaSchedule: "linear", AlphaToOne: true, Prediction: "epsilon",
		ClipRange: 1, ThresholdRatio: 0.995, ThresholdSample: 1, Spacing: "linspace", TimestepType: "discrete", Interpolate: "linear",
		FinalSigmas: "zero", Order: 2, LowerOrderFinal: true, PredictX0: true, FlowShift: 1, LambdaMinClipped: noLambda,
		OriginalSteps: 50, TimestepScaling: 10, Shift: 1, BaseShift: 0.5, MaxShift: 1.15, BaseTokens: 256, MaxTokens: 4096, TimeShift: "exponential"}
}

// fields are the names of all settings.
func fields() map[string]bool {
	names := map[string]bool{}
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		names[t.Field(i).Tag.Get("json")] = true
	}
	return names
}
