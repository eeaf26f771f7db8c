package stage

import (
	"context"
	"fmt"
	"math"
	"strings"

	"pipe.dev/executor/tensorfile"
)

// SimilarityAttr describes a table of similarities.
type SimilarityAttr struct {
	Whole int `cue:"whole: int & >=0 | *12" doc:"texts up to which the whole table is given; of more, the nearest of each"`
}

func similarity() *Def {
	return &Def{
		Name: "similarity", Title: "Similarity", Result: Text,
		Doc: "writes down how near vectors are to each other, by the cosine of their angle: 1 is the same direction, 0 none in common.",
		Ports: []Port{
			{Name: "x", Doc: "the vectors, [texts, width]", Kinds: []Kind{Tensor}},
			{Name: "texts", Doc: "what they are of", Kinds: []Kind{Text, List}},
		},
		Attr: SimilarityAttr{},
		Run: func(_ context.Context, c *Call) (Value, error) {
			x, ok := c.In["x"].(tensorfile.Tensor)
			if !ok || x.Type.Rank() != 2 {
				return nil, fmt.Errorf("x is %v, want vectors [texts, width]", x.Type)
			}
			texts, _, err := textsOf("texts", c.In["texts"])
			if err != nil {
				return nil, err
			}
			if n := x.Type.Sizes()[0]; n != len(texts) {
				return nil, fmt.Errorf("there are %d vectors and %d texts", n, len(texts))
			}
			near := cosines(x.Float64s(), len(texts))
			if len(texts) <= c.Attr.(SimilarityAttr).Whole {
				return wholeTable(near, texts), nil
			}
			return nearest(near, texts), nil
		},
	}
}

// cosines are those of each two of n vectors; of a vector of zeros they are 0.
func cosines(x []float64, n int) func(i, j int) float64 {
	width := len(x) / n
	dot := func(i, j int) (sum float64) {
		for k, v := range x[i*width : (i+1)*width] {
			sum += v * x[j*width+k]
		}
		return sum
	}
	lengths := make([]float64, n)
	for i := range lengths {
		lengths[i] = math.Sqrt(dot(i, i))
	}
	return func(i, j int) float64 {
		if both := lengths[i] * lengths[j]; both > 0 {
			return dot(i, j) / both
		}
		return 0
	}
}

// wholeTable has a row and a column for each text.
func wholeTable(near func(i, j int) float64, texts []string) string {
	var b strings.Builder
	b.WriteString("    ")
	for j := range texts {
		fmt.Fprintf(&b, "%7d", j+1)
	}
	for i, text := range texts {
		fmt.Fprintf(&b, "\n%3d ", i+1)
		for j := range texts {
			fmt.Fprintf(&b, "%7.3f", near(i, j))
		}
		b.WriteString("  " + short(text, 60))
	}
	return b.String()
}

// nearest has the most similar other text of each.
func nearest(near func(i, j int) float64, texts []string) string {
	var b strings.Builder
	for i, text := range texts {
		best, at := math.Inf(-1), 0
		for j := range texts {
			if v := near(i, j); j != i && v > best {
				best, at = v, j
			}
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%4d %s\n%4d %s  %.3f", i+1, short(text, 70), at+1, short(texts[at], 70), best)
	}
	return b.String()
}

// short is the beginning of a text on one line.
func short(text string, most int) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}
