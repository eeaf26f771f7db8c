package data

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Segment is a stretch of a document whose tokens are all trained or all not.
type Segment struct {
	Text  string
	Train bool // the loss counts its tokens
	End   bool // the end token follows, trained as the segment is
}

// format makes documents of a row.
type format struct {
	name   string
	doc    string
	fields []string // that it looks for
	group  int      // how many documents a row gives
	// render gives group documents. Its errors are fieldErrors.
	render func(r *record) ([][]Segment, error)
}

// formats is the table of what a row may hold.
var formats = []format{
	{"text", "the field text, or a file of text: all of it is trained", []string{"text"}, 1, renderText},
	{"alpaca", "instruction, input (may be missing or empty) and output; the output is trained", []string{"instruction", "input", "output"}, 1, renderAlpaca},
	{"sharegpt", "conversations: a list of from (system, human, gpt) and value; what gpt says is trained", []string{"conversations"}, 1, renderShareGPT},
	{"messages", "messages: a list of role (system, user, assistant, tool) and content; what the assistant says is trained", []string{"messages"}, 1, renderMessages},
	{"preference", "instruction, input (may be missing or empty), chosen and rejected: two documents, of which the answers are trained", []string{"instruction", "input", "chosen", "rejected"}, 2, renderPreference},
	{Columns, "numbers, by the names of columns: for models that read numbers, not text", nil, 1, renderNone},
	{Images, "pictures, with what belongs to them: classes, texts, numbers", nil, 1, renderNone},
	{Sounds, "sound, with what belongs to it", nil, 1, renderNone},
}

// renderNone refuses rows of numbers and pictures: OpenExamples reads them.
func renderNone(*record) ([][]Segment, error) {
	return nil, errors.New("formats columns, images and audio give numbers, and the model wants text")
}

// fieldError is a fault of one field.
type fieldError struct{ field, msg string }

func (e *fieldError) Error() string { return e.field + ": " + e.msg }

func faultf(field, format string, args ...any) error {
	return &fieldError{field, fmt.Sprintf(format, args...)}
}

// record is a row as a format sees it.
type record struct {
	row    *Row
	names  map[string]string // of fields in the file, where they differ
	layout Layout
}

// value is the content of a field, and its name in the file.
func (r *record) value(field string) (v any, name string, ok bool) {
	name = field
	if n := r.names[field]; n != "" {
		name = n
	}
	v, ok = r.row.Values[name]
	return v, name, ok && v != nil
}

// text is the string in a field.
func (r *record) text(field string) (string, error) {
	v, name, ok := r.value(field)
	if !ok {
		return "", missing(name, r.row.Values)
	}
	s, ok := v.(string)
	if !ok {
		return "", faultf(name, "is %s, want a string", kindOf(v))
	}
	return s, nil
}

// optional is the string in a field, or "" if it is missing.
func (r *record) optional(field string) (string, error) {
	if _, _, ok := r.value(field); !ok {
		return "", nil
	}
	return r.text(field)
}

func missing(name string, have map[string]any) error {
	if _, ok := have[name]; ok {
		return faultf(name, "is null, want a string")
	}
	known := slices.Sorted(maps.Keys(have))
	if len(known) == 0 {
		return faultf(name, "missing; there is no field at all")
	}
	const most = 12
	more := ""
	if n := len(known) - most; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	near := hint(name, known)
	known = known[:min(len(known), most)]
	for i, k := range known {
		known[i] = clip(k)
	}
	return faultf(name, "missing; there are %s%s%s", strings.Join(known, ", "), more, near)
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case float64, int64:
		return fmt.Sprintf("the number %v", v)
	case []any:
		return "a list"
	}
	return "an object"
}

func renderText(r *record) ([][]Segment, error) {
	if r.row.Values == nil {
		return [][]Segment{{{Text: r.row.Text, Train: true, End: !r.row.Part}}}, nil
	}
	s, err := r.text("text")
	if err != nil {
		return nil, err
	}
	return [][]Segment{{{Text: s, Train: true, End: true}}}, nil
}
