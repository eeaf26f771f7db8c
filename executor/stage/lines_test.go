package stage

import (
	"reflect"
	"strings"
	"testing"
)

// Texts are lines, or what lines of JSON hold; what is wrong is told with the line.
func TestLines(t *testing.T) {
	for _, c := range []struct {
		data   string
		isJSON bool
		want   []any
		wrong  string
	}{
		{"\ufeffa b\r\n\n  \nc", false, []any{"a b", "c"}, ""},
		{"\"a\\nb\"\n{\"text\": \"c\", \"n\": 1}\n", true, []any{"a\nb", "c"}, ""},
		{"", false, nil, "holds no text"},
		{"a\n\xff\n", false, nil, "line 2 is not UTF-8"},
		{"\"a\"\n{\"x\": 1}", true, nil, `line 2: the object has no field "text"`},
		{"\"a\"\n\n[1]", true, nil, "line 3: want a string"},
		{"\"a", true, nil, "line 1: unexpected end of JSON input"},
	} {
		got, err := linesOf([]byte(c.data), "text", c.isJSON)
		if c.wrong == "" && (err != nil || !reflect.DeepEqual(got, c.want)) || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%q: got %q, %v; want %q, %q", c.data, got, err, c.want, c.wrong)
		}
	}
}
