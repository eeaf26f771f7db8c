package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// TestForecast checks that what is predicted of a recipe adds up: steps,
// evaluations, and the ops of a step, which are those of its plans; and that
// nothing is predicted of a run that does not fit, or where it is not wanted.
func TestForecast(t *testing.T) {
	type report struct {
		Times []forecast `json:"times"`
		Plans []struct {
			Name string `json:"name"`
		} `json:"plans"`
		Steps []struct {
			Plan int    `json:"plan"`
			Op   string `json:"op"`
		} `json:"steps"`
	}
	plan := func(file string, flags ...string) (r report) {
		t.Helper()
		code, out, errs := pipeCommand(append([]string{"plan", file, "--json", "--runs", t.TempDir()}, flags...)...)
		if err := json.Unmarshal([]byte(out), &r); code != 0 || err != nil {
			t.Fatalf("exit code %d, %v: %s%s", code, err, out, errs)
		}
		return r
	}
	for _, accumulate := range []float64{1, 3} {
		file := tinyRecipe(t)
		if accumulate > 1 {
			file = tinyRecipe(t, "clip_norm: 1", "clip_norm: 1, accumulate: 3")
		}
		r := plan(file)
		if len(r.Times) != 1 {
			t.Fatalf("%d predictions, want 1", len(r.Times))
		}
		f := r.Times[0]
		if f.Step <= 0 || f.Eval <= 0 || f.Evals != 2 || f.Measured <= 0 || f.Measured > 1 {
			t.Errorf("%+v: want steps, and 2 evaluations", f)
		}
		if want := 60*f.Step + 2*f.Eval; math.Abs(f.Total/want-1) > 1e-9 {
			t.Errorf("%v seconds in all, want %v", f.Total, want)
		}
		if want := accumulate * 4 * 24 / f.Step; math.Abs(f.Tokens/want-1) > 1e-9 || f.Examples != 0 {
			t.Errorf("%v tokens a second, want %v", f.Tokens, want)
		}
		calls := map[string]int{}
		for _, s := range r.Steps {
			switch r.Plans[s.Plan].Name {
			case "step", "update":
				calls[s.Op]++
			case "accumulate":
				calls[s.Op] += 3
			}
		}
		var sum, share float64
		for _, o := range f.Ops {
			sum, share = sum+o.Seconds, share+o.Share
			if o.Calls != calls[o.Op] {
				t.Errorf("%s is called %d times, want %d", o.Op, o.Calls, calls[o.Op])
			}
			delete(calls, o.Op)
		}
		if math.Abs(sum/f.Step-1) > 1e-9 || math.Abs(share-1) > 1e-9 || len(calls) > 0 {
			t.Errorf("ops take %v of %v seconds, shares are %v together, %v are missing", sum, f.Step, share, calls)
		}
	}
	file := tinyRecipe(t)
	if r := plan(file, "--time=false"); len(r.Times) != 0 {
		t.Error("a prediction that was not wanted")
	}
	if r := plan(file, "--mem", "100KiB"); len(r.Times) != 0 {
		t.Error("a prediction for a run that does not fit")
	}
	code, out, errs := pipeCommand("plan", file, "--runs", t.TempDir())
	if code != 0 || !strings.Contains(out, " a step, ") || !strings.Contains(out, " for 60 steps and 2 evaluations of ") {
		t.Errorf("exit code %d: %.300s%s", code, out, errs)
	}
	code, _, errs = pipeCommand("run", file, "--runs", t.TempDir())
	if code != 0 || !strings.Contains(errs, "msg=predicted step=") {
		t.Errorf("exit code %d: %.500s", code, errs)
	}
}
