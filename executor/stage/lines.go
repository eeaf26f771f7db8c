package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"pipe.dev/executor/checkpoint"
)

// LinesAttr says which file holds texts.
type LinesAttr struct {
	File  string `cue:"file!: string" doc:"a file with a text on each line; of .jsonl, a string on each line, or an object"`
	Field string `cue:"field: string | *\"text\"" doc:"which field of the objects is the text"`
}

// linesLimit is how large a file of texts may be, bytes.
const linesLimit = 1 << 30

func lines() *Def {
	return &Def{
		Name: "lines", Title: "Lines", Result: List, Early: true,
		Doc:  "reads a list of texts from a file; empty lines are left out.",
		Attr: LinesAttr{},
		Run: func(_ context.Context, c *Call) (Value, error) {
			a := c.Attr.(LinesAttr)
			info, err := os.Stat(a.File)
			if err != nil {
				return nil, checkpoint.FileError(a.File, err)
			}
			if info.Size() > linesLimit {
				return nil, &checkpoint.Error{File: a.File, Msg: fmt.Sprintf("has %d bytes; files of texts have at most %d", info.Size(), linesLimit)}
			}
			c.read(a.File)
			data, err := os.ReadFile(a.File)
			if err != nil {
				return nil, checkpoint.FileError(a.File, err)
			}
			list, err := linesOf(data, a.Field, filepath.Ext(a.File) == ".jsonl")
			if err != nil {
				return nil, &checkpoint.Error{File: a.File, Msg: err.Error()}
			}
			return list, nil
		},
	}
}

// linesOf are the texts of a file.
func linesOf(data []byte, field string, isJSON bool) ([]any, error) {
	var list []any
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(data, []byte("\ufeff"))) {
		number++
		line = bytes.TrimRight(line, "\r\n")
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if !utf8.Valid(line) {
			return nil, fmt.Errorf("line %d is not UTF-8", number)
		}
		if !isJSON {
			list = append(list, string(line))
			continue
		}
		text, err := textOf(line, field)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		list = append(list, text)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("holds no text")
	}
	return list, nil
}

// textOf is the text that a line of JSON holds.
func textOf(line []byte, field string) (string, error) {
	var v any
	if err := json.Unmarshal(line, &v); err != nil {
		return "", fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if object, ok := v.(map[string]any); ok {
		v, ok = object[field]
		if !ok {
			return "", fmt.Errorf("the object has no field %q", field)
		}
	}
	text, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("want a string, or an object with a string as %q", field)
	}
	return text, nil
}
