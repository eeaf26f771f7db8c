package learn

import (
	"fmt"
	"strings"

	"pipe.dev/compiler/attr"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/data"
	vocab "pipe.dev/executor/tokenizer/train"
	"pipe.dev/schema"
)

// The parts of a recipe that are no tables. Their tags give the definitions in
// schema/train.

// ModelAttr says what is trained.
type ModelAttr struct {
	From   string             `cue:"from?: string & !=\"\"" doc:"a folder with config.json; its tokenizer is used, and its weights unless init says otherwise"`
	Init   string             `cue:"init: *\"checkpoint\" | \"random\"" doc:"where weights come from: the folder's files, or random numbers; a model without folder is random"`
	Std    float64            `cue:"std: number & >0 & <1 | *0.02" doc:"standard deviation of random weights"`
	Stds   map[string]float64 `cue:"stds: {[string]: number & >0} | *{}" doc:"that of some weights, convolutions among them, by patterns of their paths, of which the longest counts: {\"*.class_embedding.weight\": 1}"`
	Parts  map[string]string  `cue:"parts: {[string]: string & !=\"\"} | *{}" doc:"folders, or files of weights, checkpoints of runs among them, that parts of a graph begin with, by their paths: {vocoder: \"runs/hifigan/model/vocoder\"}; what is in none is random"`
	Freeze []string           `cue:"freeze: [...string] | *[]" doc:"patterns of the paths of weights that stay as they are, as \"*.embed_tokens.*\""`
	Cache  bool               `cue:"cache: bool | *false" doc:"of models that model.graph calls: what the model gives for each example is computed once, before training, and kept in the folder of runs; for frozen models that read data which nothing random changes"`
}

// StepsAttr says how long training goes on, and what bounds a step.
type StepsAttr struct {
	Steps      int      `cue:"steps!: int & >0" doc:"steps of the optimizer"`
	Accumulate int      `cue:"accumulate: int & >0 | *1" doc:"batches of one step; it equals a step with all of them at once"`
	ClipNorm   float64  `cue:"clip_norm: number & >=0 | *0" doc:"bound of the norm of all gradients together; 0 is none"`
	ClipValue  float64  `cue:"clip_value: number & >=0 | *0" doc:"bound of every element of the gradients; 0 is none"`
	Remat      string   `cue:"remat: *\"none\" | \"block\" | \"auto\"" doc:"layers of which only what enters them is kept for the backward pass, which computes the rest anew: none, every one, or as few as make the run fit into memory; results have the same bits"`
	Offload    string   `cue:"offload: *\"none\" | \"optimizer\" | \"auto\"" doc:"what stays in the machine's memory where the device has memory of its own: the optimizer, that is its moments and the weights in f32, which the processor changes by the gradients of each step, while the device holds copies of the weights, and sums of gradients; auto is that only if the run does not fit otherwise"`
	Measures   []string `cue:"measures: [...string] | *[]" doc:"what is measured at each step besides the loss, as the objectives offer: \"load\""`
	LogEvery   int      `cue:"log_every: int & >0 | *10" doc:"steps between lines of the log"`
	Histograms string   `cue:"histograms: \"none\" | \"gradients\" | *\"weights\"" doc:"distributions for TensorBoard at evaluations and checkpoints: of the weights that change, or of their gradients too, for which there is room if accumulate is above 1, and is made otherwise"`
}

// EvalAttr says when the loss on the evaluation data is measured.
type EvalAttr struct {
	Every    int      `cue:"every: int & >=0 | *0" doc:"steps between evaluations; 0 is only at the end"`
	Batches  int      `cue:"batches: int & >=0 | *0" doc:"how many batches each takes, the same every time; 0 is all"`
	Measures []string `cue:"measures: [...string] | *[]" doc:"what is measured besides the loss, as the objective offers: \"accuracy\""`
}

