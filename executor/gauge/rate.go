package gauge

import (
	"fmt"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
)

// key tells calls apart that may differ in how long they take: op,
// attributes, types and layouts.
type key struct {
	op    string
	attr  any
	types string
}

func keyOf(p *plan.Plan, s plan.Step) key {
	var b strings.Builder
	for i, at := range placesOf(s) {
		if i == len(s.In) {
			b.WriteString(" ->")
		}
		if at.State == plan.None {
			b.WriteString(" none")
			continue
		}
		fmt.Fprintf(&b, " %v", at.Type)
		if at.State >= 0 {
			b.WriteString(string(p.States[at.State].Layout))
		}
	}
	return key{s.Op, s.Attr, b.String()}
}

// placesOf lists inputs and outputs.
func placesOf(s plan.Step) []plan.Place { return append(append([]plan.Place{}, s.In...), s.Out...) }

// What a call would take on a machine of no importance: it says how calls of
// one op compare, and what to expect before anything was measured.
const (
	flopsPerSecond = 20e9
	bytesPerSecond = 5e9
	callSeconds    = 2e-6
)

func nominal(s plan.Step) float64 {
	return callSeconds + float64(s.FLOPs)/flopsPerSecond + float64(s.Bytes)/bytesPerSecond
}

// rate compares what was measured with what it would nominally take.
type rate struct{ seconds, nominal float64 }

func (r *rate) add(s plan.Step, seconds float64) {
	r.seconds += seconds
	r.nominal += nominal(s)
}

// learn notes that a call takes so many seconds.
func (g *gauge) learn(s plan.Step, k key, seconds float64) {
	g.known[k] = seconds
	if g.rates[s.Op] == nil {
		g.rates[s.Op] = &rate{}
	}
	g.rates[s.Op].add(s, seconds)
	g.all.add(s, seconds)
}

// seconds is what a call takes: as measured, or concluded from what was
// measured of its op, or else of all ops.
func (g *gauge) seconds(s plan.Step, k key) (seconds float64, measured bool) {
	if x, ok := g.known[k]; ok {
		return x, true
	}
	r := g.rates[s.Op]
	if r == nil {
		r = &g.all
	}
	if r.nominal == 0 {
		return nominal(s), false
	}
	return nominal(s) * r.seconds / r.nominal, false
}

// indexes reports whether elements of a type may say where to read or write:
// such values are always computed, never made up.
func indexes(d ir.DType) bool { return d == ir.I32 || d == ir.I64 }
