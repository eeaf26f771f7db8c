package learn

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"pipe.dev/compiler/attr"
	"pipe.dev/compiler/ir"
	"pipe.dev/executor/data"
	"pipe.dev/executor/image"
)

// ofNumbers reports whether a recipe learns from examples of numbers, pictures among them, not from
// text.
func (r *Recipe) ofNumbers() bool {
	return slices.ContainsFunc(r.Train, func(a data.Attr) bool { return a.OfNumbers() })
}

// randoms decodes the inputs of random numbers.
func (d *decoder) randoms(x any) map[string]data.RandomAttr {
	m, _ := x.(map[string]any)
	out := map[string]data.RandomAttr{}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		fields, _ := m[name].(map[string]any)
		a, err := attr.Decode(data.RandomAttr{}, fields)
		if err != nil {
			d.fail("data.random."+name, err)
			return out
		}
		out[name] = a.(data.RandomAttr)
	}
	return out
}

// modelInputs are the inputs of the model: what examples give, and random numbers.
func (r *Run) modelInputs() (given []data.Field, random []data.Random, err error) {
	var names []string
	for _, n := range r.model.Inputs() {
		names = append(names, n.ID)
		f, err := r.inputField(n.ID, n.Fields)
		if err != nil {
			e := r.mistake("model.graph.nodes."+n.ID, "%v", err)
			return nil, nil, e
		}
		if a, ok := r.Recipe.Random[n.ID]; ok {
			if a.Kind != "normal" && !(a.High > a.Low) {
				return nil, nil, r.mistake("data.random."+n.ID+".high", "is %v, want more than low, %v", a.High, a.Low)
			}
			random = append(random, data.Random{Field: f, RandomAttr: a})
		} else {
			if f, err = r.described(f); err != nil {
				return nil, nil, err
			}
			given = append(given, f)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Recipe.Random)) {
		if !slices.Contains(names, name) {
			return nil, nil, r.mistake("data.random."+name, "is no input of the model; its inputs are %v", names)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Recipe.Sounds)) {
		if !slices.Contains(names, name) {
			return nil, nil, r.mistake("data.sounds."+name, "is no input of the model; its inputs are %v", names)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Recipe.Lists)) {
		if !slices.Contains(names, name) {
			return nil, nil, r.mistake("data.lists."+name, "is no input of the model; its inputs are %v", names)
		}
	}
	return given, random, nil
}

// inputField describes an input [batch, ...] of f32 or i32. Sizes of pictures may have names.
func (r *Run) inputField(name string, fields map[string]any) (data.Field, error) {
	text, _ := fields["dtype"].(string)
	d, err := ir.ParseDType(text)
	if err != nil {
		return data.Field{}, err
	}
	if d != ir.F32 && d != ir.I32 {
		return data.Field{}, fmt.Errorf("dtype is %v; examples give f32 and i32", d)
	}
	f := data.Field{Name: name, DType: d, Width: 1}
	shape, _ := fields["shape"].([]any)
	for i, x := range shape {
		if text, ok := x.(string); i == 0 {
			if !ok || text != "batch" {
				return f, fmt.Errorf("shape begins with %v; want \"batch\"", x)
			}
			continue
		}
		if text, ok := x.(string); ok && (r.Recipe.picture(name) || r.Recipe.sound(name)) {
			f.Shape, f.Names, f.Width = append(f.Shape, 0), append(f.Names, text), 0
			continue
		}
		n, ok := x.(json.Number)
		size, err := n.Int64()
		if !ok || err != nil || size < 1 {
			return f, fmt.Errorf("shape has %v; want numbers after \"batch\"", x)
		}
		f.Shape, f.Names = append(f.Shape, int(size)), append(f.Names, "")
		f.Width *= int(size)
	}
	if len(shape) == 0 {
		return f, fmt.Errorf("shape is empty; want [\"batch\", ...]")
	}
	return f, nil
}

// openExamples reads the examples.
func (r *Run) openExamples() error {
	for i, a := range slices.Concat(r.Recipe.Train, r.Recipe.Eval, r.Recipe.Beside) {
		if !a.OfNumbers() {
			path := fmt.Sprintf("data.train.%d.format", i)
			if n := len(r.Recipe.Train); i >= n {
				path = fmt.Sprintf("data.eval.%d.format", i-n)
			}
			if n := len(r.Recipe.Train) + len(r.Recipe.Eval); i >= n {
				path = fmt.Sprintf("data.beside.%d.format", i-n)
			}
			return r.mistake(path, "is %q, and other sources give numbers", a.Format)
		}
	}
	if r.Recipe.Train[0].Format == data.Columns && (r.Recipe.Model.From != "" || r.model.Arch != "") {
		return r.mistake("data.train.0.format", "is \"columns\", and the model reads text")
	}
	given, random, err := r.modelInputs()
	if err != nil {
		return err
	}
	r.random = random
	o, err := r.exampleOptions(given)
	if err != nil {
		return err
	}
	all, err := r.openTrain(given, o)
	if err != nil {
		return err
	}
	if err := r.checkMix(all); err != nil {
		return err
	}
	var evaluations *data.Examples
	if len(r.Recipe.Eval) > 0 {
		if evaluations, err = data.OpenExamples(r.Recipe.Eval, withClasses(given, all), o); err != nil {
			return r.placed(placeOf(err, "data.eval.0"), err)
		}
	}
	if all, evaluations, err = r.compute(given, all, evaluations); err != nil {
		return err
	}
	r.examples, r.evalExamples = all.Split(r.Recipe.Train[0].Validation)
	if r.examples.Len() == 0 {
		return r.mistake(r.keeper(), "leaves nothing to train on of %d examples", all.Len())
	}
	if evaluations != nil {
		r.evalExamples = evaluations
	}
	return r.checkSteps()
}

