package journal

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRowsReadBack(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 250e6, time.UTC)
	row := Row{Step: 3, Time: at, Values: map[string]float64{
		Loss: float64(float32(1.1)), LearningRate: 3e-5, Tokens: 123456792, Memory: 1 << 40, "zeta": 0.1, "alpha": -1.5e300, EvalLoss: math.Inf(1),
	}, Norms: map[string]float64{"h.10": 1, "h.9": 0.5}}
	line := string(row.encode())
	want := `{"step":3,"time":1772366400.250,"loss":1.100000023841858,"eval_loss":"Infinity","lr":3e-05,"tokens":123456792,"memory":1099511627776,` +
		`"alpha":-1.5e+300,"zeta":0.1,"grad_norms":{"h.9":0.5,"h.10":1}}` + "\n"
	if line != want {
		t.Fatalf("line\n%swant\n%s", line, want)
	}
	back, err := parseRow([]byte(line))
	must(t, err)
	if !reflect.DeepEqual(back, row) {
		t.Errorf("read back\n%+v\nwant\n%+v", back, row)
	}
	nan, err := parseRow(Row{Values: map[string]float64{Loss: math.NaN()}}.encode())
	must(t, err)
	if !math.IsNaN(nan.Values[Loss]) {
		t.Errorf("NaN reads back as %v", nan.Values[Loss])
	}
}

func TestNaturalOrder(t *testing.T) {
	want := []string{"", "a", "a.2", "a.2.b", "a.10", "a.010", "b1", "b1c", "b02"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, natural)
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// What may stand in a metrics file, and what a reader and a resumption at step
// 3 make of it.
func TestBadMetrics(t *testing.T) {
	const r1, r2, r3, r4 = `{"step":1,"loss":4}`, `{"step":2,"loss":3}`, `{"step":3,"loss":2}`, `{"step":4,"loss":1}`
	lines := func(l ...string) string { return strings.Join(l, "\n") + "\n" }
	for _, c := range []struct {
		name, text  string
		rows        int
		readError   string
		kept        string // after Resume(3)
		resumeError string
	}{
		{"empty", "", 0, "", "", ""},
		{"whole", lines(r1, r2, r3), 3, "", lines(r1, r2, r3), ""},
		{"later rows", lines(r1, r2, r3, r4), 4, "", lines(r1, r2, r3), ""},
		{"torn", lines(r1, r2, r3) + `{"step":4,"lo`, 3, "", lines(r1, r2, r3), ""},
		{"torn before its end of line", lines(r1, r2) + r3, 2, "", lines(r1, r2), ""},
		{"zeros at the end", lines(r1, r2, r3) + "\x00\x00\x00", 3, "", lines(r1, r2, r3), ""},
		{"zeros with an end of line", lines(r1, r2, r3) + "\x00\x00\n\x00", 3, "", lines(r1, r2, r3), ""},
		{"garbage at the end", lines(r1, r2, r3, "garbage"), 0, "line 4 is not a JSON object", lines(r1, r2, r3), ""},
		{"garbage inside", lines(r1, "garbage", r2, r3), 0, "line 2 is not a JSON object", "", "line 2 is not a JSON object"},
		{"not an object", lines(r1, "[1]", r3), 0, "line 2 is not a JSON object", "", "line 2 is not a JSON object"},
		{"no step", lines(r1, `{"loss":1}`, r3), 0, "line 2 has no step", "", "line 2 has no step"},
		{"step not a count", lines(r1, `{"step":1.5}`, r3), 0, "line 2 step is 1.5, not a count", "", "line 2 step is 1.5"},
		{"step twice", lines(r1, r2, r2, r3), 0, "line 3 is of step 2 again", "", "line 3 is of step 2 again"},
		{"steps fall", lines(r2, r1), 0, "line 2 is of step 1, after step 2", "", "line 2 is of step 1, after step 2"},
		{"steps fall later", lines(r1, r4, r2), 0, "line 3 is of step 2, after step 4", "", "line 2 is of step 4, but earlier ones follow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			runs := Runs{Root: t.TempDir(), Now: clock()}
			run, err := runs.Create("bad", testHash, nil)
			must(t, err)
			must(t, run.Close())
			path := filepath.Join(run.Folder, metricsName)
			must(t, os.WriteFile(path, []byte(c.text), 0o666))
			rows, err := ReadMetrics(run.Folder)
			if c.readError != "" {
				isOneLine(t, err, "metrics.jsonl: "+c.readError)
			} else if must(t, err); len(rows) != c.rows {
				t.Errorf("%d rows, want %d", len(rows), c.rows)
			}
			run, err = runs.Open("bad", testHash)
			must(t, err)
			defer run.Close()
			err = run.Resume(3)
			if c.resumeError != "" {
				isOneLine(t, err, "metrics.jsonl: "+c.resumeError)
				left, err := os.ReadFile(path)
				must(t, err)
				if string(left) != c.text {
					t.Errorf("the file was changed")
				}
				return
			}
			must(t, err)
			must(t, run.Log(Row{Step: 4, Time: time.Unix(0, 0), Values: map[string]float64{Loss: 1}}))
			left, err := os.ReadFile(path)
			must(t, err)
			if want := c.kept + `{"step":4,"time":0.000,"loss":1}` + "\n"; string(left) != want {
				t.Errorf("left\n%swant\n%s", left, want)
			}
		})
	}
}

func TestLogRefuses(t *testing.T) {
	run, err := Runs{Root: t.TempDir(), Now: clock()}.Create("refuse", testHash, nil)
	must(t, err)
	must(t, run.Log(Row{Step: 5}))
	isOneLine(t, run.Log(Row{Step: 5}), "step 5 comes after step 5")
	isOneLine(t, run.Log(Row{Step: 6, Values: map[string]float64{"time": 1}}), `"time" cannot name a value`)
	must(t, run.Log(Row{Step: 6}))
	must(t, run.Close())
	run, err = Runs{Root: filepath.Dir(run.Folder)}.Open("refuse", testHash)
	must(t, err)
	defer run.Close()
	isOneLine(t, run.Log(Row{Step: 7}), "resumed before it is logged to")
	isOneLine(t, run.Save(7, 1, nil), "resumed before it saves")
}

func FuzzParseRow(f *testing.F) {
	f.Add([]byte(`{"step":1,"time":2.5,"loss":"NaN","grad_norms":{"a":1}}`))
	f.Add([]byte(`{"step":1,"time":1e999}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		row, err := parseRow(line)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n") {
				t.Fatalf("%q has several lines", err)
			}
			return
		}
		back, err := parseRow(row.encode())
		if row.check() != nil {
			return
		}
		if err != nil || back.Step != row.Step || len(back.Values) != len(row.Values) {
			t.Fatalf("%+v reads back as %+v, %v", row, back, err)
		}
	})
}
