package model

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/sampler"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/internal/measured"
)

// golden is where reference values lie.
const golden = "../../testdata/golden"

// TestForward compares logits and the hidden states after every layer with
// those that transformers gives in float64.
func TestForward(t *testing.T) {
	for _, dir := range folders(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			want := expected(t, dir)
			m, _ := open(t, dir, 2, "")
			ids := want["ids"]
			names, take := nodesOf(want)
			sizes := ids.Type.Sizes()
			p, err := m.Forward(sizes[0], sizes[1], take)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Load(context.Background()); err != nil {
				t.Fatal(err)
			}
			outs, err := m.Run(context.Background(), p, map[string]tensorfile.Tensor{"ids": ids})
			if err != nil {
				t.Fatal(err)
			}
			most := 0.0
			for i, name := range names {
				got, w := outs[i].Float64s(), want[name].Float64s()
				if len(got) < len(w) || len(w) == 0 {
					t.Fatalf("%s has %d elements, want %d", name, len(got), len(w))
				}
				d := worst(got, w)
				if !(d < 2e-5) { // the promise is 1e-4
					t.Errorf("%s differs by %.2g", name, d)
				}
				most = max(most, d)
			}
			measured.Note(t, golden, "forward", filepath.Base(dir), most)
		})
	}
}

// generator asks for what makes text in a folder without a tokenizer.
func generator(t testing.TB, m *Model, sizes ...int) {
	t.Helper()
	m.context = 64
	for _, n := range sizes {
		p, err := m.plan(plan.Entry{Name: "step", Cache: ir.F32, Last: true}, map[string]int{"batch": 1, "seq": n, "ctx": m.context})
		if err != nil {
			t.Fatal(err)
		}
		m.text = append(m.text, p)
	}
	m.want(m.text...)
	if err := m.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// TestGreedy compares the greedy continuation of a prompt, with a cache, with
// that of transformers, and checks that the logits have the same bits however
// the prompt is cut into calls, however many threads there are, and that they
// are those of the run without a cache.
func TestGreedy(t *testing.T) {
	ctx := context.Background()
	for _, dir := range folders(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			want, err := expected(t, dir)["greedy"].Int32s()
			if err != nil {
				t.Fatal(err)
			}
			var first []uint32
			type way struct {
				threads int
				sizes   []int
			}
			ways := []way{{1, []int{1}}, {3, []int{1, 3}}}
			if slices.Contains([]string{"llama31", "mistral", "gemma2", "deepseek_v3"}, filepath.Base(dir)) {
				ways = append(ways, way{2, []int{1, 8}}, way{2, []int{1, 32}})
			}
			for _, way := range ways {
				m, _ := open(t, dir, way.threads, "")
				generator(t, m, way.sizes...)
				g, err := m.Generator()
				if err != nil {
					t.Fatal(err)
				}
				s, err := sampler.New(g.Vocab(), sampler.Options{})
				if err != nil {
					t.Fatal(err)
				}
				ids := slices.Clone(want[:8])
				if err := g.Start(ctx, ids, 32); err != nil {
					t.Fatal(err)
				}
				bits := bitsOf(g.Logits())
				for len(ids) < len(want) {
					id, err := g.Next(s)
					if err != nil {
						t.Fatal(err)
					}
					ids = append(ids, id)
					if err := g.Push(ctx, id); err != nil {
						t.Fatal(err)
					}
				}
				if !slices.Equal(ids, want) {
					t.Errorf("threads %d, sizes %v: got %v, want %v", way.threads, way.sizes, ids, want)
				}
				bits = append(bits, bitsOf(g.Logits())...)
				if first == nil {
					first = bits
				}
				if !slices.Equal(bits, first) {
					t.Errorf("threads %d, sizes %v: logits have other bits than with one thread, token by token", way.threads, way.sizes)
				}
			}
		})
	}
}

func bitsOf(x []float32) []uint32 {
	out := make([]uint32, len(x))
	for i, v := range x {
		out[i] = math.Float32bits(v)
	}
	return out
}

