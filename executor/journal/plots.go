package journal

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot/plotter"
)

// maxPlots is how many values beyond those that have names here are drawn.
const maxPlots = 24

// Plot draws plots/*.png of the run from its metrics.jsonl, as Plot does.
func (r *Run) Plot() error { return drawPlots(r.disk, r.Folder) }

// Plot draws plots/*.png of the run in a folder from its metrics.jsonl: loss,
// learning rate, gradient norms in all and by layer, tokens per second,
// memory, and each further value by its name. What was not measured gets no
// plot. Equal metrics give equal bytes.
func Plot(folder string) error { return drawPlots(osDisk{}, folder) }

func drawPlots(d filesystem, folder string) error {
	rows, err := readMetrics(d, folder)
	if err != nil || len(rows) == 0 {
		return err
	}
	about, err := readAbout(d, folder)
	if err != nil {
		return err
	}
	dir := filepath.Join(folder, plotsName)
	if err := makeFolders(d, dir); err != nil {
		return err
	}
	for _, p := range plots(rows) {
		data, err := p.draw(rows, heading(about, rows))
		if err != nil {
			return errorf(filepath.Join(dir, p.file), "cannot be drawn: %s", oneLine(err))
		}
		if data == nil {
			continue
		}
		if err := replaceFile(d, filepath.Join(dir, p.file), data); err != nil {
			return err
		}
	}
	return nil
}

// heading says which run it is and how far.
func heading(about About, rows []Row) string {
	s := fmt.Sprintf("%s-%s, step %d", about.Name, about.Hash[:min(len(about.Hash), hashDigits)], rows[len(rows)-1].Step)
	if about.Steps > 0 {
		s += fmt.Sprintf(" of %d", about.Steps)
	}
	return s
}

// drawing is one of the plots; draw returns nil if there is nothing to show.
type drawing struct {
	file string
	draw func(rows []Row, subtitle string) ([]byte, error)
}

// plots is the table of the plots, and one for each further value of rows.
func plots(rows []Row) []drawing {
	list := []drawing{
		{"loss.png", drawLoss},
		{"learning_rate.png", drawRate},
		{"grad_norm.png", drawNorm},
		{"grad_norm_layers.png", drawNorms},
		{"tokens_per_second.png", single(TokensPerSecond, "Throughput", "tokens per second")},
		{"memory.png", drawMemory},
	}
	known := append(slices.Clone(order[:]), "")
	var others []string
	for _, r := range rows {
		for _, n := range r.names() {
			if !slices.Contains(known, n) && !slices.Contains(others, n) {
				others = append(others, n)
			}
		}
	}
	slices.Sort(others)
	for _, n := range others[:min(len(others), maxPlots)] {
		file := strings.Map(func(c rune) rune {
			if c <= ' ' || strings.ContainsRune(`/\:*?"<>|`, c) {
				return '_'
			}
			return c
		}, strings.TrimLeft(n, ".")) + ".png"
		if !slices.ContainsFunc(list, func(d drawing) bool { return d.file == file }) {
			list = append(list, drawing{file, single(n, n, n)})
		}
	}
	return list
}

// single draws one value.
func single(name, title, unit string) func([]Row, string) ([]byte, error) {
	return func(rows []Row, subtitle string) ([]byte, error) {
		c := named(rows, name, 1)
		if len(c.points) == 0 {
			return nil, nil
		}
		f := newFigure(title, subtitle, unit)
		f.series("each row", c, blue)
		low, high := rangeY(c.points)
		f.frame(false, low, high)
		return f.png()
	}
}

// plain draws points without smoothing, from zero up.
func plain(title, subtitle, unit string, points plotter.XYs) ([]byte, error) {
	if len(points) == 0 {
		return nil, nil
	}
	f := newFigure(title, subtitle, unit)
	f.line("", points, blue, 2)
	low, high := rangeY(points)
	f.frame(false, min(low, 0), high)
	return f.png()
}

func drawRate(rows []Row, subtitle string) ([]byte, error) {
	return plain("Learning rate", subtitle, "learning rate", named(rows, LearningRate, 1).points)
}

// drawLoss draws the loss of the batches and that on the held-out data, on a
// logarithmic axis if they fall to a tenth.
func drawLoss(rows []Row, subtitle string) ([]byte, error) {
	train, eval := named(rows, Loss, 1), named(rows, EvalLoss, 1)
	all := append(slices.Clone(train.points), eval.points...)
	if len(all) == 0 {
		return nil, nil
	}
	if n := len(train.points); n > 0 {
		subtitle += fmt.Sprintf("   train %s", lossText(value(train.points[n-1].Y)))
	}
	if n := len(eval.points); n > 0 {
		best := slices.MinFunc(eval.points, func(a, b plotter.XY) int {
			switch {
			case a.Y < b.Y:
				return -1
			case a.Y > b.Y:
				return 1
			}
			return 0
		})
		subtitle += fmt.Sprintf("   held-out %s, best %s at step %.0f",
			lossText(value(eval.points[n-1].Y)), lossText(value(best.Y)), best.X)
	}
	f := newFigure("Loss", subtitle, "loss")
	f.series("train", train, blue)
	f.line("held-out", eval.points, vermilion, 2)
	if n := len(eval.points); n > 1 && n <= 60 {
		f.dots(eval.points, vermilion, 3)
	}
	if n := len(eval.points); n > 0 {
		f.legend[len(f.legend)-1].dot = n <= 60
	}
	low, high := rangeY(all)
	f.frame(low > 0 && high/low >= 10, low, high)
	if train.broken >= 0 {
		f.mark(fmt.Sprintf("not finite at step %d", train.broken), float64(train.broken), alarm)
	}
	return f.png()
}

// drawNorm draws the norm of the gradient, on a logarithmic axis if it has
// peaks.
func drawNorm(rows []Row, subtitle string) ([]byte, error) {
	c := named(rows, GradNorm, 1)
	if len(c.points) == 0 {
		return nil, nil
	}
	f := newFigure("Gradient norm", subtitle, "norm before clipping")
	f.series("each row", c, blue)
	low, high := rangeY(c.points)
	f.frame(low > 0 && high/median(c.points) >= 10, low, high)
	if c.broken >= 0 {
		f.mark(fmt.Sprintf("not finite at step %d", c.broken), float64(c.broken), alarm)
	}
	return f.png()
}

func drawNorms(rows []Row, subtitle string) ([]byte, error) {
	h := newHeat(rows)
	if h == nil {
		return nil, nil
	}
	return h.png("Gradient norm by layer", subtitle+"   norms before clipping, logarithmic colours")
}

// drawMemory draws bytes in the unit that suits them.
func drawMemory(rows []Row, subtitle string) ([]byte, error) {
	_, high := rangeY(named(rows, Memory, 1).points)
	unit, scale := "KiB", 1.0/(1<<10)
	switch {
	case high >= 10<<30:
		unit, scale = "GiB", 1.0/(1<<30)
	case high >= 10<<20:
		unit, scale = "MiB", 1.0/(1<<20)
	}
	return plain("Memory", subtitle, "memory ("+unit+")", named(rows, Memory, scale).points)
}

func value(v float64) *Number {
	n := Number(v)
	return &n
}
