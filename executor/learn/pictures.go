package learn

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/compiler/attr"
	"pipe.dev/compiler/ir"
	"pipe.dev/executor/data"
	"pipe.dev/executor/tokenizer"
	"pipe.dev/executor/transform"
)

// TextAttr says how texts that belong to pictures become ids.
type TextAttr struct {
	Fill string  `cue:"fill: string | *\"\"" doc:"the token that fills up texts which are too short; that of tokenizer_config.json, or else the one that ends a text, if empty"`
	Drop float64 `cue:"drop: number & >=0 & <=1 | *0" doc:"how likely the empty text stands for a text while training, for guidance without a classifier"`
}

// pictures decodes what a recipe says of pictures and what belongs to them.
func (d *decoder) pictures(r *Recipe, sources map[string]any) {
	inputs, _ := sources["images"].(map[string]any)
	r.Images, r.Texts = map[string]data.ImageInput{}, map[string]TextAttr{}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		m, _ := inputs[name].(map[string]any)
		at := "data.images." + name
		in := data.ImageInput{ImagesAttr: part[data.ImagesAttr](&decoder{fields: map[string]any{"": m}}, "")}
		for list, to := range map[string]*transform.Chain{"train": &in.Train, "eval": &in.Eval} {
			steps, _ := m[list].([]any)
			var err error
			if *to, err = transform.Table().Decode(steps); err != nil {
				d.fail(at+"."+list, err)
			}
		}
		if b, ok := m["buckets"].(map[string]any); ok {
			buckets := part[data.BucketsAttr](&decoder{fields: map[string]any{"": b}}, "")
			in.Buckets = &buckets
		}
		r.Images[name] = in
	}
	texts, _ := sources["texts"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		m, _ := texts[name].(map[string]any)
		r.Texts[name] = part[TextAttr](&decoder{fields: map[string]any{"": m}}, "")
	}
	if m, ok := sources["mix"].(map[string]any); ok {
		mix := part[data.MixAttr](&decoder{fields: map[string]any{"": m}}, "")
		r.Batch.Mix = &mix
	}
}

// picture reports whether a recipe says of an input how it is made of pictures.
func (r *Recipe) picture(input string) bool {
	_, ok := r.Images[input]
	return ok
}

// described adds to an input what the recipe says of it. One of the shape of pictures is one, where a source gives pictures.
func (r *Run) described(f data.Field) (data.Field, error) {
	if list, ok := r.Recipe.Lists[f.Name]; ok {
		var err error
		if f.List, err = data.OpenList(list); err != nil {
			return f, err
		}
	}
	if sound, ok := r.Recipe.Sounds[f.Name]; ok {
		if !slices.ContainsFunc(r.Recipe.Train, func(a data.Attr) bool { return a.Format == data.Sounds }) {
			return f, r.mistake("data.sounds."+f.Name, "there is no source of sound; want format: \"audio\"")
		}
		f.Sound = &sound
		return f, nil
	}
	given := slices.ContainsFunc(slices.Concat(r.Recipe.Train, r.Recipe.Beside), func(a data.Attr) bool { return a.Format == data.Images })
	in, ok := r.Recipe.Images[f.Name]
	if ok && !given {
		return f, r.mistake("data.images."+f.Name, "there is no source of pictures; want format: \"images\"")
	}
	if !ok && given && f.DType == ir.F32 && len(f.Shape) == 3 {
		a, err := attr.Default(data.ImagesAttr{})
		if err != nil {
			return f, err
		}
		in, ok = data.ImageInput{ImagesAttr: a.(data.ImagesAttr)}, true
	}
	if ok {
		f.Images = &in
	}
	f.Drop = r.Recipe.Texts[f.Name].Drop
	return f, nil
}

// withClasses are inputs with the names of classes that are trained on.
func withClasses(fields []data.Field, all *data.Examples) []data.Field {
	out := slices.Clone(fields)
	for i := range out {
		out[i].Classes = all.Classes(out[i].Name)
	}
	return out
}

// placeOf is where in the recipe an option of data stands.
func placeOf(err error, source string) string {
	var o *data.OptionError
	if errors.As(err, &o) && (strings.HasPrefix(o.Field, "images.") || strings.HasPrefix(o.Field, "sounds.") || strings.HasPrefix(o.Field, "lists.")) {
		return "data"
	}
	return source
}

// checkMix holds the mixing against the inputs.
func (r *Run) checkMix(all *data.Examples) error {
	if r.Recipe.Batch.Mix == nil {
		return nil
	}
	if err := all.CheckMix(r.Recipe.Batch.Mix); err != nil {
		return r.mistake("data.mix", "%v", err)
	}
	return nil
}

