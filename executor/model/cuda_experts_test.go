//go:build linux && (amd64 || arm64)

package model

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"pipe.dev/executor/sampler"
)

// Models with experts go on with a prompt as transformers does, whether tokens come
// one by one, each a product with its experts' weights, or together, so that those
// of an expert are one product.
func TestExpertsOnCUDA(t *testing.T) {
	ctx := context.Background()
	for _, name := range []string{"mixtral", "qwen3_moe", "deepseek_v3"} {
		want, err := expected(t, filepath.Join(golden, "arch", name))["greedy"].Int32s()
		if err != nil {
			t.Fatal(err)
		}
		for _, sizes := range [][]int{{1}, {1, 32}} {
			m, _ := onCUDA(t, name, Offload{})
			generator(t, m, sizes...)
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
			for len(ids) < len(want) {
				id, err := g.Next(s)
				if err == nil {
					err = g.Push(ctx, id)
				}
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, id)
			}
			if !slices.Equal(ids, want) {
				t.Errorf("%s, sizes %v: got %v, want %v", name, sizes, ids, want)
			}
		}
	}
}
