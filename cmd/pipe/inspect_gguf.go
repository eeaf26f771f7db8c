package main

import (
	"fmt"
	"path"
	"reflect"
	"strings"

	"pipe.dev/executor/gguf"
)

// inspectGGUF reads the header of a GGUF file.
func inspectGGUF(name, filter string) (*inspection, error) {
	f, err := gguf.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found := &inspection{Path: name, Metadata: map[string]string{}, DTypes: map[string]int{}, Tensors: []tensorLine{},
		Files: []fileSize{{name, f.Size()}}, Of: len(f.Tensors)}
	for _, p := range f.Metadata {
		found.Metadata[p.Key] = valueText(p.Value)
	}
	for _, t := range f.Tensors {
		if ok, _ := path.Match(filter, t.Name); !ok && filter != "" {
			continue
		}
		shape, raw := make([]int, len(t.Shape)), strings.ToUpper(t.Type.String())
		for i, n := range t.Shape {
			shape[i] = int(n)
		}
		found.Tensors = append(found.Tensors, tensorLine{t.Name, raw, shape, t.Bytes, name, t.Offset})
		found.Parameters += elements(shape)
		found.Bytes += t.Bytes
		found.DTypes[raw]++
	}
	return found, nil
}

// valueText writes a value of the metadata; of a long list the beginning.
func valueText(x any) string {
	const shown = 8
	v := reflect.ValueOf(x)
	if v.Kind() != reflect.Slice || v.Len() <= shown {
		return fmt.Sprint(x)
	}
	text := fmt.Sprint(v.Slice(0, shown).Interface())
	return fmt.Sprintf("%s ... %d in all]", strings.TrimSuffix(text, "]"), v.Len())
}