// TestPeak checks that the predicted memory is what is allocated and mapped,
// to the byte.
func TestPeak(t *testing.T) {
	for _, dir := range folders(t) {
		m, be := open(t, dir, 2, "")
		generator(t, m, 1, 8, 32)
		var mapped int64
		for _, s := range m.plans[0].States {
			if m.device.store.Mapped(s.Path) {
				mapped += s.Bytes
			}
		}
		if m.Bytes() != m.PeakBytes() || be.Allocated()+mapped != m.PeakBytes() {
			t.Errorf("%s: predicted %d bytes; holds %d: %d allocated, %d mapped",
				filepath.Base(dir), m.PeakBytes(), m.Bytes(), be.Allocated(), mapped)
		}
	}
}

// TestPoison fills memory with NaN as soon as the plan says that it is free,
// and checks that the results keep their bits.
func TestPoison(t *testing.T) {
	ctx := context.Background()
	for _, dir := range folders(t) {
		m, _ := open(t, dir, 2, "")
		ids := expected(t, dir)["ids"]
		p, err := m.Forward(2, 24, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Load(ctx); err != nil {
			t.Fatal(err)
		}
		want, err := m.Run(ctx, p, map[string]tensorfile.Tensor{"ids": ids})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.sessions[p].RunPoisoned(ctx, m.device.arena); err != nil {
			t.Fatal(err)
		}
		for i, out := range p.Outputs {
			got := make([]byte, len(want[i].Data))
			if err := m.sessions[p].Read(out.Name, got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want[i].Data) {
				t.Errorf("%s: %s changes when free memory is filled with NaN", filepath.Base(dir), out.Name)
			}
		}
	}
}

// TestStory compares a real model's logits with those computed in float64, and
// its greedy text with what the program that it was made for gives.
func TestStory(t *testing.T) {
	data := os.Getenv("PIPE_DATA")
	if data == "" {
		data = "../../../shared/data"
	}
	text, err := os.ReadFile(filepath.Join(data, "golden/stories260K_greedy_96.json"))
	if err != nil {
		t.Skip("no real model: ", err)
	}
	var want struct {
		IDs    []int32   `json:"ids"`
		Logits []float64 `json:"logits_last"`
		After  []int32   `json:"logits_last_ids"`
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for _, tier := range []string{"generic", "avx2", "avx512", "avx512bf16", "amx"} {
		t.Run(tier, func(t *testing.T) {
			ctx := context.Background()
			m, _ := open(t, filepath.Join(data, "llm/stories260K"), 2, tier)
			if err := m.Text(); err != nil {
				t.Fatal(err)
			}
			if err := m.Load(ctx); err != nil {
				t.Fatal(err)
			}
			g, err := m.Generator()
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Start(ctx, want.After, 0); err != nil {
				t.Fatal(err)
			}
			got := make([]float64, g.Vocab())
			for i, v := range g.Logits() {
				got[i] = float64(v)
			}
			if d := worst(got, want.Logits); !(d < 1e-4) || len(want.Logits) != len(got) {
				t.Errorf("%d logits differ by %.2g of %d", len(got), d, len(want.Logits))
			}
			s, err := sampler.New(g.Vocab(), sampler.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Start(ctx, want.IDs[:1], 96); err != nil {
				t.Fatal(err)
			}
			ids := want.IDs[:1:1]
			for len(ids) < len(want.IDs) {
				id, err := g.Next(s)
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, id)
				if err := g.Push(ctx, id); err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(ids, want.IDs) {
				t.Errorf("got %v, want %v", ids, want.IDs)
			}
		})
	}
}

// BenchmarkToken makes one token after the other; it reports allocations.
func BenchmarkToken(b *testing.B) {
	ctx := context.Background()
	m, _ := open(b, "../../testdata/golden/arch/llama", 2, "")
	generator(b, m, 1)
	g, err := m.Generator()
	if err != nil {
		b.Fatal(err)
	}
	s, err := sampler.New(g.Vocab(), sampler.Options{})
	if err != nil {
		b.Fatal(err)
	}
	prompt := []int32{1, 2, 3}
	b.ReportAllocs()
	left := 0
	for b.Loop() {
		if left == 0 {
			b.StopTimer()
			if err := g.Start(ctx, prompt, 60); err != nil {
				b.Fatal(err)
			}
			left = 60
			b.StartTimer()
		}
		id, err := g.Next(s)
		if err == nil {
			err = g.Push(ctx, id)
		}
		if err != nil {
			b.Fatal(err)
		}
		left--
	}
}
