package model

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/decode"
	"pipe.dev/executor/sampler"
	"pipe.dev/executor/session"
	"pipe.dev/executor/tensorfile"
)

// plainText decodes no ids.
type plainText struct{}

func (plainText) Push(int32) (string, error) { return "", nil }
func (plainText) Flush() string              { return "" }

// greedyBatch continues prompts at once, each by as many tokens as most says.
func greedyBatch(t *testing.T, m *Model, prompts [][]int32, most []int, rows int) [][]int32 {
	t.Helper()
	var list []decode.Request
	var lengths []int
	for i, p := range prompts {
		list = append(list, decode.Request{Prompt: p, MaxTokens: most[i], Sampler: sampler.Options{}, Decoder: plainText{}})
		lengths = append(lengths, len(p))
	}
	m.context = 64
	if err := m.planBatch(lengths, slices.Max(most), rows); err != nil {
		t.Fatal(err)
	}
	if err := m.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	if m.Bytes() != m.PeakBytes() {
		t.Errorf("predicted %d bytes, holds %d", m.PeakBytes(), m.Bytes())
	}
	made, err := m.BatchOf().Texts(context.Background(), list, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := make([][]int32, len(made))
	for i, x := range made {
		out[i] = x.IDs
	}
	return out
}

// Prompts of several lengths that are continued at once, padded within, give the
// tokens that transformers gives them in a batch, with a cache.
func TestBatchGreedy(t *testing.T) {
	for _, dir := range folders(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			want := padded(t, dir)
			ids, err := want["ids"].Int32s()
			if err != nil {
				t.Fatal(err)
			}
			next, err := want["greedy"].Int32s()
			if err != nil {
				t.Fatal(err)
			}
			where, err := ReadPadding(want["mask"])
			if err != nil {
				t.Fatal(err)
			}
			var prompts [][]int32
			n := len(next) / len(where.size)
			for row, size := range where.size {
				at := row*where.width + where.start[row]
				prompts = append(prompts, ids[at:at+size])
			}
			m, _ := open(t, dir, 2, "")
			got := greedyBatch(t, m, prompts, []int{n, n, n}, 3)
			for row := range got {
				if w := next[row*n : (row+1)*n]; !slices.Equal(got[row], w) {
					t.Errorf("row %d: got %v, want %v", row, got[row], w)
				}
			}
		})
	}
}

// Logits of sequences of several lengths in one call, prompts and single tokens,
// have the bits that each has alone.
func TestBatchLogits(t *testing.T) {
	ctx := context.Background()
	for _, dir := range folders(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			want, err := expected(t, dir)["ids"].Int32s()
			if err != nil {
				t.Fatal(err)
			}
			const places, size, context = 3, 8, 64
			lengths := []int{8, 3, 5}
			m, _ := open(t, dir, 2, "")
			var runs []*session.Session
			for _, n := range []int{size, 1} {
				p, err := m.stepPlan(places, n, context)
				if err != nil {
					t.Fatal(err)
				}
				m.want(p)
			}
			if err := m.Load(ctx); err != nil {
				t.Fatal(err)
			}
			for _, p := range m.plans {
				s, err := m.session(p)
				if err != nil {
					t.Fatal(err)
				}
				runs = append(runs, s)
			}
			var got [][]byte
			for call, n := range []int{size, 1} { // all of the prompts, then one token each
				var ids, past, last []int32
				for i, size := range lengths {
					fed := want[i*11 : i*11+size]
					at := 0
					if call == 1 {
						fed, at = want[i*11+size:i*11+size+1], size
					}
					ids = append(append(ids, fed...), make([]int32, n-len(fed))...)
					past, last = append(past, int32(at)), append(last, int32(len(fed)-1))
				}
				for name, v := range map[string][]int32{"ids": ids, "past": past, "last": last} {
					if err := runs[call].Write(name, tensorfile.FromInt32s(name, v, len(v)).Data); err != nil {
						t.Fatal(err)
					}
				}
				if err := runs[call].Run(ctx); err != nil {
					t.Fatal(err)
				}
				out := make([]byte, runs[call].Plan().Outputs[0].Place.Type.Bytes())
				if err := runs[call].Read("out", out); err != nil {
					t.Fatal(err)
				}
				got = append(got, out)
			}
			alone, _ := open(t, dir, 1, "")
			generator(t, alone, 1, 3)
			g, err := alone.Generator()
			if err != nil {
				t.Fatal(err)
			}
			for i, size := range lengths {
				if err := g.Start(ctx, want[i*11:i*11+size], 1); err != nil {
					t.Fatal(err)
				}
				for call := range 2 {
					if call == 1 {
						if err := g.Push(ctx, want[i*11+size]); err != nil {
							t.Fatal(err)
						}
					}
					row := got[call][4*g.Vocab()*i:][:4*g.Vocab()]
					if !bytes.Equal(tensorfile.FromFloat32s("", g.Logits(), g.Vocab()).Data, row) {
						t.Errorf("call %d: sequence %d has other bits than alone", call, i)
					}
				}
			}
		})
	}
}

// A text keeps its tokens in any company: whoever else is in the batch, however
// long, and whoever leaves it when.
func TestBatchBits(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name string
		o    Options
	}{
		{"llama", Options{}}, {"gemma2", Options{}}, {"qwen2_moe", Options{}}, {"deepseek_v3", Options{}}, {"phi3_long", Options{}},
		{"llama_f16", Options{Cache: ir.F16}}, {"qwen3", Options{Weights: Formats{Default: ir.Q8_0}}},
		{"mixtral", Options{Weights: Formats{Default: ir.Q8_0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Dir = filepath.Join("../../testdata/golden/arch", c.name)
			seed := sampler.Options{Temperature: 1.5, Seed: 7}
			most := []int{3, 11, 1, 7, 20, 5, 2}
			var prompts [][]int32
			for i := range most {
				var p []int32
				for j := range 1 + (i*5)%13 {
					p = append(p, int32(3+(i*7+j*11)%50))
				}
				prompts = append(prompts, p)
			}
			var alone [][]int32
			m, _ := openAs(t, c.o, 2, "")
			generator(t, m, 1, 8)
			g, err := m.Generator()
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range prompts {
				var ids []int32
				for x, err := range g.Text(ctx, decode.Request{Prompt: p, MaxTokens: most[i], Sampler: seed, Decoder: plainText{}}) {
					if err != nil {
						t.Fatal(err)
					}
					if x.ID != decode.NoToken {
						ids = append(ids, x.ID)
					}
				}
				alone = append(alone, ids)
			}
			for _, rows := range []int{7, 5, 2, 1} {
				m, _ := openAs(t, c.o, 2, "")
				var list []decode.Request
				var lengths []int
				for i, p := range prompts {
					list = append(list, decode.Request{Prompt: p, MaxTokens: most[i], Sampler: seed, Decoder: plainText{}})
					lengths = append(lengths, len(p))
				}
				m.context = 64
				if err := m.planBatch(lengths, 20, rows); err != nil {
					t.Fatal(err)
				}
				if err := m.Load(ctx); err != nil {
					t.Fatal(err)
				}
				made, err := m.BatchOf().Texts(ctx, list, nil)
				if err != nil {
					t.Fatal(err)
				}
				for i := range made {
					if !slices.Equal(made[i].IDs, alone[i]) {
						t.Errorf("%d at once: text %d is %v, alone %v", rows, i, made[i].IDs, alone[i])
					}
				}
			}
		})
	}
}