// SaveAttr says when checkpoints are written.
type SaveAttr struct {
	Every  int    `cue:"every: int & >=0 | *0" doc:"steps between checkpoints; 0 is only at the end, and when the run is interrupted"`
	Keep   int    `cue:"keep: int & >0 | *2" doc:"how many checkpoints stay"`
	Folder string `cue:"folder?: string & !=\"\"" doc:"a folder of models, as a pipeline of diffusers is: a finished run writes a copy of it with those in it that were trained"`
	DType  string `cue:"dtype: *\"auto\" | \"f32\" | \"bf16\" | \"f16\"" doc:"element type of the weights of the model that a finished run writes; auto is that of the model's folder, and f32 of a model from scratch"`
	Merged bool   `cue:"merged: bool | *true" doc:"whether a finished run writes models with their adapters merged in, besides the adapters alone"`
	// What the finished model's folder holds, where it is not one model.
	Models map[string]map[string]any `cue:"models: {[string]: #SavedModel} | *{}" doc:"folders of the finished model, each with a part of the graph as a model of its own; the whole is one model if there are none"`
	Files  map[string]any            `cue:"files: {[string]: {...}} | *{}" doc:"JSON files of the finished model by their paths in its folder, as a scheduler_config.json"`
}

// Recipe is a decoded training recipe.
type Recipe struct {
	Name      string
	Seed      uint64
	Model     *Member   // the one that is trained
	Models    []*Member // those that it calls, by name
	Train     []data.Attr
	Eval      []data.Attr
	Beside    []data.Attr      // of further inputs
	Tokenizer string           // "model", "characters" of the training data, or a folder
	Precision ir.DType         // in which the model computes: F32, BF16 or F16
	TF32      bool             // products of f32 may be of numbers rounded to tf32
	LossScale *train.LossScale // of f16; nil for others
	Average   *train.Average   // nil if there is none
	Balance   *train.Balance   // nil if there is none
	Random    map[string]data.RandomAttr
	Images    map[string]data.ImageInput // of inputs that are pictures
	Sounds    map[string]data.SoundInput // of inputs that are sound
	Texts     map[string]TextAttr        // of inputs that are texts beside them
	Lists     map[string]data.ListAttr   // of inputs that rows may have fewer numbers for
	Batch     data.BatchOptions
	Steps     StepsAttr
	Evaluate  EvalAttr
	Save      SaveAttr
	Saved     []Saved // parts of a graph that are written; the whole, if there are none
	Parts     []Part  // at least one
	Decay     []train.Rule
	Norms     []NormRule
	Rates     []Rate

	ExportAverage bool // the finished model is the average

	wide map[string]bool // weights whose copies are no narrower than they are
}

// Decode reads the fields of a recipe that the schema has validated.
func Decode(r *schema.Recipe) (*Recipe, error) {
	d := decoder{fields: r.Fields, place: r.Place}
	out := &Recipe{Name: r.Name, Steps: part[StepsAttr](&d, "train"),
		Evaluate: part[EvalAttr](&d, "eval"), Save: part[SaveAttr](&d, "save"), Batch: part[data.BatchOptions](&d, "batch")}
	seed := part[struct {
		Seed int `cue:"seed: int" doc:"seed"`
	}](&decoder{fields: map[string]any{"": r.Fields}}, "")
	out.Seed, out.Batch.Seed = uint64(seed.Seed), seed.Seed
	d.members(out)
	d.precision(out)
	sources := d.object("data")
	out.Train, out.Eval = d.sources(sources["train"]), d.sources(sources["eval"])
	out.Beside = d.sources(sources["beside"])
	out.Tokenizer, _ = sources["tokenizer"].(string)
	out.Random = d.randoms(sources["random"])
	d.pictures(out, sources)
	d.sounds(out, sources)
	d.lists(out, sources)
	d.balance(out)
	d.saved(out)
	d.measures, d.stepMeasures = out.Evaluate.Measures, out.Steps.Measures
	out.Parts = d.parts()
	d.fail("eval.measures", out.measured(out.Evaluate.Measures))
	d.fail("train.measures", out.measured(out.Steps.Measures))
	d.decay(out)
	d.rates(out)
	d.norms(out)
	if d.err != nil {
		return nil, &schema.Error{Pos: r.Place(d.at), Msg: d.err.Error()}
	}
	return out, nil
}

