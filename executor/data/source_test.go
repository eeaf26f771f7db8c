package data

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pipe.dev/executor/checkpoint"
)

// texts lists the documents of a source.
func texts(t testing.TB, a Attr) []string {
	t.Helper()
	var out []string
	if err := Texts(a, Options{}, func(s string) error { out = append(out, s); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSources(t *testing.T) {
	line := defaults()
	line.Document = "line"
	paragraph := defaults()
	paragraph.Document = "paragraph"
	renamed := defaults()
	renamed.Fields = map[string]string{"text": "body"}
	cases := []struct {
		name, text string
		attr       Attr
		want       []string
	}{
		{"a.txt", "one\ntwo\n", defaults(), []string{"one\ntwo\n"}},
		{"bom.txt", "\ufeffone", defaults(), []string{"one"}},
		{"a.txt", "one\r\n\ntwo", line, []string{"one", "two"}},
		{"a.txt", "\n\none\ntwo\n \n\nthree\n", paragraph, []string{"one\ntwo", "three"}},
		{"a.jsonl", "{\"text\": \"one\"}\n\n{\"text\": \"t\\u0077o\\n\"}", defaults(), []string{"one", "two\n"}},
		{"a.ndjson", "{\"body\": \"one\"}", renamed, []string{"one"}},
		{"a.json", "[\n{\"text\": \"one\"},\n {\"text\": \"two\"} ]\n", defaults(), []string{"one", "two"}},
		{"empty.json", "[]", defaults(), nil},
		{"a.csv", "id,text\r\n1,\"o,\nne\"\r\n2,two\n", defaults(), []string{"o,\nne", "two"}},
		{"a.tsv", "id\tbody\n1\tone, two\n", renamed, []string{"one, two"}},
	}
	for _, c := range cases {
		c.attr.Files = []string{write(t, c.name, c.text)}
		if got := texts(t, c.attr); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s %q: %q, want %q", c.name, c.text, got, c.want)
		}
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write([]byte(c.text))
		z.Close()
		c.attr.Files = []string{write(t, c.name+".gz", packed.String())}
		if got := texts(t, c.attr); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s.gz: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestBadRows holds each fault against its exact message, and what is left when it is skipped.
func TestBadRows(t *testing.T) {
	alpaca := defaults()
	alpaca.Format = "alpaca"
	chat := defaults()
	chat.Format = "messages"
	lines := defaults()
	lines.Document = "line"
	cases := []struct {
		name, text string
		attr       Attr
		want       string
		left       int // documents after skipping; -1: it cannot be skipped
	}{
		{"a.jsonl", "{\"text\": \"x\"}\n{\"text\": \n", defaults(), ":2: JSON is broken at byte 9: unexpected end of JSON input", 1},
		{"a.jsonl", "{\"text\": \"x\"}\n\n[1]\n{\"text\": \"y\"}", defaults(), ":3: is a JSON array, want an object", 2},
		{"a.jsonl", "null\n{\"text\": \"y\"}", defaults(), ":1: is null, want an object", 1},
		{"a.jsonl", "{\"text\": \"\xff\"}\n{\"text\": \"y\"}", defaults(), ":1: JSON is not UTF-8 at byte 11", 1},
		{"a.jsonl", "{\"txet\": \"x\", \"id\": 1}\n{\"text\": \"y\"}", defaults(), ":1: text: missing; there are id, txet; did you mean txet?", 1},
		{"a.jsonl", "{\"text\": 7}\n{\"text\": \"y\"}", defaults(), ":1: text: is the number 7, want a string", 1},
		{"a.jsonl", "{\"instruction\": \"i\", \"output\": null}\n{\"instruction\": \"i\", \"output\": \"o\"}", alpaca, ":1: output: is null, want a string", 1},
		{"a.json", "[\n\n{\"text\": \"x\"},\n{\"text\":\n[]}, {\"text\": \"y\"}]", defaults(), ":4: text: is a list, want a string", 2},
		{"a.json", "[{\"text\": \"x\"},\n\n{\"text\": oops}]", defaults(), ":3: JSON is broken, so that the rest cannot be read: invalid character 'o' looking for beginning of value", -1},
		{"a.json", "[{\"text\": \"x\"},\n", defaults(), ":2: JSON is broken, so that the rest cannot be read: the file ends inside the array", -1},
		{"a.json", "{\"text\": \"x\"}", defaults(), ": is not a JSON array: begins with {; for an object in each line the kind is jsonl", -1},
		{"a.json", "[]\n7", defaults(), ":2: 7 stands after the array", -1},
		{"a.csv", "id,text\n1,x\n2\n3,z\n", defaults(), ":3: has 1 fields, the first row names 2", 2},
		{"a.csv", "id,text\n1,x\n2,\"a\"b\n3,z\n", defaults(), ":3: CSV is broken at byte 5 of the line: extraneous or missing \" in quoted-field", 2},
		{"a.csv", "id,text\n1,\xff\n2,z", defaults(), ":2: text: text is not UTF-8", 1},
		{"a.csv", "id,id\n1,x\n", defaults(), ":1: id: two fields have this name", -1},
		{"a.txt", "one\ntw\xffo\nthree", lines, ":2: text is not UTF-8 at byte 3 of the line", 2},
		{"a.txt", "one\ntw\xffo\nthree", defaults(), ":2: text is not UTF-8", -1},
		{"a.jsonl", `{"messages": [{"role": "user", "content": "a"}, {"role": "asistant", "content": "b"}]}`, chat,
			`:1: messages[1].role: is "asistant", want one of [assistant developer system tool user]; did you mean assistant?`, 0},
		{"a.jsonl", `{"messages": [{"role": "user", "content": "a"}]}`, chat, ":1: messages: none of 1 turns is the assistant's, so that nothing would be trained", 0},
		{"a.jsonl", `{"messages": [{"role": "user"}]}`, chat, ":1: messages[0].content: missing; there are role", 0},
		{"a.jsonl", `{"messages": "hi"}`, chat, ":1: messages: is a string, want a list", 0},
	}
	for _, c := range cases {
		path := write(t, c.name, c.text)
		c.attr.Files = []string{path}
		err := Texts(c.attr, Options{}, func(string) error { return nil })
		if err == nil || err.Error() != path+c.want {
			t.Errorf("%q:\n%v, want\n%s%s", c.text, err, path, c.want)
		}
		var file *checkpoint.Error
		if !errors.As(err, &file) {
			t.Errorf("%q: the error is no error about a file", c.text)
		}
		c.attr.OnError = "skip"
		var told []error
		d, err := Open(c.attr, bytesEncoder{}, Options{Report: func(err error) { told = append(told, err) }})
		switch {
		case c.left < 0 && err == nil:
			t.Errorf("%q: was skipped", c.text)
		case c.left > 0 && err != nil:
			t.Errorf("%q: %v", c.text, err)
		case c.left > 0:
			s := d.Summary()
			if s.Documents != int64(c.left) || s.Skipped.Rows != 1 || s.Skipped.First[0] != path+c.want || len(told) != 1 || told[0].Error() != path+c.want {
				t.Errorf("%q: %+v, told %v", c.text, s, told)
			}
		case c.left == 0 && (err == nil || !strings.Contains(err.Error(), "no document that can be used; 1 rows were skipped")):
			t.Errorf("%q: %v", c.text, err)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.txt", "a.txt", "sub/c.txt.gz", ".hidden.txt", "image.png", ".git/x.txt"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		names []string
		want  string // files, or the error
	}{
		{[]string{"."}, "[a.txt b.txt sub/c.txt.gz]"},
		{[]string{"b.txt", "a.txt"}, "[b.txt a.txt]"},
		{[]string{"*.txt"}, "[.hidden.txt a.txt b.txt]"},
		{[]string{"*.csv"}, "*.csv: no file matches"},
		{[]string{"d.txt"}, "d.txt: no such file or folder"},
	} {
		got, err := expand(dir, c.names, "auto")
		s := strings.ReplaceAll(fmt.Sprint(got), dir+"/", "")
		if err != nil {
			s = strings.TrimPrefix(err.Error(), dir+"/")
		}
		if s != c.want {
			t.Errorf("%v: %s, want %s", c.names, s, c.want)
		}
	}
	a := defaults("image.png")
	if _, err := Open(a, bytesEncoder{}, Options{Root: dir}); err == nil || !strings.Contains(err.Error(), "give a kind") {
		t.Errorf("unknown ending: %v", err)
	}
}

// TestParts cuts long text where tokenizers would, and loses nothing.
func TestParts(t *testing.T) {
	for name, unit := range map[string]string{
		"lines": "some words\n\n  and more, élan\n", "words": "words and  more ", "runes": "日本語é", "letters": "x", "newlines": "\n", "short": "ab\n",
	} {
		text := strings.Repeat(unit, 5*chunk/2/len(unit))
		path := write(t, "a.txt", text)
		a := defaults(path)
		var all strings.Builder
		parts := 0
		err := rows([]string{path}, &a, func(r Row) error {
			if want := 1 + strings.Count(all.String(), "\n"); r.Line != want {
				t.Errorf("%s: part %d begins at line %d, want %d", name, parts, r.Line, want)
			}
			if name == "lines" && parts > 0 && r.Text[0] != ' ' {
				t.Errorf("part %d begins with %.10q", parts, r.Text)
			}
			if r.follows != (parts > 0) {
				t.Errorf("%s: part %d follows: %v", name, parts, r.follows)
			}
			all.WriteString(r.Text)
			parts++
			return nil
		})
		if err != nil || all.String() != text || parts < 3 {
			t.Errorf("%s: %d parts of %d bytes in place of %d, %v", name, parts, all.Len(), len(text), err)
		}
		d := openSet(t, a, Options{End: []int32{258}})
		if s := d.Summary(); s.Documents != 1 || s.Tokens != int64(len(text)+3) {
			t.Errorf("%s: %+v, want %d tokens", name, s, len(text)+3)
		}
	}
}

func FuzzJSONL(f *testing.F) {
	f.Add([]byte("{\"text\": \"a\"}\n{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}\n\n{"))
	f.Add([]byte("\ufeff[1,2]\n\"\xff\"\nnull"))
	f.Fuzz(func(t *testing.T, b []byte) { fuzzRows(t, "a.jsonl", b) })
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte("[{\"text\": \"a\"},\n{\"text\": 7}, null, [\n]]"))
	f.Add([]byte("[{\"text\": \"a\"}"))
	f.Fuzz(func(t *testing.T, b []byte) { fuzzRows(t, "a.json", b) })
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("id,text\n1,\"a\nb\"\n2\n3,x\"y\n"))
	f.Add([]byte("text\n\"open\n"))
	f.Fuzz(func(t *testing.T, b []byte) { fuzzRows(t, "a.csv", b) })
}

// fuzzRows reads any bytes: rows come in the order of their lines, which the file has, and errors are one line that
// names the file.
func fuzzRows(t *testing.T, name string, b []byte) {
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	a := defaults(path)
	last, count := 0, 1+bytes.Count(b, []byte("\n"))
	for _, a.Format = range []string{"text", "alpaca", "sharegpt", "messages", "preference"} {
		last = 0
		err := rows(a.Files, &a, func(r Row) error {
			if r.Line < last || r.Line > count || r.Line < 1 {
				t.Errorf("line %d after %d of %d", r.Line, last, count)
			}
			last = r.Line
			fault := r.bad
			if fault == nil {
				if _, err := render(&r, &a, &Options{}); err != nil {
					fault = rowError(&r, err)
				}
			}
			if fault != nil && strings.Contains(strings.TrimPrefix(fault.Error(), path), "\n") {
				t.Errorf("error of several lines: %q", fault)
			}
			return nil
		})
		if err != nil && !strings.HasPrefix(err.Error(), path) {
			t.Errorf("error without the file: %v", err)
		}
	}
}
