package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/hub"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/internal/suggest"
)

// LabelsAttr names classes.
type LabelsAttr struct {
	Values []any  `cue:"values!: [int & >=0 | string, ...(int & >=0 | string)]" doc:"classes: numbers, or names"`
	File   string `cue:"file: string | *\"\"" doc:"a JSON file, or the folder of a model_index.json, whose id2label says which number has which names; of several, with commas between them, each counts"`
}

func labels() *Def {
	return &Def{
		Name: "labels", Title: "Labels", Result: Tensor, Early: true,
		Doc:  "is a tensor of i32 with the numbers of classes, which may be named.",
		Attr: LabelsAttr{},
		Run: func(_ context.Context, c *Call) (Value, error) {
			a := c.Attr.(LabelsAttr)
			var ids []int32
			var named map[string]int32
			for _, v := range a.Values {
				name, ok := v.(string)
				if !ok {
					id, err := strconv.ParseInt(fmt.Sprint(v), 10, 32)
					if err != nil {
						return nil, fmt.Errorf("values: %v is no whole number of 32 bits", v)
					}
					ids = append(ids, int32(id))
					continue
				}
				if named == nil {
					var err error
					if named, err = c.readLabels(a.File); err != nil {
						return nil, err
					}
				}
				id, ok := named[name]
				if !ok {
					return nil, unknownLabel(name, named)
				}
				ids = append(ids, id)
			}
			return tensorfile.FromInt32s(c.ID, ids, len(ids)), nil
		},
	}
}

func unknownLabel(name string, named map[string]int32) error {
	var all []string
	for k := range named {
		all = append(all, k)
	}
	slices.Sort(all)
	hint := ""
	if s := suggest.DidYouMean(name, all); s != "" {
		hint = "; " + s
	}
	return fmt.Errorf("values: no class is called %q%s", name, hint)
}

// readLabels are the numbers of classes by their names.
func (c *Call) readLabels(file string) (map[string]int32, error) {
	if file == "" {
		return nil, fmt.Errorf("values: classes have names, and file, which says their numbers, is missing")
	}
	file, err := hub.Folder(file)
	if err != nil {
		return nil, err
	}
	if st, err := os.Stat(file); err == nil && st.IsDir() {
		file = filepath.Join(file, "model_index.json")
	}
	c.read(file)
	f, err := os.Open(file)
	if err != nil {
		return nil, checkpoint.FileError(file, err)
	}
	defer f.Close()
	var index struct {
		Names map[string]string `json:"id2label"`
	}
	const most = 64 << 20 // bytes
	if err := json.NewDecoder(io.LimitReader(f, most)).Decode(&index); err != nil {
		return nil, &checkpoint.Error{File: file, Msg: fmt.Sprintf("JSON: %v", err)}
	}
	if len(index.Names) == 0 {
		return nil, &checkpoint.Error{File: file, Msg: "has no id2label, which would say the numbers of named classes"}
	}
	named := map[string]int32{}
	for number, names := range index.Names {
		id, err := strconv.ParseInt(number, 10, 32)
		if err != nil || id < 0 {
			return nil, &checkpoint.Error{File: file, Msg: fmt.Sprintf("id2label: %q is no number of a class", number)}
		}
		for _, name := range append(strings.Split(names, ","), names) {
			name = strings.TrimSpace(name)
			if before, ok := named[name]; !ok || int32(id) < before { // the same whatever the order
				named[name] = int32(id)
			}
		}
	}
	return named, nil
}
