package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Comparison sets runs side by side.
type Comparison struct {
	Runs        []Compared   `json:"runs"`
	Differences []Difference `json:"differences"` // in the order of the first document that has the line
}

// Compared is one of the runs.
type Compared struct {
	Summary
	Best         *Number `json:"best_loss,omitempty"`
	BestStep     int64   `json:"best_loss_step"` // of the first row with Best, or -1
	BestEval     *Number `json:"best_eval_loss,omitempty"`
	BestEvalStep int64   `json:"best_eval_loss_step"`
	Speed        *Number `json:"tokens_per_second,omitempty"` // the median of the rows
	// Last are the last of all values, by their names.
	Last map[string]Number `json:"last"`
}

// Difference is a line of the resolved documents that is not the same in all.
type Difference struct {
	Path   string   `json:"path"`   // the labels around the line and its own, by dots
	Values []string `json:"values"` // for each run; "" where it is absent
}

// Compare sets the runs in these folders side by side: their final and best
// losses, and the lines of resolved.cue in which they differ.
func Compare(folders ...string) (*Comparison, error) {
	c := &Comparison{}
	var documents []document
	for _, folder := range folders {
		s := Summarize(folder)
		if s.State == Damaged {
			return nil, errorf(folder, "%s", strings.TrimPrefix(s.Problem, folder+": "))
		}
		rows, err := ReadMetrics(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		run := Compared{Summary: s}
		run.Best, run.BestStep = best(rows, Loss)
		run.BestEval, run.BestEvalStep = best(rows, EvalLoss)
		for _, r := range slices.Backward(rows) {
			if n := number(r, EvalLoss); n != nil {
				run.EvalLoss = n
				break
			}
		}
		if points := named(rows, TokensPerSecond, 1).points; len(points) > 0 {
			run.Speed = value(median(points))
		}
		run.Last = map[string]Number{}
		for _, r := range rows {
			for n, v := range r.Values {
				run.Last[n] = Number(v)
			}
		}
		c.Runs = append(c.Runs, run)
		text, err := readFile(osDisk{}, filepath.Join(folder, resolvedName))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		documents = append(documents, flatten(string(text)))
	}
	c.Differences = differences(documents)
	return c, nil
}

// best returns the least value of a name and the step where it was first met.
func best(rows []Row, name string) (*Number, int64) {
	var least *Number
	step := int64(-1)
	for _, r := range rows {
		if n := number(r, name); n != nil && (least == nil || *n < *least || *least != *least) {
			least, step = n, r.Step
		}
	}
	return least, step
}

// document is the lines of a CUE document by the labels that lead to them.
type document struct {
	paths []string
	lines map[string]string
}

// flatten takes a document apart, line by line, as the formatter lays it out:
// brackets at the end of a line open levels, those at its beginning close
// them, and what has no label in a level is counted. It knows no CUE beyond
// that, so in text over several lines a level may be missed; the lines still
// compare.
func flatten(text string) document {
	d := document{lines: map[string]string{}}
	stack := []*level{{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		for line != "" && strings.ContainsRune("}])", rune(line[0])) {
			stack = stack[:max(1, len(stack)-1)]
			line = strings.TrimLeft(line[1:], ", \t")
		}
		if line == "" || strings.HasPrefix(line, "//") {
			continue
		}
		labels, value := splitLabels(line)
		top := stack[len(stack)-1]
		path := top.below(labels)
		rest := strings.TrimRight(value, "{[(")
		for i := range len(value) - len(rest) {
			inner := &level{path: path}
			if i > 0 {
				inner.path = stack[len(stack)-1].below(nil)
			}
			stack = append(stack, inner)
		}
		if rest = strings.TrimSuffix(strings.TrimSpace(rest), ","); rest == "" {
			continue
		}
		for _, twice := d.lines[path]; twice; _, twice = d.lines[path] {
			path += "'"
		}
		d.paths = append(d.paths, path)
		d.lines[path] = rest
	}
	return d
}

// level is an open bracket.
type level struct {
	path string
	n    int // members without labels so far
}

// below is the path of a member with these labels, or the next number.
func (l *level) below(labels []string) string {
	if len(labels) == 0 {
		labels = []string{fmt.Sprint(l.n)}
		l.n++
	}
	return strings.TrimPrefix(l.path+"."+strings.Join(labels, "."), ".")
}

// splitLabels takes the labels from the front of a line: a: b: 3 has two. The
// value is never empty.
func splitLabels(line string) (labels []string, value string) {
	for {
		i := 0
		if quote := line[0]; quote == '"' {
			for i = 1; i < len(line) && line[i] != quote; i++ {
				if line[i] == '\\' {
					i++
				}
			}
			i++
		} else {
			for i < len(line) && (line[i] == '_' || line[i] == '#' || line[i] == '$' || line[i] == '?' || line[i] == '!' ||
				line[i] >= '0' && line[i] <= '9' || line[i]|0x20 >= 'a' && line[i]|0x20 <= 'z') {
				i++
			}
		}
		if i == 0 || i+1 >= len(line) || line[i] != ':' {
			return labels, line
		}
		rest := strings.TrimSpace(line[i+1:])
		if rest == "" {
			return labels, line
		}
		labels, line = append(labels, strings.Trim(line[:i], `"`)), rest
	}
}

// differences lists the lines that are not the same in all documents.
func differences(documents []document) []Difference {
	var list []Difference
	seen := map[string]bool{}
	for _, d := range documents {
		for _, path := range d.paths {
			if seen[path] {
				continue
			}
			seen[path] = true
			values := make([]string, len(documents))
			same := true
			for i, other := range documents {
				values[i] = other.lines[path]
				same = same && values[i] == values[0]
			}
			if !same {
				list = append(list, Difference{path, values})
			}
		}
	}
	return list
}

// Table is the text of the comparison: a column for each run.
func (c *Comparison) Table() string {
	rows := [][]string{{""}, {"run"}, {"state"}, {"steps"}, {"final loss"}, {"best loss"}, {"final eval loss"}, {"best eval loss"}, {"time"}}
	for _, r := range c.Runs {
		at := func(n *Number, step int64) string {
			if n == nil {
				return "-"
			}
			return fmt.Sprintf("%s at %d", lossText(n), step)
		}
		for i, cell := range []string{
			r.Name, r.Hash[:min(len(r.Hash), hashDigits)], string(r.State), fmt.Sprint(max(r.Step, 0)),
			lossText(r.Loss), at(r.Best, r.BestStep), lossText(r.EvalLoss), at(r.BestEval, r.BestEvalStep),
			span(r.Updated.Sub(r.Started)),
		} {
			rows[i] = append(rows[i], cell)
		}
	}
	rows = append(rows, c.measures()...)
	for _, d := range c.Differences {
		row := []string{d.Path}
		for _, v := range d.Values {
			row = append(row, shorten(v))
		}
		rows = append(rows, row)
	}
	return table(rows)
}

// measures are rows of speed, memory, and the values that only some runs know.
func (c *Comparison) measures() [][]string {
	speed, memory := []string{"tokens per second"}, []string{"memory"}
	some := map[string]bool{}
	for _, r := range c.Runs {
		cell := "-"
		if r.Speed != nil {
			cell = fmt.Sprintf("%.0f", float64(*r.Speed))
		}
		speed = append(speed, cell)
		if cell = "-"; r.Last[Memory] > 0 {
			cell = fmt.Sprintf("%.1f MiB", float64(r.Last[Memory])/(1<<20))
		}
		memory = append(memory, cell)
		for n := range r.Last {
			if !slices.Contains(order[:], n) {
				some[n] = true
			}
		}
	}
	var rows [][]string
	for _, row := range [][]string{speed, memory} {
		if slices.ContainsFunc(row[1:], func(cell string) bool { return cell != "-" }) {
			rows = append(rows, row)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(some)) {
		row := []string{n}
		for _, r := range c.Runs {
			cell := "-"
			if v, ok := r.Last[n]; ok {
				cell = fmt.Sprintf("%.4g", float64(v))
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return rows
}

// shorten keeps a cell of a table to 40 letters.
func shorten(v string) string {
	const most = 40
	switch letters := []rune(strings.ReplaceAll(v, "\t", " ")); {
	case v == "":
		return "-"
	case len(letters) > most:
		return string(letters[:most-3]) + "..."
	default:
		return string(letters)
	}
}
