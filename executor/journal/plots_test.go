package journal

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// picture reads a plot and counts its colours.
func picture(t *testing.T, folder, name string) map[color.NRGBA]int {
	t.Helper()
	f, err := os.Open(filepath.Join(folder, plotsName, name))
	must(t, err)
	defer f.Close()
	img, err := png.Decode(f)
	must(t, err)
	if img.Bounds() != image.Rect(0, 0, 1200, 700) {
		t.Fatalf("%s is %v", name, img.Bounds())
	}
	counts := map[color.NRGBA]int{}
	for y := range 700 {
		for x := range 1200 {
			counts[color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)]++
		}
	}
	return counts
}

func TestPlots(t *testing.T) {
	run, err := Runs{Root: t.TempDir(), Now: clock(), Steps: 400}.Create("plots", testHash, nil)
	must(t, err)
	defer run.Close()
	must(t, run.Plot()) // no rows: nothing to draw
	for s := range int64(401) {
		row := trainingRow(s, 400)
		row.Values["loss/one"] = float64(s)
		if s == 300 {
			row.Values[Loss] = math.NaN()
		}
		must(t, run.Log(row))
	}
	must(t, run.Plot())
	for name, colors := range map[string][]color.NRGBA{
		"loss.png":              {blue, pale(blue), vermilion, alarm},
		"learning_rate.png":     {blue},
		"grad_norm.png":         {blue, pale(blue)},
		"grad_norm_layers.png":  {ink},
		"tokens_per_second.png": {blue, pale(blue)},
		"memory.png":            {blue},
		"loss_one.png":          {blue},
	} {
		counts := picture(t, run.Folder, name)
		for _, c := range colors {
			if counts[c] < 20 {
				t.Errorf("%s has %d pixels of %v", name, counts[c], c)
			}
		}
		if name == "grad_norm_layers.png" && len(counts) < 100 {
			t.Errorf("the map has %d colours", len(counts))
		}
	}
	entries, err := os.ReadDir(filepath.Join(run.Folder, plotsName))
	must(t, err)
	if len(entries) != 7 {
		t.Errorf("plots: %v", entries)
	}
	before, err := os.ReadFile(filepath.Join(run.Folder, plotsName, "loss.png"))
	must(t, err)
	must(t, Plot(run.Folder))
	after, err := os.ReadFile(filepath.Join(run.Folder, plotsName, "loss.png"))
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("the same rows give another plot")
	}
}

// Rows that leave little or nothing to draw give plots or none, and no error.
func TestPlotsOfLittle(t *testing.T) {
	values := func(v map[string]float64) Row { return Row{Values: v} }
	for name, rows := range map[string][]Row{
		"one row":     {values(map[string]float64{Loss: 2, EvalLoss: 3, GradNorm: 1, LearningRate: 0, Memory: 5})},
		"no values":   {values(nil)},
		"not finite":  {values(map[string]float64{Loss: math.NaN(), GradNorm: math.Inf(1)})},
		"zeros":       {{Step: 1, Values: map[string]float64{Loss: 0, GradNorm: 0}, Norms: map[string]float64{"a": 0}}, {Step: 2, Values: map[string]float64{Loss: 0, GradNorm: 0}}},
		"negative":    {{Step: 1, Values: map[string]float64{Loss: -1e30}}, {Step: 2, Values: map[string]float64{Loss: 1e30}}},
		"huge range":  {{Step: 1, Values: map[string]float64{Loss: 1e-300}}, {Step: 2, Values: map[string]float64{Loss: 1e300}}},
		"equal norms": {{Step: 1, Norms: map[string]float64{"a": 1, "b": 1}}, {Step: 2, Norms: map[string]float64{"a": 1}}},
		"only eval":   {{Step: 1, Values: map[string]float64{EvalLoss: 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			run, err := Runs{Root: t.TempDir(), Now: clock()}.Create("little", testHash, nil)
			must(t, err)
			defer run.Close()
			for _, r := range rows {
				must(t, run.Log(r))
			}
			must(t, run.Plot())
		})
	}
}

func TestTicks(t *testing.T) {
	text := func(ticks []plot.Tick) string {
		s := ""
		for _, k := range ticks {
			s += k.Label + " "
		}
		return s
	}
	for _, c := range []struct{ got, want string }{
		{text(niceTicks(0, 2000, 9)), "0 500 1000 1500 2000 "},
		{text(niceTicks(0, 30000, 9)), "0 5k 10k 15k 20k 25k 30k "},
		{text(niceTicks(0, 1e-3, 7)), "0 2e-4 4e-4 6e-4 8e-4 1e-3 "},
		{text(niceTicks(-1, 1, 5)), "-1 -0.5 0 0.5 1 "},
		{text(niceTicks(3, 3, 5)), "3 "},
		{text(logTicks(0.1, 10)), "0.1 0.2 0.5 1 2 5 10 "},
		{text(logTicks(1e-6, 1e6)), "1e-6 1e-4 0.01 1 100 10k 1M "},
		{text(logTicks(2.1, 2.4)), "2.1 2.2 2.3 2.4 "},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// Smoothing leaves a straight line straight but for the very ends, and
// thinning keeps the extremes.
func TestCurves(t *testing.T) {
	line := make(plotter.XYs, 1000)
	for i := range line {
		line[i] = plotter.XY{X: float64(i), Y: 3 * float64(i)}
	}
	w := window(len(line))
	for i, p := range smoothed(line, w)[w : len(line)-w] {
		if math.Abs(p.Y-3*p.X) > 1e-9*3000 {
			t.Fatalf("at %d: %v", i+w, p)
		}
	}
	line[137].Y, line[733].Y = 9e9, -9e9
	thin := thinned(line, 100)
	low, high := rangeY(thin)
	if len(thin) > 102 || low != -9e9 || high != 9e9 || thin[0] != line[0] || thin[len(thin)-1] != line[999] {
		t.Errorf("%d points from %v to %v", len(thin), low, high)
	}
	for i := 1; i < len(thin); i++ {
		if thin[i].X < thin[i-1].X {
			t.Fatalf("the points are out of order at %d", i)
		}
	}
}

func BenchmarkPlot(b *testing.B) {
	run, err := Runs{Root: b.TempDir(), Now: clock()}.Create("bench", testHash, nil)
	must(b, err)
	defer run.Close()
	for s := range int64(10000) {
		must(b, run.Log(trainingRow(s, 10000)))
	}
	for b.Loop() {
		must(b, run.Plot())
	}
}

func BenchmarkLog(b *testing.B) {
	run, err := Runs{Root: b.TempDir(), Now: clock()}.Create("bench", testHash, nil)
	must(b, err)
	defer run.Close()
	row := trainingRow(7, 10000)
	for b.Loop() {
		row.Step++
		must(b, run.Log(row))
	}
}
