package model

import (
	"context"
	"os"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/sampler"
)

// TestShipped asks the model that ships with pipe the problems that it has
// never seen, with weights as they are and quantised, and with every type of
// cache: at least 95% of the answers must be right.
func TestShipped(t *testing.T) {
	for _, weights := range []ir.DType{ir.Invalid, ir.Q8_0} {
		t.Run(weights.String(), func(t *testing.T) { askShipped(t, Options{Weights: Formats{Default: weights}}) })
	}
	for _, cache := range []ir.DType{ir.BF16, ir.F16, ir.Q8_0} {
		t.Run(cache.String()+" cache", func(t *testing.T) { askShipped(t, Options{Cache: cache}) })
	}
}

// The cache takes what its type takes, and the model what its plans say.
func TestCacheTypes(t *testing.T) {
	const layers, ctx, elements = 4, 64, 4 * 32 * 64 // elements: keys or values of a layer
	for cache, bytes := range map[ir.DType]int64{ir.F32: 4 * elements, ir.BF16: 2 * elements, ir.F16: 2 * elements, ir.Q8_0: elements / 32 * 34} {
		m, _ := openAs(t, Options{Dir: "../../models/tiny-llama", Cache: cache, Context: ctx}, 1, "")
		if err := m.Text(); err != nil {
			t.Fatal(err)
		}
		if err := m.Load(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := m.Plans()[0].StateBytes(ir.Cache); got != 2*layers*bytes || m.Bytes() != m.PeakBytes() {
			t.Errorf("%v: the cache takes %d bytes, want %d; %d bytes are held, the plans say %d", cache, got, 2*layers*bytes, m.Bytes(), m.PeakBytes())
		}
	}
}

// TestQuantised has the linear layers and tables of a model in blocks, where
// their rows are whole ones: these take 34 bytes for every 32 weights, of rows
// that fill panels of 32 where the processor packs them, and the model takes what its plans say.
func TestQuantised(t *testing.T) {
	m, _ := openAs(t, Options{Dir: "../../models/tiny-llama", Weights: Formats{Default: ir.Q8_0}}, 1, "")
	if err := m.Text(); err != nil {
		t.Fatal(err)
	}
	if err := m.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	if m.Bytes() != m.PeakBytes() {
		t.Errorf("%d bytes are held, the plans say %d", m.Bytes(), m.PeakBytes())
	}
	blocked := 0
	for _, s := range m.Plans()[0].States {
		if s.Kind != ir.Weight {
			continue
		}
		sizes := s.Type.Sizes()
		if want := len(sizes) == 2 && sizes[1]%32 == 0; s.Type.DType.Blocked() != want {
			t.Errorf("state %s is %v", s.Path, s.Type)
		} else if !want {
			continue
		}
		blocked++
		rows := sizes[0]
		if s.Layout != "" {
			rows = (rows + 31) / 32 * 32
		}
		if want := int64(rows) * int64(sizes[1]/32) * 34; s.Bytes != want {
			t.Errorf("state %s of %v takes %d bytes, want %d", s.Path, s.Type, s.Bytes, want)
		}
	}
	if blocked == 0 {
		t.Error("no weight is in blocks")
	}
}

func askShipped(t *testing.T, o Options) {
	text, err := os.ReadFile("../../recipes/data/arithmetic_heldout.txt")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	o.Dir = "../../models/tiny-llama"
	m, _ := openAs(t, o, 1, "")
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
	tok, err := m.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	s, err := sampler.New(g.Vocab(), sampler.Options{})
	if err != nil {
		t.Fatal(err)
	}
	right, all := 0, 0
	for line := range strings.Lines(string(text)) {
		problem, want, _ := strings.Cut(strings.TrimSpace(line), "=")
		ids, err := tok.Encode(nil, problem+"=", true)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Start(ctx, ids, 6); err != nil {
			t.Fatal(err)
		}
		got := ""
		for len(got) < 6 && !strings.HasSuffix(got, ".") {
			id, err := g.Next(s)
			if err == nil {
				err = g.Push(ctx, id)
			}
			if err != nil {
				t.Fatal(err)
			}
			piece, _ := tok.Token(id)
			got += piece
		}
		if all++; got == want {
			right++
		}
	}
	t.Logf("%d of %d right", right, all)
	if all < 2000 || right*100 < all*95 {
		t.Errorf("%d of %d answers are right, want 95%%", right, all)
	}
}