// decoder keeps the first error.
type decoder struct {
	fields   map[string]any
	place    func(path string) ir.Pos // of a part of the recipe
	measures []string                 // of evaluations
	// stepMeasures are those of steps.
	stepMeasures []string
	err          error
	at           string // the part that err is about
}

func (d *decoder) fail(at string, err error) {
	if d.err == nil && err != nil {
		d.at, d.err = at, err
	}
}

// object is a part of the recipe, empty if it is absent.
func (d *decoder) object(name string) map[string]any {
	m, _ := d.fields[name].(map[string]any)
	return m
}

// part decodes a part by its attribute struct.
func part[T any](d *decoder, name string) T {
	var zero T
	a, err := attr.Decode(zero, d.object(name))
	if err != nil {
		d.fail(name, err)
		return zero
	}
	return a.(T)
}

func (d *decoder) sources(x any) []data.Attr {
	list, _ := x.([]any)
	var out []data.Attr
	for _, e := range list {
		m, _ := e.(map[string]any)
		a, err := attr.Decode(data.Attr{}, m)
		if err != nil {
			d.fail("data", err)
			return nil
		}
		out = append(out, a.(data.Attr))
	}
	return out
}

// decay decodes the rules of weight decay.
func (d *decoder) decay(r *Recipe) {
	list, _ := d.fields["decay"].([]any)
	for _, e := range list {
		m, _ := e.(map[string]any)
		pattern, _ := m["pattern"].(string)
		decay, _ := m["decay"].(bool)
		r.Decay = append(r.Decay, train.Rule{Pattern: pattern, Decay: decay})
	}
}

// Rate is the factor of the learning rate of the weights whose paths match a
// pattern.
type Rate struct {
	Pattern string
	Factor  float64
}

// rates decodes the factors of learning rates.
func (d *decoder) rates(r *Recipe) {
	list, _ := d.fields["rates"].([]any)
	for i, e := range list {
		m, _ := e.(map[string]any)
		pattern, _ := m["pattern"].(string)
		factor, err := number(m["factor"])
		d.fail(fmt.Sprintf("rates.%d.factor", i), err)
		r.Rates = append(r.Rates, Rate{pattern, factor})
	}
}

// named is a row of one of the tables of training.
type named interface {
	Decode(m map[string]any) (any, error)
}

// table is one of them.
type table[R named] interface {
	Lookup(name string) (R, bool)
	Names() []string
}

func choose[R named](d *decoder, t table[R], field string, m map[string]any) (R, any) {
	var none R
	name, _ := m["name"].(string)
	row, ok := t.Lookup(name)
	if !ok {
		d.fail(field, fmt.Errorf("there is no %q; there are %s", name, strings.Join(t.Names(), ", ")))
		return none, nil
	}
	a, err := row.Decode(m)
	if err != nil {
		d.fail(field, err)
	}
	return row, a
}

// std is the standard deviation of the random numbers of a weight.
func (m *ModelAttr) std(path string) float64 {
	best, std := -1, m.Std
	for pattern, x := range m.Stds {
		if len(pattern) > best && train.Match(pattern, path) {
			best, std = len(pattern), x
		}
	}
	return std
}

// told reports whether a pattern of stds stands for a weight: then it is normal, though its op would
// fill it otherwise, as convolutions do.
func (m *ModelAttr) told(path string) bool {
	for pattern := range m.Stds {
		if train.Match(pattern, path) {
			return true
		}
	}
	return false
}

// Accumulates reports whether gradients are added up apart from the step.
func (r *Recipe) Accumulates() bool {
	return r.Steps.Accumulate > 1 || r.Steps.Histograms == "gradients"
}

// Copied says whether the device's copy of a weight, or of an average, may be as narrow as the model
// computes with it, where the weight itself lies on the host.
func (r *Recipe) Copied(path string) bool {
	return !r.wide[path] && (r.Changes(path) || train.IsAverage(path))
}

