package model

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/sampler"
	"pipe.dev/executor/tensorfile"
)

// Rows of queries and keys that lie as pairs are read so, where the file is mapped if the kernel reads rows, and
// the greedy text is that of transformers.
func TestPairs(t *testing.T) {
	for _, name := range []string{"llama_f16", "llama31"} {
		m, _ := openAs(t, Options{Dir: ggufs + name + ".gguf"}, 2, "")
		generator(t, m, 1, 3)
		for _, s := range m.stored(m.plans) {
			read := strings.HasSuffix(s.Path, "q_proj.weight") || strings.HasSuffix(s.Path, "k_proj.weight")
			if s.Pairs != read || s.Pairs && s.Layout == "" && !m.device.store.Mapped(s.Path) {
				t.Errorf("%s: %s in pairs: %t, mapped: %t", name, s.Path, s.Pairs, m.device.store.Mapped(s.Path))
			}
		}
		want, err := expected(t, filepath.Join(golden, "arch", name))["greedy"].Int32s()
		if err != nil {
			t.Fatal(err)
		}
		if got := continued(t, m, want[:8], len(want)); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

// continued are ids with the likeliest ones after them.
func continued(t *testing.T, m *Model, ids []int32, n int) []int32 {
	t.Helper()
	g, err := m.Generator()
	if err != nil {
		t.Fatal(err)
	}
	s, err := sampler.New(g.Vocab(), sampler.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(context.Background(), ids, n-len(ids)); err != nil {
		t.Fatal(err)
	}
	for ids = slices.Clone(ids); len(ids) < n; {
		id, err := g.Next(s)
		if err == nil {
			err = g.Push(context.Background(), id)
		}
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// What is taken of queries and keys has the document's order, as a folder of the same weights gives it.
func TestPairsTaken(t *testing.T) {
	var take []string
	for _, node := range []string{"q_proj", "k_proj", "q_heads", "k_rope", "q_rope"} {
		take = append(take, "model.layers.1.self_attn."+node)
	}
	ids := expected(t, filepath.Join(golden, "arch", "llama_f16"))["ids"]
	var outs [2][]tensorfile.Tensor
	for i, dir := range []string{filepath.Join(golden, "arch", "llama_f16"), ggufs + "llama_f16.gguf"} {
		m, _ := openAs(t, Options{Dir: dir}, 1, "")
		sizes := ids.Type.Sizes()
		p, err := m.Forward(sizes[0], sizes[1], take)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Load(context.Background()); err != nil {
			t.Fatal(err)
		}
		if outs[i], err = m.Run(context.Background(), p, map[string]tensorfile.Tensor{"ids": ids}); err != nil {
			t.Fatal(err)
		}
		for _, s := range p.States {
			if strings.HasSuffix(s.Path, "layers.1.self_attn.q_proj.weight") && s.Pairs != (i == 1) {
				t.Errorf("%s: queries in pairs: %t", dir, s.Pairs)
			}
		}
	}
	for i, name := range take {
		if d := worst(outs[1][i+1].Float64s(), outs[0][i+1].Float64s()); !(d <= 1e-5) {
			t.Errorf("%s is off by %g", name, d)
		}
	}
}
