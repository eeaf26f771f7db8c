package data

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// show writes the first batch of a source with one document a row.
func show(t testing.TB, a Attr, o Options, b BatchOptions, s ShowOptions) string {
	t.Helper()
	d := openSet(t, a, o)
	b.Rows, b.Order = "pad", "file"
	b.Epochs = 1
	var out strings.Builder
	if err := Show(&out, loader(t, d, b, Position{}), bytesEncoder{}, s); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestFormats shows a row of each format: what is in ⟦⟧ is not trained.
func TestFormats(t *testing.T) {
	const intro = "⟦<s>Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\n"
	const paired = "⟦<s>Below is an instruction that describes a task, paired with an input that provides further context. " +
		"Write a response that appropriately completes the request.\n\n### Instruction:\n"
	talk := `[{"role": "system", "content": "S"}, {"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}, ` +
		`{"role": "tool", "content": "T"}, {"role": "assistant", "content": "C"}]`
	cases := []struct {
		format, layout, row, want string
	}{
		{"text", "", `{"text": "one"}`, "⟦<s>⟧one</s>"},
		{"alpaca", "", `{"instruction": "Do.", "input": "", "output": "Done"}`, intro + "Do.\n\n### Response:\n⟧Done</s>"},
		{"alpaca", "", `{"instruction": "Do.", "output": "Done"}`, intro + "Do.\n\n### Response:\n⟧Done</s>"},
		{"alpaca", "", `{"instruction": "Do.", "input": "it", "output": "Done"}`, paired + "Do.\n\n### Input:\nit\n\n### Response:\n⟧Done</s>"},
		{"messages", "headings", `{"messages": ` + talk + `}`,
			"⟦<s>### System:\nS\n\n### User:\nA\n\n### Assistant:\n⟧B</s>⟦\n\n### Tool:\nT\n\n### Assistant:\n⟧C</s>"},
		{"messages", "chatml", `{"messages": ` + talk + `}`,
			"⟦<s><|im_start|>system\nS<|im_end|>\n<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\n⟧B<|im_end|>⟦\n" +
				"<|im_start|>tool\nT<|im_end|>\n<|im_start|>assistant\n⟧C<|im_end|>⟦\n</s>⟧"},
		{"sharegpt", "headings", `{"conversations": [{"from": "human", "value": "A"}, {"from": "gpt", "value": "B"}, {"from": "human", "value": "C"}]}`,
			"⟦<s>### User:\nA\n\n### Assistant:\n⟧B</s>⟦\n\n### User:\nC\n\n</s>⟧"},
		{"preference", "", `{"instruction": "Do.", "chosen": "Yes", "rejected": "No"}`,
			intro + "Do.\n\n### Response:\n⟧Yes</s>|" + intro + "Do.\n\n### Response:\n⟧No</s>"},
	}
	for _, c := range cases {
		a := defaults(write(t, "a.jsonl", c.row))
		a.Format = c.format
		if c.layout != "" {
			a.Layout = c.layout
		}
		b := defaultBatches(2, 400)
		b.Long = "cut"
		got := show(t, a, Options{End: []int32{257}}, b, ShowOptions{Batches: 1})
		for row, want := range strings.Split(c.want, "|⟦") {
			if row > 0 {
				want = "⟦" + want
			}
			head := fmt.Sprintf("batch 1, row %d: documents 1, ", row+1)
			_, text, ok := strings.Cut(got, head)
			_, text, _ = strings.Cut(text, "\n")
			if text, _, _ = strings.Cut(text, "\n⟦padding"); !ok || text != want {
				t.Errorf("%s %s, row %d:\n%q, want\n%q", c.format, c.layout, row, text, want)
			}
		}
	}
}

func TestTrainOnPrompt(t *testing.T) {
	a := defaults(write(t, "a.jsonl", `{"instruction": "Do.", "output": "Done"}`))
	a.Format, a.TrainOnPrompt = "alpaca", true
	d := openSet(t, a, Options{})
	o := defaultBatches(1, 400)
	o.Epochs = 1
	l := loader(t, d, o, Position{})
	if b := all(t, l, 1)[0]; b.Trained != b.Used || b.Used != len(AlpacaPrompt("Do.", ""))+5 {
		t.Errorf("%d of %d slots are trained", b.Trained, b.Used)
	}
}

// TestShowJSON holds the JSON form, with two documents in a row, against its meaning.
func TestShowJSON(t *testing.T) {
	a := defaults(write(t, "a.jsonl", "{\"text\": \"one\"}\n{\"text\": \"t\\u001bo\"}"))
	d := openSet(t, a, Options{})
	o := defaultBatches(1, 10)
	o.Order = "file"
	var out strings.Builder
	if err := Show(&out, loader(t, d, o, Position{}), bytesEncoder{}, ShowOptions{Batches: 1, JSON: true}); err != nil {
		t.Fatal(err)
	}
	var got RowText
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	want := RowText{Batch: 1, Row: 1, Used: 8, Trained: 8, Padding: 2, Documents: [][]Span{
		{{"<s>", false, 1}, {"one</s>", true, 4}}, {{"<s>", false, 1}, {"t\x1bo</s>", true, 4}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	out.Reset()
	if err := Show(&out, loader(t, d, o, Position{}), bytesEncoder{}, ShowOptions{Batches: 1, Color: true}); err != nil {
		t.Fatal(err)
	}
	const text = "batch 1, row 1: documents 2, tokens 8, trained 8, padding 2\n" +
		"\x1b[2m<s>\x1b[0mone</s>\n‖\n\x1b[2m<s>\x1b[0mt\\u001bo</s>\n\x1b[2mpadding 2\x1b[0m\n\n"
	if out.String() != text {
		t.Errorf("%q, want %q", out.String(), text)
	}
}

// TestWindowShown: a window over a border shows each token once.
func TestWindowShown(t *testing.T) {
	a := defaults(write(t, "a.jsonl", "{\"text\": \"one\"}\n{\"text\": \"two\"}"))
	d := openSet(t, a, Options{})
	o := defaultBatches(1, 9)
	o.Order, o.Rows = "file", "window"
	var out strings.Builder
	if err := Show(&out, loader(t, d, o, Position{}), bytesEncoder{}, ShowOptions{Batches: 1}); err != nil {
		t.Fatal(err)
	}
	if want := "batch 1, row 1: documents 2, tokens 9, trained 8, padding 0\n⟦<s>⟧one</s>\n‖\n⟦<s>⟧two</s>\n\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// pairsEncoder gives one id for two equal letters, so that a token can lie over the border of two segments.
type pairsEncoder struct{}

func (pairsEncoder) Size() int { return 512 }

func (pairsEncoder) Encode(dst []int32, text string, _ bool) ([]int32, error) {
	for i := 0; i < len(text); i++ {
		if i+1 < len(text) && text[i] == text[i+1] {
			dst = append(dst, 256+int32(text[i]))
			i++
		} else {
			dst = append(dst, int32(text[i]))
		}
	}
	return dst, nil
}

// TestBorders: a token over the border of a prompt and an answer is the answer's, and the ids are those of the whole.
func TestBorders(t *testing.T) {
	c := &coder{enc: pairsEncoder{}, end: []int32{0}}
	cases := []struct {
		doc  []Segment
		want string // upper case: trained; a digit follows for two letters
	}{
		{[]Segment{{Text: "ab"}, {Text: "cd", Train: true}}, "abCD"},
		{[]Segment{{Text: "ab"}, {Text: "bd", Train: true}}, "aB2D"},
		{[]Segment{{Text: "ab", Train: true}, {Text: "bd"}}, "AB2d"},
		{[]Segment{{Text: "ab"}, {Text: "b", Train: true}, {Text: "bb"}}, "aB2b2"},
		{[]Segment{{Text: ""}, {Text: "bb", Train: true}, {Text: ""}}, "B2"},
	}
	for _, k := range cases {
		marked, err := c.part(nil, k.doc)
		var got, plain, whole strings.Builder
		for _, m := range marked {
			s := string(rune(m & 255))
			plain.WriteString(s)
			if m&256 != 0 {
				plain.WriteString(s)
			}
			if m&untrained == 0 {
				s = strings.ToUpper(s)
			}
			if m&256 != 0 {
				s += "2"
			}
			got.WriteString(s)
		}
		for _, s := range k.doc {
			whole.WriteString(s.Text)
		}
		if err != nil || got.String() != k.want || plain.String() != whole.String() {
			t.Errorf("%v: %s of %s, %v; want %s", k.doc, &got, &plain, err, k.want)
		}
	}
}

func TestCharacters(t *testing.T) {
	c := newCharacters("hello wörld\n")
	if string(c.runes) != "\n dehlorwö" || c.Size() != 10 {
		t.Errorf("%d characters %q", c.Size(), string(c.runes))
	}
	ids, err := c.Encode(nil, "hö\n", true)
	if err != nil || !reflect.DeepEqual(ids, []int32{4, 9, 0}) {
		t.Errorf("%v, %v", ids, err)
	}
	if s, err := c.Decode(ids, false); s != "hö\n" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	if _, err := c.Encode(nil, "hex", false); err == nil || err.Error() != "the character 'x' at byte 2 is not among the 10 of the vocabulary" {
		t.Errorf("%v", err)
	}
	if _, err := c.Decode([]int32{3, 10}, false); err == nil || err.Error() != "id 10 at 1 is not among the 10 characters" {
		t.Errorf("%v", err)
	}
}

// TestCache: the token file is used when all is the same, made anew when anything changes or it is damaged.
func TestCache(t *testing.T) {
	a, _ := corpus(t, 50, 40, 1)
	var told []error
	o := Options{Cache: filepath.Join(t.TempDir(), "deep", "cache"), Identity: "bytes", Report: func(err error) { told = append(told, err) }}
	files := func() []string {
		list, err := filepath.Glob(filepath.Join(o.Cache, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	first := openSet(t, a, o)
	made := files()
	if len(made) != 1 || !strings.HasSuffix(made[0], ".tokens") {
		t.Fatalf("files %v", made)
	}
	before, err := os.Stat(made[0])
	if err != nil {
		t.Fatal(err)
	}
	memory := openSet(t, a, Options{})
	want := all(t, loader(t, memory, defaultBatches(4, 24), Position{}), 30)
	same := openSet(t, a, o)
	if after, err := os.Stat(made[0]); err != nil || !os.SameFile(before, after) {
		t.Errorf("the file was made anew: %v", err)
	}
	for _, d := range []*Dataset{first, same} {
		if !reflect.DeepEqual(all(t, loader(t, d, defaultBatches(4, 24), Position{}), 30), want) {
			t.Error("the batches differ from those of tokens in memory")
		}
	}
	whole := mustRead(t, made[0])
	for at := 0; at < len(whole); at += 1 + len(whole)/200 {
		broken := append([]byte(nil), whole...)
		broken[at] ^= 1
		for _, text := range [][]byte{broken, whole[:at], append(broken[:len(broken):len(broken)], 0)} {
			if s, err := parseStore("x", text, func() {}); err == nil {
				t.Fatalf("changed or cut at %d: %+v", at, s.foot)
			}
		}
	}
	whole[70] ^= 1
	if err := os.WriteFile(made[0]+".new", whole, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(made[0]+".new", made[0]); err != nil {
		t.Fatal(err)
	}
	if again := openSet(t, a, o); !reflect.DeepEqual(all(t, loader(t, again, defaultBatches(4, 24), Position{}), 30), want) {
		t.Error("the batches differ after a damaged file")
	}
	if len(told) != 1 || !strings.Contains(told[0].Error(), "is damaged: its CRC-32C is") {
		t.Errorf("told %v", told)
	}
	b := a
	b.Special = false
	other := o
	other.Identity = "other bytes"
	openSet(t, b, o)
	openSet(t, a, other)
	text := mustRead(t, a.Files[0])
	text[12]++
	if err := os.WriteFile(a.Files[0], text, 0o666); err != nil {
		t.Fatal(err)
	}
	openSet(t, a, o)
	if len(files()) != 4 {
		t.Errorf("files %v, want 4", files())
	}
	o.Identity = ""
	if _, err := Open(a, bytesEncoder{}, o); err == nil {
		t.Error("a cache without identity")
	}
}

func TestSplit(t *testing.T) {
	a := defaults(write(t, "a.txt", strings.Repeat("0123456789", 100)))
	a.Special, a.Validation = false, 0.1
	train, rest := openSet(t, a, Options{}).Split()
	o := defaultBatches(1, 99)
	o.Rows, o.Order, o.Epochs = "window", "file", 1
	if s, v := train.Summary(), rest.Summary(); s.Tokens != 900 || v.Tokens != 100 || s.Documents != 1 || v.Documents != 1 {
		t.Errorf("%+v, %+v", s, v)
	}
	if b := all(t, loader(t, rest, o, Position{}), 9); len(b) != 1 || b[0].IDs[0] != '0' || b[0].Targets[98] != '9' || b[0].Used != 99 {
		t.Errorf("%d batches", len(b))
	}
	lines, docs := corpus(t, 50, 40, 1)
	lines.Validation = 0.3
	train, rest = openSet(t, lines, Options{}).Split()
	if s, v := train.Summary(), rest.Summary(); s.Documents != 35 || v.Documents != 15 {
		t.Errorf("%+v, %+v", s, v)
	}
	o.Rows, o.Seq = "pad", 50
	seen := 0
	for _, b := range all(t, loader(t, rest, o, Position{}), 100) {
		r, err := b.Text(0, bytesEncoder{})
		if err != nil {
			t.Fatal(err)
		}
		if got := "<s>" + docs[35+seen] + "</s>"; r.Documents[0][0].Text+r.Documents[0][1].Text != got {
			t.Errorf("%+v, want %s", r.Documents, got)
		}
		seen++
	}
	if seen != 15 {
		t.Errorf("%d documents", seen)
	}
	lines.Validation = 0
	if _, rest = openSet(t, lines, Options{}).Split(); rest != nil {
		t.Error("something is kept")
	}
}

// TestPairs: the rows of a batch are chosen, rejected, chosen, rejected.
func TestPairs(t *testing.T) {
	var file strings.Builder
	for i := range 30 {
		fmt.Fprintf(&file, "{\"instruction\": \"%02d\", \"chosen\": \"yes%02d\", \"rejected\": \"no%s%02d\"}\n", i, i, strings.Repeat("o", i*4), i)
	}
	a := defaults(write(t, "a.jsonl", file.String()))
	a.Format = "preference"
	d := openSet(t, a, Options{})
	o := defaultBatches(4, 300)
	for _, rows := range []string{"window", "pack"} {
		o.Rows = rows
		if _, err := d.Batches(o, Position{}); err == nil || !strings.Contains(err.Error(), "takes pairs apart") {
			t.Errorf("%s: %v", rows, err)
		}
	}
	for _, rows := range []string{"pad", "bucket"} {
		o.Rows, o.Long, o.Epochs, o.Buckets = rows, "skip", 1, []int{160, 200, 300}
		pairs := 0
		for _, b := range all(t, loader(t, d, o, Position{}), 100) {
			for row := 0; row+1 < b.Rows && b.Segments[row*b.Seq] == 0; row += 2 {
				chosen, err := b.Text(row, bytesEncoder{})
				if err != nil {
					t.Fatal(err)
				}
				rejected, err := b.Text(row+1, bytesEncoder{})
				if err != nil {
					t.Fatal(err)
				}
				pairs++
				x, y := chosen.Documents[0][1].Text, rejected.Documents[0][1].Text
				if x[:3] != "yes" || y[:2] != "no" || x[3:5] != strings.TrimLeft(y, "no")[:2] {
					t.Errorf("%s: %s beside %s", rows, x, y)
				}
			}
		}
		if pairs != 30 {
			t.Errorf("%s: %d pairs", rows, pairs)
		}
	}
}
