package model

import (
	"context"
	"fmt"
	"math"
	"slices"

	"pipe.dev/compiler/plan"
	"pipe.dev/executor/tensorfile"
)

// Embedder makes one vector of each of some texts.
type Embedder struct {
	m        *Model
	sentence Sentence
	calls    []embedCall
	rows     int
	width    int // of a token's vector
	input    string
}

// embedCall is a call over texts of about one length.
type embedCall struct {
	plan *plan.Plan
	of   []int // the texts' places
	ids  [][]int32
	size int // positions of each
}

// Embedder asks for what the vectors of texts, as ids, need. Texts go through the model
// in batches of at most so many positions, filled up at their ends; each
// has the bits that it has alone.
func (m *Model) Embedder(s Sentence, texts [][]int32, positions int) (*Embedder, error) {
	for _, p := range s.Pooling {
		if !slices.Contains(Poolings, p) {
			return nil, fmt.Errorf("pooling %q is not known; known are %v", p, Poolings)
		}
	}
	e := &Embedder{m: m, sentence: s, rows: len(texts)}
	for i, ids := range texts {
		if len(ids) == 0 {
			return nil, fmt.Errorf("text %d is empty, and the tokenizer adds no token", i+1)
		}
	}
	order := make([]int, len(texts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(texts[b]) - len(texts[a]) })
	for len(order) > 0 {
		size := len(texts[order[0]])
		if c := m.Trained(); c <= 0 || size <= c {
			size = (size + 3) / 4 * 4
			if c > 0 {
				size = min(size, c)
			}
		}
		rows := 1
		for rows < len(order) && (rows+1)*size <= positions && 2*len(texts[order[rows]]) > size {
			rows++
		}
		if err := e.call(texts, order[:rows], size); err != nil {
			return nil, err
		}
		order = order[rows:]
	}
	return e, nil
}

// call asks for a plan of a call.
func (e *Embedder) call(texts [][]int32, of []int, size int) error {
	places := len(of)
	p, err := e.m.plan(plan.Entry{Name: "forward", Padded: true}, map[string]int{"batch": places, "seq": size})
	if err != nil {
		return err
	}
	e.m.want(p)
	names := Inputs(p)
	out := p.Outputs[0].Place.Type.Sizes()
	if len(names) != 1 || len(out) != 3 || out[0] != places || out[1] != size {
		return fmt.Errorf("%s has inputs %v and gives %v: want an encoder, of ids [batch,seq], that gives [batch,seq,width]", e.m.opt.Dir, names, p.Outputs[0].Place.Type)
	}
	e.input, e.width = names[0], out[2]
	if want := e.sentence.Width; want > 0 && want != e.width {
		return fmt.Errorf("%s gives %d numbers for each token, and its vectors have %d: it makes logits, which are no vectors of texts", e.m.opt.Dir, e.width, want)
	}
	c := embedCall{plan: p, of: slices.Clone(of), size: size}
	for _, at := range of {
		c.ids = append(c.ids, texts[at])
	}
	e.calls = append(e.calls, c)
	return nil
}

// Vectors computes them: [texts, width].
func (e *Embedder) Vectors(ctx context.Context) (tensorfile.Tensor, error) {
	width := e.width * len(e.sentence.Pooling)
	all := make([]float32, e.rows*width)
	for _, c := range e.calls {
		places := c.plan.Sizes["batch"]
		ids, lengths := make([]int32, places*c.size), make([]int32, places)
		for i, row := range c.ids {
			copy(ids[i*c.size:], row)
			lengths[i] = int32(len(row))
		}
		outs, err := e.m.Run(ctx, c.plan, map[string]tensorfile.Tensor{
			e.input: tensorfile.FromInt32s(e.input, ids, places, c.size), "lengths": tensorfile.FromInt32s("lengths", lengths, places),
		})
		if err != nil {
			return tensorfile.Tensor{}, err
		}
		values := outs[0].Float32s()
		for i, at := range c.of {
			e.sentence.vector(all[at*width:(at+1)*width], values[i*c.size*e.width:][:len(c.ids[i])*e.width], e.width)
		}
	}
	return tensorfile.FromFloat32s("embeddings", all, e.rows, width), nil
}

// vector is the vector of a text whose tokens have those in x, [tokens, width].
func (s *Sentence) vector(to, x []float32, width int) {
	for i, way := range s.Pooling {
		pool(to[i*width:(i+1)*width], x, width, way)
	}
	if !s.Normalize {
		return
	}
	var sum float64
	for _, v := range to {
		sum += float64(v) * float64(v)
	}
	scale := 1 / math.Max(math.Sqrt(sum), 1e-12)
	for i, v := range to {
		to[i] = float32(float64(v) * scale)
	}
}

// pool makes one vector of those of n tokens: the first (cls), the last, the
// greatest of each number (max), their mean, their sum over sqrt(n), or their mean
// weighted by 1 to n.
func pool(to, x []float32, width int, way string) {
	n := len(x) / width
	switch way {
	case "cls":
		copy(to, x[:width])
		return
	case "last":
		copy(to, x[(n-1)*width:])
		return
	}
	for j := range to {
		sum, most := 0.0, math.Inf(-1)
		for i := range n {
			v := float64(x[i*width+j])
			if way == "weightedmean" {
				v *= float64(i + 1)
			}
			sum, most = sum+v, max(most, v)
		}
		switch way {
		case "max":
			sum = most
		case "mean":
			sum /= float64(n)
		case "mean_sqrt_len":
			sum /= math.Sqrt(float64(n))
		case "weightedmean":
			sum /= float64(n*(n+1)) / 2
		}
		to[j] = float32(sum)
	}
}
