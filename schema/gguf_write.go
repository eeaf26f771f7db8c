package schema

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
)

// GGUFValue is an entry of the metadata; one field is set.
type GGUFValue struct {
	U32  *uint32
	F32  *float32
	Bool *bool
	Text *string
}

// GGUFWritten is what a file of a model has besides its weights.
type GGUFWritten struct {
	Metadata map[string]GGUFValue
	Tensors  map[string][]float32
}

// Value is what an entry holds.
func (v GGUFValue) Value() any {
	switch {
	case v.U32 != nil:
		return *v.U32
	case v.F32 != nil:
		return *v.F32
	case v.Bool != nil:
		return *v.Bool
	case v.Text != nil:
		return *v.Text
	}
	return nil
}

const ggufWriteSource = `package model

import "pipe.dev/layers/arch"

name: string
config: _
known: [for n, _ in arch.#GGUFByType {n}]
for type, a in arch.#GGUFByType if type == name for n, t in arch.#GGUF if n == a {
	table: {architecture: t.architecture, fields: t.fields, tensors: t.tensors, ignore: t.ignore}
	write: (t.#Write & {"config": config})
}
`

// WriteGGUF says how a file would hold a model that was made of a config.json.
func WriteGGUF(m *Model) (*GGUF, *GGUFWritten, error) {
	v, err := ggufEvaluate(ggufWriteSource, map[string]any{"name": m.Arch, "config": m.Config})
	if err != nil {
		return nil, nil, err
	}
	table, err := ggufTable(v.LookupPath(cue.ParsePath("table")))
	if err != nil {
		return nil, nil, err
	}
	if table == nil {
		var known []string
		if err := v.LookupPath(cue.ParsePath("known")).Decode(&known); err != nil {
			return nil, nil, err
		}
		slices.Sort(known)
		return nil, nil, fmt.Errorf("%s: models of type %q can't be written as GGUF; there are %s", m.Name, m.Arch, strings.Join(known, ", "))
	}
	w := &GGUFWritten{}
	write := v.LookupPath(cue.ParsePath("write"))
	for path, to := range map[string]any{"metadata": &w.Metadata, "tensors": &w.Tensors} {
		if x := write.LookupPath(cue.ParsePath(path)); x.Exists() {
			if err := x.Decode(to); err != nil {
				return nil, nil, fmt.Errorf("%s: %s of a GGUF file: %s", m.Name, path, firstLine(err.Error()))
			}
		}
	}
	for field, of := range table.Fields {
		x := lookupField(m.Config, field)
		if x == nil {
			if !of.Optional {
				return nil, nil, fmt.Errorf("%s: config.json lacks %s, from which %s of a GGUF file comes", m.Name, field, of.Key)
			}
			continue
		}
		if _, given := w.Metadata[of.Key]; given {
			continue
		}
		value, err := ggufValue(of.Type, x)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %s: %w", m.Name, field, err)
		}
		if w.Metadata == nil {
			w.Metadata = map[string]GGUFValue{}
		}
		w.Metadata[of.Key] = value
	}
	return table, w, nil
}

func lookupField(config map[string]any, path string) any {
	first, rest, nested := strings.Cut(path, ".")
	inner, ok := config[first].(map[string]any)
	switch {
	case !nested:
		return config[first]
	case !ok:
		return nil
	}
	return lookupField(inner, rest)
}

// ggufValue is a field of config.json as metadata.
func ggufValue(kind string, x any) (v GGUFValue, err error) {
	n, isNumber := x.(json.Number)
	switch kind {
	case "u32":
		u, err := strconv.ParseUint(string(n), 10, 32)
		if err != nil || !isNumber {
			return v, fmt.Errorf("is %v, want a number without sign and of 32 bits", x)
		}
		w := uint32(u)
		v.U32 = &w
	case "f32":
		f, err := n.Float64()
		if err != nil || !isNumber || math.IsInf(float64(float32(f)), 0) {
			return v, fmt.Errorf("is %v, want a number", x)
		}
		w := float32(f)
		v.F32 = &w
	case "bool":
		w, ok := x.(bool)
		if !ok {
			return v, fmt.Errorf("is %v, want true or false", x)
		}
		v.Bool = &w
	default:
		w, ok := x.(string)
		if !ok {
			return v, fmt.Errorf("is %v, want a text", x)
		}
		v.Text = &w
	}
	return v, nil
}

const ggufPreSource = `package model

import "pipe.dev/layers/arch"

pre: arch.#GGUFPre
`

// GGUFPre is what files call a way to cut texts before the merges of bytes:
// regular expressions, "digits" for each digit alone, "words" for the expression
// of GPT-2.
func GGUFPre(cuts []string) (name string, ok bool, err error) {
	v, err := ggufEvaluate(ggufPreSource, nil)
	if err != nil {
		return "", false, err
	}
	var list []struct {
		Name string
		Cuts []string
	}
	if err := v.LookupPath(cue.ParsePath("pre")).Decode(&list); err != nil {
		return "", false, err
	}
	for _, p := range list {
		if slices.Equal(p.Cuts, cuts) {
			return p.Name, true, nil
		}
	}
	return "", false, nil
}