// openTrain reads the examples of training, with those that stand beside them.
func (r *Run) openTrain(given []data.Field, o data.Options) (*data.Examples, error) {
	var own, beside []data.Field
	for _, f := range given {
		if slices.ContainsFunc(r.Recipe.Beside, func(a data.Attr) bool { _, ok := a.Columns[f.Name]; return ok }) {
			beside = append(beside, f)
		} else {
			own = append(own, f)
		}
	}
	all, err := data.OpenExamples(r.Recipe.Train, own, o)
	if err != nil {
		return nil, r.placed(placeOf(err, "data.train.0"), err)
	}
	if len(r.Recipe.Beside) == 0 {
		return all, nil
	}
	if len(r.Recipe.Eval) > 0 {
		return nil, r.mistake("data.eval", "has nothing beside it, as data.train has by data.beside: keep a share by validation instead")
	}
	others, err := data.OpenExamples(r.Recipe.Beside, beside, o)
	if err != nil {
		return nil, r.placed(placeOf(err, "data.beside.0"), err)
	}
	if all, err = all.Beside(others); err != nil {
		return nil, r.placed("data.beside", err)
	}
	return all, nil
}

// checkSteps refuses examples that end before training does.
func (r *Run) checkSteps() error {
	o, need := r.Recipe.Batch, r.Recipe.Steps.Steps*r.Recipe.Steps.Accumulate
	if o.Epochs == 0 {
		return nil
	}
	l, err := r.examples.Batches(o, r.random, data.Position{})
	if err != nil {
		return err
	}
	full := 0
	for _, s := range l.Shapes(int64(need)) {
		if s.Rows < o.Batch {
			break
		}
		full++
	}
	if full < need {
		return r.mistake("train.steps", "is %d, and %d examples end after %d with batch.epochs: %d", r.Recipe.Steps.Steps,
			r.examples.Len(), full/r.Recipe.Steps.Accumulate, o.Epochs)
	}
	return nil
}

// evalShapes are those of the batches of an evaluation: the last may
// have fewer rows.
func (r *Run) evalShapes() ([]int, error) {
	l, err := r.evalExampleLoader(true)
	if err != nil {
		return nil, err
	}
	most := int64(math.MaxInt64)
	if n := r.Recipe.Evaluate.Batches; n > 0 {
		most = int64(n)
	}
	var out []int
	for _, s := range l.Shapes(most) {
		if !slices.Contains(out, s.Key()) {
			out = append(out, s.Key())
		}
	}
	return out, nil
}

// trainShapes are those of the batches of a training.
func (r *Run) trainShapes() []int {
	rows := r.Recipe.Batch.Batch
	if r.examples == nil || len(r.examples.Buckets()) == 0 {
		return []int{rows}
	}
	var out []int
	for i, b := range r.examples.Buckets() {
		if b.Count > 0 {
			out = append(out, data.Shape{Bucket: i, Rows: rows}.Key())
		}
	}
	return out
}

// exampleSizes are the sizes that a plan of examples is made for.
func (r *Run) exampleSizes(key int) map[string]int {
	s := data.ShapeOf(key)
	sizes := map[string]int{"batch": s.Rows}
	if r.examples != nil {
		maps.Copy(sizes, r.examples.Sizes(s.Bucket))
	} else {
		maps.Copy(sizes, r.assumedSizes())
	}
	return sizes
}

// showExamples writes the first batches: each input's first numbers, and what belongs to pictures. The pictures are a sheet, if it is asked for.
func (r *Run) showExamples(w io.Writer, s data.ShowOptions) (*image.Picture, error) {
	l, err := r.examples.Batches(r.Recipe.Batch, r.random, data.Position{})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if r.examples.Pictured() {
		d, _ := r.encoder.(data.Decoder)
		return data.ShowPictures(w, l, d, s)
	}
	fields := r.examples.Fields()
	for _, x := range r.random {
		fields = append(fields, x.Field)
	}
	return nil, data.ShowExamples(w, l, fields, s)
}

// dataName is the first file of the training data.
func (r *Run) dataName() string {
	if r.examples != nil {
		return r.examples.Name()
	}
	return r.train.Name()
}
