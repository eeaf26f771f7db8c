package diffusion

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
)

func TestSettings(t *testing.T) {
	for _, c := range []struct{ json, sampler, want string }{
		{`{`, "ddim", "JSON: unexpected end of JSON input"},
		{`{"_class_name": "DDIMSheduler"}`, "", `_class_name "DDIMSheduler" is not known; did you mean DDIMScheduler?`},
		{`{"_class_name": 3}`, "", "_class_name is 3, want a string"},
		{`{}`, "eular", `sampler "eular" is not known; did you mean euler?`},
		{`{}`, "", "no sampler is named; want one of ddpm, ddim, pndm, lms, euler, euler_ancestral, heun, dpm, unipc, lcm, flow"},
		{`{"num_train_timesteps": 0}`, "ddim", "num_train_timesteps is 0, want 1 to 1048576"},
		{`{"num_train_timesteps": 1e18}`, "ddim", "num_train_timesteps is 1e18, which it cannot be"},
		{`{"beta_start": "x"}`, "ddim", `beta_start is "x", which it cannot be`},
		{`{"trained_betas": [0.1]}`, "ddim", "trained_betas are 1, and num_train_timesteps is 1000"},
		{`{"use_karras_sigmas": true, "use_beta_sigmas": true}`, "euler", "only one of use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas and use_lu_lambdas can be true"},
		{`{"prediction_type": "epsilom"}`, "ddim", `prediction_type "epsilom" is not known; did you mean epsilon?`},
	} {
		s, err := ParseSettings([]byte(c.json))
		if err == nil {
			_, _, err = s.Resolve(c.sampler)
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("%s %s: %v, want %s", c.sampler, c.json, err, c.want)
		}
	}
}

// TestOtherSampler takes a model's settings to another sampler, as people do.
func TestOtherSampler(t *testing.T) {
	s, err := ParseSettings([]byte(`{"_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", "beta_end": 0.012,
		"beta_schedule": "scaled_linear", "skip_prk_steps": true, "set_alpha_to_one": false, "trained_betas": null, "mood": 1}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Unknown) != 1 || s.Unknown[0] != "mood" {
		t.Errorf("unknown are %v", s.Unknown)
	}
	if err := s.Set("use_karras_sigmas", json.RawMessage("true")); err != nil {
		t.Fatal(err)
	}
	name, c, err := s.Resolve("dpm")
	if err != nil || name != "dpm" || c.BetaEnd != 0.012 || !c.Karras || c.AlphaToOne || c.Algorithm != "dpmsolver++" {
		t.Errorf("%s %+v %v", name, c, err)
	}
	if err := s.Set("use_karas_sigmas", nil); err == nil || err.Error() != `setting "use_karas_sigmas" is not known; did you mean use_karras_sigmas?` {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		sampler, want string
		change        func(*Config)
		steps         int
	}{
		{"ddim", "1001 steps, but the model is trained on 1000", func(*Config) {}, 1001},
		{"ddim", "0 steps of 1 samples: want at least one", func(*Config) {}, 0},
		{"ddim", `beta_schedule "cosine" is not known; want one of linear, scaled_linear, squaredcos_cap_v2, sigmoid, laplace, exp`, func(c *Config) { c.BetaSchedule = "cosine" }, 5},
		{"ddim", "beta 500 is 1.0010509490966797, want 0 to 1", func(c *Config) { c.BetaEnd = 2 }, 5},
		{"dpm", "dpm: solver_order is 4, want 1 to 3", func(c *Config) { c.Order = 4 }, 5},
		{"dpm", `dpm: final_sigmas_type is "zero", which dpmsolver cannot reach; want "sigma_min"`, func(c *Config) { c.Algorithm = "dpmsolver" }, 5},
		{"pndm", "pndm: 3 steps, want at least 4, or skip_prk_steps", func(*Config) {}, 3},
		{"lcm", "lcm: 51 steps, but original_inference_steps is 50", func(*Config) {}, 51},
	} {
		_, config, err := (&Settings{}).Resolve(c.sampler)
		if err != nil {
			t.Fatal(err)
		}
		c.change(&config)
		if _, err = New(c.sampler, config, Options{Steps: c.steps, Batch: 1}); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.sampler, err, c.want)
		}
	}
}

// FuzzSettings: whatever the settings, a walk ends with numbers or is refused.
func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{"num_train_timesteps": 20, "timestep_spacing": "trailing"}`), uint8(3), uint8(4))
	f.Add([]byte(`{"num_train_timesteps": 4, "steps_offset": 900}`), uint8(2), uint8(4))
	f.Add([]byte(`{"steps_offset": -5, "solver_order": 3}`), uint8(7), uint8(16))
	f.Fuzz(func(t *testing.T, data []byte, sampler, steps uint8) {
		s, err := ParseSettings(data)
		if err != nil {
			return
		}
		name, c, err := s.Resolve(Names()[int(sampler)%len(table)])
		if err != nil || c.TrainSteps > 4000 {
			return
		}
		w, err := New(name, c, Options{Steps: int(steps), Batch: 1, Tokens: 64})
		if err != nil {
			return
		}
		x, out, noise := []float32{1, -1}, []float32{0.5, 0.1}, []float32{0.3, -0.2}
		for i := range w.Timesteps() {
			w.Mix(i)
			w.Next(i, x, out, noise)
		}
		if n := len(w.Timesteps()); n == 0 || math.IsNaN(w.Timesteps()[0]) {
			t.Errorf("%d steps: %v", n, w.Timesteps())
		}
	})
}

// TestKept counts what samplers keep between steps.
func TestKept(t *testing.T) {
	const n = 48
	most := 0
	for _, name := range Names() {
		for _, change := range []func(*Config){func(*Config) {}, func(c *Config) { c.SkipPRK = true }, func(c *Config) { c.Order = 3 }} {
			_, config, err := (&Settings{}).Resolve(name)
			if err != nil {
				t.Fatal(err)
			}
			change(&config)
			s, err := New(name, config, Options{Steps: 10, Batch: 1, Tokens: 4})
			if err != nil {
				t.Fatal(err)
			}
			x, out, noise := make([]float32, n), make([]float32, n), make([]float32, n)
			for i := range s.Timesteps() {
				for j := range out {
					x[j], out[j] = float32(j)/n, float32(i)/n
				}
				s.Next(i, x, out, noise)
				kept := float32s(reflect.ValueOf(s))
				if most = max(most, kept); kept > Kept*n {
					t.Fatalf("%s keeps %d numbers for each of the sample after step %d, more than %d", name, kept/n, i, Kept)
				}
			}
		}
	}
	if most != Kept*n {
		t.Errorf("samplers keep %d samples at most, not %d", most/n, Kept)
	}
}

// float32s counts the numbers that a value holds.
func float32s(v reflect.Value) int {
	sum := 0
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			sum = float32s(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			sum += float32s(v.Field(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Float32 {
			return v.Cap()
		}
		for i := range v.Len() {
			sum += float32s(v.Index(i))
		}
	}
	return sum
}
