package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"pipe.dev/executor/decode"
	"pipe.dev/executor/model"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tokenizer"
)

// TranscribeAttr describes how speech is written down.
type TranscribeAttr struct {
	Language   string `cue:"language: string | *\"\"" doc:"what is spoken, by its code, as \"en\"; the model tells it if \"\""`
	Task       string `cue:"task: \"translate\" | *\"transcribe\"" doc:"translate writes English, whatever is spoken"`
	Timestamps bool   `cue:"timestamps: bool | *false" doc:"a line for each stretch: its beginning and end in seconds, and its text, between tabs"`
	JSON       bool   `cue:"json: bool | *false" doc:"a list of {from, to, text} instead"`
	MaxTokens  int    `cue:"max_tokens: int & >=0 | *0" doc:"of each window that the model hears, at most; 0 is as many as there is room for"`
}

func transcribe() *Def {
	return &Def{
		Name: "transcribe", Title: "Transcribe", Result: Text, Lazy: always,
		Doc: "writes down speech by a model with an encoder that hears it. Sound that is longer than the model's window is heard window after window, each from the end of the last stretch that was whole on; the last window is filled up with zeros.",
		Ports: []Port{
			{Name: "x", Doc: "the sound, [clips, samples], of as many samples a second as the model was trained on", Kinds: []Kind{Tensor}},
			{Name: "model", Doc: "the model", Kinds: []Kind{Model}},
		},
		Attr: TranscribeAttr{},
		Prepare: func(c *Call) error {
			m := c.Model("model")
			if x, ok := c.In["x"].(tensorfile.Tensor); ok && x.Type.Rank() != 2 {
				return fmt.Errorf("x is %v, want [clips, samples]", x.Type)
			}
			if m.Start() == nil {
				return fmt.Errorf("the model of %s has no encoder, and hears nothing", m.Dir())
			}
			if _, err := newListener(m, c.Attr.(TranscribeAttr)); err != nil {
				return err
			}
			return m.Text()
		},
		Run: runTranscribe,
	}
}

func runTranscribe(ctx context.Context, c *Call) (Value, error) {
	x, ok := c.In["x"].(tensorfile.Tensor)
	if !ok || x.Type.Rank() != 2 {
		return nil, errKind(c.In["x"], Tensor)
	}
	l, err := newListener(c.Model("model"), c.Attr.(TranscribeAttr))
	if err != nil {
		return nil, err
	}
	if l.g, err = l.m.Generator(); err != nil {
		return nil, err
	}
	if l.window = l.g.Signal(); l.window == 0 {
		return nil, fmt.Errorf("the model of %s makes text of ids, not of sound", l.m.Dir())
	}
	samples, n := x.Float32s(), x.Type.Sizes()[1]
	if clips := x.Type.Sizes()[0]; clips != 1 {
		texts := make([]string, clips)
		for i := range texts {
			if texts[i], err = l.whole(ctx, samples[i*n:][:n]); err != nil {
				return nil, fmt.Errorf("clip %d: %w", i+1, err)
			}
		}
		return texts, nil
	}
	return Chunks(func(yield func(string, error) bool) {
		if err := l.hear(ctx, samples, func(s string) bool { return yield(s, nil) }); err != nil {
			yield("", err)
		}
	}), nil
}

// listener writes down what one model hears.
type listener struct {
	m      *model.Model
	a      TranscribeAttr
	of     *model.Hearing
	t      *tokenizer.Tokenizer
	g      *decode.Generator
	window int // samples that are heard at once
}

func newListener(m *model.Model, a TranscribeAttr) (*listener, error) {
	l := &listener{m: m, a: a}
	var err error
	if l.of, err = m.Hearing(); err != nil {
		return nil, err
	}
	if l.t, err = m.Tokenizer(); err != nil {
		return nil, err
	}
	if a.Language != "" {
		if _, err := l.of.Language(a.Language); err != nil {
			return nil, err
		}
	}
	if _, ok := l.of.Tasks[a.Task]; !ok && a.Task != "transcribe" {
		return nil, fmt.Errorf("task is %q, which the model does not know", a.Task)
	}
	switch {
	case (a.Timestamps || a.JSON) && l.of.Times == 0:
		return nil, fmt.Errorf("timestamps is true, and generation_config.json of %s has no no_timestamps_token_id: the model knows no times", m.Dir())
	case m.Rate() == 0:
		return nil, fmt.Errorf("the config of %s has no sampling_rate: how long it hears is not known", m.Dir())
	}
	return l, nil
}

// whole is all that is said.
func (l *listener) whole(ctx context.Context, samples []float32) (string, error) {
	var text strings.Builder
	err := l.hear(ctx, samples, func(s string) bool {
		text.WriteString(s)
		return true
	})
	return text.String(), err
}

// stretch is a part of what was said.
type stretch struct {
	From float64 `json:"from"` // seconds
	To   float64 `json:"to"`
	Text string  `json:"text"`
}

