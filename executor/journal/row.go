package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

// Names of the values of a row that the plots and tables know. A row may hold
// any others.
const (
	Loss            = "loss"              // of the step's batch: nats per token, or what the objective counts
	EvalLoss        = "eval_loss"         // on the held-out data
	LearningRate    = "lr"                //
	GradNorm        = "grad_norm"         // before clipping, over all parameters
	Tokens          = "tokens"            // seen since the run began
	TokensPerSecond = "tokens_per_second" //
	Memory          = "memory"            // bytes
)

// order is how a row lists its values; others follow by name.
var order = [...]string{Loss, EvalLoss, LearningRate, GradNorm, Tokens, TokensPerSecond, Memory}

// Names in a row that are no values.
const (
	stepKey  = "step"
	timeKey  = "time"
	normsKey = "grad_norms"
)

// Row is what is known after a step.
type Row struct {
	Step   int64              // from 0, which is before the first update
	Time   time.Time          // when; Log fills it in if it is zero
	Values map[string]float64 // by name; what was not measured is absent
	Norms  map[string]float64 // gradient norms by layer; may be nil
}

// names returns the names of the values as a row lists them.
func (r Row) names() []string {
	var list []string
	for _, n := range order {
		if _, ok := r.Values[n]; ok {
			list = append(list, n)
		}
	}
	known := len(list)
	for n := range r.Values {
		if !slices.Contains(order[:], n) {
			list = append(list, n)
		}
	}
	slices.Sort(list[known:])
	return list
}

// layers returns the layers of the norms, in natural order.
func (r Row) layers() []string { return slices.SortedFunc(maps.Keys(r.Norms), natural) }

// check proves that r can be written and read back.
func (r Row) check() error {
	if r.Step < 0 {
		return fmt.Errorf("step %d is negative", r.Step)
	}
	for n := range r.Values {
		if n == "" || n == stepKey || n == timeKey || n == normsKey {
			return fmt.Errorf("%q cannot name a value of a row", n)
		}
	}
	return nil
}

// encode returns the line of r, with its end. Equal rows give equal bytes.
func (r Row) encode() []byte {
	b := fmt.Appendf(nil, `{"step":%d,"time":%s`, r.Step,
		strconv.FormatFloat(float64(r.Time.UnixMilli())/1e3, 'f', 3, 64))
	for _, n := range r.names() {
		b = appendMember(append(b, ','), n, r.Values[n])
	}
	if len(r.Norms) > 0 {
		b = append(b, `,"`+normsKey+`":{`...)
		for i, n := range r.layers() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendMember(b, n, r.Norms[n])
		}
		b = append(b, '}')
	}
	return append(b, '}', '\n')
}

// JSON is the row as a line of metrics.jsonl.
func (r Row) JSON() []byte { return r.encode() }

// Line is the row for a person: the step, of how many if that is known, and the
// values, but for those that only count what was done.
func (r Row) Line(planned int64) string {
	s := fmt.Sprintf("step %d", r.Step)
	if planned > 0 {
		s += fmt.Sprintf("/%d", planned)
	}
	for _, n := range r.names() {
		if n != Tokens && n != Memory {
			format := "  %s %.4g"
			if v := r.Values[n]; math.Abs(v) >= 1000 && math.Abs(v) < 1e12 {
				format = "  %s %.0f"
			}
			s += fmt.Sprintf(format, n, r.Values[n])
		}
	}
	return s
}

func appendMember(b []byte, name string, v float64) []byte {
	quoted, _ := json.Marshal(name) // a string always can be
	return appendNumber(append(append(b, quoted...), ':'), v)
}

// appendNumber writes the shortest digits that read back as v. What JSON has no
// number for is a string, spelled as protocol buffers do.
func appendNumber(b []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(b, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(b, `"-Infinity"`...)
	case v == math.Trunc(v) && math.Abs(v) < 1<<53:
		return strconv.AppendInt(b, int64(v), 10)
	}
	format := byte('f')
	if a := math.Abs(v); a < 1e-4 || a >= 1e15 {
		format = 'e'
	}
	return strconv.AppendFloat(b, v, format, -1, 64)
}

// parseRow reads a line. Members that are neither numbers nor known are left
// out, so that others may add some.
func parseRow(line []byte) (Row, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(line, &members); err != nil {
		return Row{}, fmt.Errorf("is not a JSON object: %s", oneLine(err))
	}
	r := Row{Values: make(map[string]float64, len(members))}
	step, ok := members[stepKey]
	if !ok {
		return Row{}, fmt.Errorf("has no step")
	}
	n, err := strconv.ParseInt(string(step), 10, 64)
	if err != nil || n < 0 {
		return Row{}, fmt.Errorf("step is %.40s, not a count", step)
	}
	r.Step = n
	for name, raw := range members {
		switch name {
		case stepKey:
		case timeKey:
			t, ok := parseNumber(raw)
			if !ok || !(math.Abs(t) <= 1e11) {
				return Row{}, fmt.Errorf("time is %.40s, not seconds since 1970", raw)
			}
			r.Time = time.UnixMilli(int64(math.Round(t * 1e3))).UTC()
		case normsKey:
			var norms map[string]json.RawMessage
			if err := json.Unmarshal(raw, &norms); err != nil {
				return Row{}, fmt.Errorf("%s is not an object", normsKey)
			}
			r.Norms = make(map[string]float64, len(norms))
			for layer, raw := range norms {
				if v, ok := parseNumber(raw); ok {
					r.Norms[layer] = v
				}
			}
		default:
			if v, ok := parseNumber(raw); ok {
				r.Values[name] = v
			}
		}
	}
	return r, nil
}

// parseNumber reads what appendNumber writes.
func parseNumber(raw json.RawMessage) (float64, bool) {
	switch s := string(bytes.TrimSpace(raw)); s {
	case `"NaN"`:
		return math.NaN(), true
	case `"Infinity"`:
		return math.Inf(1), true
	case `"-Infinity"`:
		return math.Inf(-1), true
	default:
		if s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
			return 0, false
		}
		v, err := strconv.ParseFloat(s, 64)
		return v, err == nil
	}
}

// natural orders names as a person does: layers.2 before layers.10.
func natural(a, b string) int {
	for a != "" && b != "" {
		x, y := leadingDigits(a), leadingDigits(b)
		if x != "" && y != "" {
			if c := compareCounts(x, y); c != 0 {
				return c
			}
			a, b = a[len(x):], b[len(y):]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func leadingDigits(s string) string {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return s[:n]
}

// compareCounts orders two runs of digits, of any length, by value and then
// by leading zeros.
func compareCounts(x, y string) int {
	a, b := bytes.TrimLeft([]byte(x), "0"), bytes.TrimLeft([]byte(y), "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	if c := bytes.Compare(a, b); c != 0 {
		return c
	}
	return len(x) - len(y)
}
