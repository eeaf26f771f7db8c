package model

import (
	"fmt"
	"math"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
)

// FitError says that a run needs more memory than it may have, before
// anything was read.
type FitError struct {
	Name                 string // of the model that needs most
	Weights, Cache, Work int64  // bytes of that model
	Values               int64  // bytes of what flows between stages, if that is counted
	Need, Limit          int64  // bytes, of all models together
	Advice               string // what would fit
}

func (e *FitError) Error() string {
	values := ""
	if e.Values > 0 {
		values = ", values " + Size(e.Values)
	}
	return fmt.Sprintf("%s needs %s (weights %s, cache %s, work %s%s) and %s are allowed: %s",
		e.Name, Size(e.Need), Size(e.Weights), Size(e.Cache), Size(e.Work), values, Size(e.Limit), e.Advice)
}

// Fit returns a *FitError if models together need more than limit bytes.
func Fit(models []*Model, limit int64) error {
	var need int64
	var largest *Model
	for _, m := range models {
		need += m.PeakBytes()
		if largest == nil || m.PeakBytes() > largest.PeakBytes() {
			largest = m
		}
	}
	if need <= limit || largest == nil {
		return nil
	}
	return &FitError{
		Name: largest.opt.Name, Weights: largest.StateBytes(ir.Weight), Cache: largest.StateBytes(ir.Cache), Work: largest.WorkBytes(),
		Need: need, Limit: limit, Advice: largest.advice(need, limit),
	}
}

// advice finds a shorter context that fits.
func (m *Model) advice(need, limit int64) string {
	other := need - m.PeakBytes()
	if m.batch != nil {
		if rows, ok := m.fewer(limit - other); ok {
			return fmt.Sprintf("%d texts at once would fit (batch: %d), or --mem %s", rows, rows, Size(need))
		}
	}
	for c := m.context / 2; c >= 16 && len(m.text) > 0; c /= 2 {
		plans, err := m.textPlans(c)
		if err != nil {
			break
		}
		if other+peakBytes(plans) <= limit {
			return fmt.Sprintf("a context of %d positions would fit (--set %s.context=%d), or --mem %s", c, m.opt.Name, c, Size(need))
		}
	}
	what := "no shorter context"
	if m.batch != nil {
		what = "no smaller batch"
	}
	return fmt.Sprintf("%s would fit; --mem %s would", what, Size(need))
}

// peakBytes is what plans need together.
func peakBytes(plans []*plan.Plan) int64 {
	var work int64
	for _, p := range plans {
		work = max(work, p.WorkBytes)
	}
	return stateBytes(plans, ir.Weight) + stateBytes(plans, ir.Cache) + work
}

// Size writes a number of bytes as people read it, rounded up, so that it is
// enough when it is given back: "512B", "1.2MiB".
func Size(bytes int64) string {
	const units = "KMGTPE"
	if bytes < 1024 {
		return fmt.Sprintf("%dB", bytes)
	}
	x, i := float64(bytes)/1024, 0
	for math.Ceil(x*10) >= 10240 && i < len(units)-1 {
		x, i = x/1024, i+1
	}
	return fmt.Sprintf("%.1f%ciB", math.Ceil(x*10)/10, units[i])
}
