package model

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/session"
)

// FitError says that a run needs more memory than it may have, before
// anything was read.
type FitError struct {
	Name                 string // of the model that needs most
	Weights, Cache, Work int64  // bytes of that model
	Values               int64  // bytes of what flows between stages, if that is counted
	Need, Limit          int64  // bytes, of all models together
	Advice               string // what would fit
	Host                 bool   // of the host's memory, not the device's; then Weights are of what stays there
}

func (e *FitError) Error() string {
	values := ""
	if e.Values > 0 {
		values = ", values " + Size(e.Values)
	}
	if e.Host {
		return fmt.Sprintf("%s needs %s of the host's memory (what stays there %s%s) and %s are available: %s", e.Name, Size(e.Need), Size(e.Weights), values, Size(e.Limit), e.Advice)
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

// advice finds what would fit.
func (m *Model) advice(need, limit int64) string {
	smaller := m.smaller(need, limit)
	if layers, _, cut := m.Layers(); m.opt.Host != nil && layers > 0 && !cut && !m.opt.Offload.Auto {
		return fmt.Sprintf("layers may stay on the host (%s); %s", m.option("offload", "auto"), smaller)
	}
	return smaller
}

// smaller finds a smaller batch or a shorter context that fits.
func (m *Model) smaller(need, limit int64) string {
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
		if other+m.peakBytes(plans) <= limit {
			return fmt.Sprintf("a context of %d positions would fit (%s), or --mem %s", c, m.option("context", strconv.Itoa(c)), Size(need))
		}
	}
	what := "no shorter context"
	if m.batch != nil {
		what = "no smaller batch"
	}
	return fmt.Sprintf("%s would fit; --mem %s would", what, Size(need))
}

// option is how a field of a document's model is set on the command line, or that of a model which is opened by its path.
func (m *Model) option(field, value string) string {
	if strings.HasPrefix(m.opt.Name, "models.") {
		return fmt.Sprintf("--set %s.%s=%s", m.opt.Name, field, value)
	}
	return fmt.Sprintf("--%s %s", field, value)
}

// peakBytes is what plans need together on the device.
func (m *Model) peakBytes(plans []*plan.Plan) int64 {
	plans = m.onSide(plans, &m.device)
	return m.device.stateBytes(plans, ir.Weight) + m.device.stateBytes(plans, ir.Cache) + session.WorkBytes(plans)
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