// exampleOptions are what surrounds sources of numbers and pictures; fields get the ids of the empty text.
func (r *Run) exampleOptions(fields []data.Field) (data.Options, error) {
	o := data.Options{Report: r.opt.Warn, Progress: r.opt.Progress, Cache: filepath.Join(r.opt.Root, ".pictures")}
	dir := r.tokenizerFolder()
	if dir == "" {
		return o, nil
	}
	e, err := r.openEncoder()
	if err != nil {
		return o, err
	}
	r.encoder = e
	t, ok := e.(*tokenizer.Tokenizer)
	if !ok {
		return o, nil
	}
	for i := range fields {
		f := &fields[i]
		if f.DType != ir.I32 || f.Width < 2 {
			continue
		}
		fill, err := r.fillOf(t, dir, f.Name)
		if err != nil {
			return o, err
		}
		f.Tokens = func(text string) ([]int32, error) { return fitted(t, text, f.Width, fill) }
		if f.Empty, err = f.Tokens(""); err != nil {
			return o, err
		}
	}
	return o, nil
}

// fillOf is the token that fills up texts of an input.
func (r *Run) fillOf(t *tokenizer.Tokenizer, dir, input string) (int32, error) {
	if word := r.Recipe.Texts[input].Fill; word != "" {
		id, ok := t.ID(word)
		if !ok {
			return 0, r.mistake("data.texts."+input+".fill", "is %q, which is no token of %s", word, dir)
		}
		return id, nil
	}
	var config struct {
		Pad any `json:"pad_token"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "tokenizer_config.json"))
	if err == nil && json.Unmarshal(text, &config) == nil {
		word, _ := config.Pad.(string)
		if m, ok := config.Pad.(map[string]any); ok {
			word, _ = m["content"].(string)
		}
		if id, ok := t.ID(word); ok {
			return id, nil
		}
	}
	if end := t.EOS(); len(end) > 0 {
		return end[0], nil
	}
	return 0, r.mistake("data.texts", "the tokenizer %s names no token to fill texts with: give %s: fill", dir, input)
}

// fitted cuts or fills the ids of a text to n; a token that ends a text stays.
func fitted(t *tokenizer.Tokenizer, text string, n int, fill int32) ([]int32, error) {
	ids, err := t.Encode(nil, text, true)
	if err != nil {
		return nil, err
	}
	if len(ids) > n {
		last := ids[len(ids)-1]
		if ids = ids[:n]; t.IsSpecial(last) {
			ids[n-1] = last
		}
	}
	for len(ids) < n {
		ids = append(ids, fill)
	}
	return ids, nil
}

// assumedSizes are sizes that inputs name, where no pictures are read: of pictures the square of the resolution, or that of the transforms.
func (r *Run) assumedSizes() map[string]int {
	sizes := map[string]int{}
	for _, n := range r.model.Nodes {
		if s, ok := r.Recipe.Sounds[n.ID]; ok && n.Op == ir.OpInput && len(s.Lengths) > 0 {
			f, err := r.inputField(n.ID, n.Fields)
			if d, no := ir.ParseDim(f.Names[0]); err == nil && no == nil && !d.Known() {
				sizes[d.Syms] = s.Lengths[len(s.Lengths)-1] / d.N
			}
		}
		in, ok := r.Recipe.Images[n.ID]
		if !ok || n.Op != ir.OpInput {
			continue
		}
		f, err := r.inputField(n.ID, n.Fields)
		if err != nil || len(f.Names) != 3 {
			continue
		}
		w, h, err := transform.Size(in.Train, 0, 0)
		if b := in.Buckets; b != nil {
			w, h = b.Resolution/b.Multiple*b.Multiple, b.Resolution/b.Multiple*b.Multiple
		}
		for i, size := range []int{0, h, w} {
			if name := f.Names[i]; name != "" && size > 0 && err == nil {
				sizes[name] = size
			}
		}
	}
	return sizes
}

// classNames are the names of the classes that the model tells apart: those of the input that has some.
func (r *Run) classNames() []string {
	if r.examples == nil {
		return nil
	}
	for _, f := range r.examples.Fields() {
		if len(f.Classes) > 0 {
			return f.Classes
		}
	}
	return nil
}

// labels are names of classes as config.json has them.
func labels(names []string) map[string]any {
	byID, byLabel := map[string]any{}, map[string]any{}
	for i, name := range names {
		byID[fmt.Sprint(i)], byLabel[name] = name, i
	}
	return map[string]any{"id2label": byID, "label2id": byLabel}
}
