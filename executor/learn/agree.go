package learn

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"pipe.dev/executor/checkpoint"
)

// agree holds JSON files against what the recipe says of their fields. Files that
// are not there, and fields that they lack, say nothing.
func (r *Run) agree() error {
	files, _ := r.doc.Recipe.Fields["agrees"].(map[string]any)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var says map[string]any
		if err == nil {
			err = json.Unmarshal(text, &says)
		}
		if err != nil {
			return checkpoint.FileError(file, err)
		}
		fields, _ := files[file].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			got, ok := says[name]
			if want := plain(fields[name]); ok && got != nil && plain(got) != want {
				return r.mistake("agrees", "%s says that %s is %s, and the recipe that it is %s", file, name, plain(got), want)
			}
		}
	}
	return nil
}

// plain is a value as JSON, numbers by what they are.
func plain(x any) string {
	if n, ok := x.(json.Number); ok {
		if f, err := n.Float64(); err == nil {
			x = f
		}
	}
	text, err := json.Marshal(x)
	if err != nil {
		return fmt.Sprint(x)
	}
	return string(text)
}
