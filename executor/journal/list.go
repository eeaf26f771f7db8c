package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// State is what became of a run.
type State string

// The states of a run.
const (
	Running     State = "running"     // a process writes it
	Finished    State = "finished"    // it did all its steps
	Interrupted State = "interrupted" // neither: it can be resumed
	Damaged     State = "damaged"     // it cannot be read
)

// Summary is what is known of a run at a glance.
type Summary struct {
	Folder   string            `json:"folder"`
	Name     string            `json:"name"`
	Hash     string            `json:"hash"`
	State    State             `json:"state"`
	Step     int64             `json:"step"`             // of the last row, or -1
	Planned  int64             `json:"planned,omitzero"` // steps, or 0 if not known
	Loss     *Number           `json:"loss,omitempty"`
	EvalLoss *Number           `json:"eval_loss,omitempty"` // the last one among the last rows
	Started  time.Time         `json:"started,omitzero"`
	Updated  time.Time         `json:"updated,omitzero"` // time of the last row
	Version  string            `json:"pipe,omitempty"`
	Host     map[string]string `json:"host,omitempty"`
	Problem  string            `json:"problem,omitempty"` // one line, of a damaged run
}

// Number is a float64 that JSON can hold: what it has no number for is a
// string, as in metrics.jsonl.
type Number float64

// MarshalJSON writes n as a row would.
func (n Number) MarshalJSON() ([]byte, error) { return appendNumber(nil, float64(n)), nil }

// UnmarshalJSON reads what MarshalJSON writes.
func (n *Number) UnmarshalJSON(b []byte) error {
	v, ok := parseNumber(b)
	if !ok {
		return fmt.Errorf("%.40s is not a number", b)
	}
	*n = Number(v)
	return nil
}

// List returns the runs under root, oldest first, those of the same instant by
// folder. A run that cannot be read is among them, Damaged. A root that is not
// there holds none.
func List(root string) ([]Summary, error) {
	entries, err := osDisk{}.readDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError(root, err)
	}
	var all []Summary
	for _, e := range entries {
		folder := filepath.Join(root, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if _, err := (osDisk{}).stat(filepath.Join(folder, aboutName)); err != nil {
			continue // no run
		}
		all = append(all, Summarize(folder))
	}
	slices.SortStableFunc(all, func(a, b Summary) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Folder, b.Folder))
	})
	return all, nil
}

// Summarize returns what is known of the run in a folder. It reads the end of
// the metrics only.
func Summarize(folder string) Summary {
	d := osDisk{}
	about, err := readAbout(d, folder)
	if err != nil {
		return Summary{Folder: folder, Step: -1, State: Damaged, Problem: oneLine(err)}
	}
	s := Summary{
		Folder: folder, Name: about.Name, Hash: about.Hash, Step: -1, Planned: about.Steps,
		Started: about.Started, Updated: about.Started, Version: about.Version, Host: about.Host,
	}
	switch {
	case locked(filepath.Join(folder, lockName)):
		s.State = Running
	case !about.Finished.IsZero():
		s.State = Finished
	default:
		s.State = Interrupted
	}
	last, found, err := tailRow(d, folder, func(r Row) bool { return has(r, Loss) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.State, s.Problem = Damaged, oneLine(err)
		return s
	}
	if err == nil && last.Step >= 0 {
		s.Step, s.Updated = last.Step, last.Time
	}
	s.Loss = number(found, Loss)
	if _, found, err := tailRow(d, folder, func(r Row) bool { return has(r, EvalLoss) }); err == nil {
		s.EvalLoss = number(found, EvalLoss)
	}
	return s
}

func has(r Row, name string) bool {
	_, ok := r.Values[name]
	return ok
}

func number(r Row, name string) *Number {
	v, ok := r.Values[name]
	if !ok {
		return nil
	}
	n := Number(v)
	return &n
}

// ListTable is the text of a list of runs, a line each after a heading.
func ListTable(runs []Summary) string {
	rows := [][]string{{"NAME", "HASH", "STATE", "STEPS", "LOSS", "EVAL", "STARTED", "TIME"}}
	for _, s := range runs {
		if s.Name == "" {
			rows = append(rows, []string{filepath.Base(s.Folder), "-", string(s.State), "-", "-", "-", "-", s.Problem})
			continue
		}
		steps := fmt.Sprint(max(s.Step, 0))
		if s.Planned > 0 {
			steps += fmt.Sprintf("/%d", s.Planned)
		}
		rows = append(rows, []string{
			s.Name, s.Hash[:min(len(s.Hash), hashDigits)], string(s.State), steps,
			lossText(s.Loss), lossText(s.EvalLoss),
			s.Started.UTC().Format("2006-01-02 15:04:05Z"), span(s.Updated.Sub(s.Started)),
		})
	}
	return table(rows)
}

// table aligns columns; the first row is the heading.
func table(rows [][]string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	_ = w.Flush() // a strings.Builder takes everything
	lines := strings.Split(b.String(), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return strings.Join(lines, "\n")
}

func lossText(n *Number) string {
	switch {
	case n == nil:
		return "-"
	case math.Abs(float64(*n)) >= 1e4, *n != 0 && math.Abs(float64(*n)) < 1e-3:
		return fmt.Sprintf("%.3e", float64(*n))
	}
	return fmt.Sprintf("%.4f", float64(*n))
}

// span is a duration to the second: 1h02m03s.
func span(d time.Duration) string {
	s := int64(max(d, 0).Round(time.Second) / time.Second)
	switch {
	case s >= 3600:
		return fmt.Sprintf("%dh%02dm%02ds", s/3600, s/60%60, s%60)
	case s >= 60:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%ds", s)
}
