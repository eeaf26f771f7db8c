// Package diffusion walks from noise to a sample: noise schedules, and the
// samplers that turn what a model predicts at one step into the next sample.
//
// It knows no model, no pictures and no devices: samples are float32 values.
// Settings have the names and the defaults of diffusers' scheduler_config.json,
// and every sampler gives what that library gives.
package diffusion

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pipe.dev/internal/suggest"
)

// Config are the settings of a noise schedule and of its sampler: those of all
// samplers, of which each reads its own.
type Config struct {
	TrainSteps   int       `json:"num_train_timesteps"`
	BetaStart    float64   `json:"beta_start"`
	BetaEnd      float64   `json:"beta_end"`
	BetaSchedule string    `json:"beta_schedule"` // linear, scaled_linear, squaredcos_cap_v2, sigmoid, laplace, exp
	Betas        []float64 `json:"trained_betas"`
	ZeroSNR      bool      `json:"rescale_betas_zero_snr"`
	AlphaToOne   bool      `json:"set_alpha_to_one"`

	Prediction string `json:"prediction_type"` // epsilon, sample, v_prediction, flow_prediction
	Variance   string `json:"variance_type"`   // fixed_small, fixed_small_log, fixed_large, fixed_large_log, learned, learned_range

	ClipSample      bool    `json:"clip_sample"`
	ClipRange       float64 `json:"clip_sample_range"`
	Thresholding    bool    `json:"thresholding"`
	ThresholdRatio  float64 `json:"dynamic_thresholding_ratio"`
	ThresholdSample float64 `json:"sample_max_value"`

	Spacing      string   `json:"timestep_spacing"` // linspace, leading, trailing
	Offset       int      `json:"steps_offset"`
	TimestepType string   `json:"timestep_type"`      // discrete, continuous
	Interpolate  string   `json:"interpolation_type"` // linear, log_linear
	Karras       bool     `json:"use_karras_sigmas"`
	Exponential  bool     `json:"use_exponential_sigmas"`
	Beta         bool     `json:"use_beta_sigmas"`
	Lu           bool     `json:"use_lu_lambdas"`
	SigmaMin     *float64 `json:"sigma_min"`
	SigmaMax     *float64 `json:"sigma_max"`
	FinalSigmas  string   `json:"final_sigmas_type"` // zero, sigma_min

	Eta     float64 `json:"eta"` // DDIM: 0 is deterministic, 1 is DDPM
	SkipPRK bool    `json:"skip_prk_steps"`

	Algorithm        string  `json:"algorithm_type"` // dpmsolver, dpmsolver++, sde-dpmsolver, sde-dpmsolver++
	Order            int     `json:"solver_order"`
	SolverType       string  `json:"solver_type"` // midpoint, heun; bh1, bh2
	LowerOrderFinal  bool    `json:"lower_order_final"`
	EulerAtFinal     bool    `json:"euler_at_final"`
	LambdaMinClipped lambda  `json:"lambda_min_clipped"`
	PredictX0        bool    `json:"predict_x0"`
	DisableCorrector []int   `json:"disable_corrector"`
	FlowSigmas       bool    `json:"use_flow_sigmas"`
	FlowShift        float64 `json:"flow_shift"`

	OriginalSteps   int     `json:"original_inference_steps"`
	TimestepScaling float64 `json:"timestep_scaling"`

	Shift           float64  `json:"shift"`
	DynamicShifting bool     `json:"use_dynamic_shifting"`
	BaseShift       float64  `json:"base_shift"`
	MaxShift        float64  `json:"max_shift"`
	BaseTokens      int      `json:"base_image_seq_len"`
	MaxTokens       int      `json:"max_image_seq_len"`
	InvertSigmas    bool     `json:"invert_sigmas"`
	ShiftTerminal   *float64 `json:"shift_terminal"`
	TimeShift       string   `json:"time_shift_type"` // exponential, linear
	Stochastic      bool     `json:"stochastic_sampling"`
}

// lambda reads numbers, and "-inf", which JSON has no number for.
type lambda float64

func (l *lambda) UnmarshalJSON(data []byte) error {
	switch strings.ToLower(strings.Trim(string(data), `"`)) {
	case "null":
		return nil
	case "-inf", "-infinity":
		*l = noLambda
		return nil
	}
	return json.Unmarshal(data, (*float64)(l))
}

