package quantize

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"pipe.dev/executor/model"
	"pipe.dev/executor/tensorfile"
)

// Compared is how well a model tells a text before and after.
type Compared struct {
	Before  float64 `json:"before"`
	After   float64 `json:"after"`
	Tokens  int     `json:"tokens"`  // that were told
	Context int     `json:"context"` // positions of a window
}

// Perplexity is exp of the mean negative log-likelihood of a text's tokens,
// each given those before it in a window of context positions; the first of a
// window is not counted. At most a number of tokens is told.
func Perplexity(ctx context.Context, m *model.Model, text string, context, most int, progress func(done, total int64)) (float64, int, error) {
	t, err := m.Tokenizer()
	if err != nil {
		return 0, 0, err
	}
	ids, err := t.Encode(nil, text, false)
	if err != nil {
		return 0, 0, err
	}
	if ids = ids[:min(most, len(ids))]; len(ids) < 2 {
		return 0, 0, fmt.Errorf("the text has %d tokens; perplexity wants 2 at least", len(ids))
	}
	var begin []int32
	if bos, ok := t.BOS(); ok {
		begin = []int32{bos}
	}
	size := min(context, len(ids)+len(begin))
	step, total := size-len(begin), len(ids)
	p, err := m.Forward(1, size, nil)
	if err != nil {
		return 0, 0, err
	}
	if err := m.Load(ctx); err != nil {
		return 0, 0, err
	}
	var sum float64
	told := 0
	for at := 0; at+step <= total; at += step {
		window := slices.Concat(begin, ids[at:at+step])
		outs, err := m.Run(ctx, p, map[string]tensorfile.Tensor{"ids": tensorfile.FromInt32s("ids", window, 1, len(window))})
		if err != nil {
			return 0, 0, err
		}
		vocab := len(outs[0].Data) / 4 / len(window)
		for i := 1; i < len(window); i++ {
			sum += surprise(outs[0].Data[4*vocab*(i-1):4*vocab*i], int(window[i]))
			told++
		}
		if progress != nil {
			progress(int64(at+step), int64(total))
		}
	}
	return math.Exp(sum / float64(told)), told, nil
}

// surprise is the negative log-likelihood of an id by logits in f32.
func surprise(logits []byte, id int) float64 {
	at := func(i int) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(logits[4*i:]))) }
	most := math.Inf(-1)
	for i := range len(logits) / 4 {
		most = max(most, at(i))
	}
	var sum float64
	for i := range len(logits) / 4 {
		sum += math.Exp(at(i) - most)
	}
	return most + math.Log(sum) - at(id)
}