// hear gives the text of a signal, as it is made, until say returns false.
func (l *listener) hear(ctx context.Context, samples []float32, say func(string) bool) error {
	timed := l.a.Timestamps || l.a.JSON || len(samples) > l.window && l.of.Times > 0
	all, language := []stretch{}, int32(-1)
	for at := 0; at < len(samples); {
		signal := make([]float32, l.window)
		copy(signal, samples[at:])
		var err error
		if language < 0 && len(l.of.Languages) > 0 {
			if language, err = l.language(ctx, signal); err != nil {
				return err
			}
		}
		r := l.request(signal, language, timed)
		if !timed {
			for p, err := range l.g.Text(ctx, r) {
				if err != nil {
					return err
				}
				if p.Text != "" && !say(p.Text) {
					return nil
				}
			}
			at += l.window
			continue
		}
		var ids []int32
		for p, err := range l.g.Text(ctx, r) {
			if err != nil {
				return err
			}
			if p.ID != decode.NoToken {
				ids = append(ids, p.ID)
			}
		}
		list, ticks := stretchesOf(ids, l.of.Times, l.ticks())
		for _, s := range list {
			text, err := l.text(s.ids)
			if err != nil {
				return err
			}
			one := stretch{l.seconds(at, s.from), l.seconds(at, s.to), text}
			if all = append(all, one); !l.a.JSON && !say(one.line(l.a.Timestamps)) {
				return nil
			}
		}
		at += int(math.Round(float64(ticks) * float64(l.window) / float64(l.ticks())))
	}
	if l.a.JSON {
		data, err := json.Marshal(all)
		say(string(data))
		return err
	}
	return nil
}

func (s stretch) line(times bool) string {
	if !times {
		return s.Text
	}
	return fmt.Sprintf("%.2f\t%.2f\t%s\n", s.From, s.To, strings.TrimSpace(s.Text))
}

// ticks is how many of the model's times a window has, beyond that of its beginning.
func (l *listener) ticks() int { return max(1, l.g.Vocab()-int(l.of.Times)-1) }

// seconds is a time in the window that begins with a sample.
func (l *listener) seconds(at, tick int) float64 {
	rate := float64(l.m.Rate())
	return math.Round(100*(float64(at)/rate+float64(tick)*float64(l.window)/float64(l.ticks())/rate)) / 100
}

// text is that of ids, without times.
func (l *listener) text(ids []int32) (string, error) {
	var text strings.Builder
	d := l.t.Stream(true)
	for _, id := range ids {
		if l.of.Times > 0 && id >= l.of.Times {
			continue
		}
		s, err := d.Push(id)
		if err != nil {
			return "", err
		}
		text.WriteString(s)
	}
	return text.String() + d.Flush(), nil
}

// request is the text of one window: the model is told the language, if it knows several,
// the task, and whether to tell times.
func (l *listener) request(signal []float32, language int32, timed bool) decode.Request {
	prompt := slices.Clone(l.m.Start())
	if language >= 0 {
		prompt = append(prompt, language)
	}
	if id, ok := l.of.Tasks[l.a.Task]; ok {
		prompt = append(prompt, id)
	}
	if l.of.Times > 0 && !timed {
		prompt = append(prompt, l.of.Times-1)
	}
	most := l.g.Context() - len(prompt)
	if l.a.MaxTokens > 0 {
		most = min(most, l.a.MaxTokens)
	}
	end := l.t.EOS()
	return decode.Request{Signal: signal, Prompt: prompt, MaxTokens: most, End: end, Decoder: l.t.Stream(true), Bias: l.bias(timed, end)}
}

// language is the token of what the document says, or of what the model takes the
// signal for: the likeliest of all languages behind the first token.
func (l *listener) language(ctx context.Context, signal []float32) (int32, error) {
	if l.a.Language != "" {
		return l.of.Language(l.a.Language)
	}
	if err := l.g.Hear(ctx, signal, l.m.Start()); err != nil {
		return 0, err
	}
	best := int32(-1)
	logits := l.g.Logits()
	for _, id := range l.of.Languages {
		if int(id) >= len(logits) {
			return 0, fmt.Errorf("generation_config.json of %s has the language %d, and the model %d tokens", l.m.Dir(), id, len(logits))
		}
		if best < 0 || logits[id] > logits[best] || logits[id] == logits[best] && id < best {
			best = id
		}
	}
	return best, nil
}

// bias keeps tokens from being made: those that the folder names, and times where they
// don't belong.
func (l *listener) bias(timed bool, end []int32) func(logits []float32, made []int32) {
	never := func(logits []float32, ids ...int32) {
		for _, id := range ids {
			if int(id) < len(logits) {
				logits[id] = float32(math.Inf(-1))
			}
		}
	}
	return func(logits []float32, made []int32) {
		never(logits, l.of.Suppress...)
		if len(made) == 0 {
			never(logits, l.of.SuppressFirst...)
		}
		if timed {
			never(logits, l.of.Times-1)
			l.of.KeepTimes(logits, made, end)
		}
	}
}