// Error says what is wrong with settings.
type Error struct{ Msg string }

func (e *Error) Error() string { return e.Msg }

func errorf(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// Settings are a scheduler_config.json: the sampler that it names, and the
// settings that it has.
type Settings struct {
	Class   string   // as diffusers names it: "DDIMScheduler"; may be empty
	Unknown []string // settings that no sampler has, and that are not read
	values  map[string]json.RawMessage
}

// ParseSettings reads a scheduler_config.json.
func ParseSettings(data []byte) (*Settings, error) {
	s := &Settings{values: map[string]json.RawMessage{}}
	if err := json.Unmarshal(data, &s.values); err != nil {
		return nil, errorf("JSON: %v", err)
	}
	if class, ok := s.values["_class_name"]; ok {
		if err := json.Unmarshal(class, &s.Class); err != nil {
			return nil, errorf("_class_name is %s, want a string", class)
		}
	}
	known := fields()
	for _, name := range slices.Sorted(maps.Keys(s.values)) {
		switch {
		case strings.HasPrefix(name, "_") || string(s.values[name]) == "null":
			delete(s.values, name)
		case !known[name]:
			s.Unknown = append(s.Unknown, name)
			delete(s.values, name)
		}
	}
	return s, nil
}

// Set changes one setting; value is JSON.
func (s *Settings) Set(name string, value json.RawMessage) error {
	if !fields()[name] {
		return unknown("setting", name, slices.Sorted(maps.Keys(fields())))
	}
	if s.values == nil {
		s.values = map[string]json.RawMessage{}
	}
	s.values[name] = value
	return nil
}

// Resolve finds the sampler: that of a name, or else that of the class. It gives
// the name, and the settings with the defaults of this sampler.
func (s *Settings) Resolve(name string) (string, Config, error) {
	d, err := lookup(name, s.Class)
	if err != nil {
		return "", Config{}, err
	}
	c := defaults()
	d.defaults(&c)
	for _, field := range slices.Sorted(maps.Keys(s.values)) {
		one := append(append([]byte(`{"`+field+`":`), s.values[field]...), '}')
		if err := json.Unmarshal(one, &c); err != nil {
			return "", Config{}, errorf("%s is %s, which it cannot be", field, s.values[field])
		}
	}
	return d.name, c, c.check()
}

// check refuses what no schedule can be made of.
func (c *Config) check() error {
	if c.TrainSteps < 1 || c.TrainSteps > 1<<20 {
		return errorf("num_train_timesteps is %d, want 1 to %d", c.TrainSteps, 1<<20)
	}
	if len(c.Betas) > 0 && len(c.Betas) != c.TrainSteps {
		return errorf("trained_betas are %d, and num_train_timesteps is %d", len(c.Betas), c.TrainSteps)
	}
	if n := count(c.Karras, c.Exponential, c.Beta, c.Lu); n > 1 {
		return errorf("only one of use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas and use_lu_lambdas can be true")
	}
	for _, e := range []struct {
		name, value string
		allowed     []string
	}{
		{"prediction_type", c.Prediction, []string{"epsilon", "sample", "v_prediction", "flow_prediction"}},
		{"variance_type", c.Variance, []string{"", "fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range"}},
		{"timestep_spacing", c.Spacing, []string{"linspace", "leading", "trailing"}},
		{"timestep_type", c.TimestepType, []string{"discrete", "continuous"}},
		{"interpolation_type", c.Interpolate, []string{"linear", "log_linear"}},
		{"final_sigmas_type", c.FinalSigmas, []string{"zero", "sigma_min"}},
		{"time_shift_type", c.TimeShift, []string{"exponential", "linear"}},
	} {
		if !slices.Contains(e.allowed, e.value) {
			return unknown(e.name, e.value, e.allowed)
		}
	}
	return nil
}

// unknown says that a word is none of those that are known.
func unknown(what, word string, known []string) error {
	hint := suggest.DidYouMean(word, known)
	if hint == "" {
		hint = "want one of " + strings.Join(known, ", ")
	}
	return errorf("%s %q is not known; %s", what, word, hint)
}

func count(list ...bool) int {
	n := 0
	for _, b := range list {
		if b {
			n++
		}
	}
	return n
}
