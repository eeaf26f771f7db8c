package data

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// TestParquetOfOthers reads a file that pyarrow wrote (testdata/gen.py) and holds it against the same rows in JSON.
func TestParquetOfOthers(t *testing.T) {
	var want []map[string]any
	if err := json.Unmarshal(mustRead(t, "testdata/conversations.json"), &want); err != nil {
		t.Fatal(err)
	}
	a := defaults("testdata/conversations.parquet")
	var got []map[string]any
	if err := rows(a.Files, &a, func(r Row) error { got = append(got, r.Values); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for i := range got {
		text, err := json.Marshal(got[i])
		if err != nil {
			t.Fatal(err)
		}
		var again map[string]any
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(again, want[i]) {
			t.Errorf("row %d: %s, want %v", i+1, text, want[i])
		}
	}
	a.Format, a.OnError = "messages", "skip"
	packed := openSet(t, a, Options{})
	a.Files = []string{"testdata/conversations.json"}
	plain := openSet(t, a, Options{})
	o := defaultBatches(4, 100)
	if x, y := packed.Summary(), plain.Summary(); x.Documents != 20 || x.Skipped.Rows != 3 || y.Documents != 20 || y.Skipped.Rows != 3 || x.Tokens != y.Tokens {
		t.Errorf("%+v, %+v", x, y)
	}
	if !reflect.DeepEqual(all(t, loader(t, packed, o, Position{}), 20), all(t, loader(t, plain, o, Position{}), 20)) {
		t.Error("the batches of Parquet and JSON differ")
	}
}

type turn struct {
	From  string  `parquet:"from"`
	Value *string `parquet:"value"`
}

type talk struct {
	ID            int64    `parquet:"id"`
	Conversations []turn   `parquet:"conversations,list"`
	Tags          []string `parquet:"tags"`
	Text          *string  `parquet:"text"`
}

func TestParquet(t *testing.T) {
	hello, hi := "hello", "hi"
	var b bytes.Buffer
	want := []map[string]any{}
	var list []talk
	for i := range 300 {
		k := talk{ID: int64(i), Conversations: []turn{{"human", &hello}, {"gpt", &hi}}, Tags: []string{"a", "b"}[:i%3%2+i%2], Text: &hello}
		m := map[string]any{"id": int64(i), "conversations": []any{map[string]any{"from": "human", "value": "hello"}, map[string]any{"from": "gpt", "value": "hi"}},
			"tags": []any{}, "text": "hello"}
		for _, s := range k.Tags {
			m["tags"] = append(m["tags"].([]any), s)
		}
		if i == 7 {
			k.Conversations, k.Text = nil, nil
			m["conversations"], m["text"] = []any{}, nil
		}
		if i == 9 {
			k.Conversations[1].Value = nil
			m["conversations"].([]any)[1].(map[string]any)["value"] = nil
		}
		list, want = append(list, k), append(want, m)
	}
	w := parquet.NewGenericWriter[talk](&b, parquet.MaxRowsPerRowGroup(100))
	if _, err := w.Write(list); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := write(t, "a.parquet", b.String())
	a := defaults(path)
	i := 0
	err := rows([]string{path}, &a, func(r Row) error {
		if r.Line != i+1 || !reflect.DeepEqual(r.Values, want[i]) {
			t.Errorf("row %d: %v, want %v", r.Line, r.Values, want[i])
		}
		i++
		return nil
	})
	if err != nil || i != 300 {
		t.Errorf("%d rows, %v", i, err)
	}
	a.Format, a.OnError = "sharegpt", "skip"
	d := openSet(t, a, Options{})
	s := d.Summary()
	if s.Documents != 298 || s.Skipped.Rows != 2 ||
		s.Skipped.First[0] != path+":8: conversations: none of 0 turns is the assistant's, so that nothing would be trained" ||
		s.Skipped.First[1] != path+":10: conversations[1].value: is null, want a string" {
		t.Errorf("%+v", s)
	}
	// A file that is cut or changed anywhere is an error or other rows, never a crash.
	whole := b.Bytes()
	for at := 0; at < len(whole); at += 1 + len(whole)/300 {
		broken := bytes.Clone(whole)
		broken[at] ^= 0x55
		for _, text := range [][]byte{broken, whole[:at]} {
			a.Files = []string{write(t, "b.parquet", string(text))}
			err := Texts(a, Options{}, func(string) error { return nil })
			if len(text) < len(whole) && err == nil {
				t.Errorf("cut at %d: no error", at)
			}
		}
	}
}