// Trained says which weights a part changes.
func (r *Recipe) Trained(part *Part, path string) bool {
	if !part.updates(path) {
		return false
	}
	m, rest := r.of(path)
	if m.Adapter != nil {
		return train.IsAdapter(rest)
	}
	return !m.frozen(rest)
}

// RateOf is the factor of the learning rate of the weight at a path: that of the
// last pattern which matches, else 1.
func (r *Recipe) RateOf(path string) float64 {
	factor := 1.0
	for _, x := range r.Rates {
		if train.Match(x.Pattern, path) {
			factor = x.Factor
		}
	}
	return factor
}

// Isolates reports whether several documents share a row and must not see each
// other.
func (r *Recipe) Isolates() bool {
	return r.Batch.Isolate && !r.ofNumbers() && (r.Batch.Rows == "pack" || r.Batch.Rows == "window")
}

// Decays says to which weights weight decay applies.
func (r *Recipe) Decays(path string, shape []ir.Dim) bool {
	return train.Decays(path, shape, r.Decay)
}

// CUE writes the definitions of the parts, for schema/train/parts.cue.
func CUE() ([]byte, error) {
	var b strings.Builder
	b.WriteString("// Code generated from the parts of recipes. DO NOT EDIT.\n\npackage train\n")
	for _, e := range []attr.Entry{
		{Title: "ModelPart", Doc: "says what is trained.", Attr: ModelAttr{}},
		{Title: "PhasePart", Doc: "is a part of a training step, which takes turns with others on the same batch.", Attr: PartAttr{}},
		{Title: "LoRA", Doc: "trains a low-rank difference of linear layers. Source: arXiv:2106.09685.", Attr: AdapterAttr{}},
		{Title: "TokenizerPart", Doc: "says how texts become tokens.", Attr: vocab.Attr{}},
		{Title: "Source", Doc: "is one source of data.", Attr: data.Attr{}},
		{Title: "Random", Doc: "is an input of the model that is random numbers, drawn anew for each batch.", Attr: data.RandomAttr{}},
		{Title: "ImagesPart", Doc: "says how pictures become numbers.", Attr: data.ImagesAttr{}},
		{Title: "SoundsPart", Doc: "says how sound becomes numbers.", Attr: data.SoundsAttr{}},
		{Title: "Buckets", Doc: "are sizes of pictures, so that their shapes stay, and those of a batch are of one size.", Attr: data.BucketsAttr{}},
		{Title: "Mix", Doc: "mixes pictures of a batch, and the probabilities of their classes.", Attr: data.MixAttr{}},
		{Title: "Text", Doc: "says how texts beside pictures become ids.", Attr: TextAttr{}},
		{Title: "List", Doc: "says how lists of several lengths fill an input of one size.", Attr: data.ListAttr{}},
		{Title: "Batch", Doc: "says how data become batches.", Attr: data.BatchOptions{}},
		{Title: "Steps", Doc: "says how long training goes on.", Attr: StepsAttr{}},
		{Title: "LossScale", Doc: "says how the loss is scaled with precision: \"f16\". Source: arXiv:1710.03740.", Attr: LossScaleAttr{}},
		{Title: "EMA", Doc: "keeps an exponential moving average of the weights that change, beside them.", Attr: EMAAttr{}},
		{Title: "Balance", Doc: "keeps experts evenly used by biases that count in their choice alone: after each step the bias of an expert that got less than the mean of the tokens grows, that of one that got more shrinks. Source: arXiv:2408.15664.", Attr: BalanceAttr{}},
		{Title: "Eval", Doc: "says when the loss on the evaluation data is measured.", Attr: EvalAttr{}},
		{Title: "Save", Doc: "says when checkpoints are written.", Attr: SaveAttr{}},
	} {
		if err := e.WriteCUE(&b); err != nil {
			return nil, err
		}
	}
	return []byte(b.String()), nil
}
