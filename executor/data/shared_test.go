package data

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/attr"
	"pipe.dev/executor/tokenizer"
)

// TestAttributes: the structs describe themselves to the schema, and their defaults are those of the Go functions.
func TestAttributes(t *testing.T) {
	for _, zero := range []any{Attr{}, BatchOptions{}} {
		if _, err := attr.Fields(zero); err != nil {
			t.Error(err)
		}
	}
	decoded, err := attr.Decode(defaults(), map[string]any{
		"files": []any{"a.csv"}, "fields": map[string]any{"text": "body"}, "on_error": "skip", "weight": json.Number("2"),
	})
	if err != nil {
		t.Fatal(err)
	}
	a := decoded.(Attr)
	if err := a.Check(); err != nil || a.Files[0] != "a.csv" || a.Fields["text"] != "body" || a.OnError != "skip" || a.Weight != 2 || a.Format != "text" {
		t.Errorf("%+v, %v", a, err)
	}
	a.Format = "alpacca"
	if err := a.Check(); err == nil || !strings.HasSuffix(err.Error(), "; did you mean alpaca?") {
		t.Errorf("%v", err)
	}
}

// TestShakespeare: the vocabulary and the split that nanoGPT's shakespeare_char prints: 65 characters, 1,003,854 tokens
// for training and 111,540 for validation.
func TestShakespeare(t *testing.T) {
	a := defaults(sharedFile(t, "train", "tinyshakespeare.txt"))
	a.Validation = 0.1
	c, err := CharactersOf([]Attr{a}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	const want = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	if string(c.runes) != want {
		t.Errorf("%d characters %q", c.Size(), string(c.runes))
	}
	d, err := Open(a, c, Options{Cache: t.TempDir(), Identity: c.Identity()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	train, rest := d.Split()
	if x, y := train.Summary().Tokens, rest.Summary().Tokens; x != 1_003_854 || y != 111_540 {
		t.Errorf("%d and %d tokens", x, y)
	}
	text := string(mustRead(t, a.Files[0]))
	o := defaultBatches(12, 64)
	o.Rows, o.Order, o.Prefetch = "window", "random", 2
	for _, b := range all(t, loader(t, train, o, Position{}), 100) {
		for row := range b.Rows {
			x, err := c.Decode(b.IDs[row*b.Seq:][:b.Seq], false)
			if err != nil {
				t.Fatal(err)
			}
			y, err := c.Decode(b.Targets[row*b.Seq:][:b.Seq], false)
			if err != nil {
				t.Fatal(err)
			}
			if x[1:] != y[:63] || !strings.Contains(text[:1_003_854], x+y[63:]) || b.Trained != len(b.IDs) {
				t.Fatalf("%q then %q, %d trained", x, y, b.Trained)
			}
		}
	}
}

// TestTokens: text in parts has the ids that the Rust tokenizers give for the whole.
func TestTokens(t *testing.T) {
	for _, name := range []string{"gpt2", "qwen2_5"} {
		var ids []int32
		f, err := os.Open(sharedFile(t, "tokenizer", "shakespeare_ids_"+name+".json.gz"))
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewDecoder(z).Decode(&ids); err != nil {
			t.Fatal(err)
		}
		f.Close()
		a := defaults(sharedFile(t, "train", "tinyshakespeare.txt"))
		tok := sharedTokenizer(t, name)
		d, err := Open(a, tok, Options{})
		if err != nil {
			t.Fatal(err)
		}
		p := &d.parts[0]
		marked := make([]uint32, p.foot.Tokens)
		p.read(marked, 0)
		got := make([]int32, len(marked))
		for i, m := range marked {
			got[i] = int32(m)
		}
		if !slices.Equal(got, ids) {
			t.Errorf("%s: %d ids, want %d", name, len(got), len(ids))
		}
		// So have the ids of much smaller parts.
		got = got[:0]
		parts := 0
		text := strings.NewReader(string(mustRead(t, a.Files[0])))
		err = readWhole(text, a.Files[0], 2<<10, func(r Row) (err error) {
			parts++
			got, err = tok.Encode(got, r.Text, false)
			return err
		})
		if err != nil || !slices.Equal(got, ids) {
			t.Errorf("%s: %d ids in %d parts, want %d; %v", name, len(got), parts, len(ids), err)
		}
	}
}

func sharedTokenizer(t testing.TB, name string) *tokenizer.Tokenizer {
	t.Helper()
	f, err := os.Open(sharedFile(t, "tokenizer", name+".tokenizer.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.ReadFrom(z); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(path, mustRead(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestInstructions trains the answers of the instruction data, each once an epoch, and nothing else.
func TestInstructions(t *testing.T) {
	tok := sharedTokenizer(t, "gpt2")
	end, ok := tok.ID("<|endoftext|>")
	if !ok {
		t.Fatal("no end token")
	}
	for _, c := range []struct {
		file, format string
		fields       map[string]string
		group        int
	}{
		{"instruction-data.json", "alpaca", nil, 1},
		{"gsm8k_test.jsonl", "alpaca", map[string]string{"instruction": "question", "output": "answer"}, 1},
		{"instruction-data-with-preference.json", "preference", nil, 2},
	} {
		a := defaults(sharedFile(t, "train", c.file))
		a.Format, a.Fields = c.format, c.fields
		d, err := Open(a, tok, Options{End: []int32{end}})
		if err != nil {
			t.Fatal(err)
		}
		answers := map[string]int{} // how often each must be trained
		err = rows(a.Files, &a, func(r Row) error {
			docs, err := render(&r, &a, &Options{})
			for _, d := range docs {
				answers[d[len(d)-1].Text+"<|endoftext|>"]++
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		o := defaultBatches(8, 1024)
		o.Epochs, o.Pad = 1, end
		if c.group == 2 {
			o.Rows, o.Long = "pad", "cut"
		}
		documents := 0
		for _, b := range all(t, loader(t, d, o, Position{}), 2000) {
			for row := range b.Rows {
				r, err := b.Text(row, tok)
				if err != nil {
					t.Fatal(err)
				}
				for _, spans := range r.Documents {
					if documents++; len(spans) != 2 || spans[0].Trained || !spans[1].Trained || !strings.HasSuffix(spans[0].Text, "### Response:\n") {
						t.Fatalf("%s: spans %+v", c.file, spans)
					}
					answers[spans[1].Text]--
				}
			}
		}
		for text, n := range answers {
			if n != 0 {
				t.Errorf("%s: %q is trained %d times too few", c.file, text, n)
			}
		}
		if want := map[string]int{"instruction-data.json": 1100, "gsm8k_test.jsonl": 1319, "instruction-data-with-preference.json": 2200}[c.file]; documents != want {
			t.Errorf("%s: %d documents, want %d", c.file, documents, want)
		}
	}
}

// TestNames packs one name after the other.
func TestNames(t *testing.T) {
	a := defaults(sharedFile(t, "train", "names.txt"))
	a.Document = "line"
	c := newCharacters("\nabcdefghijklmnopqrstuvwxyz")
	d, err := Open(a, c, Options{Begin: []int32{0}, End: []int32{0}})
	if err != nil {
		t.Fatal(err)
	}
	if s := d.Summary(); s.Documents != 32_033 {
		t.Errorf("%+v", s)
	}
	o := defaultBatches(32, 64)
	o.Epochs = 1
	used, slots, first := 0, 0, 0
	for _, b := range all(t, loader(t, d, o, Position{}), 1000) {
		used, slots = used+b.Used, slots+len(b.IDs)
		for i, id := range b.IDs {
			if b.Segments[i] >= 0 && b.Positions[i] == 0 {
				if first++; id != 0 {
					t.Fatal("a name without its beginning")
				}
			}
		}
	}
	if first != 32_033 || float64(used)/float64(slots) < 0.9 {
		t.Errorf("%d names, %d of %d slots used", first, used, slots)
	}
}
