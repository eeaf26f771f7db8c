package noise

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// Schedules are those of diffusers (testdata/golden/noise.py).
func TestAlphas(t *testing.T) {
	data, err := os.ReadFile("../../testdata/golden/noise/schedules.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Settings struct {
			Steps int     `json:"num_train_timesteps"`
			Name  string  `json:"beta_schedule"`
			Start float64 `json:"beta_start"`
			End   float64 `json:"beta_end"`
			Zero  bool    `json:"rescale_betas_zero_snr"`
		}
		At     []int
		Alphas []float64
	}
	if err := json.Unmarshal(data, &rows); err != nil || len(rows) < 11 {
		t.Fatal(err, len(rows))
	}
	for _, r := range rows {
		s := Schedule{Steps: 1000, Name: "linear", Start: 0.0001, End: 0.02, ZeroSNR: r.Settings.Zero}
		if r.Settings.Steps > 0 {
			s.Steps = r.Settings.Steps
		}
		if r.Settings.Name != "" {
			s.Name = r.Settings.Name
		}
		if r.Settings.Start > 0 {
			s.Start = r.Settings.Start
		}
		if r.Settings.End > 0 {
			s.End = r.Settings.End
		}
		got, err := s.Alphas()
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range r.At {
			if d := math.Abs(got[at] - r.Alphas[i]); !(d <= 1e-6) {
				t.Errorf("%+v: step %d is %g, want %g", s, at, got[at], r.Alphas[i])
			}
		}
	}
}

// A schedule that there is not is refused with what may have been meant.
func TestUnknown(t *testing.T) {
	_, err := Schedule{Steps: 10, Name: "scaled_liner"}.Alphas()
	if want := `beta_schedule "scaled_liner" is not known; did you mean scaled_linear?`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
