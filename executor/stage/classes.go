package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"pipe.dev/executor/tensorfile"
)

// ClassesAttr describes which classes are told, and how.
type ClassesAttr struct {
	Top  int    `cue:"top: int & >0 | *5" doc:"how many, the most likely first"`
	Form string `cue:"form: *\"text\" | \"json\"" doc:"a class on each line, behind its probability; or JSON: for each x a list of {label, score}"`
}

func classes() *Def {
	return &Def{
		Name: "classes", Title: "Classes", Result: Text,
		Doc: "names the most likely classes, by the labels in config.json of the model's folder.",
		Ports: []Port{
			{Name: "x", Doc: "the logits, [n, classes], alone or among what a model gives", Kinds: []Kind{Tensor, Tensors}},
			{Name: "model", Doc: "the model", Kinds: []Kind{Model}},
		},
		Attr: ClassesAttr{},
		Run: func(_ context.Context, c *Call) (Value, error) {
			x, err := logitsOf(c.In["x"])
			if err != nil {
				return nil, err
			}
			n := x.Type.Sizes()[1]
			labels, err := c.Model("model").Labels(n)
			if err != nil {
				return nil, err
			}
			a := c.Attr.(ClassesAttr)
			var all [][]class
			for row := range slices.Chunk(x.Float64s(), n) {
				all = append(all, likeliest(row, labels, a.Top))
			}
			if a.Form == "json" {
				data, err := json.Marshal(all)
				return string(data), err
			}
			return classText(all), nil
		},
	}
}

// class is one class of a picture.
type class struct {
	Label string  `json:"label"`
	Score float64 `json:"score"` // its probability
}

// logitsOf is the tensor [n, classes] among the results of a model.
func logitsOf(v Value) (tensorfile.Tensor, error) {
	x, one := v.(tensorfile.Tensor)
	list, _ := v.([]tensorfile.Tensor)
	for _, t := range list {
		if t.Name == "logits" || len(list) == 1 {
			x, one = t, true
		}
	}
	if !one || x.Type.Rank() != 2 || x.Type.Elems() == 0 {
		return x, fmt.Errorf("x is %s %v, want logits [n, classes]", KindOf(v), x.Type)
	}
	return x, nil
}

// likeliest are the classes with the greatest logits, with their share of all; of equal ones
// the first.
func likeliest(logits []float64, labels []string, top int) []class {
	order := make([]int, len(logits))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case logits[i] > logits[j]:
			return -1
		case logits[i] < logits[j]:
			return 1
		}
		return 0
	})
	most, sum := logits[order[0]], 0.0
	for _, v := range logits {
		sum += math.Exp(v - most)
	}
	var out []class
	for _, i := range order[:min(top, len(order))] {
		out = append(out, class{labels[i], math.Exp(logits[i]-most) / sum})
	}
	return out
}

// classText has a class on each line, and an empty one between pictures.
func classText(all [][]class) string {
	var b strings.Builder
	for i, list := range all {
		if i > 0 {
			b.WriteString("\n")
		}
		for _, c := range list {
			fmt.Fprintf(&b, "%.4f %s\n", c.Score, c.Label)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}
